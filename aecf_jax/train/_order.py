"""The order of the training rows, a pure function of the run's root key and the epoch."""

from functools import partial

import jax
from jaxtyping import Array, Int, Key, Shaped

from aecf_jax.rng import Stream, stream_key


@partial(jax.jit, static_argnames=("rows", "steps", "batch_size"))
def epoch_order(
    root: Key[Array, ""], epoch: int | Shaped[Array, ""], *, rows: int, steps: int, batch_size: int
) -> Int[Array, "steps batch"]:
    """Returns the rows of every batch of an epoch; no row twice. A position in it needs no state to be found again.

    `jax.random.permutation` on the shuffling stream, not NumPy's: it is the same on every device, and can be drawn
    inside a compiled program for many seeds at once.

    Args:
        root: the run's key.
        epoch: which epoch.
        rows: rows of the training data.
        steps: batches in an epoch; rows beyond steps * batch_size are left out of this one.
        batch_size: rows a batch.

    >>> import jax
    >>> order = epoch_order(jax.random.key(0), 0, rows=7, steps=2, batch_size=3)
    >>> order.shape, len(set(order.ravel().tolist()))
    ((2, 3), 6)
    """
    order = jax.random.permutation(stream_key(root, Stream.SHUFFLE, epoch), rows)
    return order[: steps * batch_size].reshape(steps, batch_size)
