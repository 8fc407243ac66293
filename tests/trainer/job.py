"""A small training in a process of its own: `python -m tests.trainer.job RUN [--resume] [--kill-at STEP]`."""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aecf_jax.config import AECFConfig
from aecf_jax.trainer import AECFTrainer
from aecf_jax.trainer._run import Run
from tests.train.small import small_arrays, small_config


def job_config(**changes: Any) -> AECFConfig:
    """Six epochs of six steps, validated twice an epoch, so that checkpoints lie within epochs as well."""
    return small_config(**({"val_check_interval": 0.5, "early_stopping_patience": 0} | changes))


def fit(run_dir: Path | str, *, resume: bool = False, seconds: float = 0.0, val: bool = True, **changes: Any):
    """Returns a trainer and its results, on the small rows."""
    trainer = AECFTrainer(job_config(**changes), run_dir=run_dir, checkpoint_seconds=seconds)
    checks = small_arrays(24, seed=1) if val else None
    return trainer, trainer.fit(small_arrays(), checks, resume=resume)


@contextlib.contextmanager
def signal_at(step: int, number: int) -> Iterator[None]:
    """Lets the process send itself a signal when the chunk that follows a step begins."""
    advance = Run._advance

    def signalling(run: Run, progress: Any) -> None:
        if run.step == step:
            os.kill(os.getpid(), number)
        advance(run, progress)

    Run._advance = signalling
    try:
        yield
    finally:
        Run._advance = advance


if __name__ == "__main__":
    warnings.simplefilter("error")
    never = -1
    step = int(sys.argv[sys.argv.index("--kill-at") + 1]) if "--kill-at" in sys.argv else never
    with signal_at(step, signal.SIGKILL):
        fit(sys.argv[1], resume="--resume" in sys.argv)
