"""How rows lie in memory: as a device on the host can use them, and files' rows apart from their file."""

import numpy as np
import pytest

from aecf_jax import Dataset
from aecf_jax.data import aligned, gathered, in_memory
from aecf_jax.trainer import on_device

ROWS, WIDTH = 50_000, 3  # So many that NumPy by itself never begins where a device could use them.


def dataset(array) -> Dataset:
    return Dataset({"a": array}, np.zeros(len(array), np.int32), np.ones((len(array), 1), bool))


def where(array) -> int:
    """Where an array begins."""
    return array.unsafe_buffer_pointer() if hasattr(array, "unsafe_buffer_pointer") else array.ctypes.data


@pytest.mark.parametrize("shape", [(1,), (7, 3), (3, 5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, bool])
def test_arrays_begin_where_a_device_can_use_them(shape, dtype):
    for _ in range(5):
        array = aligned(shape, dtype)
        assert (array.shape, array.dtype, where(array) % 64) == (shape, dtype, 0)
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_gathered_rows_are_the_rows():
    array = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    rows = np.random.default_rng(1).integers(-ROWS, ROWS, 2 * ROWS)
    for source in (array, np.asfortranarray(array), array[:, ::-1]):
        np.testing.assert_array_equal(gathered(source, rows), source[rows])
    assert len(gathered(array, np.zeros(0, np.int64))) == 0
    for beyond in (ROWS, -ROWS - 1):
        with pytest.raises(IndexError):
            gathered(array, [0, beyond])
        with pytest.raises(IndexError):
            dataset(array).take([0, beyond])


def test_rows_that_are_chosen_or_converted_go_to_the_device_without_a_copy():
    whole = dataset(np.random.default_rng(0).normal(size=(ROWS, WIDTH)))
    for rows in (whole, whole.take(np.arange(0, ROWS, 2))):
        batch = on_device(rows)
        assert where(batch.features["a"]) == where(rows.features["a"])
        np.testing.assert_array_equal(batch.features["a"], rows.features["a"])


def test_rows_of_a_file_are_read_whatever_becomes_of_it(tmp_path):
    array = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    rows = dataset(np.load(tmp_path / "a.npy", mmap_mode="r"))
    batch, held = on_device(rows), in_memory(rows.features["a"])
    file = np.load(tmp_path / "a.npy", mmap_mode="r+")
    file[:] = 0
    file.flush()
    assert not rows.features["a"].any()
    np.testing.assert_array_equal(batch.features["a"], array)
    np.testing.assert_array_equal(held, array)
    assert in_memory(array) is array
