r"""Why the defaults are what they are: each changed alone, on the validation parts of four data sets.

Command:   python experiments/defaults.py --data digits yeast --seeds 5 --root ../shared/data \
               --markdown docs/defaults.md
Hardware:  2 CPU cores
Minutes:   11, for these two sources and 5 seeds

Prints one table a data set: the default configuration, then each change with its difference from the default under the
same seeds, times 100, with its standard error. Test rows are not read. A difference of less than two standard errors
is noise, and no reason to change a default.
"""

import argparse
import json
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
    {"learning_rate": 2e-3, "gate_learning_rate": 2e-3},
    {"learning_rate": 8e-3, "gate_learning_rate": 8e-3},
    {"weight_decay": 0.03},
    {"weight_decay": 1.0},
    {"average_epochs": 20.0},
    {"batch_size": 128},
    {"epochs": 30},
    {"early_stopping_patience": 10},
    {"early_stopping_patience": 0},
    {"encoder_dropout": 0.1},
    {"encoder_dropout": 0.5},
    {"encoder": "linear"},
    {"head_hidden_dims": ()},
    {"standardize": False},
    {"feature_normalization": True},
    {"masking_prob": 0.3},
    {"masking_prob": 0.7},
    {"consistency_coeff": 0.3},
    {"label_smoothing": 0.05},
    {"focal_gamma": 2.0, "focal_alpha": 0.25},
    {"ece_penalty_coeff": 0.5},
    {"l2_logits_coeff": 1e-4},
)
COLUMNS = ("accuracy, all present", "mean of subsets", "mean of singles", "NLL of subsets", "ECE of subsets")
ABOUT = """Made by `experiments/defaults.py`, whose header says how. The first row is the default configuration; the
others are differences from it under the same seeds, times 100, with their standard errors. For labels (yeast) the
accuracy is the macro average precision. The best epoch is chosen on the same validation rows, for every row alike.
Fields that a source does not read, as focal_gamma with classes, change nothing."""


def main() -> None:
    """Prints the tables and, with --json, writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder of the original files of all sources but digits")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--data", nargs="*", default=list(SOURCES), choices=list(SOURCES), help="which sources")
    parser.add_argument("--json", type=Path, default=None, help="file to write the figures of every seed to")
    parser.add_argument("--markdown", type=Path, default=None, help="file to write the tables to")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    tables = [f"# The defaults, each changed alone\n\n{ABOUT}"]
    for name in args.data:
        root = None if name == "digits" else args.root
        splits = load_splits(DataConfig(data=name, root=root, difficulty=SOURCES[name]))
        figures[name] = [[validation_figures(splits, change, seed) for seed in range(args.seeds)] for change in CHANGES]
        tables.append(table(name, figures[name]))
        print(tables[-1])
        if args.json is not None:
            recipe.write_text(args.json, json.dumps({"changes": CHANGES, "figures": figures}, indent=1) + "\n")
        if args.markdown is not None:
            recipe.write_text(args.markdown, "\n".join(tables) + "\n")


def table(name: str, figures: list[list[list[float]]]) -> str:
    """Returns the table of one source: a row for each change, a column for each figure."""
    heading = f"\n## {name}\n\nValidation part, {len(figures[0])} seeds.\n"
    rows = [heading, f"| change | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for change, found in zip(CHANGES, figures, strict=True):
        pairs = [(one, zero if change else [0.0] * len(one)) for one, zero in zip(found, figures[0], strict=True)]
        shown = [[a - b for a, b in zip(one, zero, strict=True)] for one, zero in pairs]
        cells = [cell([seed[column] for seed in shown], signed=bool(change)) for column in range(len(COLUMNS))]
        label = ", ".join(f"`{field}={value!r}`" for field, value in change.items()) or "defaults"
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(rows)


def validation_figures(splits: Splits, change: dict[str, Any], seed: int) -> list[float]:
    """Returns the figures of one model on the validation part."""
    table = recipe.trained_table(AECFConfig(**change), splits, seed=seed, part="validation")
    summary, headline = table.summary(), table.headline
    every = summary["mean_of_subsets"]
    print(f"{splits.name}, seed {seed}, {change or 'defaults'}: done", file=sys.stderr)
    return [
        summary["full"][headline], every[headline], summary["mean_of_singles"][headline], every["nll"], every["ece"]
    ]  # fmt: skip


def cell(values: list[float], *, signed: bool) -> str:
    """Returns mean and standard error as text, times 100."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{100 * statistics.fmean(values):{'+' if signed else ''}.2f} ± {100 * error:.2f}"


if __name__ == "__main__":
    main()
