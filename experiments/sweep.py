"""Eight learning rates times five seeds: one sweep against forty runs started one by one, and against each other.

Command:   python experiments/sweep.py --root ../shared/data
Minutes:   5 on 2 CPU cores

`--root` is the folder that holds `handwritten/`. Prints how often the sweep's program was traced, the time of
`aecf-jax sweep` against that of `aecf-jax train` as often (some are timed, and the time of all is what so many would
take), and how far validation losses of the vmapped program are from those of a sequence of calls. The figures stand in
docs/sweeps.md. Every command has the compiled programs of earlier ones in its cache, so that both sides are warm.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import recipe

from aecf_jax import AECFConfig, DataConfig, load_splits
from aecf_jax.sweep import train_many
from aecf_jax.sweep._groups import grouped
from aecf_jax.sweep._program import sweep_program

RATES = (2.5e-4, 5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 8e-3)
SEEDS = 5
SHORT = 10
"""Epochs over which roundings stay small; later AdamW makes them large where a gradient is nearly 0."""


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=os.path.abspath, required=True, help="folder that holds handwritten/")
    parser.add_argument("--epochs", type=int, default=AECFConfig().epochs, help="of every run")
    parser.add_argument("--timed", type=int, default=4, help="how many single runs are timed")
    args = parser.parse_args()
    print("\n".join(timings(args.root, args.epochs, args.timed)))
    for epochs in (SHORT, args.epochs):
        print("\n".join(agreement(args.root, epochs)))


def timings(root: str, epochs: int, timed: int) -> list[str]:
    """Returns lines on the time of the sweep, and of single runs."""
    rates = ",".join(map(str, RATES))
    with tempfile.TemporaryDirectory() as folder:
        data = ["--data", "handwritten", "--root", root, "--epochs", str(epochs)]
        sweep = ["sweep", *data, "--vary", f"learning_rate={rates}", "--seeds", str(SEEDS)]
        train = ["train", *data, "--logger", "none", "--no-plots"]
        cold = seconds(Path(folder), [*sweep, "--out", "cold"])
        warm = seconds(Path(folder), [*sweep, "--out", "warm"])
        seconds(Path(folder), [*train, "--out", "first"])
        single = [
            seconds(Path(folder), [*train, "--learning-rate", str(rate), "--seed", str(index), "--out", str(index)])
            for index, rate in enumerate(np.resize(RATES[:: max(1, len(RATES) // timed)], timed))
        ]
    runs = len(RATES) * SEEDS
    one, total = float(np.mean(single)), float(np.mean(single)) * runs
    return [
        f"aecf-jax sweep, {runs} runs, with its table and picture: {warm:.1f} s; with nothing compiled: {cold:.1f} s",
        f"aecf-jax train: {one:.1f} s, mean of {timed} ({min(single):.1f} to {max(single):.1f}); {runs} of them:"
        f" {total:.0f} s",
        f"ratio: {total / warm:.1f}; with nothing compiled before the sweep: {total / cold:.1f}",
    ]


def seconds(folder: Path, arguments: list[str]) -> float:
    """Returns the seconds of one command, whose output is shown where it is a sweep."""
    start = time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "aecf_jax.cli", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    took = time.perf_counter() - start
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("way", "trained"))), file=sys.stderr)
    return took


def agreement(root: str, epochs: int) -> list[str]:
    """Returns lines on how often programs were traced, and how far both ways are from each other."""
    splits = load_splits(DataConfig(data="handwritten", root=root))
    base = recipe.configured(AECFConfig(epochs=epochs), splits)
    configs = [base.update(learning_rate=rate, seed=seed) for rate in RATES for seed in range(SEEDS)]
    ((group, _),) = grouped(configs, splits.train, splits.validation).items()
    program, traces = sweep_program(group.program, group.plan), []
    losses = {}
    for how in ("sequence", "vmap"):
        runs = train_many(configs, splits.train, splits.validation, how=how)
        losses[how] = np.array([run.val_loss for run in runs])
        traces.append(program.traces)
    apart = np.abs(losses["sequence"] - losses["vmap"])
    return [
        f"{epochs} epochs: {len(configs)} runs in a sequence: {traces[0]} trace; side by side: {traces[1] - traces[0]}",
        f"{epochs} epochs: validation losses of both ways differ by {np.median(apart):.1e} in the median, by"
        f" {apart.max():.1e} at most; {int(np.sum(apart <= 1e-5))} of {len(configs)} by no more than 1e-5",
    ]


if __name__ == "__main__":
    main()
