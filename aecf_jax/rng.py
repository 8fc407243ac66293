"""Where all randomness comes from: one root key, folded with a named stream, then with a position.

No key is ever carried from step to step, so that a run which is stopped and restored draws what it would have drawn.
"""

import enum

import jax
from jaxtyping import Array, Int, Key


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

    >>> import jax
    >>> key = stream_key(jax.random.key(0), Stream.DROPOUT, 7)
    >>> bool(jax.numpy.all(key == stream_key(jax.random.key(0), Stream.DROPOUT, 7)))
    True
    """
    key = jax.random.fold_in(root, int(stream))
    for index in position:
        key = jax.random.fold_in(key, index)
    return key
