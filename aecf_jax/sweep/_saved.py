"""A finished run as one file, written whole: what a sweep that is interrupted does not repeat."""

import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.files import whole_file
from aecf_jax.model import AECF_CLIP
from aecf_jax.sweep._train import Trained

_ABOUT = "about"


def save_run(path: Path, run: Trained) -> None:
    """Writes a finished run as an .npz file: its variables by name, and what else is known of it as JSON.

    Args:
        path: the file; its folder must exist.
        run: what `train_many` returned of it.
    """
    leaves = jax.tree_util.tree_leaves_with_path(dict(run.model.variables))
    arrays: dict[str, Any] = {"/".join(part.key for part in place): np.asarray(leaf) for place, leaf in leaves}
    about = {"config": run.config.to_dict(), "metrics": run.metrics, "epochs": run.epochs, "ended": run.ended}
    arrays[_ABOUT] = np.array(json.dumps(about))
    with whole_file(path) as file:
        np.savez(file, **arrays)


def saved_run(path: Path, config: AECFConfig) -> Trained | None:
    """Returns the run in a file; None if there is none, it is damaged, or it is of another configuration.

    Args:
        path: the file.
        config: of the run that is wanted.
    """
    try:
        with path.open("rb") as file, np.load(file) as loaded:
            arrays = dict(loaded)
        about = json.loads(str(arrays.pop(_ABOUT)))
        if AECFConfig.from_dict(about["config"]) != config:
            return None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    variables: dict[str, Any] = {}
    for name, array in arrays.items():
        *places, last = name.split("/")
        node = variables
        for place in places:
            node = node.setdefault(place, {})
        node[last] = array
    return Trained(config, AECF_CLIP(config, variables=variables), about["metrics"], about["epochs"], about["ended"])
