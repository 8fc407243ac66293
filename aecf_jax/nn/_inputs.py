"""The door of every module: shapes and types of what comes in, checked while tracing, at no cost when running."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aecf_jax.errors import nearest, require, require_type


def validate_tensor_input(
    tensor: Any,
    name: str,
    expected_dims: int,
    expected_shape: Sequence[int] | None = None,
    dtype: Any | None = None,
) -> None:
    """Returns nothing; raises unless an array has the expected dimensions, sizes and type.

    Args:
        tensor: a JAX or NumPy array, or anything else that has `shape` and `dtype`.
        name: how the error names it.
        expected_dims: number of axes.
        expected_shape: size of each axis, -1 for any.
        dtype: element type; None: any.

    Raises:
        InputTypeError: if it is not an array.
        InputError: if it has another shape or element type.

    >>> import numpy as np
    >>> validate_tensor_input(np.zeros((2, 3)), "x", 2, (-1, 3))
    """
    require_type(hasattr(tensor, "shape") and hasattr(tensor, "dtype"), name, "be an array", tensor)
    shape = tuple(tensor.shape)
    require(len(shape) == expected_dims, name, f"have {expected_dims} axes", f"shape {shape}")
    for axis, size in enumerate(expected_shape or ()):
        require(size in (-1, shape[axis]), name, f"have size {size} along axis {axis}", f"shape {shape}")
    if dtype is not None:
        require(np.dtype(tensor.dtype) == np.dtype(dtype), name, f"be of type {np.dtype(dtype)}", str(tensor.dtype))


def validate_feature_dict(
    features: Mapping[str, Any], required_modalities: Sequence[str], feat_dim: int | Sequence[int]
) -> None:
    """Returns nothing; raises unless every required modality is there, of its width, with as many rows as the others.

    Args:
        features: arrays (batch, width) by modality name.
        required_modalities: names that must be there; any other name is an error.
        feat_dim: one width for all, or one for each required modality.

    Raises:
        InputTypeError: if `features` is no mapping, or holds something that is no array.
        InputError: if a modality is missing, unknown, of another width, or of another number of rows.

    >>> import numpy as np
    >>> validate_feature_dict({"image": np.zeros((2, 8))}, ["image", "text"], 8)
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `features` must have the modalities image, text; got ['image'].
    """
    require_type(isinstance(features, Mapping), "features", "be a dictionary of arrays", features)
    missing = [name for name in required_modalities if name not in features]
    rule = f"have the modalities {', '.join(required_modalities)}"
    require(not missing, "features", rule, list(features))
    check_features(features, required_modalities, feat_dim)


def check_features(features: Mapping[str, Any], modalities: Sequence[str], widths: int | Sequence[int]) -> int:
    """Returns the number of rows of features, of which some modalities may be left out.

    Args:
        features: arrays (batch, width) by modality name, at least one.
        modalities: every name that is known.
        widths: one width for all, or one for each.

    Raises:
        InputError: for no modality, an unknown one, another width, or unequal rows.
    """
    by_name = dict(zip(modalities, [widths] * len(modalities) if isinstance(widths, int) else widths, strict=True))
    require(len(features) > 0, "features", "hold at least one modality", "an empty dictionary")
    rows: dict[str, int] = {}
    for name, array in features.items():
        require(name in by_name, name, "be one of the model's modalities", "an unknown name", nearest(name, modalities))
        validate_tensor_input(array, name, 2)
        require(array.shape[1] == by_name[name], name, f"be {by_name[name]} wide", f"width {array.shape[1]}")
        rows[name] = int(array.shape[0])
    require(len(set(rows.values())) == 1, "features", "have equally many rows in every modality", rows)
    return next(iter(rows.values()))
