"""An imported model as the folder of a run, that every verb accepts; written whole or not at all."""

import hashlib
from pathlib import Path
from typing import Any

from aecf_jax import __version__
from aecf_jax.checkpoint import Checkpoints
from aecf_jax.errors import require
from aecf_jax.files import whole_folder, write_json
from aecf_jax.interop._import import Imported
from aecf_jax.trainer import checkpoint_tree

_IMPORT = "import.json"


def write_run(imported: Imported, out: Path, source: Path) -> None:
    """Writes the folder of a run: `config.json`, `import.json` and one checkpoint, whose step is PyTorch's.

    Args:
        imported: the model.
        out: the folder; it must be new or empty.
        source: the file that it is from, which `import.json` names with its SHA-256.

    Raises:
        InputError: if the folder holds anything, or cannot be written; then nothing of it is left.
    """
    require(not out.exists() or (out.is_dir() and not any(out.iterdir())), "out", "be a new or empty folder", str(out))
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(out, replace=True) as folder:
        _fill(folder, imported, source)


def _fill(folder: Path, imported: Imported, source: Path) -> None:
    """Writes what a run's folder holds."""
    config = imported.model.config
    tree: dict[str, Any] = checkpoint_tree(config)
    tree["state"] = tree["state"].replace(params=imported.model.variables["params"])
    tree["constants"] = imported.model.variables["constants"]
    meta = {
        "config": config.to_dict(), "step": imported.step, "epoch": float(imported.epoch), "metrics": {},
        "version": __version__,
    }  # fmt: skip
    checkpoints = Checkpoints(folder / config.checkpoint_dir)
    checkpoints.save(imported.step, tree, meta, metric=None)
    checkpoints.close()
    write_json(folder / "config.json", config.to_dict())
    content = {
        "source": str(source.expanduser().resolve()),
        "sha256": hashlib.sha256(source.expanduser().read_bytes()).hexdigest(),
        "generation": imported.generation,
        "step": imported.step,
        "epoch": imported.epoch,
        "not_taken_over": list(imported.notes),
    }
    write_json(folder / _IMPORT, content)
