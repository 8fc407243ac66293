"""The machine that is measured, and the most memory that was in use."""

import os
import platform
import resource
import sys
from typing import Any

import jax


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
    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    statistics = jax.devices()[0].memory_stats() or {}
    return {"process": float(held), "device": statistics.get("peak_bytes_in_use")}
