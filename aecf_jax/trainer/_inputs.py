"""Whatever users train on, as one checked data set, and its rows on the device."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, fit_standardization
from aecf_jax.errors import nearest, require, require_type
from aecf_jax.nn import prior_output, with_constants
from aecf_jax.types import Batch

LABEL, PRESENT = "label", "present"
_KINDS = {
    "classification": ("classes", "labels"),
    "regression": ("values", "labels"),
    "embedding": ("classes", "values", "labels"),
}


def as_dataset(source: Any, config: AECFConfig, part: str) -> Dataset:
    """Returns the rows that a user gave, with the model's modalities in the model's order.

    Args:
        source: a `Dataset`; a dictionary of arrays: one per modality, `label`, optionally `present` (rows, modalities)
            in the order of the configuration; or an iterable of such dictionaries, for example a PyTorch DataLoader,
            which is read once. Other keys are ignored.
        config: what the rows must fit.
        part: "train", "validation" or "test".

    Raises:
        InputError: naming what does not fit the configuration, or is wrong with the rows.
    """
    if isinstance(source, Dataset):
        dataset = source if source.modalities == config.modalities else source.select(config.modalities)
    else:
        arrays = dict(source) if isinstance(source, Mapping) else _joined(source, config, part)
        dataset = _from_arrays(arrays, config, part)
    _check_fits(dataset, config)
    return dataset


def on_device(dataset: Dataset) -> Batch:
    """Returns all rows of a data set as arrays on the device."""
    return Batch(
        features={name: jnp.asarray(array) for name, array in dataset.features.items()},
        label=jnp.asarray(dataset.label),
        present=jnp.asarray(dataset.present),
    )


def fitted_constants(variables: Mapping[str, Any], config: AECFConfig, train: Dataset) -> dict[str, Any]:
    """Returns a model's variables with its constants fitted on the training rows.

    Args:
        variables: of a new model.
        config: its configuration.
        train: the training rows, and no others.
    """
    widths = dict(zip(config.modalities, config.widths, strict=True))
    mean = {name: np.zeros(width, np.float32) for name, width in widths.items()}
    scale = {name: np.ones(width, np.float32) for name, width in widths.items()}
    if config.standardize:
        mean, scale = fit_standardization(train)
    prior = prior_output(train.label, config)
    return with_constants(variables, config, mean=mean, scale=scale, prior=prior)


def _joined(batches: Any, config: AECFConfig, part: str) -> dict[str, np.ndarray]:
    """Returns the arrays of all batches, one after the other."""
    rule = "be a Dataset, a dictionary of arrays, or an iterable of dictionaries"
    require_type(isinstance(batches, Iterable) and not isinstance(batches, (str, bytes)), part, rule, batches)
    parts = [_numpy_batch(batch, config, part) for batch in batches]
    require(len(parts) > 0, part, "have at least one batch", "none")
    for batch in parts:
        same = set(batch) == set(parts[0])
        require(same, part, f"have the keys {', '.join(parts[0])} in every batch", ", ".join(batch))
    return {name: np.concatenate([batch[name] for batch in parts]) for name in parts[0]}


def _numpy_batch(batch: Any, config: AECFConfig, part: str) -> dict[str, np.ndarray]:
    """Returns what is read of a batch, as NumPy arrays."""
    rule = "have dictionaries for batches: one array for each modality, and `label`"
    require_type(isinstance(batch, Mapping), part, rule, batch)
    return {name: np.asarray(batch[name]) for name in (*config.modalities, LABEL, PRESENT) if name in batch}


def _from_arrays(arrays: Mapping[str, Any], config: AECFConfig, part: str) -> Dataset:
    """Returns a dictionary of arrays as a data set."""
    for name in (*config.modalities, LABEL):
        require(name in arrays, name, f"be in the {part} data", ", ".join(map(str, arrays)), nearest(name, arrays))
    label = arrays[LABEL]
    present = arrays.get(PRESENT)
    if present is None:
        present = np.ones((len(label), len(config.modalities)), bool)
    features = {name: arrays[name] for name in config.modalities}
    kind, classes = _label_kind(np.asarray(label), config)
    return Dataset(features, label, present, part=part, name=part, label_kind=kind, num_classes=classes)  # pyright: ignore[reportArgumentType]


def _label_kind(label: np.ndarray, config: AECFConfig) -> tuple[str, int]:
    """Returns how labels are to be read under a task, and how many classes or columns they must have."""
    if config.task_type == "regression":
        return "values", config.num_classes
    if config.task_type == "embedding":
        one = label.ndim == 1
        return ("classes", 0) if one else ("values", config.num_classes)
    kinds = {True: "labels", False: "classes", None: "auto"}
    return kinds[config.multilabel], config.num_classes


def _check_fits(dataset: Dataset, config: AECFConfig) -> None:
    """Raises unless widths and labels are those of the configuration."""
    for name, found, width in zip(config.modalities, dataset.widths, config.widths, strict=True):
        require(found == width, name, f"be {width} wide, as the configuration says", found)
    kinds = _KINDS[config.task_type]
    rule = f"hold {' or '.join(kinds)}, as the task is {config.task_type}"
    require(dataset.label_kind in kinds, LABEL, rule, dataset.label_kind)
    if dataset.label_kind != "classes":
        rule = f"have {config.num_classes} columns, as the configuration says"
        require(dataset.num_classes == config.num_classes, LABEL, rule, dataset.num_classes)
    elif config.task_type == "classification":
        rule = f"hold classes below {config.num_classes}, as the configuration says"
        require(dataset.num_classes <= config.num_classes, LABEL, rule, f"{dataset.num_classes} classes")
