"""UCI Multiple Features: digits in six views, from the .mat file that Trusted Multi-View Classification uses."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from aecf_jax.config import DataConfig
from aecf_jax.data import _split
from aecf_jax.data._dataset import Dataset, Part, Splits
from aecf_jax.data._source import Source, original_files
from aecf_jax.errors import import_extra, require

_VIEWS = {"pix": 240, "fou": 76, "fac": 216, "zer": 47, "kar": 64, "mor": 6}
"""UCI's names of the views x1 to x6, by width: pixels, Fourier, profile, Zernike, Karhunen-Loeve, morphology."""

_FILE = "handwritten/handwritten_6views.mat"
_VALIDATION = 0.2

_DAMAGE = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, RuntimeError, zlib.error)
"""What SciPy raises at a damaged file, beside its own error."""


def load_handwritten(config: DataConfig) -> Splits:
    """Returns 2,000 digits: its own 1,600 and 400 rows, with 320 of the former, by seed, for validation."""
    (path,) = original_files(config, _FILE)
    arrays = _read_mat(path)
    fit, test = _part(arrays, "train", path), _part(arrays, "test", path)
    parts = _split.random_parts(fit.label, _VALIDATION, 0.0, config.split_seed)
    return Splits(
        fit.take(parts == _split.TRAIN, part="train"), fit.take(parts == _split.VALIDATION, part="validation"), test
    )


def _read_mat(path: Path) -> dict[str, Any]:
    """Returns the arrays of a .mat file."""
    matlab = import_extra("scipy.io.matlab", "data")
    try:
        return matlab.loadmat(path)
    except (matlab.MatReadError, *_DAMAGE) as error:
        require(False, "root", f"hold a readable {_FILE}", f"{path} ({error})")
        raise


def _part(arrays: dict[str, Any], part: Part, path: Path) -> Dataset:
    """Returns the rows that the file gives to one part."""
    names = {name: f"x{number}_{part}" for number, name in enumerate(_VIEWS, start=1)}
    for key in (*names.values(), f"gt_{part}"):
        require(key in arrays, "root", f"hold {key} in {_FILE}", f"{path} without it")
    features = {name: np.asarray(arrays[key], np.float32) for name, key in names.items()}
    widths = {name: array.shape[1] for name, array in features.items()}
    require(widths == _VIEWS, _FILE, f"have views of widths {list(_VIEWS.values())}", list(widths.values()))
    label = arrays[f"gt_{part}"].astype(np.int64).ravel() - 1
    present = np.ones((len(label), len(features)), np.bool_)
    return Dataset(features, label, present, part=part, name="handwritten", label_kind="classes", num_classes=10)


HANDWRITTEN = Source(
    name="handwritten",
    summary="Handwritten digits of UCI Multiple Features in six views",
    licence="CC BY 4.0 (UCI, Duin)",
    rows=2000,
    labels="10 classes",
    modalities=tuple(_VIEWS),
    folder="handwritten/",
    load=load_handwritten,
)
