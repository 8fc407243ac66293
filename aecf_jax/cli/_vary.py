"""What `aecf-jax sweep` varies: from `field=value,value` texts to the settings of every model.

Nothing here imports JAX or NumPy, so that help is printed at once.
"""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aecf_jax.cli._settings import FROM_DATA
from aecf_jax.config import AECFConfig
from aecf_jax.errors import nearest, require

_FIELDS = tuple(field.name for field in dataclasses.fields(AECFConfig))


def varied(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Returns the values of every field that is varied.

    Values are separated by commas. Numbers, true, false and null are what they are in JSON, anything else is a name; a
    list of widths stands in brackets.

    Args:
        texts: `field=value,value,...`, one a field.

    Raises:
        InputError: for a field that is unknown, given twice, or decided by the data, or one without two values.

    >>> varied(["learning_rate=1e-3,2e-3", "fusion=aecf,concat", "gate_hidden_dims=[32],[64,32]"])
    {'learning_rate': [0.001, 0.002], 'fusion': ['aecf', 'concat'], 'gate_hidden_dims': [[32], [64, 32]]}
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, sign, values = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_")
        require(bool(sign), "vary", "be given as field=value,value", text)
        require(name in _FIELDS, "vary", "name a field of the model's configuration", name, nearest(name, _FIELDS))
        require(name not in FROM_DATA, "vary", "name a field that the data do not decide", name)
        require(name != "seed", "vary", "name another field than seed", text, "How many seeds: --seeds.")
        require(name not in found, "vary", "name every field once", name)
        found[name] = _values(values)
        require(len(found[name]) > 0, "vary", "have values", text)
        twice = len({json.dumps(value) for value in found[name]}) < len(found[name])
        require(not twice, "vary", "have every value once", text)
    return found


def settings(vary: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Returns every combination of values, by a name that says it; that of the first values is the first.

    Args:
        vary: field -> values.

    >>> settings({"learning_rate": [0.001, 0.002], "fusion": ["concat"]})["learning_rate=0.001"]
    {'learning_rate': 0.001, 'fusion': 'concat'}
    """
    combined = [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]
    several = [name for name, values in vary.items() if len(values) > 1]
    return {", ".join(f"{name}={one[name]}" for name in several) or "model": one for one in combined}


def _values(text: str) -> list[Any]:
    """Returns the values in a text."""
    try:
        return list(json.loads(f"[{text}]"))
    except ValueError:
        return [_value(item.strip()) for item in text.split(",") if item.strip()]


def _value(text: str) -> Any:
    """Returns one value: a name, unless it is a number or the like."""
    try:
        return json.loads(text)
    except ValueError:
        return text
