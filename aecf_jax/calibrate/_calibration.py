"""A fitted calibration: one map of logits for each pattern of visible modalities, as an object, as arrays, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.calibrate._entries import By, Entries, entry_index
from aecf_jax.calibrate._maps import Affine, Kind, Line, Map, mapped
from aecf_jax.calibrate._saved import checked_number, entry_dict, entry_map, read_entries, read_head
from aecf_jax.errors import require
from aecf_jax.files import read_json, write_json

Method = Literal["temperature", "vector", "isotonic"]
METHODS = get_args(Method)
CALIBRATION_FORMAT = "aecf_jax calibration 1"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Logits to calibrated logits, by what is visible: the row's own pattern, else its nearest fitted superset.

    What it returns are logits again (unnormalized log-probabilities of classes, log-odds of labels), so that every
    metric takes them. `fit_calibration` makes one. Two are equal when all their names and numbers are.

    Attributes:
        modalities: names of the columns of `visible`, in order.
        kind: classes (softmax) or labels (sigmoid).
        method: temperature, vector or isotonic.
        by: what has a map of its own: every pattern, every size of pattern, or nothing ("all").
        entries: the patterns and sizes that were fitted, fewest modalities first; the last one holds every row.
        maps: one for each entry.
        rows: calibration rows of each entry.
        root_rows: how many rows no calibration at all counted in the fit of the last map, that of all rows.
        prior_rows: how many rows the map that an entry is drawn towards counted in its own fit.
        about: what it was fitted on, in words and numbers: part, rows, drop table and its hash, seed.
    """

    modalities: tuple[str, ...]
    kind: Kind
    method: Method
    by: By
    entries: Entries
    maps: tuple[Map, ...]
    rows: Int[np.ndarray, "entries"]
    root_rows: float = 0.0
    prior_rows: float = 0.0
    about: Mapping[str, str | int | float] = field(default_factory=dict[str, Any])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(
        self, logits: Float[np.ndarray, "rows classes"], visible: Bool[np.ndarray, "rows modality"]
    ) -> Float[np.ndarray, "rows classes"]:
        """Returns calibrated logits, computed in float64, in the precision of the logits given.

        Args:
            logits: the model's.
            visible: which modalities the model saw.

        Raises:
            InputError: if shapes do not fit each other or the calibration.
        """
        logits, visible = np.asarray(logits), np.asarray(visible, bool)
        self._check(logits, visible)
        found = np.empty(logits.shape, np.float64)
        index = entry_index(self.entries, visible)
        for entry in np.unique(index):
            of_it = index == entry
            found[of_it] = mapped(self.maps[entry], logits[of_it], self.kind)
        return found.astype(logits.dtype)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns what `calibrated` needs, as float32 arrays that can be saved beside a model's.

        `patterns` and `sizes`, and either `scale` and `bias`, or `knots` and `values` (lines padded with their ends).
        """
        found: dict[str, np.ndarray] = {"patterns": self.entries.patterns, "sizes": self.entries.sizes}
        affine = [one for one in self.maps if isinstance(one, Affine)]
        lines = [one for one in self.maps if isinstance(one, Line)]
        if affine:
            names = {"scale": [one.scale for one in affine], "bias": [one.bias for one in affine]}
            return found | {name: np.stack(parts).astype(np.float32) for name, parts in names.items()}
        longest = max(len(knots) for one in lines for knots in one.knots)
        for name in ("knots", "values"):
            parts = [[np.pad(x, (0, longest - len(x)), mode="edge") for x in getattr(one, name)] for one in lines]
            found[name] = np.array(parts, np.float32)
        return found

    def names(self) -> list[str]:
        """Returns what each entry is called: its modalities, its size, or "all" for the last."""
        return self.entries.names(self.modalities)

    def temperatures(self) -> dict[str, float]:
        """Returns the temperature of each entry by its name; nothing, for another method."""
        if self.method != "temperature":
            return {}
        scales = [float(one.scale[0]) for one in self.maps if isinstance(one, Affine)]
        return {name: 1 / scale for name, scale in zip(self.names(), scales, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Returns the calibration as JSON can hold it; `from_dict` gives every number back exactly."""
        entries = [
            entry_dict(self.entries, index, self.modalities) | {"rows": int(self.rows[index])} | _map_dict(one)
            for index, one in enumerate(self.maps)
        ]
        return {
            "format": CALIBRATION_FORMAT,
            "modalities": list(self.modalities),
            "kind": self.kind,
            "method": self.method,
            "by": self.by,
            "root_rows": self.root_rows,
            "prior_rows": self.prior_rows,
            "about": dict(self.about),
            "entries": entries,
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Calibration":
        """Returns the calibration that `to_dict` described.

        Args:
            mapping: what `to_dict` returned, perhaps by way of a file.

        Raises:
            InputError: if a part is missing, of the wrong type or out of range.
        """
        head = read_head(mapping, CALIBRATION_FORMAT, ("method", "root_rows", "prior_rows"))
        require(head["method"] in METHODS, "method", f"be one of {', '.join(METHODS)}", str(head["method"]))
        strengths = [checked_number(head[name], name) for name in ("root_rows", "prior_rows")]
        entries, rows = read_entries(head["entries"], head["modalities"])
        maps = tuple(entry_map(entry, head["method"]) for entry in head["entries"])
        shapes = {_shape(one) for one in maps}
        require(len(shapes) == 1, "entries", "have maps of one shape", "several")
        return cls(
            modalities=head["modalities"], kind=head["kind"], method=head["method"], by=head["by"], entries=entries,
            maps=maps, rows=rows, root_rows=strengths[0], prior_rows=strengths[1], about=head["about"],
        )  # fmt: skip

    def save(self, path: Path | str) -> None:
        """Writes the calibration as JSON, whole or not at all.

        Args:
            path: the file; its folder must exist.
        """
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: Path | str) -> "Calibration":
        """Returns a saved calibration.

        Args:
            path: the file.

        Raises:
            InputError: if it is not there, damaged, or something else.
        """
        return cls.from_dict(read_json(Path(path)))

    def _check(self, logits: np.ndarray, visible: np.ndarray) -> None:
        """Raises unless logits and visible fit."""
        columns = _shape(self.maps[-1])
        fits = logits.ndim == 2 and columns in (1, logits.shape[1])
        require(fits, "logits", f"have the shape (rows, {'classes' if columns == 1 else columns})", logits.shape)
        shape = (len(logits), len(self.modalities))
        require(visible.shape == shape, "visible", f"have the shape (rows, modalities), {shape}", visible.shape)


def _shape(one: Map) -> int:
    """Returns for how many columns a map is made, 1 for any number."""
    return len(one.scale) if isinstance(one, Affine) else len(one.knots)


def _map_dict(one: Map) -> dict[str, Any]:
    """Returns a map as JSON can hold it."""
    if isinstance(one, Affine):
        return {"scale": one.scale.tolist(), "bias": one.bias.tolist()}
    return {"knots": [part.tolist() for part in one.knots], "values": [part.tolist() for part in one.values]}
