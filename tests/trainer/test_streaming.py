"""Rows that are read chunk by chunk: the same run, in an order that files can be read in."""

import itertools
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecf_jax.checkpoint import leaf_table, row_table
from aecf_jax.config import AECFConfig, StreamConfig
from aecf_jax.data import Dataset, chunk_rows, gathered, let_go
from aecf_jax.trainer import AECFTrainer, load_model
from aecf_jax.trainer._feed import Order
from aecf_jax.trainer._plan import Limits, Plan
from aecf_jax.trainer._room import device_memory, longest_chunk, streams
from tests.train.small import small_arrays
from tests.trainer.job import job_config, signal_at

ALWAYS, NEVER = StreamConfig(stream="always"), StreamConfig(stream="never")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small rows, training and validation, as files."""
    folder = tmp_path_factory.mktemp("rows")
    for part, arrays in (("train", small_arrays()), ("val", small_arrays(24, seed=1))):
        for name, array in arrays.items():
            np.save(folder / f"{part}-{name}.npy", array)
    return folder


def mapped(folder, part):
    arrays = {path.stem.split("-")[1]: np.load(path, mmap_mode="r") for path in sorted(folder.glob(f"{part}-*"))}
    return Dataset({name: arrays[name] for name in "abc"}, np.array(arrays["label"]), np.array(arrays["present"]),
                   part="train" if part == "train" else "validation")  # fmt: skip


def fit(folder, run, streaming, *, resume=False, **changes):
    trainer = AECFTrainer(job_config(epochs=2, **changes), run_dir=run, checkpoint_seconds=0.0, streaming=streaming)
    return trainer.fit(mapped(folder, "train"), mapped(folder, "val"), resume=resume)


def variables(run):
    return jax.tree.leaves(load_model(run / "checkpoints", which="last").model.variables)


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(variables(left), variables(right), strict=True))


@given(rows=st.integers(1, 300), block=st.integers(1, 40), length=st.integers(1, 60), epoch=st.integers(0, 3))
def test_chunks_of_an_epoch_hold_every_row_once(rows, block, length, epoch):
    cuts = [slice(at, min(at + length, rows)) for at in range(0, rows, length)]
    chunks = [chunk_rows(5, epoch, cut, rows=rows, block=block) for cut in cuts]
    assert sorted(itertools.chain(*(chunk.tolist() for chunk in chunks))) == list(range(rows))
    # Whole blocks, but for those that two chunks share.
    assert all(len({row // block for row in chunk.tolist()}) <= length / block + 3 for chunk in chunks)


def test_an_order_is_a_function_of_seed_and_epoch():
    plan = Plan.of(AECFConfig(batch_size=8, epochs=3, val_check_interval=0.5), 50, Limits(), longest=2)
    assert plan.bounds == (1, 3, 4, 6)
    orders = [Order(seed, 50, plan, 4) for seed in (0, 0, 1)]
    first, again, other = (np.asarray(order.epoch(1)) for order in orders)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, orders[0].epoch(0))
    assert len(set(first.ravel().tolist())) == 48
    # A step in the middle of a chunk finds its rows too.
    np.testing.assert_array_equal(orders[0].chunk(6 + 2, 1), first[2:3])
    uniform = Order(0, 50, plan)
    np.testing.assert_array_equal(uniform.chunk(6 + 2, 2), np.asarray(uniform.epoch(1))[2:4])


def test_a_streamed_run_is_stopped_and_goes_on_bit_for_bit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("aecf_jax.trainer._trainer.BLOCK_ROWS", 4)
    assert fit(folder, tmp_path / "straight", ALWAYS)["stopped"] == "completed"
    for name in ("stopped", "moved"):
        with signal_at(3, signal.SIGTERM):
            assert fit(folder, tmp_path / name, ALWAYS)["stopped"] == "signal"
    # As the run began, whatever is the default by now; and also where the rows fit.
    monkeypatch.setattr("aecf_jax.trainer._trainer.BLOCK_ROWS", 32)
    fit(folder, tmp_path / "stopped", ALWAYS, resume=True)
    fit(folder, tmp_path / "moved", NEVER, resume=True)
    assert same(tmp_path / "straight", tmp_path / "stopped")
    assert same(tmp_path / "straight", tmp_path / "moved")
    fit(folder, tmp_path / "other", NEVER)
    assert not same(tmp_path / "straight", tmp_path / "other")


def test_a_resident_run_goes_on_streamed(folder, tmp_path):
    fit(folder, tmp_path / "straight", NEVER)
    with signal_at(3, signal.SIGTERM):
        fit(folder, tmp_path / "moved", NEVER)
    fit(folder, tmp_path / "moved", ALWAYS, resume=True)
    assert same(tmp_path / "straight", tmp_path / "moved")


def test_rows_have_the_fingerprint_of_their_array(monkeypatch):
    monkeypatch.setattr("aecf_jax.checkpoint._fingerprint._BLOCK_VALUES", 40)
    tree = {name: array for name, array in small_arrays().items() if name != "c"}
    assert row_table(tree) == leaf_table(jax.tree.map(jax.numpy.asarray, tree))
    changed = tree | {"a": tree["a"][::-1]}
    assert row_table(changed) != row_table(tree)


def test_what_is_larger_than_its_memory_streams():
    rows = Dataset({"a": np.zeros((1000, 250), np.float32)}, np.zeros(1000, np.int32), np.ones((1000, 1), bool))
    assert [streams(StreamConfig(memory=size), [rows, rows]) for size in (0.0021, 0.0019)] == [False, True]
    assert not streams(StreamConfig(), [rows])
    assert streams(ALWAYS, [rows])
    assert not streams(StreamConfig(stream="never", memory=1e-9), [rows])
    assert longest_chunk(rows, 512) == 2**27 // 512_000
    assert device_memory() > 1e8


def test_what_was_read_of_a_file_leaves_memory(tmp_path):
    array = np.arange(2**21, dtype=np.float32).reshape(-1, 512)
    np.save(tmp_path / "a.npy", array)
    file = np.load(tmp_path / "a.npy", mmap_mode="r")
    rows = np.random.default_rng(0).permutation(len(array))

    def resident():
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        return sum(int(next(line for line in lines if line.startswith("Rss:")).split()[1])
                   for line in lines if line.endswith(str(tmp_path / "a.npy")))  # fmt: skip

    assert float(file.sum()) > 0
    assert resident() > 7000
    let_go(file)
    assert resident() < 100
    np.testing.assert_array_equal(gathered(file, rows), array[rows])
    assert resident() < 100
    own = np.load(tmp_path / "a.npy", mmap_mode="c")
    own[0] = 7
    let_go(own)
    assert own[0, 0] == 7
