"""Where the command line starts: find the verb, then import what it needs."""

import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import aecf_jax
from aecf_jax.cli._errors import exit_code
from aecf_jax.cli._settings import Defaults, make_defaults
from aecf_jax.errors import import_extra

_OBJECTS = 10_000
"""How many more objects there are before Python looks for garbage. Importing and tracing make many that stay, and each
look is at all of them: with Python's 700 (3.12), it took 1.5 to 2 of the 13 s of a short training, and so 0.5 s. Nor
does it look while it imports, and what it has imported is set aside: 0.1 s more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command line: 0, 2 for a user's error, 130 or 143 when it was interrupted.

    Args:
        argv: the arguments, without the program's name; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is not None:
        return exit_code(lambda: _run(arguments or ["--help"]))
    gc.set_threshold(_OBJECTS)  # The process is ours alone.
    gc.disable()
    try:
        return exit_code(lambda: _run(arguments or ["--help"], imported=_set_aside))
    finally:
        gc.enable()


def _set_aside() -> None:
    """Looks for garbage again, of which nothing is that exists already."""
    gc.freeze()
    gc.enable()


def _run(arguments: list[str], imported: Callable[[], None] = lambda: None) -> int:
    """Returns the exit code of one verb; calls `imported` before it begins."""
    if arguments == ["--version"]:
        print(f"aecf-jax {aecf_jax.__version__}")
        return 0
    import_extra("tyro", "cli")
    flags, defaults = _flags(arguments)
    # Imported when the verb is known: most of them import JAX, and help must not.
    module = import_module(f"aecf_jax.cli._{type(flags).__name__.lower()}")
    imported()
    return int(module.run(flags, defaults))


def _flags(arguments: list[str]) -> tuple[Any, Defaults]:
    """Returns the parsed flags and their defaults; those in files are known only after a first parse."""
    args = import_module("aecf_jax.cli._args")
    defaults = make_defaults()
    flags = args.parsed(arguments, defaults)
    settings = args.settings_file(flags)
    if settings is not None:
        defaults = make_defaults(settings)
        flags = args.parsed(arguments, defaults)
    return flags, defaults
