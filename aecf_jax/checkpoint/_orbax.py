"""The only file that knows Orbax: what is asked of its `CheckpointManager`, and what of its noise is dropped.

Orbax is imported where it is used: that takes as long as importing flax, and no step waits for a checkpoint.
"""

import contextlib
import functools
import gc
import logging
import operator
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
from jax.experimental import multihost_utils

from aecf_jax.errors import InputError, message

METRIC = "metric"
# The second newest survives too, so that a damaged newest one costs the steps of one interval, not the run.
_LATEST = 2
_LONGEST_REASON = 200
_LATE_SECONDS = 0.2
_T = TypeVar("_T")


class Writer:
    """Saves checkpoints of one folder in the background; the best by metric and the last two are kept.

    Args:
        directory: an absolute path: with a relative one Orbax says that it saved, and fails later in its own thread.
        keep_best: how many of the lowest metrics to keep.
    """

    def __init__(self, directory: Path, keep_best: int) -> None:
        import orbax.checkpoint as ocp

        self._directory = directory
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(quiet())
        self._failed = False
        self._named(lambda: directory.mkdir(parents=True, exist_ok=True))
        self._manager: Any = self._named(lambda: ocp.CheckpointManager(directory, options=_options(keep_best)))

    def save(self, step: int, state: Any, meta: Mapping[str, Any], metric: float) -> bool:
        """Starts a save and returns True, or returns False where this step or a later one exists."""
        import orbax.checkpoint as ocp

        items: Any = {"state": ocp.args.StandardSave(state), "meta": ocp.args.JsonSave(dict(meta))}  # pyright: ignore[reportCallIssue]
        arguments = ocp.args.Composite(**items)
        return bool(self._named(lambda: self._manager.save(step, args=arguments, metrics={METRIC: metric})))

    def wait(self) -> None:
        """Waits until everything is on disk."""
        self._named(lambda: self._manager.wait_until_finished())

    def close(self) -> None:
        """Ends the background threads, whatever happened to their last save."""
        with self._quiet:
            try:
                self._manager.close()
            except Exception:  # noqa: BLE001  (it was raised by `wait`, or another error ends the run)
                self._failed = True
            self._manager = None
            if self._failed:
                _collect_half_done()

    def _named(self, write: Callable[[], _T]) -> _T:
        """Returns what some writing returns; where it fails, of a full disk above all, one sentence names the folder.

        The error that is raised does not have the one it is made of for its cause: with that one, whoever keeps the
        error would keep what was half done, and it would complain whenever the error is forgotten.
        """
        try:
            return write()
        # A full disk is an OSError here, a ValueError from TensorStore, and an Exception from Orbax's threads.
        except Exception as error:  # noqa: BLE001
            got = f"{self._directory} ({_reason(error)})"
        self._failed = True
        hint = "Free some space or choose another folder; the checkpoints saved before stay usable."
        raise InputError(message("checkpoint folder", "be writable", got, hint))


def delete(path: Path) -> None:
    """Deletes a checkpoint; of several processes, the first does, and the others wait for it.

    Args:
        path: its folder.
    """
    if jax.process_index() == 0:
        shutil.rmtree(path)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("deleted")


def read(directory: Path, step: int, *, template: Any = None) -> dict[str, Any]:
    """Returns a checkpoint's `meta` and `metrics`, and its `state` where a template is given.

    Args:
        directory: an absolute path.
        step: which checkpoint; no other one is looked at.
        template: `jax.ShapeDtypeStruct`s with their shardings.
    """
    import orbax.checkpoint as ocp

    items: Any = {"meta": ocp.args.JsonRestore(), "metrics": ocp.args.JsonRestore()}  # pyright: ignore[reportCallIssue]
    if template is not None:
        items["state"] = ocp.args.StandardRestore(template)  # pyright: ignore[reportCallIssue]
    with quiet():
        # Not the writer's manager: opening one reads the metrics of all checkpoints, and fails if any are damaged.
        options = ocp.CheckpointManagerOptions(read_only=True, lightweight_initialize=True)
        with ocp.CheckpointManager(directory, options=options) as manager:
            restored: Any = manager.restore(step, args=ocp.args.Composite(**items))
    return {name: restored[name] for name in items}


@dataclass(frozen=True)
class Damaged:
    """Why something could not be read."""

    reason: str


def tried(read_it: Callable[[], _T], not_damage: tuple[type[Exception], ...]) -> _T | Damaged:
    """Returns what some reading returns, or why it failed, without the noise of what it leaves half done.

    Args:
        read_it: reads.
        not_damage: errors that are not the files' fault; they are raised.
    """
    with quiet(), _unawaited_ignored():
        try:
            return read_it()
        except not_damage:
            raise
        # What Orbax raises for damaged files has no common class; a bare `Exception` is among it.
        except Exception as error:  # noqa: BLE001
            damaged = Damaged(_reason(error))
        _collect_half_done()
        return damaged


def _collect_half_done() -> None:
    """Waits for the work on other arrays, which goes on when that on one has failed, and collects what is left of it.

    It complains when it is collected: now, where nobody hears it.
    """
    time.sleep(_LATE_SECONDS)
    with _unawaited_ignored():
        gc.collect()


@contextlib.contextmanager
def _unawaited_ignored() -> Generator[None]:
    """Ignores what Python warns of where something was never begun because something else had failed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
        yield


def _reason(error: Exception) -> str:
    """Returns the first line of an error, without the pages that Orbax and TensorStore add."""
    text = str(error) or type(error).__name__
    if "No space left on device" in text:
        return "no space left on device"
    return text.splitlines()[0][:_LONGEST_REASON]


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Keeps Orbax's noise off the terminal: all that it reports, we raise or warn about in one sentence.

    Its log records; the complaints of tasks whose failure was reported by another one; and what work on other arrays,
    still running when that on one has failed, tells an event loop that is gone.
    """
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    shown = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if "Event loop is closed" not in str(unraisable.exc_value):
            shown(unraisable)

    # An object of its own: a logger keeps equal filters once, so that an inner `quiet` would end an outer one.
    keep = functools.partial(_not_orbax)
    for logger in loggers:
        logger.addFilter(keep)
    sys.unraisablehook = hook
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(keep)
        # Where somebody has put another hook over ours, it stays.
        if sys.unraisablehook is hook:
            sys.unraisablehook = shown


def _not_orbax(record: logging.LogRecord) -> bool:
    """Returns whether a log record is not of Orbax, nor of what it runs in an event loop."""
    sources = [record.pathname if record.name == "absl" else record.getMessage()]
    if record.exc_info:
        sources += [frame.filename for frame in traceback.extract_tb(record.exc_info[2])]
    return not any("orbax" in source or "tensorstore" in source for source in sources)


def _options(keep_best: int) -> Any:
    """Returns what to keep; `max_to_keep` with `best_fn` alone would delete the newest checkpoint if it is worse."""
    import orbax.checkpoint as ocp

    policy = ocp.checkpoint_managers
    metric = operator.itemgetter(METRIC)
    best = policy.BestN(get_metric_fn=metric, reverse=True, n=keep_best)
    return ocp.CheckpointManagerOptions(
        preservation_policy=policy.AnyPreservationPolicy([policy.LatestN(_LATEST), best]),
        # Without `best_fn` Orbax drops the metrics without a word.
        best_fn=metric,
        best_mode="min",
        cleanup_tmp_directories=True,
    )
