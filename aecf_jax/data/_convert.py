"""Data sets from what users hold in memory: dictionaries of arrays, and iterables of such dictionaries."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aecf_jax.data import _checks
from aecf_jax.data._dataset import Dataset, LabelKind, Part, with_features, with_part
from aecf_jax.errors import nearest, require, require_type

RESERVED = ("label", "present", "split")
"""Names that no modality may have."""

_TYPO = 0.8  # Likeness of two names from which one is taken for the other misspelt: `imgae` is, `text_ids` is not.


def as_dataset(
    data: Any,
    modalities: Sequence[str],
    *,
    part: Part = "all",
    name: str = "data",
    widths: Sequence[int] = (),
    label_kind: LabelKind = "auto",
    num_classes: int = 0,
    nan_as_missing: bool = False,
) -> Dataset:
    """Returns a data set from a data set, a dictionary of arrays, or an iterable of dictionaries such as a DataLoader.

    A dictionary has an array for every modality, `label`, and optionally `present` with a column for each of
    `modalities`; other keys are not read. Arrays may be PyTorch tensors on the CPU.

    Args:
        data: what to convert; an iterable is read to its end, once.
        modalities: names of the modalities, in the order wanted.
        part: which part of the data it is; a data set that is a part already stays what it is.
        name: what errors call it.
        widths: what each modality's width must be; empty: any.
        label_kind: classes, labels or values; auto: read from the labels.
        num_classes: how many; 0: read from the labels.
        nan_as_missing: treat a modality as missing in rows where it has NaN, and where its key is absent, instead of
            refusing.

    Raises:
        InputError: if a modality or the label is missing, rows disagree, or a value is not what it must be.

    >>> import numpy as np
    >>> batches = [{"image": np.ones((2, 3)), "label": [0, 1]}, {"label": [1, 1]}]
    >>> as_dataset(batches, ["image"], nan_as_missing=True).present.ravel().tolist()
    [True, True, False, False]
    """
    if isinstance(data, Dataset):
        data = with_part(data, part) if data.part == "all" else data
        return conformed(data, modalities, widths, nan_as_missing=nan_as_missing)
    if isinstance(data, Mapping):
        arrays: Mapping[str, Any] = data
        _check_typos(arrays, modalities)
    else:
        arrays = _joined(data, name, tuple(modalities), nan_as_missing=nan_as_missing)
    require("label" in arrays, "label", f"be given in {name}", f"the keys {', '.join(map(str, arrays))}")
    whole = assembled(
        arrays, modalities, part=part, name=name, label_kind=label_kind, num_classes=num_classes,
        nan_as_missing=nan_as_missing,
    )  # fmt: skip
    return conformed(whole, modalities, widths, nan_as_missing=nan_as_missing)


def assembled(
    arrays: Mapping[str, Any],
    modalities: Sequence[str],
    *,
    part: Part,
    name: str,
    label_kind: LabelKind,
    num_classes: int,
    nan_as_missing: bool,
) -> Dataset:
    """Returns a data set of those modalities that a dictionary of arrays has, unlabelled if it has no `label`.

    Args:
        arrays: features, and optionally `label` and `present`.
        modalities: names of the modalities; what the columns of `present` stand for.
        part: which part of the data it is.
        name: what errors call it.
        label_kind: classes, labels or values; auto: read from the labels.
        num_classes: how many; 0: read from the labels.
        nan_as_missing: treat a modality as missing in rows where it has NaN.

    Raises:
        InputError: if no modality is there, rows disagree, or a value is not what it must be.
    """
    features, present = features_and_present(arrays, modalities, name, nan_as_missing=nan_as_missing)
    labelled = "label" in arrays
    label = arrays["label"] if labelled else np.zeros((len(present), 0), np.float32)
    return Dataset(
        features, label, present, part=part, name=name,
        label_kind=label_kind if labelled else "none", num_classes=num_classes if labelled else 0,
    )  # fmt: skip


def features_and_present(
    arrays: Mapping[str, Any], modalities: Sequence[str], name: str, *, nan_as_missing: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the features of those modalities that a dictionary of arrays has, and where they are present.

    Args:
        arrays: features, and optionally `present`.
        modalities: names of the modalities; what the columns of `present` stand for.
        name: what errors call it.
        nan_as_missing: treat a modality as missing in rows where it has NaN.

    Raises:
        InputError: if no modality is there, or rows disagree.
    """
    there = [modality for modality in modalities if modality in arrays]
    hint = nearest(modalities[0], map(str, arrays)) if modalities and arrays else ""
    require(bool(there), name, f"have a modality ({', '.join(modalities)})", "none of them", hint)
    features = {modality: _checks.float32_rows(modality, arrays[modality]) for modality in there}
    rows = len(features[there[0]])
    for modality, array in features.items():
        require(len(array) == rows, modality, f"have {rows} rows, as `{there[0]}` has", len(array))
    present = np.ones((rows, len(there)), np.bool_)
    if "present" in arrays:
        columns = [list(modalities).index(modality) for modality in there]
        present = _checks.bool_present(arrays["present"], rows, modalities)[:, columns]
    return _nan_hidden(features, present) if nan_as_missing else (features, present)


