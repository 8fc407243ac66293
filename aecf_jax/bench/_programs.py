"""What compiled programs cost before they run, and how many of them there are."""

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache

_COMPILED = "/jax/core/compile/backend_compile_duration"
_CACHE = {
    "jax_enable_compilation_cache": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
}


class CompileCost(NamedTuple):
    """What a program costs before it runs.

    Attributes:
        traced: seconds in which JAX writes the program down.
        compiled: seconds in which XLA compiles it.
        from_cache: seconds in which it is read from the compile cache instead.
        operations: floating-point operations of the program, as XLA counts them; loops of several turns count once.
    """

    traced: float
    compiled: float
    from_cache: float
    operations: float


def compile_cost(lowered: Callable[[], Any]) -> CompileCost:
    """Returns what a program costs before it runs, with a compile cache of its own, which is empty at first.

    Args:
        lowered: writes the program down, anew at every call, by `jax.jit(function).lower(...)`.

    >>> import jax, jax.numpy as jnp
    >>> cost = compile_cost(lambda: jax.jit(lambda x: x @ x).lower(jnp.ones((8, 8))))
    >>> cost.operations
    1024.0
    """
    with _empty_cache():
        traced, program = _timed(lowered)
        compiled, found = _timed(program.compile)
        again = lowered()
        from_cache, _ = _timed(again.compile)
    return CompileCost(traced, compiled, from_cache, float((found.cost_analysis() or {}).get("flops", 0.0)))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the seconds that something takes, and what it returns."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


@contextmanager
def _empty_cache() -> Generator[None]:
    """Makes JAX keep compiled programs in a new folder, and then where it did before."""
    before = {name: getattr(jax.config, name) for name in ("jax_compilation_cache_dir", *_CACHE)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            _set(_CACHE | {"jax_compilation_cache_dir": folder})
            yield
    finally:
        _set(before)


def _set(options: dict[str, Any]) -> None:
    """Sets options of JAX, and makes its cache read them again."""
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@contextmanager
def counted_programs() -> Generator[Callable[[], int]]:
    """Gives a function that says how many programs were compiled, or read from the cache, since then.

    >>> import jax, jax.numpy as jnp
    >>> double = jax.jit(lambda x: 2 * x)
    >>> with counted_programs() as count:
    ...     _ = [double(jnp.ones(3)) for _ in range(2)]
    ...     count() > 0
    True
    """
    events: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del duration_secs, kwargs
        if event == _COMPILED:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield lambda: len(events)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
