"""What is common to the verbs that work with a run: its data, its settings, its best model, the compile cache."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.cli._files import CONFIG, DATA, IMPORT, read_json
from aecf_jax.config import AECFConfig, DataConfig
from aecf_jax.data import SOURCES, Splits, fingerprint, load_splits
from aecf_jax.errors import require
from aecf_jax.evaluate import MAX_SUBSETS, subset_count
from aecf_jax.model import AECF_CLIP
from aecf_jax.trainer import abstract_tree, load_model


def use_compile_cache(wanted: bool) -> None:
    """Makes JAX keep compiled programs in the user's cache folder, unless the user has set another or it is read-only.

    Args:
        wanted: whether to do so at all.
    """
    if not wanted or jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aecf_jax" / "compiled"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK | os.X_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        # The programs of a small model compile in less than the second from which JAX keeps them.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def data_description(config: DataConfig, splits: Splits, logger: str) -> dict[str, Any]:
    """Returns what a run's data.json holds: how to read the data again, and by what to know it.

    Args:
        config: the settings it was read with; paths are made absolute, since a run may be resumed from elsewhere.
        splits: the parts, with the modalities that are used.
        logger: what the run logs to.
    """
    found = {name: str(Path(path).expanduser().resolve()) for name, path in _paths(config).items()}
    return {
        "settings": {**config.to_dict(), **found},
        "modalities": list(splits.modalities),
        "widths": list(splits.widths),
        "label_kind": splits.label_kind,
        "num_classes": splits.num_classes,
        "rows": {part.part: len(part) for part in splits},
        "sha256": {part.part: fingerprint(part) for part in splits},
        "logger": logger,
    }


def _paths(config: DataConfig) -> dict[str, str]:
    """Returns the fields that are paths of files."""
    named = {"root": config.root} if config.root else {}
    return named if config.data in SOURCES else {**named, "data": config.data}


def model_facts(splits: Splits, task: str | None, width: int) -> dict[str, Any]:
    """Returns what the data decides of a model's configuration.

    Args:
        splits: the parts, with the modalities that are used.
        task: what the user asked for; an embedding can be learned from classes and from values.
        width: coordinates of an embedding learned from classes.
    """
    kind = splits.label_kind
    natural = "regression" if kind == "values" else "classification"
    embedding = task == "embedding" and kind in ("classes", "values")
    return {
        "modalities": splits.modalities,
        "input_dims": splits.widths,
        "num_classes": width if embedding and kind == "classes" else splits.num_classes,
        "task_type": "embedding" if embedding else natural,
        "multilabel": None if embedding or kind == "values" else kind == "labels",
    }


def read_config(run: Path) -> AECFConfig:
    """Returns the model's configuration of a run.

    Raises:
        InputError: if it is missing or damaged.
    """
    return AECFConfig.from_dict(read_json(run / CONFIG))


def read_data(run: Path) -> tuple[DataConfig, dict[str, Any]]:
    """Returns the data's settings of a run, and everything else its data.json says.

    Raises:
        InputError: if it is missing or damaged.
    """
    hint = "Pass --data with a file, a folder or a named source."
    require((run / DATA).is_file() or not (run / IMPORT).is_file(), "data", "be given for an imported model",
            f"none, and {run} has none of its own", hint)  # fmt: skip
    described = read_json(run / DATA)
    for name in ("settings", "modalities", "sha256", "rows", "logger"):
        require(name in described, str(run / DATA), f"have `{name}`", f"only {', '.join(described)}")
    return DataConfig.from_dict(described["settings"]), described


def facts_of_imported(config: AECFConfig) -> dict[str, Any]:
    """Returns what data.json would say of the labels, if the model had been trained here.

    Args:
        config: the model's configuration.
    """
    kinds = {True: "labels", False: "classes", None: "auto"}
    kind = {"regression": "values", "embedding": "auto"}.get(config.task_type, kinds[config.multilabel])
    return {"label_kind": kind, "num_classes": 0 if config.task_type == "embedding" else config.num_classes}


def parameter_count(config: AECFConfig) -> int:
    """Returns the number of trained parameters, without making them.

    Args:
        config: the model's configuration.
    """
    params = abstract_tree(config)["state"].params
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def feasible_sizes(config: AECFConfig) -> tuple[int, ...] | None:
    """Returns the sizes of the subsets in a table: all, unless they are too many; then one, all but one, and all.

    Args:
        config: the model's configuration.
    """
    count = len(config.modalities)
    return None if subset_count(count) <= MAX_SUBSETS else (1, count - 1, count)


def best_model(run: Path, config: AECFConfig, mesh: Mesh | None = None) -> tuple[AECF_CLIP, int]:
    """Returns the model of a run's best checkpoint, and the checkpoint's step.

    Args:
        run: the folder.
        config: the model's configuration.
        mesh: the devices that the model is to lie on; None: one.

    Raises:
        InputError: if there is no checkpoint, or none that is undamaged.
    """
    folder = run / config.checkpoint_dir
    hint = f"Train it with: aecf-jax train --resume {run}"
    require(bool(Checkpoints(folder).steps()), "RUN", "have a checkpoint", f"none in {folder}", hint)
    loaded = load_model(folder, mesh=mesh)
    return loaded.model, loaded.step


def run_splits(run: Path, *, root: str | None = None) -> tuple[Splits, list[str]]:
    """Returns the data of a run, and the names of the parts that are no longer what they were.

    Args:
        run: the folder.
        root: where a named source's files are now; None: where they were.

    Raises:
        InputError: if the data cannot be read, or lacks a modality.
    """
    config, described = read_data(run)
    config = config if root is None else dataclasses.replace(config, root=root)
    splits = load_splits(config).select(described["modalities"])
    return splits, changed_parts(splits, described["sha256"])


def changed_parts(splits: Splits, recorded: Mapping[str, str]) -> list[str]:
    """Returns the names of the parts whose content is not what was recorded.

    Args:
        splits: the parts as they are.
        recorded: part -> SHA-256.
    """
    return [part.part for part in splits if fingerprint(part) != recorded.get(part.part)]
