"""What evaluating all subsets of the modalities in one program saves, and how much memory it takes.

Command:   python experiments/subsets.py --root ../shared/data
Hardware:  2 CPU cores, shared with other work
Minutes:   3 of processor time

The loop is what one would write without it: for each subset `predict(model, data, present=subset)`, then
`evaluate_predictions`, in blocks of as many rows as suit it best of a few; together has its default. All are compiled
before, run by turns in one process, and timed by the processor time of that process. The model is the default one for
handwritten (six views), trained for 20 epochs or not at all: how sure a model is decides how many probabilities have to
be binned. The 10,000 rows are the test part's 400, repeated. docs/performance.md has the figures that it gave.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from aecf_jax import AECF_CLIP, AECFConfig, AECFTrainer, DataConfig, Dataset, evaluate_subsets, load_splits
from aecf_jax.evaluate import predict, subsets
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.ops import peak_bytes

ROUNDS = 7
BLOCKS = (256, 1024)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="../shared/data", help="folder of the original files of handwritten")
    parser.add_argument("--memory", action="store_true", help="only evaluate 1,023 subsets of 10,000 rows")
    args = parser.parse_args()
    if args.memory:
        print(f"1,023 subsets of 10,000 rows: {seconds(many_modalities):.1f} s of processor time, {peak():.0f} MiB")
        return
    splits = load_splits(DataConfig(data="handwritten", root=args.root))
    test = splits.test
    config = AECFConfig(modalities=test.modalities, input_dims=test.widths, num_classes=test.num_classes, epochs=20)
    with tempfile.TemporaryDirectory() as run_dir:
        trainer = AECFTrainer(config, run_dir=run_dir)
        trainer.fit(splits.train, splits.validation)
    for name, model in (("trained", trainer.model), ("untrained", AECF_CLIP(config))):
        for rows in (test, test.take(np.arange(10_000) % len(test))):
            by_turns(name, model, rows)
    # In a process of its own, whose peak is its own.
    subprocess.run([sys.executable, __file__, "--memory"], check=True)


def by_turns(name: str, model: AECF_CLIP, rows: Dataset) -> None:
    """Prints the times of both, and the median of the ratios of neighbouring runs, the loop's at its best block."""
    sizes = sorted({size for size in BLOCKS if size <= len(rows)} | {min(len(rows), 2000)})
    for size in sizes:
        loop(model, rows, size)
    evaluate_subsets(model, rows)
    slow: dict[int, list[float]] = {size: [] for size in sizes}
    fast: list[float] = []
    for _ in range(ROUNDS):
        for size in sizes:
            slow[size].append(seconds(lambda size=size: loop(model, rows, size)))
        fast.append(seconds(lambda: evaluate_subsets(model, rows)))
    best = min(sizes, key=lambda size: statistics.median(slow[size]))
    ratio = statistics.median(one / other for one, other in zip(slow[best], fast, strict=True))
    print(
        f"63 subsets of {len(rows):,} rows, {name}: loop {statistics.median(slow[best]) * 1e3:.0f} ms in blocks of "
        f"{best}, together {statistics.median(fast) * 1e3:.1f} ms, {ratio:.1f} x", flush=True
    )  # fmt: skip


def loop(model: AECF_CLIP, rows: Dataset, batch: int) -> list[dict[str, float]]:
    """Returns the metrics of every subset, evaluated alone."""
    names = model.config.modalities
    seen = [np.array([name in subset for name in names]) for subset in subsets(tuple(names))]
    outputs = (predict(model, rows, present=one, batch_size=batch).output for one in seen)
    return [evaluate_predictions(output, rows.label, "classification") for output in outputs]


def many_modalities() -> None:
    """Evaluates all subsets of ten modalities."""
    rng = np.random.default_rng(0)
    features = {f"m{index}": rng.normal(size=(10_000, 16)).astype(np.float32) for index in range(10)}
    rows = Dataset(features, rng.integers(0, 10, 10_000), np.ones((10_000, 10), bool), num_classes=10)
    config = AECFConfig(modalities=rows.modalities, input_dims=rows.widths, num_classes=10)
    evaluate_subsets(AECF_CLIP(config), rows)


def seconds(work: Callable[[], object]) -> float:
    """Returns the processor time that something takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peak() -> float:
    """Returns the most memory that this process has held, in MiB."""
    return peak_bytes() / 2**20


if __name__ == "__main__":
    main()
