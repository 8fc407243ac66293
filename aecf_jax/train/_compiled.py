"""Compilation of training programs: soon done, and sums that stay with XLA."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from aecf_jax.config import AECFConfig
from aecf_jax.ops import multiplies_bfloat16, multiplies_by_xla

_LARGE = 1 << 18  # Weights of a layer.
# XLA passes over the name of a pass that it does not have.
_COMPILED_SOON = {"xla_backend_optimization_level": "1", "xla_disable_hlo_passes": "tree_reduction_rewriter"}
_LIBRARY = "xla_cpu_experimental_ynn_fusion_type"
_SUMS_ALIKE = {_LIBRARY: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
_PRODUCTS_BY_XLA = {_LIBRARY: "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"}  # Of which a step has none.


def compiler_options(config: AECFConfig | None = None) -> dict[str, str] | None:
    """Returns what XLA is told; None where there is nothing to say. Starts JAX's devices.

    On the CPU LLVM optimizes at its first level: a step takes as long as at the third, which takes a tenth longer to
    compile. Each sum is one kernel, where XLA would make two: a fifth of all kernels. And sums from some size on go to
    a library that adds up in another order, for a run among forty in yet another. With the last option the library
    multiplies matrices and leaves sums alone. Where the processor is of Intel and layers are
    large, XLA multiplies too, unless in bfloat16 as such: the library would take up to twice as long. What is small is
    rounded alike on every processor.

    Args:
        config: says what products are of, and how large; None: they are small.
    """
    if jax.default_backend() != "cpu":
        return None
    by_xla = (
        config is not None
        and not (config.mixed_precision and multiplies_bfloat16())
        and _largest_layer(config) >= _LARGE
        and multiplies_by_xla()
    )
    return _COMPILED_SOON | _understood(_PRODUCTS_BY_XLA if by_xla else _SUMS_ALIKE)


def _largest_layer(config: AECFConfig) -> int:
    """Returns how many weights a layer on all features has, about; the batch is not known to a program's settings."""
    return sum(config.widths) * max(config.hidden_widths, default=1)


def _understood(options: dict[str, str]) -> dict[str, str]:
    """Returns some options; none of them, where XLA does not know them."""
    return options if all(_is_known(*option) for option in options.items()) else {}


@functools.cache
def _is_known(name: str, value: str) -> bool:
    """Returns whether XLA knows an option."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator: `jax.jit` with `compiler_options`, which are asked for when it is called.

    Where the function has a keyword `config`, that says what products are of, and how large.

    Args:
        options: of `jax.jit`.

    >>> @compiled(static_argnames="times")
    ... def repeated(x, *, times):
    ...     return x * times
    >>> int(repeated(2, times=3))
    6
    """

    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def program(told: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
            return jax.jit(function, compiler_options=dict(told) or None, **options)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            told = compiler_options(kwargs.get("config")) or {}
            return program(tuple(told.items()))(*args, **kwargs)

        return called

    return decorator
