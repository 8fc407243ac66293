"""Why the defaults are what they are: each changed alone, on the validation parts of four data sets.

Command:   python experiments/defaults.py --root ../shared/data [--json docs/defaults.json]
Hardware:  2 CPU cores
Minutes:   TO MEASURE

Prints one table a data set: the default configuration, then each change with its difference from the default under the
same seeds. Test rows are not read. A difference of less than two standard errors is noise and no reason to change.
"""

import argparse
import math
import statistics
import sys
from pathlib import Path
from typing import Any

import recipe

from aecf_jax import AECFConfig, DataConfig, load_splits
from aecf_jax.data import Splits

SOURCES = {"digits": "plain", "yeast": "plain", "handwritten": "plain", "avmnist": "hard"}
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"learning_rate": 1e-3, "gate_learning_rate": 1e-3},
    {"learning_rate": 4e-3, "gate_learning_rate": 4e-3},
    {"weight_decay": 0.01},
    {"batch_size": 128},
    {"epochs": 30},
    {"early_stopping_patience": 10},
    {"early_stopping_patience": 0},
    {"encoder_dropout": 0.1},
    {"encoder": "linear"},
    {"head_hidden_dims": ()},
    {"standardize": False},
    {"feature_normalization": True},
    {"gate_disabled": True},
    {"curriculum_mask": False},
    {"masking_prob": 0.3},
    {"masking_prob": 0.7},
    {"masking_strategy": "entropy_min"},
    {"mask_gate_input": False},
    {"pair_training": False},
    {"consistency_coeff": 0.0},
    {"consistency_coeff": 0.3},
    {"consistency_loss_coeff": 1.0},
    {"entropy_reg": False},
    {"label_smoothing": 0.05},
    {"focal_gamma": 2.0, "focal_alpha": 0.25},
    {"ece_penalty_coeff": 0.5},
    {"l2_logits_coeff": 0.0},
)
COLUMNS = ("full", "mean of subsets", "mean of singles", "NLL", "ECE")


def main() -> None:
    """Prints the tables and, with --json, writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder of the original files of all sources but digits")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--data", nargs="*", default=list(SOURCES), choices=list(SOURCES), help="which sources")
    parser.add_argument("--json", type=Path, default=None, help="file to write the tables to")
    args = parser.parse_args()
    tables: dict[str, Any] = {}
    for name in args.data:
        root = None if name == "digits" else args.root
        splits = load_splits(DataConfig(data=name, root=root, difficulty=SOURCES[name]))
        tables[name] = source_table(name, splits, args.seeds)
        if args.json is not None:
            recipe.write_json(args.json, tables)


def source_table(name: str, splits: Splits, seeds: int) -> list[dict[str, Any]]:
    """Prints and returns the table of one source: a row for each change."""
    print(f"\n{name}: validation part, {seeds} seeds\n{'':44}" + "".join(f"{column:>18}" for column in COLUMNS))
    rows: list[dict[str, Any]] = []
    base: list[list[float]] = []
    for change in CHANGES:
        figures = [validation_figures(splits, change, seed) for seed in range(seeds)]
        base = base or figures
        differences = [[a - b for a, b in zip(one, zero, strict=True)] for one, zero in zip(figures, base, strict=True)]
        shown = figures if not change else differences
        cells = [cell([one[column] for one in shown], signed=bool(change)) for column in range(len(COLUMNS))]
        label = ", ".join(f"{field}={value}" for field, value in change.items()) or "default"
        print(f"{label:44}" + "".join(f"{text:>18}" for text in cells))
        sys.stdout.flush()
        rows.append({"change": change, "columns": COLUMNS, "per_seed": figures})
    return rows


def validation_figures(splits: Splits, change: dict[str, Any], seed: int) -> list[float]:
    """Returns the figures of one model on the validation part."""
    table = recipe.trained_table(AECFConfig(**change), splits, seed=seed, part="validation")
    summary, headline = table.summary(), table.headline
    every = summary["mean_of_subsets"]
    return [
        summary["full"][headline], every[headline], summary["mean_of_singles"][headline], every["nll"], every["ece"]
    ]  # fmt: skip


def cell(values: list[float], *, signed: bool) -> str:
    """Returns mean and standard error as text, times 100."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{100 * statistics.fmean(values):{'+' if signed else ''}.2f} ± {100 * error:.2f}"


if __name__ == "__main__":
    main()
