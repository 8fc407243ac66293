"""What recipes share: train one model per seed, summarize over seeds, and read the figures in a recipe's header."""

import argparse
import importlib
import json
import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aecf_jax import AECF_CLIP, AECFConfig, AECFTrainer, evaluate_subsets
from aecf_jax.data import Part, Splits
from aecf_jax.evaluate import SubsetTable

SEEDS = 5
_FIGURE = re.compile(r"^\s{2,}(?P<name>\S.*?)\s{2,}(?P<mean>-?\d+\.\d+) ± (?P<spread>\d+\.\d+)$", re.MULTILINE)


class Figure(NamedTuple):
    """Mean and standard deviation over seeds."""

    mean: float
    spread: float


Figures = dict[str, Figure]


def trained_table(config: AECFConfig, splits: Splits, *, seed: int, part: Part = "test") -> SubsetTable:
    """Returns one model's table of a part, trained on `splits.train` and selected on `splits.validation`."""
    return evaluate_subsets(trained_model(config, splits, seed=seed), splits.parts[part])


def trained_model(config: AECFConfig, splits: Splits, *, seed: int) -> AECF_CLIP:
    """Returns one model, trained on `splits.train` and selected on `splits.validation`."""
    data, config = splits.train, configured(config, splits).update(seed=seed)
    with tempfile.TemporaryDirectory() as run_dir:
        trainer = AECFTrainer(config, run_dir=run_dir)
        stopped = trainer.fit(data, splits.validation)["stopped"]
        if stopped == "signal":
            sys.exit("interrupted")
        return trainer.model


def configured(config: AECFConfig, splits: Splits) -> AECFConfig:
    """Returns a configuration with what the data decide of it."""
    data = splits.train
    return config.update(
        modalities=data.modalities, input_dims=data.widths, num_classes=data.num_classes,
        multilabel={"labels": True, "classes": False}.get(data.label_kind),
    )  # fmt: skip


def alone(splits: Splits, modality: str) -> Splits:
    """Returns the same rows with one modality; what another model made for it alone would have."""
    return Splits(*(part.select([modality]) for part in splits))


def summarized(per_seed: Sequence[Mapping[str, float]]) -> Figures:
    """Returns mean and standard deviation over seeds of every figure."""
    return {
        name: Figure(
            statistics.fmean(one[name] for one in per_seed),
            statistics.stdev(one[name] for one in per_seed) if len(per_seed) > 1 else 0.0,
        )
        for name in per_seed[0]
    }


def expected_figures(docstring: str) -> Figures:
    """Returns the figures in a recipe's header: lines of a name, two spaces, mean ± standard deviation."""
    return {m["name"]: Figure(float(m["mean"]), float(m["spread"])) for m in _FIGURE.finditer(docstring)}


def disagreements(fresh: Figures, expected: Figures, *, seeds: int, expected_seeds: int = SEEDS) -> list[str]:
    """Returns one sentence for every figure that is missing or differs by more than chance explains.

    Chance: four standard errors of the difference of two means, plus half a unit of the header's last digit.
    """
    sentences = [f"{name} is in the header, but was not measured" for name in expected if name not in fresh]
    sentences += [f"{name} was measured, but is not in the header" for name in fresh if name not in expected]
    for name in expected.keys() & fresh.keys():
        new, old = fresh[name], expected[name]
        spread = max(new.spread, old.spread)
        allowed = 4 * spread * math.sqrt(1 / seeds + 1 / expected_seeds) + 0.0005
        if not abs(new.mean - old.mean) <= allowed:
            sentences.append(f"{name}: {new.mean:.3f}, header {old.mean:.3f}, allowed difference {allowed:.3f}")
    return sentences


def show(figures: Figures) -> str:
    """Returns figures as the header has them."""
    width = max(len(name) for name in figures)
    return "\n".join(f"  {name:<{width}}  {mean:.3f} ± {spread:.3f}" for name, (mean, spread) in figures.items())


def main(
    measure: Callable[[int, argparse.Namespace], Mapping[str, float]], docstring: str, *options: str
) -> tuple[Figures, int]:
    """Runs a recipe from its command line; returns the figures and the number of seeds.

    Args:
        measure: (seed, options) -> figures of one seed.
        docstring: the recipe's header, shown by --help.
        *options: names of further options, with text values.
    """
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds, from 0")
    parser.add_argument("--json", type=Path, help="file to write the unrounded figures to")
    for option in options:
        parser.add_argument(f"--{option}", default=None)
    args = parser.parse_args()
    per_seed: list[Mapping[str, float]] = []
    start = time.monotonic()
    for seed in range(args.seeds):
        per_seed.append(measure(seed, args))
        left = (time.monotonic() - start) / (seed + 1) * (args.seeds - seed - 1)
        print(f"seed {seed} done, about {left / 60:.1f} minutes left", file=sys.stderr)
    figures = summarized(per_seed)
    print(show(figures))
    if args.json is not None:
        write_text(args.json, json.dumps({"figures": figures, "per_seed": per_seed}, indent=1) + "\n")
    return figures, args.seeds


def write_text(path: Path, content: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(content, encoding="utf-8")
    part.replace(path)


def load(name: str) -> Any:
    """Returns a recipe's module."""
    sys.path.insert(0, str(Path(__file__).parent))
    return importlib.import_module(name)
