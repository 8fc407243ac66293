"""An order of rows in which files can be read: in blocks, mixed within chunks."""

import numpy as np
from jaxtyping import Int

from aecf_jax.data._split import random_stream
from aecf_jax.rng import Stream


def chunk_rows(seed: int, epoch: int, chunk: slice, *, rows: int, block: int) -> Int[np.ndarray, "length"]:
    """Returns the rows of a chunk of an epoch that reads its data from disk; over the chunks of an epoch, no row twice.

    Blocks of rows that follow each other are permuted over the epoch, and the rows of a chunk, as many as are held at
    a time, among themselves. How far this is from a permutation of all rows: docs/scaling.md.

    Args:
        seed: the run's.
        epoch: which epoch.
        chunk: where in the epoch, in rows.
        rows: rows of the training data.
        block: rows that are read together.

    >>> chunks = [chunk_rows(0, 0, slice(at, at + 4), rows=8, block=2).tolist() for at in (0, 4)]
    >>> sorted(chunks[0] + chunks[1]), [sorted({row // 2 for row in chunk}) for chunk in chunks]
    ([0, 1, 2, 3, 4, 5, 6, 7], [[0, 3], [1, 2]])
    """
    count = -(-rows // block)
    blocks = random_stream(seed, Stream.SHUFFLE, epoch).permutation(count)
    position = np.arange(chunk.start, chunk.stop)
    # The last block of the data may be short: what comes after it in the epoch moves up by what it lacks.
    lacking = count * block - rows
    short = int(np.flatnonzero(blocks == count - 1)[0] + 1) * block - lacking
    position = np.where(position < short, position, position + lacking)
    read = blocks[position // block] * block + position % block
    return random_stream(seed, Stream.SHUFFLE, epoch, 1 + chunk.start).permutation(read)
