"""Which runs share one compiled program."""

from collections.abc import Sequence
from typing import NamedTuple

from aecf_jax.config import AECFConfig
from aecf_jax.train import program_config
from aecf_jax.trainer import Limits, Plan


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


def grouped(configs: Sequence[AECFConfig], rows: int, checks: int) -> dict[Group, list[int]]:
    """Returns the positions of the configurations of every group.

    Args:
        configs: of all runs.
        rows: training rows.
        checks: validation rows.

    >>> rates = [AECFConfig(learning_rate=rate, seed=seed) for rate in (1e-3, 2e-3) for seed in range(2)]
    >>> list(grouped([*rates, AECFConfig(fusion="concat")], rows=200, checks=50).values())
    [[0, 1, 2, 3], [4]]
    """
    found: dict[Group, list[int]] = {}
    for index, config in enumerate(configs):
        limits = Limits.of(config)
        checked = limits.validation_rows(checks, config.batch_size)
        group = Group(program_config(config), Plan.of(config, rows, limits), checked)
        found.setdefault(group, []).append(index)
    return found


def run_config(config: AECFConfig) -> AECFConfig:
    """Returns a configuration with the number of epochs that its `trainer_kwargs` say.

    Args:
        config: of a run.
    """
    epochs = Limits.of(config).max_epochs
    return config if epochs is None else config.update(epochs=epochs)
