"""What the machine can do at best, as measured here: products of matrices, and copies of memory."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

_ROWS, _WIDTH, _OUT = 512, 1024, 2048
_FLOAT = 4


class Probe(NamedTuple):
    """Something whose size is known, to be timed.

    Attributes:
        work: does it, and ends when it is done.
        size: of it: operations, or bytes.
    """

    work: Callable[[], object]
    size: float


def product_probe(dtype: DTypeLike = jnp.float32, *, scale: int = 1, calls: int = 5) -> Probe:
    """Returns large products of matrices, to be timed; the size is in floating-point operations.

    Args:
        dtype: of the matrices; sums are float32.
        scale: all sides are so many times 512, 1024 and 2048; an accelerator needs larger ones than a CPU.
        calls: how many products.

    >>> product_probe(calls=1).size
    2147483648.0
    """
    x = jnp.ones((_ROWS * scale, _WIDTH * scale), dtype)
    kernel = jnp.ones((_WIDTH * scale, _OUT * scale), dtype)
    product = jax.jit(lambda x, kernel: jnp.matmul(x, kernel, preferred_element_type=jnp.float32))
    # A multiplication and an addition for each term.
    size = 2.0 * _ROWS * _WIDTH * _OUT * scale**3 * calls
    return Probe(lambda: jax.block_until_ready([product(x, kernel) for _ in range(calls)]), size)


def copy_probe(*, megabytes: int = 64, calls: int = 4) -> Probe:
    """Returns passes over memory, to be timed: an array is read and written in place; the size is in bytes.

    Args:
        megabytes: size of the array.
        calls: how many passes.

    >>> copy_probe(megabytes=1, calls=1).size
    2097152.0
    """
    held = [jnp.ones(megabytes * 2**20 // _FLOAT, jnp.float32)]
    passed = jax.jit(lambda x: x + 1, donate_argnums=0)

    def work() -> None:
        for _ in range(calls):
            held[0] = passed(held[0])
        jax.block_until_ready(held[0])

    return Probe(work, 2.0 * megabytes * 2**20 * calls)
