"""A hash of a data set's content, by which a restored run knows that it goes on with the same rows."""

import hashlib
import json
from collections.abc import Iterator

import numpy as np

from aecf_jax.data._checks import row_blocks
from aecf_jax.data._dataset import Dataset


def fingerprint(dataset: Dataset) -> str:
    """Returns the SHA-256, in hexadecimal, of names, shapes, features, labels and presence; equal on every machine.

    >>> import numpy as np
    >>> fingerprint(Dataset({"image": np.ones((2, 3))}, np.array([0, 1]), np.ones((2, 1), bool)))[:8]
    '5ec18957'
    """
    digest = hashlib.sha256()
    for name, array in _parts(dataset):
        head = json.dumps([name, list(array.shape), array.dtype.str.lstrip("<>|=")])
        digest.update(head.encode() + b"\n")
        for _, rows in row_blocks(array):
            digest.update(rows.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _parts(dataset: Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Yields every array with its name; a modality's cannot be mistaken for the label's."""
    for name, array in dataset.features.items():
        yield f"feature/{name}", array
    yield f"label/{dataset.label_kind}/{dataset.num_classes}", dataset.label
    yield "present", dataset.present
