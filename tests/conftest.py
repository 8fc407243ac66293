"""What every test runs under: strict JAX, eight simulated devices, a compile cache, checked annotations, real data.

Set in the environment, and so the same in the processes that tests start: the platform and the compile cache. Set in
this process alone: what makes JAX stricter than users have it.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import numpy as np
import pytest

import tests.arraycheck  # noqa: F401  (the hook below finds it by this name)

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aecf_jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax  # noqa: E402  (reads the environment when it is imported)

jax.config.update("jax_num_cpu_devices", int(os.environ.get("JAX_NUM_CPU_DEVICES", "8")))
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

gc.set_threshold(10_000)  # As the command line sets it.

jaxtyping.install_import_hook("aecf_jax", "tests.arraycheck.checked")

hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("house")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _outside(variable: str, default: Path) -> Path:
    """Returns a folder of files that the repository does not have, or skips the test."""
    folder = Path(os.environ.get(variable) or default)
    if not folder.is_dir():
        pytest.skip(f"needs the folder that {variable} names; there is none at {folder}")
    return folder.resolve()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: AECF_DATA_DIR, or ../shared/data."""
    return _outside("AECF_DATA_DIR", _SHARED / "data")


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of what PyTorch computed: AECF_GOLDEN_DIR, or ../shared/golden."""
    return _outside("AECF_GOLDEN_DIR", _SHARED / "golden")


@pytest.fixture(scope="session")
def golden(golden_dir: Path) -> Callable[[str], dict[str, Any]]:
    """A function: name of a golden file, without its suffix -> dictionary of arrays, or what the JSON says."""

    def load(name: str) -> dict[str, Any]:
        path = golden_dir / f"{name}.npz"
        if not path.is_file():
            return json.loads((golden_dir / f"{name}.json").read_text(encoding="utf-8"))
        with np.load(path) as arrays:
            return dict(arrays)

    return load


@pytest.fixture
def untyped_caller() -> Iterator[None]:
    """Lets a test call the library as users do, without checked annotations, to meet the library's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
