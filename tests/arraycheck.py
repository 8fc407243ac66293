"""The run-time check of array annotations that `conftest.py` puts on the library, in tests only."""

from collections.abc import Callable
from typing import Any

from beartype import beartype


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that checks the types and shapes of its arguments and of its result.

    Constructors are left alone: JAX rebuilds a dataclass with shardings, specs and None where arrays were, and a
    configuration takes lists where it keeps tuples.
    """
    return function if function.__name__ == "__init__" else beartype(function)
