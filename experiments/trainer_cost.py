"""What the public trainer costs beside its bare steps: logging, validation, averages and checkpoints included.

Command:   python experiments/trainer_cost.py
Hardware:  1 CPU core; processor time
Minutes:   10

60,000 rows of 2 modalities of 512, 80 labels, a gate of 2,048 units, batch 512, the settings of `AECFConfig.pytorch()`;
1,000 validation rows. Runs of two lengths take turns with the bare steps of as many epochs as they differ by, and what
the trainer's epochs take is the difference of the two, so that start and end do not count: both end by writing the
checkpoint that was held back, as one is written every 30 seconds at most. docs/performance.md has the figures.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

from aecf_jax import AECFTrainer  # noqa: E402
from aecf_jax.bench import TrainingSteps, random_rows  # noqa: E402
from aecf_jax.config import Workload  # noqa: E402

SHORT, LONG, ROUNDS = 2, 8, 5


def main() -> None:
    """Prints the ratio, with and without validation and checkpoints."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    work = Workload()
    rows, held_out = random_rows(work), random_rows(work, 1000)
    bare = TrainingSteps(work.config(), rows, work.rows // work.batch)
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:

        def trained(epochs: int) -> float:
            trainer = AECFTrainer(work.config(epochs=epochs), run_dir=Path(folder) / str(next(numbers)))
            start = time.process_time()
            trainer.fit(rows, held_out)
            return time.process_time() - start

        def stepped() -> float:
            start = time.process_time()
            for _ in range(LONG - SHORT):
                bare()
            return time.process_time() - start

        found: list[tuple[float, float]] = []
        for _ in range(ROUNDS + 1):
            short, long = trained(SHORT), trained(LONG)
            found.append((long - short, stepped()))
    each = [whole / steps for whole, steps in found[1:]]
    print(f"an epoch's steps {statistics.median(steps for _, steps in found[1:]) / (LONG - SHORT):.2f} s; "
          f"trainer / bare {statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
