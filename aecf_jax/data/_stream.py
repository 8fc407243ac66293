"""Rows to predict, a block at a time: a folder of .npy files may be larger than memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aecf_jax.data import _checks, _convert
from aecf_jax.data._dataset import Dataset
from aecf_jax.data._files import read_arrays
from aecf_jax.data._user import own_modalities
from aecf_jax.errors import require

BLOCK_ROWS = 4096
"""Rows of a block."""


class FeatureStream(NamedTuple):
    """Rows of a file or folder.

    Attributes:
        rows: how many there are.
        blocks: data sets without labels, in order, with the modalities of the model; to be read once.
    """

    rows: int
    blocks: Iterator[Dataset]


def stream_features(
    path: str | Path, modalities: Sequence[str], widths: Sequence[int], *, nan_as_missing: bool = False,
    block_rows: int = BLOCK_ROWS,
) -> FeatureStream:  # fmt: skip
    """Returns what `load_features` does, block by block; of a folder, no more than a block is in memory.

    Names, widths and numbers of rows are checked at once, values when their block is read.

    Args:
        path: as of `load_dataset`.
        modalities: the model's modalities, in its order.
        widths: their widths, in the same order.
        nan_as_missing: treat a modality as missing in rows where it has NaN, and if the file lacks it, instead of
            refusing.
        block_rows: rows of a block.

    Raises:
        InputError: as `load_features`.
    """
    arrays = _features(path)
    rows = _common_rows(arrays)
    stream = _Stream(Path(path).name, modalities, widths, nan_as_missing)
    stream.block({name: array[:1] for name, array in arrays.items()}, 0)
    # A folder is opened again for each block: what was read of a mapped file leaves memory with its map.
    held = None if Path(path).expanduser().is_dir() else arrays
    starts = range(0, rows, block_rows)
    return FeatureStream(rows, (stream.block(_cut(held or _features(path), at, block_rows), at) for at in starts))


class _Stream(NamedTuple):
    """What every block of a stream is made with."""

    name: str
    modalities: Sequence[str]
    widths: Sequence[int]
    nan_as_missing: bool

    def block(self, arrays: dict[str, np.ndarray], first: int) -> Dataset:
        """Returns a block of rows, checked, whose first has the given number."""
        own = own_modalities(arrays, self.name, self.modalities)
        features, present = _convert.features_and_present(arrays, own, self.name, nan_as_missing=self.nan_as_missing)
        for column, (modality, array) in enumerate(features.items()):
            _checks.check_finite(modality, array, present[:, column], first)
        unlabelled = np.zeros((len(present), 0), np.float32)
        block = Dataset(features, unlabelled, present, name=self.name, label_kind="none")
        return _convert.conformed(block, self.modalities, self.widths, nan_as_missing=self.nan_as_missing)


def _features(path: str | Path) -> dict[str, np.ndarray]:
    """Returns a file's arrays but its labels."""
    return {name: array for name, array in read_arrays(path).items() if name not in ("label", "split")}


def _common_rows(arrays: dict[str, np.ndarray]) -> int:
    """Returns the number of rows, which every array has."""
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    first, rows = next(((name, count) for name, count in counts.items() if name != "present"), ("present", 0))
    for name, count in counts.items():
        require(count == rows, name, f"have {rows} rows, as `{first}` has", count)
    return rows


def _cut(arrays: dict[str, np.ndarray], start: int, rows: int) -> dict[str, np.ndarray]:
    """Returns some rows of every array, read into memory."""
    return {name: np.array(array[start : start + rows]) for name, array in arrays.items()}
