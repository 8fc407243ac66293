"""The gate's parts, each left out alone, under drop tables: the six ablations of the PyTorch suite as one sweep.

Command:   python experiments/ablation.py --root ../shared/data --json experiments/results/ablation.json
Hardware:  2 CPU cores
Minutes:   8
Data:      AV-MNIST, difficulty hard; --data names others

full is `fusion="gated"` with every other default: gate, entropy reward, curriculum masks. no_gate weighs what is
present equally; no_entropy rewards no entropy; no_curmask hides nothing in training; only_NAME sees one modality, in
training and in the test, and predicts the prior where that is hidden. Where the default fusion is another one, it is a
row of its own. All are chosen on the validation part, and measured on the test part under one drop table for each rate
(MCAR, seed 0, no row left empty), whose hashes stand in the JSON beside those of the configurations. ± is half a 95 %
interval over seeds and rows; differences are from full, their p-values Holm-corrected over all of a metric's tests
(*: below 0.05).
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import recipe

from aecf_jax import AECFConfig, DataConfig, load_splits
from aecf_jax.data import Dataset, DropTable, Splits, make_drops
from aecf_jax.evaluate import COMPARED, Contrast, Drawn, Model, contrast, predict
from aecf_jax.metrics import resampled_metrics
from aecf_jax.stats import holm, resample_counts
from aecf_jax.sweep import train_many

RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
MEAN = "mean of rates"
DRAWS = 1000
LEVEL = 0.95
PARTS: Mapping[str, Mapping[str, Any]] = {
    "full": {"fusion": "gated", "entropy_reg": True},
    "no_gate": {"fusion": "gated", "gate_disabled": True},
    "no_entropy": {"fusion": "gated"},
    "no_curmask": {"fusion": "gated", "entropy_reg": True, "curriculum_mask": False},
}
Drawns = dict[str, dict[tuple[str, str], Drawn]]
"""Variant -> (metric, rate) -> its values over seeds, and those on resampled rows."""


def main() -> None:
    """Trains, measures, prints the tables and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder of the original files")
    parser.add_argument("--data", default="avmnist", help="a named source; avmnist is that of difficulty hard")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from 0")
    parser.add_argument("--epochs", type=int, default=AECFConfig().epochs, help="of every run")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, default=None, help="file for all figures, with the hashes")
    parser.add_argument("--plot", type=Path, default=None, help="PNG file for the picture")
    args = parser.parse_args()
    difficulty = "hard" if args.data == "avmnist" else "plain"
    splits = load_splits(DataConfig(data=args.data, root=args.root, difficulty=difficulty))
    configs = variants(splits, args.epochs)
    tables = {f"{rate:g}": make_drops(splits.test, "mcar", rate=rate) for rate in RATES}
    drawn = measured(configs, splits, tables, seeds=args.seeds, workers=args.workers)
    metrics = list(dict.fromkeys(metric for metric, _ in drawn["full"]))
    found = {metric: differences(drawn, metric, len(splits.test)) for metric in metrics}
    print(f"{splits.name}, {len(splits.test)} test rows, {args.seeds} seeds")
    for metric in metrics:
        print(f"\n{markdown(drawn, metric, found[metric], len(splits.test))}")
    if args.json is not None:
        args.json.parent.mkdir(exist_ok=True)
        content = summary(configs, splits, tables, drawn, found, args.seeds)
        recipe.write_text(args.json, json.dumps(content, indent=1, allow_nan=False) + "\n")
    if args.plot is not None:
        draw(args.plot, drawn, metrics[0], len(splits.test), title=f"{splits.name}, test part")


def variants(splits: Splits, epochs: int) -> dict[str, AECFConfig]:
    """Returns the configuration of every variant, the full one first."""
    base = recipe.configured(AECFConfig(epochs=epochs), splits)
    found = {name: base.update(**changes) for name, changes in PARTS.items()}
    for name, width in zip(base.modalities, base.widths, strict=True):
        found[f"only_{name}"] = found["full"].update(modalities=(name,), input_dims=(width,))
    return found if base.fusion == "gated" else {**found, f"default ({base.fusion})": base}


def measured(
    configs: Mapping[str, AECFConfig], splits: Splits, tables: Mapping[str, DropTable], *, seeds: int, workers: int
) -> Drawns:
    """Returns the figures of all networks, trained as one sweep."""
    runs = train_many(
        [config.update(seed=seed) for config in configs.values() for seed in range(seeds)],
        splits.train, splits.validation, workers=workers, progress=lambda reached: print(reached, file=sys.stderr),
    )  # fmt: skip
    counts = resample_counts(len(splits.test), DRAWS, seed=0)
    counts = np.concatenate([np.ones((1, len(splits.test)), counts.dtype), counts])
    found: Drawns = {}
    for index, name in enumerate(configs):
        group = runs[index * seeds : (index + 1) * seeds]
        each = [figures(run.model, splits.test, tables, counts) for run in group]
        found[name] = {
            key: Drawn(np.array([one[key][0] for one in each]), np.stack([one[key][1:] for one in each]))
            for key in each[0]
        }
    return found


