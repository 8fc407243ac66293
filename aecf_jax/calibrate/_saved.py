"""The JSON form that calibrations and conformal thresholds share, checked when it is read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aecf_jax.calibrate._entries import BY, Entries
from aecf_jax.calibrate._maps import KINDS, Affine, Line, Map
from aecf_jax.errors import require


def entry_dict(entries: Entries, index: int, modalities: tuple[str, ...]) -> dict[str, Any]:
    """Returns one entry as JSON can hold it.

    Args:
        entries: all of them.
        index: which.
        modalities: the names of the columns.
    """
    chosen = [name for name, seen in zip(modalities, entries.patterns[index], strict=True) if seen]
    return {"modalities": chosen, "visible": int(entries.sizes[index])}


def read_head(mapping: Mapping[str, Any], wanted: str, further: tuple[str, ...]) -> dict[str, Any]:
    """Returns the fields of a saved file, those that both kinds of file have checked.

    Args:
        mapping: what the file holds.
        wanted: its format.
        further: names of the fields of this kind of file.

    Raises:
        InputError: if one is missing or wrong.
    """
    require(mapping.get("format") == wanted, "format", f"be {wanted}", str(mapping.get("format")))
    names = ("modalities", "kind", "by", "about", "entries", *further)
    missing = [name for name in names if name not in mapping]
    require(not missing, wanted, f"have {', '.join(names)}", f"no {', '.join(missing)}")
    head = {name: mapping[name] for name in names}
    texts = isinstance(head["modalities"], Sequence) and all(isinstance(name, str) for name in head["modalities"])
    require(texts and len(head["modalities"]) > 0, "modalities", "be names", str(head["modalities"]))
    require(head["kind"] in KINDS, "kind", f"be one of {', '.join(KINDS)}", str(head["kind"]))
    require(head["by"] in BY, "by", f"be one of {', '.join(BY)}", str(head["by"]))
    require(isinstance(head["about"], Mapping), "about", "be a dictionary", str(head["about"]))
    listed = isinstance(head["entries"], Sequence) and all(isinstance(entry, Mapping) for entry in head["entries"])
    require(listed and len(head["entries"]) > 0, "entries", "be a list of dictionaries", str(head["entries"]))
    return head | {"modalities": tuple(head["modalities"]), "about": dict(head["about"])}


def read_entries(listed: Sequence[Mapping[str, Any]], modalities: tuple[str, ...]) -> tuple[Entries, np.ndarray]:
    """Returns the entries of a saved file, and how many rows each was fitted on.

    Args:
        listed: as in the file.
        modalities: the names of the columns.

    Raises:
        InputError: if names are unknown, or the order is not the one that the look-up relies on.
    """
    for entry in listed:
        for name in ("modalities", "visible", "rows"):
            require(name in entry, "entries", f"have `{name}`", str(dict(entry)))
        unknown = [name for name in entry["modalities"] if name not in modalities]
        require(not unknown, "entries", f"name modalities among {', '.join(modalities)}", ", ".join(map(str, unknown)))
        for name in ("visible", "rows"):
            whole = isinstance(entry[name], int) and entry[name] >= 0
            require(whole, name, "be a whole number from 0", str(entry[name]))
    patterns = np.array([[name in entry["modalities"] for name in modalities] for entry in listed], bool)
    sizes = np.array([entry["visible"] for entry in listed], np.int32)
    ordered = bool((np.diff(sizes) >= 0).all()) and bool(patterns[-1].all()) and int(sizes[-1]) == len(modalities)
    require(ordered, "entries", "stand by size, the one of all modalities last", "another order")
    return Entries(patterns, sizes), np.array([entry["rows"] for entry in listed], np.int64)


def entry_map(entry: Mapping[str, Any], method: str) -> Map:
    """Returns the map of an entry.

    Args:
        entry: as in the file.
        method: temperature, vector or isotonic.

    Raises:
        InputError: if its numbers are missing, not finite, of different lengths, or do not rise where they must.
    """
    if method != "isotonic":
        scale, bias = _numbers(entry, "scale"), _numbers(entry, "bias")
        require(len(scale) == len(bias) > 0, "bias", "be as long as scale", len(bias))
        one = scale.shape == (1,) and bool(scale[0] > 0)
        require(method == "vector" or one, "scale", "be one positive number", scale.tolist())
        return Affine(scale, bias)
    knots, values = (
        tuple(_numbers({name: part}, name) for part in _lists(entry, name)) for name in ("knots", "values")
    )
    require(len(knots) == len(values) > 0, "values", "be as many lists as knots", len(values))
    for x, y in zip(knots, values, strict=True):
        require(len(x) == len(y) > 0, "values", "be as long as knots", len(y))
        require(bool((np.diff(x) > 0).all() and (np.diff(y) >= 0).all()), "knots", "rise, as values", "others")
    return Line(knots, values)


def checked_number(value: Any, name: str) -> float:
    """Returns a number of a saved file that may not be negative.

    Args:
        value: what the file has.
        name: of the field.

    Raises:
        InputError: if it is no such number.
    """
    sound = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
    require(sound, name, "be a number from 0", str(value))
    return float(value)


def _lists(entry: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Returns a list of an entry."""
    found = entry.get(name)
    require(isinstance(found, Sequence) and not isinstance(found, str), name, "be a list", str(found))
    return found or ()


def _numbers(entry: Mapping[str, Any], name: str) -> np.ndarray:
    """Returns a list of finite numbers of an entry."""
    found = _lists(entry, name)
    sound = all(isinstance(value, (int, float)) and math.isfinite(value) for value in found)
    require(sound, name, "be finite numbers", str(found))
    return np.array(found, np.float64)
