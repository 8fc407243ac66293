"""Which rows are for training, validation and testing: seeded, disjoint, and with every class in proportion."""

import numpy as np
from jaxtyping import Int

from aecf_jax.data._checks import described_rows
from aecf_jax.data._dataset import Dataset, Splits
from aecf_jax.errors import require
from aecf_jax.rng import Stream

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = ("train", "validation", "test")
"""Names of the parts, by their numbers."""

DEFAULT_FRACTION = 0.2


def random_stream(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """Returns NumPy's generator of one stream of randomness, the same for the same seed, stream and position.

    Args:
        seed: the split's seed.
        stream: what the randomness is for.
        *position: which of several draws, for example the part of the data.
    """
    return np.random.default_rng([seed, int(stream), *position])


def random_parts(strata: Int[np.ndarray, "rows"], validation: float, test: float, seed: int) -> Int[np.ndarray, "rows"]:
    """Returns each row's part, 0 train, 1 validation, 2 test: random, with every stratum in proportion to one row.

    Args:
        strata: the group, for example the class, of every row.
        validation: share of all rows.
        test: share of all rows.
        seed: of the draw.

    Raises:
        InputError: if nothing is left to train on.

    >>> import numpy as np
    >>> parts = random_parts(np.repeat([0, 1], 10), 0.2, 0.2, seed=0)
    >>> [np.bincount(parts[:10]).tolist(), np.bincount(parts[10:]).tolist()]
    [[6, 2, 2], [6, 2, 2]]
    """
    require(validation + test < 1, "validation_fraction + test_fraction", "be below 1, to leave rows to train on",
            validation + test)  # fmt: skip
    rows = len(strata)
    shuffled = random_stream(seed, Stream.SPLIT).permutation(rows)
    left = shuffled[np.argsort(strata[shuffled], kind="stable")]
    parts = np.full(rows, TRAIN, np.int32)
    for part, count in ((TEST, round(rows * test)), (VALIDATION, round(rows * validation))):
        chosen = _evenly(len(left), count)
        parts[left[chosen]] = part
        left = left[~chosen]
    return parts


def read_parts(split: np.ndarray, rows: int) -> Int[np.ndarray, "rows"]:
    """Returns each row's part from what a file says of it.

    Args:
        split: 0, 1, 2, or train, validation, test.
        rows: how many rows the file has.

    Raises:
        InputError: if there is not one known part for each row.
    """
    require(split.shape == (rows,), "split", f"have shape ({rows},), a part for every row", f"shape {split.shape}")
    text = split.dtype.kind in "SU"
    known = [np.array(part, split.dtype.kind) for part in PARTS] if text else list(range(len(PARTS)))
    match = np.stack([split == part for part in known])
    wrong = np.flatnonzero(~match.any(axis=0))
    if len(wrong):
        got = f"{split[wrong[0]]!s} in {described_rows(wrong[:1])}"
        require(False, "split", "hold 0, 1, 2 or train, validation, test", got)
    return match.argmax(axis=0).astype(np.int32)


def cut(dataset: Dataset, parts: Int[np.ndarray, "rows"]) -> Splits:
    """Returns the three parts of a data set.

    Args:
        dataset: all rows.
        parts: the part of each.

    Raises:
        InputError: if a part has no row.
    """
    return Splits(
        dataset.take(parts == TRAIN, part="train"),
        dataset.take(parts == VALIDATION, part="validation"),
        dataset.take(parts == TEST, part="test"),
    )


def strata_of(dataset: Dataset) -> Int[np.ndarray, "rows"]:
    """Returns what a split keeps in proportion: the classes, where the labels are classes, else one group."""
    return dataset.label if dataset.label_kind == "classes" else np.zeros(len(dataset), np.int32)


def _evenly(rows: int, count: int) -> np.ndarray:
    """Returns which of some ordered rows to choose, exactly `count`, at even distances."""
    position = np.arange(rows + 1) * count // max(rows, 1)
    return np.diff(position) > 0
