"""The IDX format of MNIST: a magic number, the dimensions, then bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from aecf_jax.errors import require

_BYTES = 8  # IDX's code for unsigned bytes.


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Returns the array in a gzipped IDX file of bytes.

    Args:
        path: the file.
        dimensions: how many it must have.

    Raises:
        InputError: if it cannot be read, is of another kind, or its length is not what it says.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        require(False, path.name, "be a readable gzip file", str(error))
        raise
    magic = bytes([0, 0, _BYTES, dimensions])
    require(content[:4] == magic, path.name, f"be an IDX file of bytes in {dimensions} dimensions", content[:4].hex())
    header = 4 + 4 * dimensions
    require(len(content) >= header, path.name, f"have a header of {header} bytes", len(content))
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    length = header + int(np.prod(shape, dtype=np.int64))
    require(len(content) == length, path.name, f"be {length} bytes long, as it says, once unpacked", len(content))
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
