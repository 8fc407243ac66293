"""Runs in processes of their own, one to a core: what makes small models on a CPU fastest."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.model import AECF_CLIP
from aecf_jax.sweep._groups import Group
from aecf_jax.sweep._train import GroupTrainer, Trained

_Found = tuple[Any, dict[str, float], int, Any]


def train_in_processes(
    configs: Sequence[AECFConfig], groups: Mapping[Group, Sequence[int]], train: Any, validation: Any, *,
    workers: int, told: Callable[[float], None],
) -> dict[int, Trained]:  # fmt: skip
    """Returns every run by its position, trained in as many processes at a time as asked for.

    A process keeps to the programs that it has compiled, as long as there are runs for them.

    Args:
        configs: of all runs.
        groups: positions of the runs that share a program.
        train: training rows.
        validation: validation rows.
        workers: how many processes.
        told: is told how many runs were done.
    """
    left = {group: list(indices) for group, indices in groups.items()}
    found: dict[int, Trained] = {}
    with _processes(min(workers, len(configs)), train, validation) as pools:
        last: dict[int, Group] = {}
        waiting: dict[Future[_Found], tuple[int, int]] = {}
        for number in range(len(pools)):
            _give(number, pools, left, last, configs, waiting)
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                number, index = waiting.pop(future)
                variables, metrics, epochs, ended = future.result()
                found[index] = Trained(
                    configs[index], AECF_CLIP(configs[index], variables=variables), metrics, epochs, ended
                )
                _give(number, pools, left, last, configs, waiting)
                told(1.0)
    return found


def _give(
    number: int, pools: list[ProcessPoolExecutor], left: dict[Group, list[int]], last: dict[int, Group],
    configs: Sequence[AECFConfig], waiting: dict[Future[_Found], tuple[int, int]],
) -> None:  # fmt: skip
    """Gives a process its next run: of its last group, else of one that no other works on, else of the largest."""
    open_groups = [group for group, indices in left.items() if indices]
    if not open_groups:
        return
    taken = [group for other, group in last.items() if other != number]
    group = max(open_groups, key=lambda one: (one == last.get(number), one not in taken, len(left[one])))
    last[number], index = group, left[group].pop(0)
    waiting[pools[number].submit(_trained, group, configs[index])] = (number, index)


@contextlib.contextmanager
def _processes(count: int, train: Any, validation: Any) -> Generator[list[ProcessPoolExecutor]]:
    """Opens processes that know the rows; whatever ends this one early, Ctrl-C for example, ends them at once."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pools = [
        ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _prepare,
            (cores[number % len(cores)] if cores else None, train, validation),
        )
        for number in range(count)
    ]  # fmt: skip
    try:
        yield pools
    except BaseException:
        for pool in pools:
            for process in list((pool._processes or {}).values()):  # pyright: ignore[reportPrivateUsage]
                process.kill()
        raise
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


_rows: tuple[Any, Any] = (None, None)
_trainers: dict[Group, GroupTrainer] = {}


def _prepare(core: int | None, train: Any, validation: Any) -> None:
    """Makes a process ready: it keeps to one core, and leaves Ctrl-C to the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if core is not None:
        os.sched_setaffinity(0, {core})  # Before the first computation: JAX has as many threads as it has cores.
    global _rows
    _rows = (train, validation)


def _trained(group: Group, config: AECFConfig) -> _Found:
    """Trains one run in this process; what comes back is plain arrays and numbers."""
    if group not in _trainers:
        _trainers.clear()  # One group's rows at a time.
        _trainers[group] = GroupTrainer(group, *_rows)
    run = _trainers[group].train([config], "sequence", lambda _: None)[0]
    return jax.tree.map(np.asarray, dict(run.model.variables)), run.metrics, run.epochs, run.ended
