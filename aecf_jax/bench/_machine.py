"""The machine that is measured, and the most memory that was in use."""

import os
import platform
from typing import Any

import jax

from aecf_jax.ops import peak_bytes


def machine() -> dict[str, Any]:
    """Returns what a figure belongs to: processor cores, device and versions.

    >>> sorted(machine())
    ['cores', 'device', 'jax', 'platform', 'python', 'system']
    """
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def peak_memory() -> dict[str, float | None]:
    """Returns the most bytes that this process and its first device have held; None where the device does not say.

    >>> peak_memory()["process"] > 1e6
    True
    """
    statistics = jax.devices()[0].memory_stats() or {}
    return {"process": float(peak_bytes()), "device": statistics.get("peak_bytes_in_use")}
