"""A run that is stopped, by a signal, a kill or damage, and goes on is the run that never stopped, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.trainer import AECFTrainer, load_model
from aecf_jax.trainer._signals import interrupts
from tests.train.small import small_arrays
from tests.trainer.job import fit, job_config, signal_at


def _kill_job(*arguments: str) -> None:
    """Runs a training in a process of its own, with this one's devices, that kills itself."""
    command = [sys.executable, "-m", "tests.trainer.job", *arguments]
    devices = os.environ | {"JAX_NUM_CPU_DEVICES": str(jax.device_count())}
    done = subprocess.run(command, cwd=Path(__file__).parents[2], env=devices, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _same_model(left: Path, right: Path) -> bool:
    """Whether the last checkpoints of two runs hold the same bits, and the best ones are of the same step."""
    for which in ("last", "best"):
        one, other = (load_model(run / "checkpoints", which=which) for run in (left, right))
        if one.step != other.step or one.metrics != other.metrics:
            return False
        pairs = zip(jax.tree.leaves(one.model.variables), jax.tree.leaves(other.model.variables), strict=True)
        if not all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs):
            return False
    return True


def _history(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that nothing stopped."""
    run = tmp_path_factory.mktemp("straight")
    _, results = fit(run)
    assert results["stopped"] == "completed"
    return run


def test_killed_run_goes_on_bit_for_bit(tmp_path, straight):
    """Six epochs straight; or three, kill -9, and on in another process; or killed within an epoch as well."""
    for name, steps in (("epoch", ("18",)), ("within", ("9", "21"))):
        for index, step in enumerate(steps):
            _kill_job(str(tmp_path / name), "--kill-at", step, *(["--resume"] if index else []))
        assert not (tmp_path / name / "checkpoints" / "36").exists()
        _, results = fit(tmp_path / name, resume=True)
        assert results["stopped"] == "completed"
        assert _same_model(straight, tmp_path / name)
        assert _history(straight) == _history(tmp_path / name)


@pytest.mark.parametrize(("number", "step"), [(signal.SIGTERM, 12), (signal.SIGINT, 15)])
def test_signal_saves_and_the_run_goes_on_bit_for_bit(tmp_path, straight, number, step):
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with signal_at(step, number):
        trainer, results = fit(tmp_path, seconds=1e9)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (results["stopped"], results["signal"]) == ("signal", int(number))
    # The chunk that was under way was finished, and no other begun.
    assert results["global_step"] == step + 3
    assert (tmp_path / "checkpoints" / str(results["global_step"])).is_dir()
    assert trainer.model.variables
    _, results = fit(tmp_path, resume=True)
    assert results["stopped"] == "completed"
    assert _same_model(straight, tmp_path)
    assert _history(straight) == _history(tmp_path)


def test_mean_over_an_interval_survives_a_stop_within_it(tmp_path, monkeypatch):
    monkeypatch.setattr("aecf_jax.trainer._plan.LONGEST_CHUNK", 3)
    fit(tmp_path / "straight", val_check_interval=1.0)
    with signal_at(18, signal.SIGTERM):
        _, results = fit(tmp_path / "stopped", val_check_interval=1.0)
    # Half way between two validations.
    assert results["global_step"] == 21
    assert load_model(tmp_path / "stopped" / "checkpoints", which="last").step == 21
    assert _history(tmp_path / "stopped")[-1]["step"] == 18
    fit(tmp_path / "stopped", val_check_interval=1.0, resume=True)
    assert _history(tmp_path / "straight") == _history(tmp_path / "stopped")
    assert _same_model(tmp_path / "straight", tmp_path / "stopped")


def test_second_signal_kills():
    code = (
        "import os, signal\nfrom aecf_jax.trainer._signals import interrupts\n"
        "with interrupts() as noted:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    print(noted.signal, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    print('alive', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == "15\n"


def test_second_ctrl_c_interrupts_python():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # A process in the background ignores it.
    try:
        with interrupts() as noted:
            os.kill(os.getpid(), signal.SIGINT)
            assert noted.signal == signal.SIGINT
            with pytest.raises(KeyboardInterrupt):
                _interrupt_and_wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_other_threads_leave_the_handlers_alone():
    seen = []

    def work() -> None:
        with interrupts() as noted:
            seen.append((noted.signal, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_resuming_a_finished_run_changes_nothing(tmp_path, straight):
    fit(tmp_path)
    before = _history(tmp_path)
    _, results = fit(tmp_path, resume=True)
    assert (results["stopped"], results["global_step"], results["current_epoch"]) == ("completed", 36, 6)
    assert results["logged_metrics"] == {k: v for k, v in before[-1].items() if k != "step"}
    assert _history(tmp_path) == before
    assert _same_model(straight, tmp_path)


def test_damaged_newest_checkpoint_costs_one_interval_and_no_bit(tmp_path, straight):
    with signal_at(15, signal.SIGTERM):
        fit(tmp_path)
    newest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name))
    data = max((p for p in (newest / "state").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(data.read_bytes())
    for place in range(len(content) // 32, len(content), len(content) // 16):  # one place alone may hold no value
        content[place] ^= 1
    data.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged .* deleted"):
        fit(tmp_path, resume=True)
    assert _same_model(straight, tmp_path)
    assert _history(straight) == _history(tmp_path)


def test_resuming_nothing_starts_with_a_sentence(tmp_path, straight):
    with pytest.warns(UserWarning, match="There is no checkpoint in .*: training starts anew") as caught:
        fit(tmp_path, resume=True)
    assert len(caught) == 1
    assert _same_model(straight, tmp_path)


def test_folder_with_checkpoints_is_not_overwritten(straight):
    before = sorted(straight.rglob("*"))
    with pytest.raises(InputError, match=r"`run_dir` must hold no checkpoints of another run; .*Resume that run"):
        fit(straight)
    assert sorted(straight.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 5e-3}, r"`learning_rate` must be 0\.01, as when the run was started; got 0\.005"),
        ({"epochs": 7}, "`epochs` must be 6"),
        ({"trainer_kwargs": {"max_epochs": 7}}, "`epochs` must be 6"),
        ({"batch_size": 4}, "`batch_size` must be 8"),
        ({"seed": 1}, "`seed` must be 0"),
        ({"val_check_interval": 1.0}, "`val_check_interval` must be 0.5"),
        ({"masking_strategy": "entropy_min"}, "`masking_strategy` must be 'random'"),
        (
            {"trainer_kwargs": {"limit_train_batches": 2}},
            "`steps per epoch` must be those that",
        ),
    ],
)
def test_changed_setting_is_refused_by_name(straight, change, said):
    with pytest.raises(InputError, match=said):
        fit(straight, resume=True, **change)


def test_changed_rows_are_refused(straight):
    arrays = small_arrays()
    arrays["a"] = arrays["a"] + np.float32(1e-6)
    trainer = AECFTrainer(job_config(), run_dir=straight)
    with pytest.raises(InputError, match="`training rows` must be those that the run was started with"):
        trainer.fit(arrays, small_arrays(24, seed=1), resume=True)
    with pytest.raises(InputError, match="`validation rows` must be those"):
        trainer.fit(small_arrays(), small_arrays(24, seed=2), resume=True)


def test_settings_that_decide_no_step_may_change(tmp_path, straight):
    with signal_at(15, signal.SIGTERM):
        fit(tmp_path)
    fit(tmp_path, resume=True, keep_checkpoints=1, early_stopping_patience=50, log_dir="elsewhere")
    last = [load_model(run / "checkpoints", which="last").model.variables for run in (tmp_path, straight)]
    assert all(np.array_equal(a, b) for a, b in zip(*(jax.tree.leaves(one) for one in last), strict=True))
