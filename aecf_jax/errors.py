"""The errors that users meet, each one sentence: what must hold, what was given, what to do.

Standard library alone, so that a configuration loads, and the command line prints help, without JAX.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class InputError(ValueError):
    """Something that the user gave breaks a stated rule; the command line prints it and exits with 2."""


class InputTypeError(InputError, TypeError):
    """Something that the user gave is of the wrong type."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class LostProcessError(RuntimeError):
    """Another process of the run, or the device, failed; the message says how to go on."""


class NonFiniteLossError(RuntimeError):
    """The training loss became NaN or infinite; the message names the step and the last good checkpoint."""


def require(ok: bool, name: str, rule: str, got: object, hint: str = "") -> None:
    """Raises `InputError` in the house's one form unless `ok` holds.

    Args:
        ok: whether the rule holds.
        name: the argument, field or file that the user knows.
        rule: what must hold, to be read after "must".
        got: the offending value, shown as it is.
        hint: one more sentence on what to do.

    Raises:
        InputError: if `ok` is false.

    >>> require(0.1 > 0, "learning_rate", "be positive", 0.1)
    >>> require(False, "learning_rate", "be positive", -1.0)
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `learning_rate` must be positive; got -1.0.
    """
    if not ok:
        raise InputError(message(name, rule, got, hint))


def require_type(ok: bool, name: str, rule: str, got: object, hint: str = "") -> None:
    """Raises `InputTypeError` unless `ok` holds; `got` is shown by the name of its type.

    Args:
        ok: whether the type is right.
        name: the argument that the user knows.
        rule: what must hold, to be read after "must".
        got: the offending value.
        hint: one more sentence on what to do.

    Raises:
        InputTypeError: if `ok` is false.
    """
    if not ok:
        raise InputTypeError(message(name, rule, type(got).__name__, hint))


def message(name: str, rule: str, got: object, hint: str = "") -> str:
    """Returns the one sentence that every input error has.

    Args:
        name: the argument, field or file that the user knows.
        rule: what must hold, to be read after "must".
        got: the offending value.
        hint: one more sentence on what to do.
    """
    shown = got if isinstance(got, str) else repr(got)
    return f"`{name}` must {rule}; got {shown}." + (f" {hint}" if hint else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint with the known name nearest to a misspelt one, or the known names if none is near.

    Args:
        name: the name that is perhaps not known; for one that is, there is no hint.
        known: the names that are.

    >>> nearest("learning_rat", ["learning_rate", "epochs"])
    'Did you mean `learning_rate`?'
    """
    names = list(known)
    if name in names:
        return ""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(names)}."


def import_extra(module: str, extra: str) -> ModuleType:
    """Returns an optional dependency, imported.

    Args:
        module: the dotted name to import.
        extra: the extra of this package that brings it.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingExtraError(
            f"`{package}` must be installed for this; install it with: pip install 'aecf-jax[{extra}]'."
        ) from error
