"""Runs in processes of their own, one to a core: what makes small models on a CPU fastest."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
import time
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
    workers: int, told: Callable[[float], None], finished: Callable[[int, Trained], None],
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
        finished: is given every run that is done, and its position.
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
                finished(index, found[index])
                told(1.0)
    return found


def seconds_in_processes(
    group: Group, config: AECFConfig, train: Any, validation: Any, *, workers: int
) -> tuple[float, float]:
    """Returns the seconds until processes are ready, and how many intervals a second they train together.

    Args:
        group: what is tried.
        config: of the run that is tried.
        train: training rows.
        validation: validation rows.
        workers: how many processes.
    """
    start = time.perf_counter()
    with _processes(workers, train, validation) as pools:
        seconds = [future.result() for future in [pool.submit(_timed, group, config) for pool in pools]]
        return time.perf_counter() - start, sum(1 / one for one in seconds)


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
            (os.getpid(), cores[number % len(cores)] if cores else None, gc.get_threshold(), _compile_cache(), train,
             validation),
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


def _prepare(
    parent: int, core: int | None, objects: tuple[int, ...], cache: dict[str, Any], train: Any, validation: Any
) -> None:
    """Makes a process ready: it keeps to one core, leaves Ctrl-C to its parent, and ends when that is gone.

    It looks for garbage as seldom as its parent, and never among what it has imported; it compiles into the same cache.
    """
    gc.set_threshold(*objects)
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_not, args=(parent,), daemon=True).start()
    if core is not None:
        os.sched_setaffinity(0, {core})  # Before the first computation: JAX has as many threads as it has cores.
    for name, value in cache.items():
        jax.config.update(name, value)
    global _rows
    _rows = (train, validation)


def _outlive_not(parent: int) -> None:
    """Ends this process when its parent is gone, even if that was killed."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _compile_cache() -> dict[str, Any]:
    """Returns where this process keeps compiled programs, and which."""
    names = (
        "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )  # fmt: skip
    return {name: getattr(jax.config, name) for name in names}


def _trainer(group: Group) -> GroupTrainer:
    """Returns what trains a group in this process; one group's rows are on the device at a time."""
    if group not in _trainers:
        _trainers.clear()
        _trainers[group] = GroupTrainer(group, *_rows)
    return _trainers[group]


def _timed(group: Group, config: AECFConfig) -> float:
    """Returns the seconds of one interval of a run in this process."""
    return _trainer(group).seconds_alone(config)[1]


def _trained(group: Group, config: AECFConfig) -> _Found:
    """Trains one run in this process; what comes back is plain arrays and numbers."""
    run = _trainer(group).train([config], "sequence", lambda _: None)[0]
    return jax.tree.map(np.asarray, dict(run.model.variables)), run.metrics, run.epochs, run.ended
