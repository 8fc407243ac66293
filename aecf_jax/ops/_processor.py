"""What the processor is, where Linux says so."""

import functools
from collections.abc import Mapping
from pathlib import Path

import jax

_SAID = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@functools.cache
def processor() -> Mapping[str, str]:
    """Returns what `/proc/cpuinfo` says of the first core, `vendor_id` and `flags` among it; nothing elsewhere."""
    try:
        first = _SAID.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    entries = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in entries}


def multiplies_by_xla() -> bool:
    """Returns whether XLA multiplies large matrices of float32 faster by itself than by its library: on Intel."""
    return processor().get("vendor_id") == "GenuineIntel"


def multiplies_in_blocks() -> bool:
    """Returns whether few rows times a wide kernel are faster block after block of it: on AMD without AVX-512."""
    said = processor()
    flags = said.get("flags", "").split()
    return said.get("vendor_id") == "AuthenticAMD" and "avx2" in flags and "avx512f" not in flags


def multiplies_bfloat16() -> bool:
    """Returns whether products of bfloat16 are worth asking for. Starts JAX's devices.

    False on a CPU whose list of instructions has none for them (of x86; of others it is not known): there they
    take longer than products of float32 (`docs/performance.md`). What is exported there is multiplied in float32 on
    every device.
    """
    flags = processor().get("flags")
    return jax.default_backend() != "cpu" or flags is None or not _BFLOAT16.isdisjoint(flags.split())
