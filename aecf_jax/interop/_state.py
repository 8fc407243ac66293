"""What a checkpoint holds, whichever way it was saved: one flat table of tensors, and the settings beside it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aecf_jax.errors import require
from aecf_jax.torchfile import Inert, read_torch_file

_STATES = ("state_dict", "model_state_dict")
_SETTINGS = ("hyper_parameters", "hparams", "config", "cfg")
_POSITION = ("epoch", "global_step")
_WRAPPERS = ("module", "_orig_mod")
_MOST_NESTED = 8
"""Dictionaries in dictionaries: a pool in a model in a trainer is three."""


class Found(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        state: tensors by their dotted names.
        settings: what the model was configured with, if that is there.
        step: optimizer steps done.
        epoch: epochs done.
        notes: what else the file has, and is not taken over.
    """

    state: dict[str, np.ndarray]
    settings: dict[str, Any]
    step: int
    epoch: int
    notes: list[str]


def read_checkpoint(path: str | Path) -> Found:
    """Returns what a checkpoint of any of the three generations holds.

    Args:
        path: the file.

    Raises:
        InputError: if it cannot be read, holds anything but plain values and tensors, or holds no tensors.
    """
    content = read_torch_file(path)
    content = content.items if isinstance(content, Inert) else content
    require(isinstance(content, dict), str(path), "hold a dictionary of tensors", type(content).__name__)
    inner = next((content[name] for name in _STATES if isinstance(content.get(name), dict)), content)
    state = dict(_tensors(inner, (), 0))
    require(len(state) > 0, str(path), "hold tensors", f"only {', '.join(map(str, content))}")
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        settings |= _settings(content.get(name))
    used = (*_STATES, *_SETTINGS, *_POSITION) if inner is not content else (*content,)
    notes = [f"{name}: not taken over; only parameters and settings are" for name in content if name not in used]
    step, epoch = (_count(content.get(name)) for name in ("global_step", "epoch"))
    return Found(state, settings, step, epoch, notes)


def _tensors(value: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields tensors with their dotted names, without the names of PyTorch's wrappers."""
    require(depth <= _MOST_NESTED, "checkpoint", f"nest its tensors at most {_MOST_NESTED} deep", "more")
    if isinstance(value, np.ndarray):
        parts = [part for name in path for part in name.split(".") if part not in _WRAPPERS]
        yield ".".join(parts), value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, (np.ndarray, Mapping)):
                yield from _tensors(inner, (*path, str(name)), depth + 1)


def _settings(value: Any) -> dict[str, Any]:
    """Returns settings as a dictionary; those that stand one level deeper, under such a name again, come up."""
    value = value.items if isinstance(value, Inert) else value
    if not isinstance(value, dict):
        return {}
    plain = {str(name): inner for name, inner in value.items()}
    for name in _SETTINGS:
        inner = plain.get(name)
        inner = inner.items if isinstance(inner, Inert) else inner
        if isinstance(inner, dict):
            del plain[name]
            plain |= {str(key): setting for key, setting in inner.items()}
    return plain


def _count(value: Any) -> int:
    """Returns a number of steps or epochs; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else 0
