"""What rows of data must hold at the door, checked in blocks, so that a memory-mapped file is never held in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from aecf_jax.data._memory import aligned, let_go
from aecf_jax.errors import require, require_type

BLOCK_VALUES = 1 << 20
"""Values per block: 4 MiB of float32."""

_SHOWN_ROWS = 3
_MOST_CLASSES = 1 << 16  # Beyond it, numbers in `label` are identifiers, and a model of that width a crash.


def row_blocks(array: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields an array's rows in order, with the slice they come from, `BLOCK_VALUES` values at most at a time.

    What was read of a memory-mapped file leaves memory with its block.

    >>> import numpy as np
    >>> [len(rows) for _, rows in row_blocks(np.zeros((5, 1 << 19)))]
    [2, 2, 1]
    """
    step = max(1, BLOCK_VALUES // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), step):
        yield slice(start, start + step), array[start : start + step]
        let_go(array)


def nan_rows(array: np.ndarray) -> Int[np.ndarray, "found"]:
    """Returns the numbers of the rows that hold NaN."""
    found = [np.flatnonzero(np.isnan(rows).any(axis=1)) + where.start for where, rows in row_blocks(array)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def described_rows(rows: Int[np.ndarray, "found"]) -> str:
    """Returns the first row numbers in words.

    >>> import numpy as np
    >>> described_rows(np.array([3, 17, 20, 21]))
    'rows 3, 17, 20 (4 in all)'
    >>> described_rows(np.array([3]))
    'row 3'
    """
    first = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    total = f" ({len(rows)} in all)" if len(rows) > _SHOWN_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {first}{total}"


def check_finite(name: str, array: np.ndarray, present: Bool[np.ndarray, "rows"], first: int = 0) -> None:
    """Raises unless a modality's values are finite in every row where it is present.

    Args:
        name: the modality.
        array: its features.
        present: where it was observed.
        first: the number of the first row.

    Raises:
        InputError: naming the modality and the first offending rows.
    """
    bad = [np.zeros(0, np.int64)]
    for where, rows in row_blocks(array):
        # The sum of a finite block is finite (in float64): most blocks are cleared without a second look.
        with np.errstate(invalid="ignore"):
            clean = bool(np.isfinite(np.sum(rows, dtype=np.float64)))
        if not clean:
            bad.append(np.flatnonzero(~np.isfinite(rows).all(axis=1) & present[where]) + where.start)
    found = np.concatenate(bad)
    if len(found):
        nan = bool(np.isnan(array[found[:_SHOWN_ROWS]]).any())
        hint = "Pass --nan-as-missing to treat NaN rows as missing." if nan else ""
        require(False, name, "be finite", f"NaN or Inf in {described_rows(found + first)}", hint)


def number_array(name: str, value: Any) -> np.ndarray:
    """Returns anything array-like that holds real numbers as an array: NumPy, JAX, or a PyTorch tensor on the CPU.

    Args:
        name: what the user calls it.
        value: the array or tensor.

    Raises:
        InputTypeError: if it is no array, or holds something else.
    """
    if not hasattr(value, "__array__") and callable(getattr(value, "numpy", None)):
        value = value.numpy()
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        require_type(False, name, "be an array, or a CPU tensor without gradient", value)
        raise
    # bfloat16 and the other ml_dtypes have NumPy's kind "V" (void), but convert as numbers do.
    numeric = array.dtype.kind in "biuf" or array.dtype.name.startswith(("bfloat16", "float8"))
    if not numeric:
        shown = "text" if array.dtype.kind in "US" else f"dtype {array.dtype.name}"
        require(False, name, "hold real numbers", shown)
    return array


def float32_rows(name: str, value: Any) -> np.ndarray:
    """Returns a modality's features as `(rows, width)` float32, the array itself where it already is.

    Args:
        name: the modality.
        value: the array or tensor.

    Raises:
        InputError: if it is not 2-D, or does not hold numbers.
    """
    array = number_array(name, value)
    require(array.ndim == 2, name, "be 2-D, (rows, width)", f"shape {array.shape}")
    require(array.shape[1] > 0, name, "have at least one column", f"shape {array.shape}")
    if array.dtype == np.float32:
        return array
    # What float32 cannot hold becomes Inf, which the check for finite values then names, with its row.
    converted = aligned(array.shape, np.float32)
    with np.errstate(over="ignore"):
        np.copyto(converted, np.asarray(array), casting="unsafe")
    return converted


def bool_present(value: Any, rows: int, modalities: Sequence[str]) -> Bool[np.ndarray, "rows modality"]:
    """Returns `present` as booleans.

    Args:
        value: booleans, or numbers 0 and 1.
        rows: how many rows there are.
        modalities: what its columns stand for.

    Raises:
        InputError: if the shape is wrong, or a value is neither true nor false.
    """
    array = number_array("present", value)
    shape = (rows, len(modalities))
    rule = f"have shape {shape}, (rows, modalities), with a column for each of {', '.join(modalities)}"
    require(array.shape == shape, "present", rule, f"shape {array.shape}")
    array = np.asarray(array)
    if array.dtype != np.bool_:
        wrong = np.flatnonzero(((array != 0) & (array != 1)).any(axis=1))
        require(not len(wrong), "present", "hold 0 and 1 only", f"other values in {described_rows(wrong)}")
    return array.astype(np.bool_)


def resolved_label(value: Any, kind: str, known: int) -> tuple[np.ndarray, str, int]:
    """Returns labels in their one form, their kind, and the number of classes or columns.

    Args:
        value: classes `(rows,)`, labels `(rows, labels)`, or values `(rows,)` or `(rows, columns)`.
        kind: classes, labels, values, none, or auto: integers are classes (labels, where they are 0 and 1 in several
            columns), floats of 0 and 1 in two dimensions are labels, other floats values.
        known: what the number must be; 0: what the labels show.

    Raises:
        InputError: if shape or values do not fit the kind, a class is out of range, or the number is another.
    """
    array = _label_array(value, empty=kind == "none")
    kind = _kind_of(array) if kind == "auto" else kind
    if kind == "classes":
        label, classes = _classes(array, known)
        return label, kind, classes
    columns = array[:, None] if array.ndim == 1 else array
    if kind == "labels":
        wrong = np.flatnonzero(((columns != 0) & (columns != 1)).any(axis=1))
        require(not len(wrong), "label", "hold 0 and 1 only", f"other values in {described_rows(wrong)}")
    width = columns.shape[1]
    require(known in (0, width), "label", f"have {known} columns", width)
    return columns.astype(np.float32), kind, width


def _label_array(value: Any, *, empty: bool) -> np.ndarray:
    """Returns labels as a finite array of one or two dimensions, without columns only if `empty`."""
    array = np.asarray(number_array("label", value))
    require(array.ndim in (1, 2), "label", "have shape (rows,) or (rows, columns)", f"shape {array.shape}")
    if empty:
        require(array.ndim == 2 and array.shape[1] == 0, "label", "have no columns", f"shape {array.shape}")
        return array
    require(array.ndim == 1 or array.shape[1] > 0, "label", "have at least one column", f"shape {array.shape}")
    if array.dtype.kind not in "biu":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        wrong = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        require(not len(wrong), "label", "be finite", f"NaN or Inf in {described_rows(wrong)}")
    return array


def _kind_of(array: np.ndarray) -> str:
    """Returns which kind of labels an array holds, by its type and shape."""
    if array.dtype.kind in "biu":
        return "classes" if array.ndim == 1 or array.shape[1] == 1 else "labels"
    return "labels" if array.ndim == 2 and bool(((array == 0) | (array == 1)).all()) else "values"


def _classes(array: np.ndarray, known: int) -> tuple[Int[np.ndarray, "rows"], int]:
    """Returns labels as class numbers, and how many classes there are."""
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    require(flat.ndim == 1, "label", "have shape (rows,) to be classes", f"shape {array.shape}")
    # float64 holds every number below the bound exactly, and does not wrap what is beyond it.
    given, flat = flat, flat.astype(np.float64)
    wrong = np.flatnonzero((flat != np.floor(flat)) | (flat < 0))
    require(not len(wrong), "label", "hold integers from 0 to be classes", f"other values in {described_rows(wrong)}")
    bound = known or _MOST_CLASSES
    wrong = np.flatnonzero(flat >= bound)
    if len(wrong):
        got = f"{int(given[wrong[0]])} in {described_rows(wrong[:1])}"
        require(False, "label", f"hold classes below {bound}", got, "Number classes from 0.")
    return flat.astype(np.int32), known or int(flat.max(initial=0)) + 1
