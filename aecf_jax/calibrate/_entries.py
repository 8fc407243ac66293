"""What a calibration distinguishes: patterns of visible modalities, their sizes, or nothing; and which one a row takes.

An entry is a set of modalities and the most of them that may be visible. Entries stand in order of that number, so that
the first one that holds a row's visible modalities is its own pattern where that was fitted, else its nearest superset.
"""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Int, Shaped

from aecf_jax.errors import nearest, require

By = Literal["pattern", "size", "all"]
BY = get_args(By)


class Entries(NamedTuple):
    """Sets of modalities, fewest visible first; the last one holds every row.

    Attributes:
        patterns: which modalities may be visible, `(entries, modality)`.
        sizes: how many of them at most, `(entries,)`.
    """

    patterns: Bool[np.ndarray, "entries modality"]
    sizes: Int[np.ndarray, "entries"]

    def names(self, modalities: tuple[str, ...]) -> list[str]:
        """Returns what each entry is called, the last one "all".

        Args:
            modalities: the names of the columns.
        """
        names: list[str] = []
        for pattern, size in zip(self.patterns[:-1], self.sizes[:-1], strict=True):
            chosen = [name for name, seen in zip(modalities, pattern, strict=True) if seen]
            names.append(" + ".join(chosen) if len(chosen) == size else f"{size} of {len(modalities)}")
        return [*names, "all"]


def entries_of(visible: Bool[np.ndarray, "rows modality"], by: By) -> Entries:
    """Returns the entries that some rows call for, and after them the one of all rows together.

    Patterns of one size stand in the order of `evaluate.subsets`; a row without a visible modality calls for none.

    Args:
        visible: what each row shows.
        by: pattern, size or all.

    >>> import numpy as np
    >>> found = entries_of(np.array([[1, 1], [0, 1], [1, 1], [1, 0], [0, 0]], bool), "pattern")
    >>> found.names(("a", "b")), found.sizes.tolist()
    (['a', 'b', 'a + b', 'all'], [1, 1, 2, 2])
    """
    require(by in BY, "by", f"be one of {', '.join(BY)}", by, nearest(str(by), BY))
    modalities = visible.shape[1]
    shown = visible[visible.any(axis=1)]
    patterns = np.zeros((0, modalities), bool)
    sizes = np.zeros(0, np.int32)
    if by == "pattern":
        patterns = np.array(sorted({tuple(row) for row in shown.tolist()}, key=_place), bool).reshape(-1, modalities)
        sizes = patterns.sum(axis=1).astype(np.int32)
    elif by == "size":
        sizes = np.unique(shown.sum(axis=1)).astype(np.int32)
        patterns = np.ones((len(sizes), modalities), bool)
    whole = np.ones((1, modalities), bool)
    return Entries(np.concatenate([patterns, whole]), np.append(sizes, np.int32(modalities)).astype(np.int32))


def entry_index(entries: Any, visible: Shaped[Any, "rows modality"], xp: Any = np) -> Shaped[Any, "rows"]:
    """Returns the first entry that holds each row's visible modalities.

    Args:
        entries: patterns and sizes, as arrays of NumPy or of JAX.
        visible: what each row shows.
        xp: numpy, or jax.numpy under jit.
    """
    patterns, sizes = entries
    outside = xp.any(visible[:, None, :] & ~patterns[None], axis=-1)
    many = xp.sum(visible, axis=-1, keepdims=True) > sizes[None]
    return xp.argmax(~(outside | many), axis=1)


def _place(pattern: tuple[bool, ...]) -> tuple[int, tuple[bool, ...]]:
    """Returns what sorts patterns by size, then as `evaluate.subsets` has them."""
    return sum(pattern), tuple(not seen for seen in pattern)
