"""Where all randomness comes from: one root key, folded with a named stream, then with a position.

No key is ever carried from step to step, so that a run which is stopped and restored draws what it would have drawn.
"""

import enum
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Int, Integer, Key, UInt, UInt32

_ROUNDS = (0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35)
_FOLD, _SPLIT = 0, 0x27D4EB2F
_KIND, _USUAL = "jax_default_prng_impl", "threefry2x32"


class Stream(enum.IntEnum):
    """The purposes that randomness is drawn for. Append only: a number is part of every saved run."""

    INIT = 0
    SHUFFLE = 1
    DROPOUT = 2
    CURRICULUM = 3
    SPLIT = 4
    PAIRING = 5
    NOISE = 6
    VALIDATION = 7
    CALIBRATION = 8
    EXPERTS = 9
    UNCERTAINTY = 10


def stream_key(root: Key[Array, ""], stream: Stream, *position: int | Int[Array, ""]) -> Key[Array, ""]:
    """Returns the key of one stream at one position, the same in every run with the same root.

    Args:
        root: a typed key, `jax.random.key(seed)`.
        stream: what the key is for.
        *position: where in the run, for example the epoch or the global step.

    Returns:
        A `hashed_key`.

    >>> import jax
    >>> key = stream_key(jax.random.key(0), Stream.DROPOUT, 7)
    >>> bool(jax.numpy.all(key == stream_key(jax.random.key(0), Stream.DROPOUT, 7)))
    True
    """
    return _at(root, *position, stream=int(stream))


# One program, where each of these by itself would be several.
@functools.partial(jax.jit, static_argnames="stream")
def _at(root: Key[Array, ""], *position: int | Int[Array, ""], stream: int) -> Key[Array, ""]:
    """The key."""
    key = hashed_key(root)
    for index in (stream, *position):
        key = jax.random.fold_in(made_once(key), index)
    return key


def seed_key(seed: int) -> Key[Array, ""]:
    """Returns `jax.random.key(seed)`, without compiling what makes it.

    Args:
        seed: of a run.

    >>> import jax
    >>> bool(seed_key(7) == jax.random.key(7))
    True
    """
    if getattr(jax.config, _KIND) != _USUAL or not 0 <= seed < 2**32:
        return jax.random.key(seed)
    return jax.random.wrap_key_data(jax.device_put(np.array([0, seed], np.uint32)), impl=_USUAL)


def hashed_key(key: Key[Array, ""]) -> Key[Array, ""]:
    """Returns a key for `jax.random` whose draws are hashes of their index; itself, if it is one already.

    JAX's own keys spend 20 rounds on each number, in a loop that is compiled anew wherever a number is drawn or a key
    derived: a quarter of a training step's kernels. A hash takes two rounds, in the kernel that uses the number; and
    any part of an array can be computed by itself, so that numbers are the same on any mesh. Good enough to start
    parameters, drop units, hide modalities and shuffle rows; not for secrets, nor for what rare events decide. Of an
    array the draws repeat from 2**32 numbers on.

    Args:
        key: a typed key of any kind.

    >>> import jax
    >>> jax.random.uniform(hashed_key(jax.random.key(0)), (2, 2)).shape
    (2, 2)
    """
    if jax.random.key_impl(key) == HASHED:
        return key
    words = jnp.zeros(2, jnp.uint32)
    for word in jax.random.key_data(key):
        words = _child(words, word, _FOLD)
    return jax.random.wrap_key_data(words, impl=HASHED)


def made_once(keys: Key[Array, "*shape"]) -> Key[Array, "*shape"]:
    """Returns the keys; to the compiler they are arrays like any other, which it makes in a kernel of their own.

    Otherwise XLA makes a key anew in every kernel that draws from it.

    Args:
        keys: typed keys of any kind.
    """
    words = lax.optimization_barrier(jax.random.key_data(keys))
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(keys))


@functools.partial(jax.jit, static_argnames="purpose")
def _child(words: UInt32[Array, "2"], number: Integer[Array, "*shape"], purpose: int) -> UInt32[Array, "*shape 2"]:
    """Returns the words of a key's children: of two numbers, or of two keys, they are never the same.

    Three rounds of a Feistel network, after which each bit of a child depends on every bit of the key and the number.
    """
    left, right = words[0] ^ number.astype(jnp.uint32), words[1] ^ jnp.uint32(purpose)
    for constant in _ROUNDS:
        left, right = right, left ^ _mixed(right + jnp.uint32(constant))
    return jnp.stack(jnp.broadcast_arrays(left, right), axis=-1)


def _mixed(bits: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Returns bits of which each depends on all of the given ones; a bijection.

    Source: C. Wellons, hash-prospector, `lowbias32`.
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)


def _index(shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """Returns each element's position in the flattened array."""
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return index


def _seed(seed: Integer[Array, ""]) -> UInt32[Array, "2"]:
    """Returns the words of the key that starts from a seed."""
    high = lax.shift_right_logical(seed, jnp.asarray(32, seed.dtype))
    return _child(_child(jnp.zeros(2, jnp.uint32), high, _FOLD), seed, _FOLD)


def _split(words: UInt32[Array, "2"], shape: tuple[int, ...]) -> UInt32[Array, "*shape 2"]:
    """Returns the words of new keys."""
    return _child(words, _index(shape), _SPLIT)


def _fold_in(words: UInt32[Array, "2"], number: int | Integer[Array, ""]) -> UInt32[Array, "2"]:
    """Returns the words of the key of a number."""
    return _child(words, jnp.asarray(number), _FOLD)


def _random_bits(words: UInt32[Array, "2"], width: int, shape: tuple[int, ...]) -> UInt[Array, "*shape"]:
    """Returns unsigned numbers of some bits each."""
    if width == 64:
        both = _random_bits(words, 32, (2, *shape)).astype(jnp.uint64)
        return both[0] << jnp.uint64(32) | both[1]
    bits = _mixed(_mixed(_index(shape) ^ words[0]) ^ words[1])
    return bits.astype(f"uint{width}")


HASHED = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in, name="hashed", tag="hash"
)
"""The kind of a `hashed_key`, as `impl` of `jax.random.key` and `jax.random.wrap_key_data`."""
