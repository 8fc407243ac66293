"""A small run of the command line that several tests read, and copies of it to damage."""

import contextlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aecf_jax.cli import main

ROWS, CLASSES = 60, 3
WIDTHS = {"image": 16, "text": 8}
TINY = ["--epochs", "2", "--batch-size", "8", "--encoder-hidden-dims", "16", "--logger", "none"]


def tiny_arrays(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Features that tell three classes apart, under the names of a user's file."""
    rng = np.random.default_rng(seed)
    label = np.arange(rows) % CLASSES
    features = {
        name: (np.eye(CLASSES, width)[label] * 3 + rng.normal(size=(rows, width))).astype(np.float32)
        for name, width in WIDTHS.items()
    }
    return {**features, "label": label}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with features.npz and the run that was trained on it; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "features.npz", **tiny_arrays())
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["train", "--data", str(folder / "features.npz"), "--out", str(folder / "run"), *TINY])
    assert code == 0, err.getvalue()
    (folder / "printed.txt").write_text(out.getvalue(), encoding="utf-8")
    return folder


@pytest.fixture
def work(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test, with its own copy of the run, `run`, which still knows the shared features."""
    shutil.copytree(trained / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def save(work: Path) -> Callable[..., str]:
    """A function that saves a file of features with some arrays replaced, or left out (None), and returns its name."""

    def saved(name: str = "new.npz", **changes: Any) -> str:
        arrays = {key: value for key, value in (tiny_arrays() | changes).items() if value is not None}
        np.savez(work / name, **arrays)
        return name

    return saved
