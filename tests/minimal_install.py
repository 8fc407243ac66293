"""Trains a tiny model where nothing is installed but the library and what it depends on; CI runs it beside the wheel.

python -I -W error tests/minimal_install.py
"""

import importlib.resources
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aecf_jax
from aecf_jax.errors import MissingExtraError, import_extra

# Not rich and not scipy: flax and jax bring them.
ABSENT = {"tyro": "cli", "matplotlib": "cli", "tensorboardX": "cli", "sklearn": "data", "safetensors": "data"}


def rows(count: int) -> dict[str, np.ndarray]:
    """Returns two modalities of which the label can be read, one of them missing now and then."""
    rng = np.random.default_rng(count)
    label = rng.integers(0, 3, count)
    signal = np.eye(3, dtype=np.float32)[label]
    features = {name: signal + rng.normal(0, 0.3, (count, 3)).astype(np.float32) for name in ("image", "text")}
    return {**features, "label": label, "present": np.stack([np.ones(count, bool), rng.random(count) < 0.7], axis=1)}


def train(folder: str) -> float:
    """Returns the test accuracy of a model that was trained for a few steps."""
    config = aecf_jax.AECFConfig(feat_dim=3, num_classes=3, epochs=8, batch_size=32, learning_rate=0.01)
    trainer = aecf_jax.AECFTrainer(config, run_dir=folder)
    trainer.fit(rows(256), rows(64))
    return float(trainer.test(rows(96))["test_accuracy"])


def sentence(call: Callable[[], object]) -> str:
    """Returns what a call that needs an extra says."""
    try:
        call()
    except MissingExtraError as error:
        return str(error)
    raise AssertionError("the extra was not missed")


def main() -> None:
    """Checks what is absent, what is packed, that training works, and what the absence of an extra is told as."""
    found = [name for name in ABSENT if importlib.util.find_spec(name)]
    assert found == [], f"installed beside the library: {found}"
    packed = importlib.resources.files("aecf_jax")
    assert all((packed / name).is_file() for name in ("py.typed", "__init__.pyi"))
    assert [name for name in aecf_jax.__all__ if not hasattr(aecf_jax, name)] == []

    with tempfile.TemporaryDirectory() as folder:
        accuracy = train(folder)
    assert accuracy > 0.8, accuracy  # chance is 0.33; eight passes over separable rows give about 0.95

    for module, extra in ABSENT.items():
        assert f"pip install 'aecf-jax[{extra}]'" in sentence(
            lambda module=module, extra=extra: import_extra(module, extra)
        )
    assert "aecf-jax[data]" in sentence(lambda: aecf_jax.load_splits(aecf_jax.DataConfig(data="digits")))
    command = Path(sys.executable).with_name("aecf-jax")
    done = subprocess.run([command, "train"], capture_output=True, text=True, check=False)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "aecf-jax[cli]" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    print(f"trained with the library alone: test accuracy {accuracy:.3f}; a missing extra is one sentence")


if __name__ == "__main__":
    main()
