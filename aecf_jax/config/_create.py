"""A default configuration for a task, and whether data fit a configuration: two functions of PyTorch's."""

from collections.abc import Mapping, Sequence
from typing import Any

from aecf_jax.config._aecf import AECFConfig, TaskType
from aecf_jax.errors import require


def create_default_config(
    task_type: TaskType = "classification", num_classes: int = 80, modalities: Sequence[str] | None = None
) -> AECFConfig:
    """Returns the default configuration for a task.

    Args:
        task_type: classification, regression or embedding.
        num_classes: classes, labels, targets or coordinates.
        modalities: names of the modalities; None: image and text.

    >>> create_default_config("regression", 1).num_classes
    1
    """
    return AECFConfig(task_type=task_type, num_classes=num_classes, modalities=tuple(modalities or ("image", "text")))


def validate_config_compatibility(config: AECFConfig, data_config: Mapping[str, Any]) -> None:
    """Checks that a data set fits a configuration.

    Args:
        config: the model's configuration.
        data_config: what the data has: `modalities`, and optionally `feat_dim` or `input_dims` (name -> width), and
            `num_classes`.

    Raises:
        InputError: if the data lacks a modality, or has another width or number of classes.
    """
    available = tuple(data_config.get("modalities", ()))
    absent = [name for name in config.modalities if name not in available]
    require(not absent, "modalities", f"be among the data's {list(available)}", absent)
    widths = dict(data_config.get("input_dims", {}))
    for name, width in zip(config.modalities, config.widths, strict=True):
        found = widths.get(name, data_config.get("feat_dim", width))
        require(found == width, name, f"be {width} wide, as the model has it", found)
    if config.task_type == "classification":
        classes = data_config.get("num_classes", config.num_classes)
        require(classes == config.num_classes, "num_classes", f"be {config.num_classes}, as the model has it", classes)
