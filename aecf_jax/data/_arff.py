"""A strict reader of the part of ARFF that data sets of numbers use: numeric and enumerated attributes, dense rows."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from aecf_jax.errors import require


class ArffTable(NamedTuple):
    """A table of numbers.

    Attributes:
        names: of the attributes.
        values: what an enumerated attribute may be, None for a number.
        rows: `(rows, attributes)`; an enumerated attribute's values, which must be numbers too, as they stand.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...] | None, ...]
    rows: Float64[np.ndarray, "rows attributes"]


def read_arff(path: Path) -> ArffTable:
    """Returns the table in an ARFF file.

    Raises:
        InputError: naming the file and the line, if a line is not of a form that this reader knows.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        require(False, path.name, "be readable text", str(error))
        raise
    content = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    content = [(number, line) for number, line in content if line and not line.startswith("%")]
    starts = [index for index, (_, line) in enumerate(content) if line.lower() == "@data"]
    require(len(starts) == 1, path.name, "have one line @data", f"{len(starts)}")
    head, body = content[: starts[0]], content[starts[0] + 1 :]
    declared = [(number, line) for number, line in head if not line.lower().startswith("@relation")]
    attributes = [_attribute(f"{path.name} line {number}", line) for number, line in declared]
    require(len(body) > 0, path.name, "have rows after @data", "none")
    rows = np.array([_row(f"{path.name} line {number}", line, attributes) for number, line in body], np.float64)
    return ArffTable(tuple(name for name, _ in attributes), tuple(values for _, values in attributes), rows)


def _attribute(where: str, line: str) -> tuple[str, tuple[str, ...] | None]:
    """Returns an attribute's name, and its values if it is enumerated."""
    words = line.split(maxsplit=2)
    require(words[0].lower() == "@attribute" and len(words) == 3, where, "be @attribute NAME TYPE", line)
    name, kind = words[1], words[2].strip()
    if kind.lower() in ("numeric", "real", "integer"):
        return name, None
    listed = kind.startswith("{") and kind.endswith("}")
    require(listed, where, "be of type numeric, real, integer or {values}", kind)
    return name, tuple(value.strip() for value in kind[1:-1].split(","))


def _row(where: str, line: str, attributes: list[tuple[str, tuple[str, ...] | None]]) -> list[float]:
    """Returns one row's numbers."""
    fields = [field.strip() for field in line.split(",")]
    require(len(fields) == len(attributes), where, f"have {len(attributes)} values", len(fields))
    wrong = [
        (field, *known) for field, known in zip(fields, attributes, strict=True) if known[1] and field not in known[1]
    ]
    if wrong:
        field, name, values = wrong[0]
        require(False, where, f"have one of {', '.join(values or ())} for {name}", field)
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        require(False, where, "hold numbers", str(error))
        raise
