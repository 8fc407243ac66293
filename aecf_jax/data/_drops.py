"""Drop tables: which modalities of which rows an evaluation may see, as an artefact with a hash."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from aecf_jax.data._checks import described_rows
from aecf_jax.data._dataset import Dataset, with_features
from aecf_jax.errors import InputError, message, require
from aecf_jax.files import read_json, write_json

_FORMAT = "aecf_jax drop table 1"


class Marginals(NamedTuple):
    """What a drop table hides, in shares that can be read at a glance.

    Attributes:
        hidden: modality -> share hidden of the rows that have it; NaN where no row has it.
        sizes: share of rows with 0, 1, ..., all modalities visible.
        empty: number of rows without a visible modality.
    """

    hidden: dict[str, float]
    sizes: tuple[float, ...]
    empty: int


@dataclass(frozen=True, eq=False)
class DropTable:
    """Which modalities of which rows are visible, how that was drawn, and a hash that names both.

    Two tables are equal when their hashes are.

    Attributes:
        modalities: names of the columns.
        present: True where the data has the modality, `(rows, modality)`.
        visible: True where it is left to be seen; nowhere else than in `present`.
        mechanism: name of what hid the rest.
        parameters: of the mechanism, as JSON can hold them.
        seed: of the draw.
        allow_empty: whether a row that has a modality may be left with none.

    Raises:
        InputError: if shapes disagree, something absent is visible, a row is empty against `allow_empty`, or a
            parameter is not of JSON.

    >>> import numpy as np
    >>> table = DropTable(("a", "b"), np.ones((3, 2), bool), np.array([[1, 1], [0, 1], [1, 1]], bool), "by hand")
    >>> table.marginals().hidden, table.hash[:8]
    ({'a': 0.3333333333333333, 'b': 0.0}, '294851fa')
    """

    modalities: tuple[str, ...]
    present: Bool[np.ndarray, "rows modality"]
    visible: Bool[np.ndarray, "rows modality"]
    mechanism: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    allow_empty: bool = False

    def __post_init__(self) -> None:
        """Keeps read-only copies, and checks them."""
        for name in ("present", "visible"):
            array = np.array(getattr(self, name), bool, order="C")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        shape = (len(self.present), len(self.modalities))
        for name, array in (("present", self.present), ("visible", self.visible)):
            require(array.shape == shape, name, f"have the shape (rows, modalities), {shape}", array.shape)
        wrong = np.flatnonzero((self.visible & ~self.present).any(axis=1))
        require(not len(wrong), "visible", "hold only what is present", f"more in {described_rows(wrong)}")
        wrong = np.flatnonzero(self.present.any(axis=1) & ~self.visible.any(axis=1))
        require(self.allow_empty or not len(wrong), "visible", "leave every row a modality",
                f"none in {described_rows(wrong)}", "Or allow it: allow_empty=True.")  # fmt: skip
        try:
            self._canonical_head()
        except (TypeError, ValueError) as error:
            raise InputError(message("parameters", "be what JSON can hold", str(error))) from error

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.visible)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DropTable) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256, in hexadecimal, of the table in one canonical form; the same on every machine and version.

        The form: a line of JSON (ASCII, sorted keys, no spaces) with everything but the two arrays, a newline, then
        `present` and `visible`, each row by row as bits, the first in the highest bit of a byte, padded with zeros.
        """
        content = self._canonical_head() + b"\n" + _packed(self.present) + _packed(self.visible)
        return hashlib.sha256(content).hexdigest()

    def marginals(self) -> Marginals:
        """Returns the share hidden of each modality, the share of rows by visible modalities, and the empty rows."""
        had, kept = self.present.sum(axis=0).tolist(), self.visible.sum(axis=0).tolist()
        shares = [(h - k) / h if h else float("nan") for k, h in zip(kept, had, strict=True)]
        sizes = np.bincount(self.visible.sum(axis=1), minlength=len(self.modalities) + 1)
        return Marginals(dict(zip(self.modalities, shares, strict=True)),
                         tuple((sizes / max(len(self), 1)).tolist()), int(sizes[0]))  # fmt: skip

    def apply(self, dataset: Dataset) -> Dataset:
        """Returns the rows with what the table hides made absent.

        Args:
            dataset: the rows that the table was made for, with its modalities in any order.

        Raises:
            InputError: if they are other rows, as far as modalities and presence show.
        """
        dataset = dataset.select(self.modalities)
        require(len(dataset) == len(self), "drop table", f"have {len(dataset)} rows, as {dataset.name} has", len(self))
        wrong = np.flatnonzero((dataset.present != self.present).any(axis=1))
        require(not len(wrong), "drop table", f"be made for what is present in {dataset.name}",
                f"one that differs in {described_rows(wrong)}")  # fmt: skip
        return with_features(dataset, dataset.features, self.visible)

    def save(self, path: str | Path) -> None:
        """Writes the table as a JSON file, whole, with its hash."""
        arrays = {name: base64.b64encode(_packed(getattr(self, name))).decode() for name in ("present", "visible")}
        write_json(Path(path), {**self._head(), **arrays, "hash": self.hash})

    @classmethod
    def load(cls, path: str | Path) -> "DropTable":
        """Returns the table that `save` wrote.

        Raises:
            InputError: if the file is not there or no drop table, or its content is not what its hash says.
        """
        content = read_json(Path(path))
        require(content.get("format") == _FORMAT, str(path), f"be a file of the format {_FORMAT!r}",
                str(content.get("format")))  # fmt: skip
        try:
            shape = (content["rows"], len(content["modalities"]))
            present, visible = (_unpacked(content[name], shape) for name in ("present", "visible"))
            table = cls(tuple(content["modalities"]), present, visible, content["mechanism"], content["parameters"],
                        content["seed"], content["allow_empty"])  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}".rstrip(".")
            raise InputError(message(str(path), "hold a whole drop table", what)) from error
        require(table.hash == content.get("hash"), str(path), "hold what its hash says", f"a table of {table.hash}",
                "The file was changed.")  # fmt: skip
        return table

    def _head(self) -> dict[str, Any]:
        """Returns everything but the arrays, as JSON can hold it."""
        return {
            "format": _FORMAT, "modalities": list(self.modalities), "rows": len(self), "mechanism": self.mechanism,
            "parameters": dict(self.parameters), "seed": self.seed, "allow_empty": self.allow_empty,
        }  # fmt: skip

    def _canonical_head(self) -> bytes:
        """Returns everything but the arrays as one line."""
        return json.dumps(self._head(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _packed(array: Bool[np.ndarray, "rows modality"]) -> bytes:
    """Returns booleans as bits, row by row."""
    return np.packbits(array, axis=None, bitorder="big").tobytes()


def _unpacked(text: str, shape: tuple[int, int]) -> Bool[np.ndarray, "rows modality"]:
    """Returns the booleans that `_packed` packed, from their base64 text."""
    bits = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    count = shape[0] * shape[1]
    if len(bits) != (count + 7) // 8:
        raise ValueError(f"{len(bits)} bytes for {count} bits")
    return np.unpackbits(bits, count=count, bitorder="big").astype(bool).reshape(shape)
