"""Checkpoints: what is kept, and what a full disk and a kill leave behind."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.checkpoint import Checkpoints, Leaf, _fingerprint, leaf_table
from aecf_jax.checkpoint._orbax import quiet
from aecf_jax.errors import InputError
from tests.checkpoint.folders import abstract, same, saved, state_of


def test_what_is_saved_is_restored_bit_for_bit(tmp_path):
    checkpoints = saved(tmp_path, [1.0])
    restored = checkpoints.restore_latest(abstract(state_of(0.0)))
    assert restored.step == 1
    assert restored.meta == {"epoch": 0}
    assert same(restored.state, state_of(1.0))


def test_nothing_saved_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path / "none")
    assert checkpoints.steps() == ()
    assert checkpoints.best_step() is None
    assert checkpoints.read_meta() is None
    assert checkpoints.restore_latest(abstract(state_of(0.0))) is None
    assert checkpoints.restore_best(abstract(state_of(0.0))) is None
    assert not (tmp_path / "none").exists()


def test_best_few_and_last_two_are_kept(tmp_path):
    checkpoints = saved(tmp_path, [5.0, 1.0, 2.0, 6.0, 7.0, 8.0], keep_best=2)
    assert checkpoints.steps() == (2, 3, 5, 6)
    assert checkpoints.best_step() == 2
    assert same(checkpoints.restore_best(abstract(state_of(0.0))).state, state_of(2.0))


def test_metric_that_is_not_finite_is_never_best_and_loses_none_that_is(tmp_path):
    checkpoints = saved(tmp_path, [3.0, float("nan"), 2.0, float("nan"), None, float("-inf")], keep_best=1)
    assert checkpoints.best_step() == 3
    assert checkpoints.steps() == (3, 5, 6)


def test_best_is_kept_across_a_restart(tmp_path):
    saved(tmp_path, [5.0, 1.0, 4.0], keep_best=1)
    again = Checkpoints(tmp_path, keep_best=1)
    for step in (4, 5, 6):
        again.save(step, state_of(step), {}, metric=9.0)
    again.close()
    assert again.steps() == (2, 5, 6)


def test_relative_directory_is_saved_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert saved(Path("here"), [1.0]).steps() == (1,)
    assert (tmp_path / "here" / "1").is_dir()


def test_arrays_may_be_donated_while_the_save_runs(tmp_path):
    step = jax.jit(lambda x: x * 1.5 + 1, donate_argnums=0)
    x = jnp.arange(250_000, dtype=jnp.float32)
    expected = np.array(x)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": x}, {}, metric=None)
    for _ in range(20):
        x = step(x)
    restored = checkpoints.restore_latest({"x": jax.ShapeDtypeStruct((250_000,), jnp.float32)})
    np.testing.assert_array_equal(restored.state["x"], expected)


def test_saving_a_step_twice_is_an_error(tmp_path):
    checkpoints = saved(tmp_path, [1.0])
    with pytest.raises(InputError, match="`step` must be above"):
        checkpoints.save(1, state_of(1.0), {}, metric=0.0)
    checkpoints.close()
    assert checkpoints.steps() == (1,)


def test_restore_keeps_the_sharding_that_is_asked_for(tmp_path):
    checkpoints = saved(tmp_path, [1.0])
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[-1])
    template = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state_of(0.0))
    restored = checkpoints.restore_latest(template)
    assert {leaf.sharding for leaf in jax.tree.leaves(restored.state)} == {sharding}
    assert same(restored.state, state_of(1.0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t | {"w": jax.ShapeDtypeStruct((8, 17), jnp.float32)}, r"`\['w'\]` must be float32\[8, 17\]"),
        (lambda t: t | {"w": jax.ShapeDtypeStruct((8, 16), jnp.bfloat16)}, r"`\['w'\]` must be bfloat16\[8, 16\]"),
        (lambda t: t | {"v": jax.ShapeDtypeStruct((2,), jnp.float32)}, r"`\['v'\]` must be in the checkpoint"),
        (lambda t: {k: v for k, v in t.items() if k != "w"}, r"hold only the arrays .* got \['w'\]"),
    ],
)
def test_template_that_does_not_fit_names_the_array_and_deletes_nothing(tmp_path, change, said):
    checkpoints = saved(tmp_path, [2.0, 1.0])
    with pytest.raises(InputError, match=said):
        checkpoints.restore_latest(change(abstract(state_of(0.0))))
    with pytest.raises(InputError, match=said):
        checkpoints.restore_best(change(abstract(state_of(0.0))))
    assert checkpoints.steps() == (1, 2)


def test_reading_disturbs_no_save_of_another_process(tmp_path):
    checkpoints = saved(tmp_path, [1.0])
    half_written = tmp_path / "2.orbax-checkpoint-tmp"
    half_written.mkdir()
    assert checkpoints.steps() == (1,)
    assert checkpoints.best_step() == 1
    checkpoints.restore_latest(abstract(state_of(0.0)))
    time.sleep(0.5)  # Orbax cleans up in a thread
    assert half_written.exists()


def test_reading_while_saving_does_not_end_the_silence(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    _save_and_wait(checkpoints, 1, state_of(1.0))
    before = list(logging.getLogger("absl").filters)
    assert checkpoints.best_step() == 1
    assert logging.getLogger("absl").filters == before
    checkpoints.close()
    assert len(logging.getLogger("absl").filters) == len(before) - 1


@pytest.mark.parametrize(("file", "said"), [("/any/orbax/path.py", False), ("/any/other.py", True)])
def test_what_orbax_leaves_in_an_event_loop_is_known_by_where_it_failed(caplog, file, said):
    with quiet():
        try:
            exec(compile("1 / 0", file, "exec"))
        except ZeroDivisionError:
            logging.getLogger("asyncio").exception("Future exception was never retrieved")
    assert bool(caplog.records) == said


def _save_and_wait(checkpoints: Checkpoints, step: int, state: dict) -> None:
    checkpoints.save(step, state, {}, metric=1.0)
    checkpoints.wait()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 KiB."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_full_disk_is_one_sentence_and_older_checkpoints_stay(small_disk, capfd, caplog):
    state = {"x": jax.random.normal(jax.random.key(0), (70_000,))}
    checkpoints = Checkpoints(small_disk / "run")
    checkpoints.save(1, state, {}, metric=1.0)
    checkpoints.wait()
    for step in (2, 3):
        with pytest.raises(InputError) as raised:
            _save_and_wait(checkpoints, step, state)
        assert str(raised.value).startswith("`checkpoint folder` must be writable; got ")
        assert f"{small_disk / 'run'} (no space left on device)" in str(raised.value)
        assert "\n" not in str(raised.value)
    restored = checkpoints.restore_latest(abstract(state))
    assert restored.step == 1
    checkpoints.save(4, {"x": jnp.ones(4)}, {}, metric=1.0)
    checkpoints.close()
    assert checkpoints.steps() == (1, 4)
    assert capfd.readouterr().err == ""
    assert not caplog.records


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"`checkpoint folder` must be writable; got .*/file/run"):
        Checkpoints(tmp_path / "file" / "run").save(1, state_of(1.0), {}, metric=None)


def test_write_that_fails_in_the_background_is_one_sentence(tmp_path, monkeypatch):
    """What a full disk does, where no small file system can be mounted."""
    checkpoints = saved(tmp_path, [1.0])

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    failing = types.SimpleNamespace(dumps=full, loads=json.loads)
    monkeypatch.setattr("orbax.checkpoint._src.handlers.json_checkpoint_handler.json", failing)
    with pytest.raises(InputError, match=r"`checkpoint folder` must be writable; got .* \(no space left on device\)\."):
        _save_and_wait(checkpoints, 2, state_of(2.0))
    monkeypatch.undo()
    assert checkpoints.steps() == (1,)
    _save_and_wait(checkpoints, 2, state_of(2.0))
    assert checkpoints.steps() == (1, 2)


SAVE_FOREVER = """
import sys, jax.numpy as jnp
from aecf_jax.checkpoint import Checkpoints
checkpoints = Checkpoints(sys.argv[1], keep_best=1)
template = {"x": jnp.zeros(200_000)}
restored = checkpoints.restore_latest(template, delete_damaged=True)
step = restored.step if restored else 0
while True:
    step += 1
    checkpoints.save(step, {"x": jnp.full(200_000, step, jnp.float32)}, {"step": step}, metric=-step)
    print(step, flush=True)