def conformed(
    dataset: Dataset, modalities: Sequence[str], widths: Sequence[int] = (), *, nan_as_missing: bool
) -> Dataset:
    """Returns a data set with exactly the modalities of a model, in its order.

    Args:
        dataset: the rows.
        modalities: the model's modalities.
        widths: their widths; empty: any.
        nan_as_missing: add a modality that the data does not have, missing in every row, instead of refusing.

    Raises:
        InputError: if a modality is missing and may not be, or a width is wrong.
    """
    expected = dict(zip(modalities, widths, strict=True)) if len(widths) else {}
    absent = [modality for modality in modalities if modality not in dataset.features]
    for modality in absent:
        hint = f"{nearest(modality, dataset.modalities)} Pass --nan-as-missing to treat it as missing."
        require(nan_as_missing, modality, f"be a modality of {dataset.name}", "no such array", hint)
        require(modality in expected, modality, "be in some row, or its width be known", "nothing")
    for modality, width in zip(dataset.modalities, dataset.widths, strict=True):
        wanted = expected.get(modality, width)
        require(width == wanted, modality, f"be {wanted} wide, as the model has it", width)
    if not absent:
        return dataset if tuple(modalities) == dataset.modalities else dataset.select(modalities)
    # One zero seen from everywhere: no memory for what is not there.
    zeros = {modality: np.broadcast_to(np.float32(0), (len(dataset), expected[modality])) for modality in absent}
    present = np.concatenate([dataset.present, np.zeros((len(dataset), len(absent)), np.bool_)], axis=1)
    return with_features(dataset, dict(dataset.features) | zeros, present).select(modalities)


def _nan_hidden(features: dict[str, np.ndarray], present: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns features with 0 in every row that has NaN, and `present` without those rows."""
    present = present.copy()
    out: dict[str, np.ndarray] = {}
    for column, (name, array) in enumerate(features.items()):
        rows = _checks.nan_rows(array)
        if len(rows):
            # A copy-on-write file takes the zeros in memory, row by row; the user's own array is left as it is.
            array = array if isinstance(array, np.memmap) and array.mode == "c" else array.copy()
            array[rows] = 0
            present[rows, column] = False
        out[name] = array
    return out, present


def _joined(batches: Any, source: str, modalities: tuple[str, ...], *, nan_as_missing: bool) -> dict[str, np.ndarray]:
    """Returns an iterable of dictionaries as one dictionary of arrays."""
    several = isinstance(batches, Iterable) and not isinstance(batches, (str, bytes))
    hint = "Read a file with `load_dataset`." if isinstance(batches, (str, bytes)) else ""
    require_type(several, source, "be a data set, a dictionary or an iterable of them", batches, hint)
    parts = [_batch(batch, index, modalities, nan_as_missing) for index, batch in enumerate(batches)]
    require(len(parts) > 0, source, "have at least one batch", "none")
    present = np.concatenate([part["present"] for part in parts])
    joined = {"present": present}
    for name in (*modalities, "label"):
        there = [(index, part[name]) for index, part in enumerate(parts) if name in part]
        if there:
            first, example = there[0]
            for index, array in there:
                require(array.shape[1:] == example.shape[1:], name, f"have shape (rows, ...) as in batch {first}",
                        f"{array.shape} after {example.shape} in batch {index}")  # fmt: skip
            rows = [part.get(name, np.zeros((len(part["present"]), *example.shape[1:]), example.dtype))
                    for part in parts]  # fmt: skip
            joined[name] = np.concatenate(rows)
    return joined


def _batch(batch: Any, index: int, modalities: tuple[str, ...], nan_as_missing: bool) -> dict[str, np.ndarray]:
    """Returns one dictionary's arrays, copied (loaders reuse their buffers), with `present` for its rows."""
    require_type(isinstance(batch, Mapping), f"batch {index}", "be a dictionary", batch)
    absent = [name for name in modalities if name not in batch]
    require("label" in batch, "label", f"be in batch {index}", f"the keys {', '.join(map(str, batch))}")
    require(nan_as_missing or not absent, ", ".join(absent), f"be in batch {index}",
            f"the keys {', '.join(map(str, batch))}", "Pass --nan-as-missing to treat it as missing.")  # fmt: skip
    _check_typos(batch, modalities)
    arrays = {name: _checks.float32_rows(name, batch[name]).copy() for name in modalities if name in batch}
    arrays["label"] = np.array(_checks.number_array("label", batch["label"]))
    require(arrays["label"].ndim > 0, "label", f"have a row for each row of batch {index}", "one number")
    rows = len(arrays["label"])
    for name, array in arrays.items():
        require(len(array) == rows, name, f"have {rows} rows, as `label` has, in batch {index}", len(array))
    given = _checks.bool_present(batch["present"], rows, modalities) if "present" in batch else True
    return arrays | {"present": np.array([name in arrays for name in modalities]) & np.full((rows, 1), True) & given}


def _check_typos(arrays: Mapping[str, Any], modalities: Sequence[str]) -> None:
    """Raises if a modality is absent and a key that nobody reads is almost its name: it must not pass as missing."""
    others = [str(name) for name in arrays if name not in modalities and name not in RESERVED]
    for name in modalities:
        close = difflib.get_close_matches(name, others, n=1, cutoff=_TYPO) if name not in arrays else []
        require(not close, "".join(close), "be a modality", "an unknown name", f"Did you mean `{name}`?")
