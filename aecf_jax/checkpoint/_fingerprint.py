"""One number per array that changes when any bit of it does: Orbax keeps no checksum of what it writes."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped, UInt32

from aecf_jax.data import let_go
from aecf_jax.errors import require

_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint32}
_ROW_FACTOR = 31
_GOLDEN = 2654435761
_BLOCK_VALUES = 1 << 20
_HOST_VALUES = 1 << 23
"""As many take NumPy 0.2 s. A program for the arrays of a small model's state takes 2 s to compile."""


class Leaf(NamedTuple):
    """What is known of one array of a checkpoint.

    Attributes:
        shape: its shape.
        dtype: the name of its type.
        fingerprint: a number computed from all its bits; None for an array that is only described.
    """

    shape: tuple[int, ...]
    dtype: str
    fingerprint: int | None


def leaf_table(tree: Any) -> dict[str, Leaf]:
    """Returns the shape, type and fingerprint of every array in a tree, by its path.

    Args:
        tree: arrays, or `jax.ShapeDtypeStruct`s, which have no fingerprint.

    >>> leaf_table({"a": jax.ShapeDtypeStruct((2,), jax.numpy.float32)})
    {"['a']": Leaf(shape=(2,), dtype='float32', fingerprint=None)}
    """
    paths = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    described = any(isinstance(leaf, jax.ShapeDtypeStruct) for _, leaf in paths)
    numbers = [None] * len(paths) if described else _numbers([leaf for _, leaf in paths])
    return {
        path: Leaf(tuple(leaf.shape), str(leaf.dtype), number)
        for (path, leaf), number in zip(paths, numbers, strict=True)
    }


def row_table(tree: Any) -> dict[str, Leaf]:
    """Returns what `leaf_table` does of the same arrays, reading some rows at a time.

    Args:
        tree: NumPy arrays of rows, perhaps memory-mapped and larger than memory.
    """
    return {
        jax.tree_util.keystr(path): Leaf(tuple(leaf.shape), str(leaf.dtype), _host_fingerprint(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def require_same_leaves(template: dict[str, Leaf], stored: dict[str, Leaf]) -> None:
    """Raises `InputError` naming the first array whose path, shape or type differs from the stored one.

    Args:
        template: the arrays that are asked for.
        stored: the arrays that the checkpoint holds.
    """
    for path, leaf in template.items():
        hint = "Restore with the configuration that the run was started with."
        require(path in stored, path, "be in the checkpoint", "no such array there", hint)
        found, asked = stored[path], leaf
        rule = f"be {asked.dtype}{list(asked.shape)} in the checkpoint"
        same = found.shape == asked.shape and found.dtype == asked.dtype
        require(same, path, rule, f"{found.dtype}{list(found.shape)}", hint)
    extra = [path for path in stored if path not in template]
    require(not extra, "checkpoint", "hold only the arrays of this model and optimizer", ", ".join(extra[:3]))


def altered_leaves(restored: dict[str, Leaf], stored: dict[str, Leaf]) -> list[str]:
    """Returns the paths of the arrays that are not what was saved.

    Args:
        restored: the arrays that were read.
        stored: the arrays as they were when they were saved.
    """
    return [path for path, leaf in restored.items() if leaf.fingerprint != stored[path].fingerprint]


def _numbers(leaves: list[Shaped[Array | np.ndarray, "..."]]) -> list[int]:
    """Returns one number per array: by NumPy, where that is sooner done than a program for it is compiled."""
    few = sum(leaf.size for leaf in leaves) <= _HOST_VALUES
    if few and all(_on_host(leaf) for leaf in leaves):
        words = [_words_of(leaf) for leaf in leaves]
        # In the type that a program would give them.
        return [_host_fingerprint(np.asarray(each, jax.dtypes.canonicalize_dtype(each.dtype))) for each in words]
    return [int(number) for number in jax.device_get(_fingerprints(leaves))]


@jax.jit
def _fingerprints(leaves: list[Shaped[Array, "..."]]) -> list[UInt32[Array, ""]]:
    """Returns one number per array, the same under any sharding."""
    return [_fingerprint(leaf) for leaf in leaves]


def _on_host(x: Shaped[Array | np.ndarray, "..."]) -> bool:
    """Returns whether all of an array lies in this process's own memory."""
    if isinstance(x, np.ndarray):
        return True
    return x.is_fully_addressable and all(device.platform == "cpu" for device in x.devices())


def _host_fingerprint(x: Shaped[np.ndarray, "..."]) -> int:
    """Returns what `_fingerprint` does, some rows at a time; nothing is compiled for it, whatever the shape."""
    if x.ndim == 0:
        return _rows_fingerprint(x, 0)
    step = max(1, _BLOCK_VALUES // max(1, math.prod(x.shape[1:])))
    total = 0
    for at in range(0, len(x), step):
        total += _rows_fingerprint(x[at : at + step], at)
        let_go(x)
    return total % 2**32


def _rows_fingerprint(x: Shaped[np.ndarray, "..."], first: int) -> int:
    """Returns what some rows, of which the first has this number, add to the number of their array."""
    size = x.dtype.itemsize
    words = np.ascontiguousarray(x).view(_WORDS[size])
    words = words.reshape((*x.shape, 2) if size == 8 else x.shape).astype(np.uint32, copy=False)
    factor = np.ones((), np.uint32)
    for axis, length in enumerate(words.shape):
        position = np.arange(length, dtype=np.uint32) + np.uint32(first if axis == 0 else 0)
        factor = factor[..., None] * np.uint32(_ROW_FACTOR) + position * np.uint32(_GOLDEN)
    return int(np.sum(words * (factor | np.uint32(1)), dtype=np.uint32))


def _fingerprint(x: Shaped[Array, "..."]) -> UInt32[Array, ""]:
    """Returns the sum of an array's words, each times an odd number of its position (so every single bit counts)."""
    x = _words_of(x)
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, _WORDS[np.dtype(x.dtype).itemsize]).astype(jnp.uint32)
    factor = jnp.ones(words.shape, jnp.uint32)
    for axis in range(words.ndim):
        position = jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
        factor = factor * jnp.uint32(_ROW_FACTOR) + position * jnp.uint32(_GOLDEN)
    return jnp.sum(words * (factor | jnp.uint32(1)), dtype=jnp.uint32)


def _words_of(x: Shaped[Array | np.ndarray, "..."]) -> Any:
    """Returns the numbers that a key consists of; of any other array, itself."""
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
