"""Which data to read, and how to cut it into parts, in one frozen, validated dataclass."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aecf_jax.errors import nearest, require, require_type

Difficulty = Literal["plain", "hard"]
LabelKind = Literal["auto", "classes", "labels", "values"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The settings of a data set: a named source or the user's own features, and its split.

    Raises:
        InputError: if a value is outside its range.

    >>> DataConfig(data="yeast").split_seed
    0
    >>> DataConfig(test_fraction=1.5)
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `test_fraction` must be in (0, 1); got 1.5.
    """

    data: str = "digits"
    """A named source (see `aecf-jax data list`), or the path of a .npz, .safetensors or .pt file or folder of .npy."""
    root: str | None = None
    """Folder of a named source's original files; None: what the environment variable AECF_DATA_DIR names."""
    difficulty: Difficulty = "plain"
    """Hard, for avmnist only: images kept to a quarter of their variance, noisy audio, so that one is not enough."""
    nan_as_missing: bool = False
    """Treat a modality as missing in rows where it has NaN, or where the user's file lacks it, instead of refusing."""
    label_kind: LabelKind = "auto"
    """What the user's labels are; auto: integers are classes, columns of 0 and 1 labels, other floats values."""
    validation_fraction: float | None = None
    """Share of all rows for validation; None: 0.2, or the data's own split where it has one."""
    test_fraction: float | None = None
    """Share of all rows for testing; None: 0.2, or the data's own split where it has one."""
    split_seed: int = 0
    """Seed of everything random in the data: the split, and the pairs and noise of avmnist."""

    def __post_init__(self) -> None:
        """Turns paths into strings and checks every field."""
        for name in ("data", "root"):
            value = getattr(self, name)
            object.__setattr__(self, name, str(value) if isinstance(value, Path) else value)
        _check_names(self)
        _check_fractions(self)
        require_type(isinstance(self.nan_as_missing, bool), "nan_as_missing", "be true or false", self.nan_as_missing)
        require_type(type(self.split_seed) is int, "split_seed", "be an integer", self.split_seed)
        require(self.split_seed >= 0, "split_seed", "be at least 0", self.split_seed)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "DataConfig":
        """Returns the settings that a dictionary describes.

        Raises:
            InputError: for an unknown key, with the nearest known one; for a value outside its range.

        >>> DataConfig.from_dict({"data": "yeast"}).data
        'yeast'
        """
        require_type(isinstance(mapping, Mapping), "data settings", "be a dictionary", mapping)
        known = [field.name for field in dataclasses.fields(cls)]
        for name in mapping:
            require(name in known, str(name), "be a data setting", "an unknown key", nearest(str(name), known))
        return cls(**mapping)

    def to_dict(self) -> dict[str, Any]:
        """Returns every field as a plain value; `from_dict` takes it back."""
        return dataclasses.asdict(self)


def _check_names(config: DataConfig) -> None:
    """Checks the fields that are text."""
    require_type(isinstance(config.data, str), "data", "be a name or a path", config.data)
    require(bool(config.data), "data", "name a source or a path", "an empty name")
    require_type(isinstance(config.root, str | None), "root", "be a path", config.root)
    for name, choices in (("difficulty", get_args(Difficulty)), ("label_kind", get_args(LabelKind))):
        value = str(getattr(config, name))
        require(value in choices, name, f"be one of {', '.join(choices)}", value, nearest(value, choices))


def _check_fractions(config: DataConfig) -> None:
    """Checks the shares of validation and test rows."""
    for name in ("validation_fraction", "test_fraction"):
        value = getattr(config, name)
        if value is not None:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            require_type(number, name, "be a number", value)
            require(math.isfinite(value) and 0 < value < 1, name, "be in (0, 1)", value)
    if config.validation_fraction is not None and config.test_fraction is not None:
        total = config.validation_fraction + config.test_fraction
        require(total < 1, "validation_fraction + test_fraction", "be below 1, to leave rows to train on", total)
