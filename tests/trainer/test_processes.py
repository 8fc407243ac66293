"""Two processes that are one run: they agree, end together, and go on as if nothing had been."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.config import DeviceConfig
from aecf_jax.errors import InputError
from aecf_jax.train import make_mesh
from aecf_jax.trainer import AECFTrainer, agreed_text, is_first, join_processes
from aecf_jax.trainer._load import abstract_tree
from aecf_jax.trainer._processes import agreed, agreed_clock, last_words
from tests.train.small import small_arrays
from tests.trainer.job import job_config, signal_at
from tests.trainer.process_job import SIMPLE

ROOT = Path(__file__).parents[2]
HEARTBEAT_ENDS_WITHIN = 15.0


def free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def both(run: Path, *extra: str) -> list[subprocess.Popen]:
    """Two processes of a run; the second sends itself a signal at a step, where one is given."""
    port = free_port()
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    return [
        subprocess.Popen([sys.executable, "-m", "tests.trainer.process_job", str(run), port, str(index),
                          *(extra if index else ())], cwd=ROOT, env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for index in (0, 1)
    ]  # fmt: skip


def ended(processes) -> list[tuple[int, dict | None, str]]:
    """Exit code, what was said of the run, and the standard error of every process."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        said = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        found.append((process.returncode, said[0] if said else None, err))
    return found


def tree_of(run, mesh):
    restored = Checkpoints(run / "checkpoints").restore_latest(abstract_tree(job_config(**SIMPLE), mesh))
    return restored.step, jax.tree.leaves(restored.state)


def same(left, right) -> bool:
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(left, right, strict=True))


def fit(run, mesh, *, until=None, resume=True):
    devices = DeviceConfig(mesh=mesh)
    trainer = AECFTrainer(job_config(**SIMPLE), run_dir=run, checkpoint_seconds=0.0, devices=devices)
    with signal_at(-1 if until is None else until, signal.SIGTERM):
        results = trainer.fit(small_arrays(), small_arrays(24, seed=1), resume=resume)
    return trainer, results


def handed_on(run: Path) -> None:
    """A checkpoint of 8 devices is read on 1 and saved, read on 4 by 2 and saved, with the same bits each time."""
    fit(run, "data=8", until=0, resume=False)
    written = tree_of(run, make_mesh({"data": 8}))
    for axes in ({"data": 1}, {"data": 4, "model": 2}):
        found = Checkpoints(run / "checkpoints").restore_latest(abstract_tree(job_config(**SIMPLE), make_mesh(axes)))
        shutil.rmtree(run / "checkpoints")
        again = Checkpoints(run / "checkpoints")
        again.save(found.step, found.state, found.meta, metric=found.meta["metrics"]["val_loss"])
        again.close()
        step, leaves = tree_of(run, make_mesh(axes))
        assert (written[0], same(written[1], leaves)) == (step, True)


def test_two_processes_are_stopped_killed_and_go_on_bit_for_bit(tmp_path):
    """SIGTERM to one saves the same step on both; kill -9 of one ends the other; the end is that of one process."""
    run, one = tmp_path / "two", tmp_path / "one"
    if len(jax.devices()) < 8:
        pytest.skip("needs eight simulated devices")
    handed_on(run)
    shutil.copytree(run, one)
    alone, results = fit(one, "data=2")
    stopped = ended(both(run, "9", str(int(signal.SIGTERM))))
    for code, said, err in stopped:
        assert (code, said and said["stopped"], said and said["step"]) == (0, "signal", 12), err
    processes = both(run, "21", str(int(signal.SIGKILL)))
    processes[1].wait(timeout=60)
    start = time.monotonic()
    (code, _, err), (killed, _, words) = ended(processes)
    assert time.monotonic() - start < HEARTBEAT_ENDS_WITHIN
    assert (killed, code != 0) == (-signal.SIGKILL, True)
    sentence = f"Start all of its processes again, each with --resume {run}"
    assert sentence in err
    assert sentence in words
    tested = []
    for code, said, err in ended(both(run)):
        assert (code, said and said["stopped"], said and said["step"]) == (0, "completed", 36), err
        assert "Start all of its processes" not in err
        tested.append(said["tested"])
    # Of two numbers the sum is the same in any order: two processes are two devices of one, bit for bit.
    assert results["stopped"] == "completed"
    assert same(tree_of(run, None)[1], tree_of(one, None)[1])
    assert tested == [alone.test(small_arrays(26))] * 2
    assert (run / "metrics.jsonl").read_text() == (one / "metrics.jsonl").read_text()


def test_one_process_agrees_with_itself():
    assert (agreed(3), agreed_text("here"), is_first()) == (3, "here", True)
    assert agreed_clock() is time.monotonic
    with last_words("never said"):
        pass


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ({"num_processes": 2}, {}, "`coordinator` must be given with --num-processes and --process-id"),
        ({"coordinator": "127.0.0.1:1", "process_id": 0}, {}, "`num_processes` must be given with --coordinator"),
        ({"coordinator": "127.0.0.1:1"}, {"JAX_NUM_PROCESSES": "2"}, "JAX_PROCESS_ID be set"),
        ({"coordinator": "127.0.0.1:1"}, {"JAX_NUM_PROCESSES": "two"}, "`num_processes` must be a number; got two"),
        ({"coordinator": "auto"}, {}, "`coordinator` must lead to the other processes; got auto"),
    ],
)
def test_what_is_needed_to_join_is_asked_for(settings, environment, said, monkeypatch):
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        join_processes(DeviceConfig(**settings))


def test_a_process_of_its_own_joins_nobody(monkeypatch):
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS", raising=False)
    assert not join_processes(DeviceConfig())


def test_a_batch_must_be_cut_into_equal_parts(tmp_path):
    with pytest.raises(InputError, match="`batch_size` must be a multiple of 3, the devices along data; got 8"):
        fit(tmp_path, "data=3", resume=False)
