"""The folder of a run."""

from pathlib import Path
from typing import Any

from aecf_jax import files
from aecf_jax.errors import require

CONFIG, DATA, METRICS, HISTORY = "config.json", "data.json", "metrics.json", "metrics.jsonl"
"""What a run's folder holds, beside checkpoints, logs and plots."""

IMPORT = "import.json"
"""What the folder of an imported run holds instead of data.json."""


def read_json(path: Path) -> dict[str, Any]:
    """Returns the dictionary in a JSON file of a run.

    Raises:
        InputError: if the file is not there or damaged.
    """
    return files.read_json(path, hint="Is this the folder of a run?")


def existing_run(run: Path) -> Path:
    """Returns the folder of a run.

    Raises:
        InputError: if it is not a folder with a run's configuration.
    """
    require(run.is_dir(), "RUN", "be the folder of a run", str(run), "There is no such folder.")
    hint = "A run's folder is made by `aecf-jax train`."
    require((run / CONFIG).is_file(), "RUN", f"hold a {CONFIG}", str(run), hint)
    return run


def free_folder(out: Path) -> Path:
    """Returns a folder that a run may be written to: one that is not there, or is empty.

    Raises:
        InputError: if the folder holds anything, or a file of that name exists.
    """
    hint = f"Choose another folder, or go on with: aecf-jax train --resume {out}"
    require(not out.exists() or out.is_dir(), "out", "be a folder", str(out), "There is a file of that name.")
    require(not out.exists() or not any(out.iterdir()), "out", "be a new or empty folder", str(out), hint)
    return out


def new_run(out: Path | None, source: str) -> Path:
    """Returns a new, empty folder for a run, made with its parents.

    Args:
        out: the folder; None: runs/SOURCE-N with the next free number.
        source: name of the data.

    Raises:
        InputError: if the folder holds anything, or a file of that name exists.
    """
    if out is None:
        return _numbered(Path("runs"), Path(source).stem or "run")
    free_folder(out).mkdir(parents=True, exist_ok=True)
    return out


def _numbered(parent: Path, name: str) -> Path:
    """Returns a new folder parent/name-N; two runs started at once get two numbers."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [path.name.rpartition("-")[2] for path in parent.glob(f"{name}-*")]
    number = max((int(text) for text in taken if text.isdigit()), default=0) + 1
    while True:
        try:
            (parent / f"{name}-{number}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return parent / f"{name}-{number}"
