"""Dropout whose randomness costs next to nothing: a hash of each unit's index and of the key."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

from aecf_jax.types import Scalar


def hashed_uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Returns numbers in [0, 1), multiples of 2**-24, each a function of the key and of its own index alone.

    64 bits drawn from the key scramble the index by two rounds of a 32-bit mixer. Any part of the array can be computed
    by itself, so that the numbers are the same on any mesh. Good enough to drop units, and a tenth of the time of
    `jax.random.uniform`, which spends 20 rounds on each number; not meant for anything that rare events decide.

    Args:
        key: randomness; used up.
        shape: of the result; from 2**32 numbers on they repeat.

    >>> import jax
    >>> hashed_uniform(jax.random.key(0), (2, 2)).shape
    (2, 2)
    """
    first, second = jax.random.bits(key, (2,), jnp.uint32)
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    bits = _mixed(_mixed(index ^ first) ^ second)
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def dropout(x: Float[Array, "*shape"], rate: Scalar, *, key: Key[Array, ""]) -> Float[Array, "*shape"]:
    """Returns units of which each is 0 with probability `rate`, and the others are scaled up, so that the mean stays.

    Args:
        x: units.
        rate: probability that a unit is zeroed, in [0, 1); may be traced.
        key: randomness of this draw.
    """
    kept = hashed_uniform(key, x.shape) >= rate
    # In the type of the units: a float32 scale would turn bfloat16 units into float32 ones.
    return jnp.where(kept, x * jnp.asarray(1 / (1 - rate), x.dtype), jnp.zeros_like(x))


def _mixed(bits: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Returns bits of which each depends on all of the given ones; a bijection.

    Source: C. Wellons, hash-prospector, `lowbias32`.
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)
