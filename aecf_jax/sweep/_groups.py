"""Which runs share one compiled program."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, Part
from aecf_jax.train import program_config
from aecf_jax.trainer import Limits, Plan, as_dataset, told_labels


class Group(NamedTuple):
    """Runs that share one compiled program.

    Attributes:
        program: what is compiled for them.
        plan: their steps.
        checked: how many of the validation rows they use.
    """

    program: AECFConfig
    plan: Plan
    checked: int


def grouped(configs: Sequence[AECFConfig], train: Any, validation: Any) -> dict[Group, list[int]]:
    """Returns the positions of the configurations of every group.

    Args:
        configs: of all runs.
        train: training rows, which can be read more than once.
        validation: validation rows, likewise.

    >>> import numpy as np
    >>> rows = {"a": np.ones((9, 4), np.float32), "label": np.arange(9) % 2}
    >>> rates = [AECFConfig(modalities=("a",), feat_dim=4, num_classes=2, learning_rate=rate) for rate in (1e-3, 2e-3)]
    >>> list(grouped([*rates, rates[0].update(fusion="concat"), rates[0].update(seed=1)], rows, rows).values())
    [[0, 1, 3], [2]]
    """
    rows = len(as_dataset(train, configs[0], "train"))
    checks = len(as_dataset(validation, configs[0], "validation"))
    found: dict[Group, list[int]] = {}
    for index, config in enumerate(configs):
        limits = Limits.of(config)
        checked = limits.validation_rows(checks, config.batch_size)
        group = Group(program_config(config), Plan.of(config, rows, limits), checked)
        found.setdefault(group, []).append(index)
    return found


def readable(source: Any, config: AECFConfig, part: Part) -> Any:
    """Returns rows that can be read for every configuration: an iterable can be read once, and is, for the first.

    Args:
        source: rows, as users give them.
        config: the first one.
        part: which part they are.
    """
    return source if isinstance(source, (Dataset, Mapping)) else as_dataset(source, config, part)


def run_config(config: AECFConfig, train: Any) -> AECFConfig:
    """Returns a configuration with the epochs that its `trainer_kwargs` say, and the kind of labels that the rows have.

    Args:
        config: of a run.
        train: training rows, which can be read more than once.
    """
    epochs = Limits.of(config).max_epochs
    config = config if epochs is None else config.update(epochs=epochs)
    return config if config.multilabel is not None else told_labels(config, as_dataset(train, config, "train"))
