"""Which way of training many runs is fastest here: tried, never guessed."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from aecf_jax.config import AECFConfig
from aecf_jax.sweep._groups import grouped, readable, run_config
from aecf_jax.sweep._train import WORTH, GroupTrainer
from aecf_jax.sweep._workers import seconds_in_processes

Way = Literal["sequence", "vmap", "processes"]


class Choice(NamedTuple):
    """The way that a trial shows to be fastest.

    Attributes:
        how: the way.
        seconds: way -> what all runs would take; a way that could not pay for its own trial is not in it.
    """

    how: Way
    seconds: dict[Way, float]

    def __str__(self) -> str:
        """Returns one line."""
        tried = ", ".join(f"{way} {seconds:.0f} s" for way, seconds in self.seconds.items())
        return f"{self.how}, by a trial ({tried})" if len(self.seconds) > 1 else f"{self.how}; too short for a trial"


def fastest_way(
    configs: Sequence[AECFConfig], train: Any, validation: Any, *, workers: int, devices: int | None = None
) -> Choice:
    """Returns the fastest way to train some configurations, by training one interval of the largest group each way.

    Args:
        configs: of all runs.
        train: training rows.
        validation: validation rows.
        workers: processes that there may be; 1: none beside this one.
        devices: how many of them runs side by side are dealt out over; None: all there are, of a CPU one.
    """
    train, validation = readable(train, configs[0], "train"), readable(validation, configs[0], "validation")
    configs = [run_config(config, train) for config in configs]
    groups = grouped(configs, train, validation)
    # What a trial of one group shows is taken for all.
    intervals = sum(len(runs) * one.plan.epochs * len(one.plan.validations) for one, runs in groups.items())
    group, indices = max(groups.items(), key=lambda item: len(item[1]))
    trainer, alike = GroupTrainer(group, train, validation, devices), [configs[index] for index in indices]
    first, alone = trainer.seconds_alone(alike[0])
    seconds: dict[Way, float] = {"sequence": alone * intervals}
    if seconds["sequence"] > WORTH * first:
        if len(alike) > 1:
            seconds["vmap"] = trainer.seconds_together(alike) / len(alike) * intervals
        if workers > 1:
            start, rate = seconds_in_processes(group, alike[0], train, validation, workers=min(workers, len(configs)))
            seconds["processes"] = start + intervals / rate
    return Choice(min(seconds, key=lambda way: seconds[way]), seconds)