"""


def test_kill_during_saves_leaves_a_complete_newest_checkpoint(tmp_path):
    template = {"x": jax.ShapeDtypeStruct((200_000,), jnp.float32)}
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}
    before = 0
    for saves in (3, 4, 6):
        command = [sys.executable, "-W", "ignore", "-c", SAVE_FOREVER, str(tmp_path)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline() for _ in range(saves)]
            time.sleep(0.002 * saves)
            process.send_signal(signal.SIGKILL)
        announced = int(lines[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            restored = Checkpoints(tmp_path, keep_best=1).restore_latest(template, delete_damaged=True)
        # Saves overlap by one, so that all but the last two that were announced must be there.
        assert max(before, announced - 2) <= restored.step
        np.testing.assert_array_equal(restored.state["x"], np.full(200_000, restored.step, np.float32))
        assert restored.meta == {"step": restored.step}
        before = restored.step


@pytest.fixture(params=["by NumPy", "by a program"])
def fingerprinted(request, monkeypatch):
    """Both ways in which arrays of this process get their numbers."""
    if request.param == "by a program":
        monkeypatch.setattr(_fingerprint, "_HOST_VALUES", -1)


@pytest.mark.usefixtures("fingerprinted")
def test_fingerprint_sees_every_single_bit():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    original = leaf_table({"x": jnp.asarray(x)})
    for index in range(24):
        for bit in (0, 7, 22, 31):
            words = x.view(np.uint32).copy().reshape(-1)
            words[index] ^= np.uint32(1) << np.uint32(bit)
            assert leaf_table({"x": jnp.asarray(words.view(np.float32).reshape(4, 6))}) != original


@pytest.mark.usefixtures("fingerprinted")
def test_fingerprint_sees_rows_exchanged():
    x = jnp.arange(24, dtype=jnp.float32).reshape(4, 6)
    assert leaf_table({"x": x}) != leaf_table({"x": x[::-1]})


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int8, jnp.bool_, jnp.uint32])
@pytest.mark.usefixtures("fingerprinted")
def test_every_type_has_a_fingerprint(dtype):
    leaf = leaf_table({"x": jnp.ones((3,), dtype)})["['x']"]
    assert leaf == Leaf((3,), str(jnp.dtype(dtype)), leaf.fingerprint)
    assert leaf.fingerprint != leaf_table({"x": jnp.zeros((3,), dtype)})["['x']"].fingerprint


def test_arrays_have_the_same_fingerprint_by_numpy_and_by_a_program(monkeypatch):
    x = jax.random.normal(jax.random.key(3), (1500, 1001))  # More than one block of rows.
    tree = {"rows": x, "half": x[:3].astype(jnp.bfloat16), "flags": x[:2] > 0, "small": jnp.int8(-3), "none": x[:0],
            "key": jax.random.key(4), "keys": jax.random.split(jax.random.key(5), 5), "number": x[0, 0],
            "deep": x[:4, :60].reshape(4, 3, 4, 5), "numpy": np.arange(7)}  # fmt: skip
    by_numpy = leaf_table(tree)
    monkeypatch.setattr(_fingerprint, "_HOST_VALUES", -1)
    assert leaf_table(tree) == by_numpy
    with jax.enable_x64(True):
        wide = {"x": jnp.arange(5, dtype=jnp.int64) << 40, "number": jnp.float64(2.5)}
        by_program = leaf_table(wide)
        monkeypatch.undo()
        assert leaf_table(wide) == by_program


@pytest.mark.usefixtures("fingerprinted")
def test_fingerprint_is_the_same_under_any_sharding():
    if len(jax.devices()) < 2:
        pytest.skip("needs several devices")
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    x = jnp.arange(32, dtype=jnp.float32).reshape(8, 4)
    split = jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data")))
    assert leaf_table({"x": x}) == leaf_table({"x": split})


def test_meta_that_is_no_json_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError):
        Checkpoints(tmp_path / "run").save(1, state_of(1.0), {"x": object()}, metric=None)
    assert not (tmp_path / "run").exists()


def test_meta_is_plain_json_on_disk(tmp_path):
    saved(tmp_path, [1.0])
    sealed = json.loads((tmp_path / "1" / "meta" / "metadata").read_text())
    assert json.loads(sealed["content"])["meta"] == {"epoch": 0}
