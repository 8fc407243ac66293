"""Handwritten digits from scikit-learn's bundled copy, each image cut into its four quadrants: the default data."""

from typing import Any

import numpy as np

from aecf_jax.config import DataConfig
from aecf_jax.data import _split
from aecf_jax.data._dataset import Dataset, Splits
from aecf_jax.data._source import Source
from aecf_jax.errors import import_extra

_SIDE = 4
_WHITE = 16.0
_QUADRANTS = {"top_left": (0, 0), "top_right": (0, 1), "bottom_left": (1, 0), "bottom_right": (1, 1)}


def load_digits(config: DataConfig) -> Splits:
    """Returns 1,797 digits, 8x8 pixels in [0, 1], as four modalities of 4x4 pixels: 60 % train, 20 %, 20 %."""
    loaded: Any = import_extra("sklearn.datasets", "data").load_digits()
    images = np.asarray(loaded.images, np.float32) / np.float32(_WHITE)
    tiles = images.reshape(len(images), 2, _SIDE, 2, _SIDE)
    features = {
        name: tiles[:, row, :, column, :].reshape(len(images), -1) for name, (row, column) in _QUADRANTS.items()
    }
    present = np.ones((len(images), len(features)), np.bool_)
    whole = Dataset(features, np.asarray(loaded.target), present, name="digits", label_kind="classes")
    default = _split.DEFAULT_FRACTION
    parts = _split.random_parts(
        whole.label, config.validation_fraction or default, config.test_fraction or default, config.split_seed
    )
    return _split.cut(whole, parts)


DIGITS = Source(
    name="digits",
    summary="Handwritten digits of 8x8 pixels, their quadrants as modalities; needs no download",
    licence="CC BY 4.0 (UCI, Alpaydin & Kaynak), bundled with scikit-learn",
    rows=1797,
    labels="10 classes",
    modalities=tuple(_QUADRANTS),
    folder="",
    load=load_digits,
    own_split=False,
)
