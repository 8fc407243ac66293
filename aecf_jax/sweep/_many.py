"""Many configurations trained on the same rows."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.sweep._groups import grouped, readable, run_config
from aecf_jax.sweep._progress import Counter, Progress
from aecf_jax.sweep._train import GroupTrainer, How, Trained
from aecf_jax.sweep._workers import train_in_processes


def train_many(
    configs: Sequence[AECFConfig],
    train: Any,
    validation: Any,
    *,
    how: How = "auto",
    workers: int = 1,
    devices: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    finished: Callable[[int, Trained], None] = lambda _index, _run: None,
) -> list[Trained]:
    """Returns the best model of every configuration, as `AECFTrainer` would train it, without writing anything.

    Runs whose shapes agree share one compiled program: those that differ in seed, in rates and coefficients that are
    not 0, or in patience. A run that diverges ends, and the others go on.

    Args:
        configs: of the runs.
        train: training rows, as `AECFTrainer.fit` takes them.
        validation: what the best parameters are chosen on, likewise.
        how: "sequence", one run after another; "vmap", all runs of a program side by side; "auto", for every program
            whichever a trial of one epoch shows to be faster.
        workers: processes, each on a core of its own; 1: this process alone. A script that asks for more must guard
            what it does by `if __name__ == "__main__":`.
        devices: how many of them runs side by side are dealt out over; None: all there are, of a CPU one.
        progress: is told how far it is, after every run.
        finished: is given the position of a run and what came of it as soon as it is done, for example to save it.

    Raises:
        InputError: if the data do not fit a configuration.

    >>> import numpy as np
    >>> rows = {"image": np.ones((128, 8), np.float32), "label": np.arange(128) % 3}
    >>> config = AECFConfig(modalities=("image",), feat_dim=8, num_classes=3, epochs=4, batch_size=32)
    >>> runs = train_many([config, config.update(learning_rate=1e-3)], rows, rows, how="sequence")
    >>> [(run.epochs, run.ended) for run in runs]
    [(4, 'completed'), (4, 'completed')]
    """
    require(how in get_args(How), "how", f"be one of {', '.join(get_args(How))}", how)
    require(workers >= 1, "workers", "be positive", workers)
    require(devices is None or devices >= 1, "devices", "be positive", devices)
    if not configs:
        return []
    train, validation = readable(train, configs[0], "train"), readable(validation, configs[0], "validation")
    configs = [run_config(config, train) for config in configs]
    groups, counter = grouped(configs, train, validation), Counter(len(configs), progress)
    found: dict[int, Trained] = {}
    if workers > 1:
        found = train_in_processes(configs, groups, train, validation, workers=workers, told=counter.add,
                                   finished=finished)  # fmt: skip
    else:
        for group, indices in groups.items():
            done = GroupTrainer(group, train, validation, devices).train(
                [configs[i] for i in indices], how, counter.add, lambda i, run, of=indices: finished(of[i], run)
            )
            found.update(zip(indices, done, strict=True))
    return [found[index] for index in range(len(configs))]