def figures(
    model: Model, rows: Dataset, tables: Mapping[str, DropTable], counts: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Returns the metrics of one network at every rate and their mean, as the rows are and on resamples."""
    found: dict[tuple[str, str], np.ndarray] = {}
    names = COMPARED[rows.label_kind][:2]
    for rate, table in tables.items():
        output = np.asarray(predict(model, table.apply(rows)).output)
        metrics = resampled_metrics(output, rows.label, model.config.task_type, counts)
        found |= {(name, rate): np.asarray(metrics[name]) for name in names}
    return found | {(name, MEAN): np.mean([found[name, rate] for rate in tables], axis=0) for name in names}


def differences(drawn: Drawns, metric: str, rows: int) -> dict[tuple[str, str], tuple[Contrast, float]]:
    """Returns every variant's difference from the full one at every rate, with its corrected p-value."""
    found = {
        (name, rate): contrast(one, drawn["full"][metric, rate], rows=rows, level=LEVEL)
        for name, own in drawn.items() if name != "full"
        for (which, rate), one in own.items() if which == metric
    }  # fmt: skip
    corrected = holm(np.array([one.p for one in found.values()]))
    return {key: (one, float(p)) for (key, one), p in zip(found.items(), corrected, strict=True)}


def markdown(
    drawn: Drawns, metric: str, found: Mapping[tuple[str, str], tuple[Contrast, float]], rows: int
) -> str:  # fmt: skip
    """Returns one metric's table: means of every variant by rate, an asterisk where they differ from the full one."""
    rates = [rate for which, rate in drawn["full"] if which == metric]
    lines = [f"| {metric} | {' | '.join(rates)} |", "|---" + "|--:" * len(rates) + "|"]
    for name, own in drawn.items():
        cells: list[str] = []
        for rate in rates:
            low, high = (mean := contrast(own[metric, rate], rows=rows, level=LEVEL).estimate)[1:]
            mark = "*" if name != "full" and found[name, rate][1] < 1 - LEVEL else ""
            half = "" if math.isnan(high) else f" ± {(high - low) / 2:.3f}"
            cells.append(f"{mean.value:.3f}{half}{mark}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(
    configs: Mapping[str, AECFConfig], splits: Splits, tables: Mapping[str, DropTable], drawn: Drawns,
    found: Mapping[str, Mapping[tuple[str, str], tuple[Contrast, float]]], seeds: int,
) -> dict[str, Any]:  # fmt: skip
    """Returns what the JSON file holds."""
    return {
        "data": splits.name,
        "test_rows": len(splits.test),
        "seeds": seeds,
        "drop_tables": {rate: {**table.parameters, "hash": table.hash} for rate, table in tables.items()},
        "configurations": {
            name: {"sha256": config_hash(config), **config.to_dict()} for name, config in configs.items()
        },
        "figures": {
            name: {f"{metric}, {rate}": one.value.tolist() for (metric, rate), one in own.items()}
            for name, own in drawn.items()
        },
        "differences": [
            {"variant": name, "metric": metric, "rate": rate, "difference": one.estimate.value,
             "low": one.estimate.low, "high": one.estimate.high, "p": one.p, "holm": p}
            for metric, group in found.items() for (name, rate), (one, p) in group.items()
        ],
    }  # fmt: skip


def config_hash(config: AECFConfig) -> str:
    """Returns the SHA-256 of a configuration, its seed left out."""
    plain = {name: value for name, value in config.to_dict().items() if name != "seed"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def draw(path: Path, drawn: Drawns, metric: str, rows: int, *, title: str) -> None:
    """Writes a picture of one metric over the rate of missing, with bands of intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#6B6B6B")
    for (name, own), colour in zip(drawn.items(), np.resize(colours, len(drawn)), strict=True):
        found = [contrast(own[metric, f"{rate:g}"], rows=rows, level=LEVEL).estimate for rate in RATES]
        value, low, high = zip(*found, strict=True)
        axes.plot(RATES, value, color=colour, marker="o", markersize=3, label=name)
        axes.fill_between(RATES, low, high, color=colour, alpha=0.12)
    axes.set_xlabel("probability that a modality is hidden")
    axes.set_ylabel(metric)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    main()
