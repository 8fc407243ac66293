"""The door of serving: rows as callers have them, checked once, packed into the one array that a program takes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from aecf_jax.errors import nearest, require, require_type

_SHOWN_ROWS = 3


class PackedRows:
    """How the features of several modalities stand side by side in one array.

    Attributes:
        columns: modality -> its first column, and the one after its last.
        width: of all together.
    """

    def __init__(self, modalities: Sequence[str], widths: Sequence[int]) -> None:
        ends = np.cumsum(widths).tolist()
        self.columns = {
            name: (end - width, end) for name, width, end in zip(modalities, widths, ends, strict=True)
        }  # fmt: skip
        self.width: int = ends[-1]

    def checked(
        self, features: Mapping[str, Any], present: Any | None
    ) -> tuple[int, dict[str, np.ndarray], Bool[np.ndarray, "rows modality"]]:
        """Returns the number of rows, their arrays, and what is present.

        Args:
            features: arrays (rows, width) by modality name; one left out is missing in every row.
            present: True where a modality is there; None: everything given is.

        Raises:
            InputError: for an unknown modality, another width, unequal rows, or a wrong shape of `present`.
        """
        require_type(isinstance(features, Mapping), "features", "be a dictionary of arrays", features)
        require(len(features) > 0, "features", "hold at least one modality", "an empty dictionary")
        arrays = {name: self._array(name, value) for name, value in features.items()}
        rows = len(next(iter(arrays.values())))
        if any(len(array) != rows for array in arrays.values()):
            counts = {name: len(array) for name, array in arrays.items()}
            require(False, "features", "have equally many rows in every modality", counts)
        there = np.empty((rows, len(self.columns)), np.bool_)
        there[:] = True if present is None else self._presence(present, rows)
        for index, name in enumerate(self.columns):
            if name not in arrays:
                there[:, index] = False
        return rows, arrays, there

    def packed(
        self, arrays: Mapping[str, np.ndarray], present: Bool[np.ndarray, "rows modality"], where: slice, size: int
    ) -> tuple[Float32[np.ndarray, "size width"], Bool[np.ndarray, "size modality"]]:
        """Returns some rows in one array, and what is present of them, padded to a size.

        Args:
            arrays: what `checked` returned.
            present: what is present.
            where: which rows.
            size: rows of the result; those beyond `where` are 0 and absent.

        Raises:
            InputError: if a value that is present is not finite.
        """
        rows = where.stop - where.start
        values = np.zeros((size, self.width), np.float32)
        there = np.zeros((size, len(self.columns)), np.bool_)
        there[:rows] = present[where]
        with np.errstate(over="ignore", invalid="ignore"):
            for name, array in arrays.items():
                first, last = self.columns[name]
                values[:rows, first:last] = array[where]
            # Squares cannot cancel: the sum of them is finite only if every value is. Most calls end here.
            clean = math.isfinite(np.vdot(values, values))
        if not clean:
            self._check_finite(values, there, where.start)
        return values, there

    def _array(self, name: str, value: Any) -> np.ndarray:
        """Returns one modality's features as an array of numbers of its width."""
        if name not in self.columns:
            known = list(self.columns)
            require(False, name, "be one of the model's modalities", "an unknown name", nearest(name, known))
        array = value if type(value) is np.ndarray else np.asarray(value)
        first, last = self.columns[name]
        if array.ndim != 2 or array.shape[1] != last - first:
            require(False, name, f"have shape (rows, {last - first})", f"shape {array.shape}")
        if array.dtype != np.float32 and array.dtype.kind not in "biuf" and not array.dtype.name.startswith("bfloat"):
            require(False, name, "hold real numbers", f"dtype {array.dtype.name}")
        return array

    def _presence(self, present: Any, rows: int) -> np.ndarray:
        """Returns what is present as an array of the shape that it must have."""
        array = np.asarray(present)
        shape = (rows, len(self.columns))
        if array.shape != shape or array.dtype != np.bool_:
            rule = f"be booleans of shape {shape}, with a column for each of {', '.join(self.columns)}"
            require(False, "present", rule, f"{array.dtype.name} of shape {array.shape}")
        return array

    def _check_finite(self, values: np.ndarray, present: np.ndarray, start: int) -> None:
        """Raises if a value that is present is not finite, naming its modality and rows."""
        for index, (name, (first, last)) in enumerate(self.columns.items()):
            bad = np.flatnonzero(~np.isfinite(values[:, first:last]).all(axis=1) & present[:, index])
            if len(bad):
                shown = ", ".join(str(start + row) for row in bad[:_SHOWN_ROWS].tolist())
                hint = "Mark what is missing in `present`, or leave the modality out."
                require(False, name, "be finite where it is present", f"NaN or Inf in rows {shown}", hint)
