"""How rows lie in memory: where a device can use them as they are, and read from files whose pages then leave it."""

import math
import mmap
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from numpy.typing import DTypeLike

ALIGNMENT = 64
"""Bytes: an array that begins at a multiple of them is taken by JAX's CPU device as it is, and any other is copied."""

_ROWS_AT_ONCE = 4096


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Shaped[np.ndarray, "..."]:
    """Returns an array that holds anything, and begins at a multiple of `ALIGNMENT`.

    Args:
        shape: its shape.
        dtype: its type.

    >>> aligned((3, 5), np.float32).ctypes.data % ALIGNMENT
    0
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return memory[first : first + size].view(dtype).reshape(shape)


def in_memory(array: Shaped[np.ndarray, "rows ..."]) -> Shaped[np.ndarray, "rows ..."]:
    """Returns an array as it is, or where it lies in a file what it holds, whatever becomes of the file.

    Args:
        array: features or labels.
    """
    return gathered(array, np.arange(len(array))) if isinstance(array, np.memmap) else array


def gathered(array: Shaped[np.ndarray, "rows ..."], rows: Any) -> Shaped[np.ndarray, "length ..."]:
    """Returns some rows of an array, aligned.

    Of a memory-mapped one they are read in the order in which the file has them, and none of its pages stays in memory.

    Args:
        array: features or labels, perhaps memory-mapped.
        rows: which rows, by number, in any order.

    Raises:
        IndexError: if there is no such row.
    """
    index: Int[np.ndarray, "length"] = np.asarray(rows)
    mapped = isinstance(array, np.memmap)
    sequence = np.argsort(index) if mapped else None
    found = aligned((len(index), *array.shape[1:]), array.dtype)
    for start in range(0, len(index), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        some = block if sequence is None else sequence[block]
        found[some] = array[index[some]]
        if mapped:
            let_go(array)
    return found


def let_go(array: Shaped[np.ndarray, "..."]) -> None:
    """Takes the pages of a memory-mapped file out of this process's memory; reading them again brings them back.

    Args:
        array: any array; nothing happens to one that is not a file's, or that holds changes of its own.
    """
    mapped = getattr(array, "_mmap", None)
    if isinstance(array, np.memmap) and array.mode == "r" and isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)
