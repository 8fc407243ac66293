"""Adaptive, entropy-gated fusion of modalities that may be missing, in JAX.

`import aecf_jax` imports nothing else: a name's module, and JAX with it, is imported when the name is first used, so
that a configuration loads, and the command line prints its help, at once. The names stand in `__init__.pyi`.

>>> import aecf_jax
>>> aecf_jax.AECFConfig(modalities=["image", "text"]).widths
(512, 512)
"""

import importlib
import re
from pathlib import Path

__version__ = "0.1.0"

_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_HOMES = {
    name: module for module, name in re.findall(r"^from (\S+) import (?P<name>\S+) as (?P=name)$", _STUB, re.MULTILINE)
}
"""Public name -> module that has it."""

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Returns a public name, imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """Returns the module's names, with those that are not imported yet."""
    return sorted({*globals(), *_HOMES})
