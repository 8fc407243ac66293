"""What a named source is, and how its original files are found."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aecf_jax.config import DataConfig
from aecf_jax.data._dataset import Splits
from aecf_jax.errors import require

ROOT_VARIABLE = "AECF_DATA_DIR"


class Source(NamedTuple):
    """A data set known by name.

    Attributes:
        name: what `--data` calls it.
        summary: what it is, in one line.
        licence: its licence, and whom to cite.
        rows: how many rows, over all parts.
        labels: what the labels are.
        modalities: names of the modalities.
        folder: where below the root its original files are; empty where it needs none.
        load: reads it.
        own_split: whether its parts are given, so that fractions are refused.
        difficulties: which variants it has.
    """

    name: str
    summary: str
    licence: str
    rows: int
    labels: str
    modalities: tuple[str, ...]
    folder: str
    load: Callable[[DataConfig], Splits]
    own_split: bool = True
    difficulties: tuple[str, ...] = ("plain",)


def original_files(config: DataConfig, *names: str) -> list[Path]:
    """Returns the paths of a source's original files below the root.

    Args:
        config: says where the root is, unless the environment does.
        *names: the files, relative to the root.

    Raises:
        InputError: if no root is given, or a file is missing.
    """
    root = config.root or os.environ.get(ROOT_VARIABLE, "")
    hint = f"Give the folder of the original files with --root FOLDER, or set {ROOT_VARIABLE}."
    require(bool(root), "root", f"name the folder that has {names[0]}", "nothing", hint)
    paths = [Path(root).expanduser() / name for name in names]
    for name, path in zip(names, paths, strict=True):
        require(path.exists(), "root", f"hold {name}", f"{root}, which does not", hint)
    return paths
