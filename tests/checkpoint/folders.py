"""Folders of checkpoints to test on."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aecf_jax.checkpoint import Checkpoints


def state_of(value: float) -> dict:
    """A tree with every kind of leaf that a run has."""
    return {
        "w": jnp.full((8, 16), value, jnp.float32),
        # Not compressible: here a flipped bit is not found by the decompression.
        "noise": jax.random.normal(jax.random.key(round(value)), (64, 64)),
        "step": jnp.asarray(3, jnp.int32),
        "key": jax.random.key(7),
        "half": jnp.full((4,), value, jnp.bfloat16),
        "flag": jnp.array([True, False]),
    }


def abstract(tree):
    return jax.eval_shape(lambda: tree)


def saved(directory: Path, metrics: list[float | None], *, keep_best: int = 3) -> Checkpoints:
    """A folder in which step i + 1 holds the value i + 1."""
    checkpoints = Checkpoints(directory, keep_best=keep_best)
    for index, metric in enumerate(metrics):
        checkpoints.save(index + 1, state_of(index + 1.0), {"epoch": index}, metric=metric)
    checkpoints.close()
    return checkpoints


def largest_file(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def same(left, right) -> bool:
    leaves = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    data = [[jax.random.key_data(x) if x.dtype == jax.random.key(0).dtype else x for x in pair] for pair in leaves]
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in data)
