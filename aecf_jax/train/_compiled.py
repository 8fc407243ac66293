"""Compilation of training programs: soon done, and a sum is the same number whatever is computed beside it."""

import functools
from collections.abc import Callable
from typing import Any

import jax

_COMPILED_SOON = {"xla_backend_optimization_level": "1"}
_SUMS_ALIKE = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


@functools.cache
def compiler_options() -> dict[str, str] | None:
    """Returns what XLA is told; None where there is nothing to say. Starts JAX's devices.

    On the CPU LLVM optimizes at its first level: a step takes as long as at the third, which compiles a fifth longer.
    And sums from some size on go to a library that adds up in another order: a run would be rounded otherwise than the
    same run among forty. With the second option the library multiplies matrices and leaves sums alone.
    """
    if jax.default_backend() != "cpu":
        return None
    options = _COMPILED_SOON | _SUMS_ALIKE
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:  # An XLA that does not know the second option.
        return _COMPILED_SOON
    return options


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator: `jax.jit` with `compiler_options()`, which are asked for at the first call.

    Args:
        options: of `jax.jit`.

    >>> @compiled(static_argnames="times")
    ... def repeated(x, *, times):
    ...     return x * times
    >>> int(repeated(2, times=3))
    6
    """

    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        program = functools.cache(lambda: jax.jit(function, compiler_options=compiler_options(), **options))
        return functools.wraps(function)(lambda *args, **kwargs: program()(*args, **kwargs))

    return decorator
