"""One of two processes of a small training: `python -m tests.trainer.process_job RUN PORT INDEX [STEP SIGNAL]`."""

import json
import sys
from pathlib import Path

from aecf_jax.config import DeviceConfig
from aecf_jax.trainer import AECFTrainer, join_processes

NEVER = -1
SIMPLE = {"fusion": "mean", "encoder": "linear", "encoder_dropout": 0.0, "head_dropout": 0.0, "pair_training": False,
          "consistency_coeff": 0.0, "l2_logits_coeff": 0.0, "entropy_reg": False}  # fmt: skip
"""What compiles fast: no second process finds its programs in the cache."""


def main(run: str, port: str, index: str, step: str = str(NEVER), number: str = "0") -> None:
    """Trains, or goes on, tests, and says what came of it."""
    devices = DeviceConfig(coordinator=f"127.0.0.1:{port}", num_processes=2, process_id=int(index), heartbeat=10)
    assert join_processes(devices)
    # They compute when they are imported, and may not before.
    from tests.train.small import small_arrays
    from tests.trainer.job import job_config, signal_at

    trainer = AECFTrainer(job_config(**SIMPLE), run_dir=run, checkpoint_seconds=0.0, devices=devices)
    resume = (Path(run) / "checkpoints").is_dir()
    with signal_at(int(step), int(number)):
        results = trainer.fit(small_arrays(), small_arrays(24, seed=1), resume=resume)
    tested = trainer.test(small_arrays(26)) if results["stopped"] == "completed" else {}
    said = {"stopped": results["stopped"], "step": results["global_step"], "tested": tested}
    # Both write to one pipe: in one go, so that lines stay whole.
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
