"""Rows of one part of the data that are, byte for byte, rows of another."""

import hashlib

import numpy as np

from aecf_jax.data._checks import row_blocks
from aecf_jax.data._dataset import Dataset
from aecf_jax.errors import require

_SHARE = 0.01
"""Share of a part's rows that may stand in another part as well: real data has a few duplicates."""

_DIGEST = 16


def shared_rows(one: Dataset, other: Dataset) -> int:
    """Returns how many rows of one data set have exactly the features of some row of the other; labels are not read.

    Features that are absent are not read; rows without any modality are not counted.

    Args:
        one: the rows that are counted.
        other: where they are looked for; the same modalities.

    >>> import numpy as np
    >>> rows = Dataset({"image": np.eye(3)}, np.arange(3), np.ones((3, 1), bool))
    >>> shared_rows(rows, rows), shared_rows(rows, rows.take([1])), shared_rows(rows.take([0, 2]), rows.take([1]))
    (3, 1, 0)
    """
    known = set(_digests(other.select(one.modalities)))
    return sum(digest in known for digest in _digests(one))


def refuse_leak(fitted: Dataset, test: Dataset) -> None:
    """Raises if rows that something is fitted on are rows of the test part, whatever part they claim to be.

    Args:
        fitted: the rows to fit on.
        test: the test part.

    Raises:
        InputError: if more than one row and more than 1 % of them are.
    """
    shared = shared_rows(fitted, test)
    require(shared <= max(1, _SHARE * len(fitted)), fitted.part, "hold no rows of the test part",
            f"{shared} of {len(fitted)} rows that are in both", "Cut the data anew: what is fitted on rows of the test "
            "part makes its figures look better than they are.")  # fmt: skip


def _digests(dataset: Dataset) -> list[bytes]:
    """Returns a hash of each row that has a modality."""
    digests = np.zeros((len(dataset), len(dataset.modalities), _DIGEST), np.uint8)
    for column, array in enumerate(dataset.features.values()):
        for where, rows in row_blocks(array):
            for row in np.flatnonzero(dataset.present[where, column]):
                found = hashlib.blake2b(rows[row].tobytes(), digest_size=_DIGEST).digest()
                digests[where.start + row, column] = np.frombuffer(found, np.uint8)
    return [digest.tobytes() for digest in digests[dataset.present.any(axis=1)]]
