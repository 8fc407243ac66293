"""Whether rows fit on the device, and into which chunks they are cut where they do not."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax

from aecf_jax.config import StreamConfig
from aecf_jax.data import Dataset

BLOCK_ROWS = 32
"""Rows that are read together: 64 kB of 512 features, which a disk reads at nearly its full rate."""

_CHUNK_BYTES = 2**27
_SHARE = 0.5
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def streams(config: StreamConfig, parts: Sequence[Dataset]) -> bool:
    """Returns whether features are read chunk by chunk.

    Args:
        config: what the user asked for.
        parts: what else would lie on the device.
    """
    if config.stream != "auto":
        return config.stream == "always"
    limit = _SHARE * device_memory() if config.memory is None else config.memory * 1e9
    return sum(_bytes(part) for part in parts) > limit


def longest_chunk(data: Dataset, batch_size: int) -> int:
    """Returns how many steps of a streamed run may be in memory at a time: 128 MB of features.

    Args:
        data: the training rows.
        batch_size: rows a step.
    """
    return max(1, _CHUNK_BYTES // max(1, _bytes(data) * batch_size // len(data)))


def device_memory() -> int:
    """Returns the bytes of the device's memory; of a CPU, what the machine has or this process's group may use."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    allowed = _CGROUP.read_text().strip() if _CGROUP.is_file() else ""
    return min(machine, int(allowed)) if allowed.isdigit() else machine


def _bytes(data: Dataset) -> int:
    """Returns the bytes of the features of a data set."""
    return sum(array.nbytes for array in data.features.values())
