"""The user's own features: one file or folder, `<modality>` -> (rows, width), `label`, and what else it may say."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from aecf_jax.config import DataConfig
from aecf_jax.data import _convert, _split
from aecf_jax.data._dataset import Dataset, LabelKind, Splits
from aecf_jax.data._files import read_arrays
from aecf_jax.errors import nearest, require


def load_dataset(
    path: str | Path,
    modalities: Sequence[str] = (),
    widths: Sequence[int] = (),
    *,
    label_kind: LabelKind = "auto",
    num_classes: int = 0,
    nan_as_missing: bool = False,
) -> Dataset:
    """Returns all rows of a labelled file or folder.

    The file has an array `(rows, width)` under the name of every modality, `label` with a row for each (see `Dataset`),
    and optionally `present`, `(rows, modalities)`, whose columns are the modalities in the order of a .npz file, and in
    the order of their names otherwise (.safetensors and folders keep no order). `split` is read by `load_splits`.

    Args:
        path: a .npz or .safetensors file, a PyTorch feature cache .pt, or a folder of .npy files; the last two are
            memory-mapped.
        modalities: the modalities wanted, in this order; empty: those of the file.
        widths: their widths; empty: any.
        label_kind: classes, labels or values; auto: read from the labels.
        num_classes: how many; 0: read from the labels.
        nan_as_missing: treat a modality as missing in rows where it has NaN, and if the file lacks it, instead of
            refusing.

    Raises:
        InputError: if the file cannot be read, has a modality that is not among those wanted or lacks one, or its
            arrays disagree.
    """
    arrays = _read(path, nan_as_missing=nan_as_missing)
    name = Path(path).name
    require("label" in arrays, "label", f"be given in {name}", f"the arrays {', '.join(arrays)}")
    whole = _assembled(arrays, name, modalities, label_kind, num_classes, nan_as_missing=nan_as_missing)
    return _convert.conformed(whole, modalities or whole.modalities, widths, nan_as_missing=nan_as_missing)


def load_features(
    path: str | Path, modalities: Sequence[str], widths: Sequence[int] = (), *, nan_as_missing: bool = False
) -> Dataset:
    """Returns all rows of a file or folder to predict, whose labels, if it has any, are not read.

    Args:
        path: as of `load_dataset`.
        modalities: the model's modalities, in its order.
        widths: their widths, in the same order; empty: any.
        nan_as_missing: treat a modality as missing in rows where it has NaN, and if the file lacks it, instead of
            refusing.

    Raises:
        InputError: if the file cannot be read, has a modality that the model does not know or lacks one that it does,
            or a width is not the model's.
    """
    arrays = _read(path, nan_as_missing=nan_as_missing)
    arrays.pop("label", None)
    whole = _assembled(arrays, Path(path).name, modalities, "none", 0, nan_as_missing=nan_as_missing)
    return _convert.conformed(whole, modalities, widths, nan_as_missing=nan_as_missing)


def load_file_splits(config: DataConfig) -> Splits:
    """Returns the three parts of the user's file: as its `split` says, else at random, with classes in proportion.

    Rows of one part that follow each other in a folder's files stay memory-mapped; scattered rows are read.

    Args:
        config: where the file is and how to read it.

    Raises:
        InputError: as `load_dataset`; if a part is empty; if both the file and the configuration say how to split.
    """
    arrays = _read(config.data, nan_as_missing=config.nan_as_missing)
    name = Path(config.data).name
    require("label" in arrays, "label", f"be given in {name}", f"the arrays {', '.join(arrays)}")
    whole = _assembled(arrays, name, (), config.label_kind, 0, nan_as_missing=config.nan_as_missing)
    validation, test = config.validation_fraction, config.test_fraction
    if "split" in arrays:
        require(validation is None and test is None, "validation_fraction and test_fraction", "be left out",
                f"a file with a `split` of its own, {name}")  # fmt: skip
        return _split.cut(whole, _split.read_parts(arrays["split"], len(whole)))
    default = _split.DEFAULT_FRACTION
    parts = _split.random_parts(
        _split.strata_of(whole),
        default if validation is None else validation,
        default if test is None else test,
        config.split_seed,
    )
    return _split.cut(whole, parts)


def _read(path: str | Path, *, nan_as_missing: bool) -> dict[str, np.ndarray]:
    """Returns a file's arrays, such that rows with NaN can be set to 0 if they are to count as missing."""
    return read_arrays(path, writable=nan_as_missing)


def _assembled(
    arrays: dict[str, np.ndarray],
    name: str,
    modalities: Sequence[str],
    label_kind: LabelKind,
    num_classes: int,
    *,
    nan_as_missing: bool,
) -> Dataset:
    """Returns all rows with the file's own modalities, each of which must be among those of the model, if given."""
    own = own_modalities(arrays, name, modalities)
    return _convert.assembled(
        arrays, own, part="all", name=name, label_kind=label_kind, num_classes=num_classes,
        nan_as_missing=nan_as_missing,
    )  # fmt: skip


def own_modalities(arrays: Iterable[str], name: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of a file's modalities, each of which must be among those of the model, if given.

    Args:
        arrays: the names of its arrays.
        name: what errors call the file.
        modalities: the model's; empty: any.
    """
    own = tuple(array for array in arrays if array not in _convert.RESERVED)
    require(len(own) > 0, "data", "hold a modality's features", f"{name}, which has {', '.join(arrays)} only")
    for modality in own if modalities else ():
        known = ", ".join(modalities)
        require(modality in modalities, modality, f"be a modality of the model ({known})", f"an unknown name in {name}",
                nearest(modality, modalities))  # fmt: skip
    return own
