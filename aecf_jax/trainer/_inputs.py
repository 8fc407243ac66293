"""Whatever users train on, as one checked data set, and its rows on the device."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from aecf_jax import data
from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, LabelKind, Part, fit_standardization, in_memory
from aecf_jax.errors import require
from aecf_jax.nn import prior_output, with_constants
from aecf_jax.train import everywhere, placed
from aecf_jax.types import Batch

_CLASSIFIED: Mapping[bool | None, LabelKind] = {True: "labels", False: "classes", None: "auto"}
_KINDS = {
    "classification": ("classes", "labels"),
    "regression": ("values", "labels"),
    "embedding": ("classes", "values", "labels"),
}


def as_dataset(source: Any, config: AECFConfig, part: Part) -> Dataset:
    """Returns the rows that a user gave, with the model's modalities in the model's order.

    Args:
        source: a `Dataset`; a dictionary of arrays: one per modality, `label`, optionally `present` (rows, modalities)
            in the order of the configuration; or an iterable of such dictionaries, for example a PyTorch DataLoader,
            which is read once. Other keys are ignored.
        config: what the rows must fit.
        part: "train", "validation" or "test"; a `Dataset` that is a part already stays what it is.

    Raises:
        InputError: naming what does not fit the configuration, or is wrong with the rows.
    """
    kinds: dict[str, LabelKind] = {"regression": "values", "embedding": "auto"}
    kind = kinds.get(config.task_type, _CLASSIFIED[config.multilabel])
    dataset = data.as_dataset(
        source, config.modalities, part=part, name=f"the {part} data", widths=config.widths,
        label_kind=kind, num_classes=0 if config.task_type == "embedding" else config.num_classes,
    )  # fmt: skip
    _check_fits(dataset, config)
    return dataset


def told_labels(config: AECFConfig, dataset: Dataset) -> AECFConfig:
    """Returns a configuration that says whether labels are independent: what it was told, or what the rows have.

    Args:
        config: of a run.
        dataset: its training rows.
    """
    if config.multilabel is not None or config.task_type != "classification":
        return config
    return config.update(multilabel=dataset.label_kind == "labels")


def on_device(dataset: Dataset, mesh: Mesh | None = None) -> Batch:
    """Returns all rows of a data set as arrays on the device, or whole on each of several.

    On a CPU the device's memory is the host's: arrays that are `aligned`, as those are that this library makes, are
    used as they lie, and must not change until the training ends. A file's rows are read, whatever becomes of the file.

    Args:
        dataset: the rows.
        mesh: the devices; None: one.
    """
    rows = Batch(dict(dataset.features), dataset.label, dataset.present)  # pyright: ignore[reportArgumentType]
    rows = jax.tree.map(in_memory, rows)
    return jax.tree.map(jax.device_put, rows) if mesh is None else placed(rows, everywhere(mesh))


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


def _check_fits(dataset: Dataset, config: AECFConfig) -> None:
    """Raises unless the labels are those of the configuration."""
    kinds = _KINDS[config.task_type]
    rule = f"hold {' or '.join(kinds)}, as the task is {config.task_type}"
    require(dataset.label_kind in kinds, "label", rule, dataset.label_kind)
    if dataset.label_kind != "classes":
        rule = f"have {config.num_classes} columns, as the configuration says"
        require(dataset.num_classes == config.num_classes, "label", rule, dataset.num_classes)
    elif config.task_type == "classification":
        rule = f"hold classes below {config.num_classes}, as the configuration says"
        require(dataset.num_classes <= config.num_classes, "label", rule, f"{dataset.num_classes} classes")
