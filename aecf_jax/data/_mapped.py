"""Memory-mapped rows, read without keeping what was read in memory."""

import mmap

import numpy as np
from jaxtyping import Int, Shaped

_ROWS_AT_ONCE = 4096


def gathered(
    array: Shaped[np.ndarray, "rows ..."], rows: Int[np.ndarray, "length"]
) -> Shaped[np.ndarray, "length ..."]:
    """Returns some rows of an array, read in the order in which a file has them; no page of the file stays in memory.

    Args:
        array: features or labels, perhaps memory-mapped.
        rows: which rows, in any order.
    """
    if not isinstance(array, np.memmap):
        return array[rows]
    sequence = np.argsort(rows)
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = sequence[start : start + _ROWS_AT_ONCE]
        found[some] = array[rows[some]]
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
