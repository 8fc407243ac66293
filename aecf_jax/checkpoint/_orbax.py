"""The only file that knows Orbax: what is asked of its `CheckpointManager`, and what of its noise is dropped."""

import contextlib
import logging
import operator
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from aecf_jax.errors import InputError, message

METRIC = "metric"
# The second newest survives too, so that a damaged newest one costs the steps of one interval, not the run.
_LATEST = 2
_LONGEST_REASON = 200
_LATE_SECONDS = 0.2


class Writer:
    """Saves checkpoints of one folder in the background; the best by metric and the last two are kept.

    Args:
        directory: an absolute path: with a relative one Orbax says that it saved, and fails later in its own thread.
        keep_best: how many of the lowest metrics to keep.
    """

    def __init__(self, directory: Path, keep_best: int) -> None:
        self._directory = directory
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(quiet())
        self._quiet.enter_context(_late_callbacks_dropped())
        self._failed = False
        with self._failures_named():
            directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(directory, options=_options(keep_best))

    def save(self, step: int, state: Any, meta: Mapping[str, Any], metric: float) -> bool:
        """Starts a save and returns True, or returns False where this step or a later one exists."""
        items: Any = {"state": ocp.args.StandardSave(state), "meta": ocp.args.JsonSave(dict(meta))}  # pyright: ignore[reportCallIssue]
        with self._failures_named():
            return bool(self._manager.save(step, args=ocp.args.Composite(**items), metrics={METRIC: metric}))

    def wait(self) -> None:
        """Waits until everything is on disk."""
        with self._failures_named():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Ends the background threads, whatever happened to their last save."""
        with self._quiet, contextlib.suppress(Exception):
            if self._failed:
                time.sleep(_LATE_SECONDS)
            self._manager.close()

    @contextlib.contextmanager
    def _failures_named(self) -> Generator[None]:
        """Turns what fails while writing, a full disk above all, into one sentence that names the folder."""
        try:
            yield
        # A full disk is an OSError here, a ValueError from TensorStore, and an Exception from Orbax's threads.
        except Exception as error:
            self._failed = True
            hint = "Free some space or choose another folder; the checkpoints saved before stay usable."
            got = f"{self._directory} ({reason(error)})"
            raise InputError(message("checkpoint folder", "be writable", got, hint)) from error


def read(directory: Path, step: int, *, template: Any = None) -> dict[str, Any]:
    """Returns a checkpoint's `meta` and `metrics`, and its `state` where a template is given.

    Args:
        directory: an absolute path.
        step: which checkpoint; no other one is looked at.
        template: `jax.ShapeDtypeStruct`s with their shardings.
    """
    items: Any = {"meta": ocp.args.JsonRestore(), "metrics": ocp.args.JsonRestore()}  # pyright: ignore[reportCallIssue]
    if template is not None:
        items["state"] = ocp.args.StandardRestore(template)  # pyright: ignore[reportCallIssue]
    with quiet(), _late_callbacks_dropped():
        # Not the writer's manager: opening one reads the metrics of all checkpoints, and fails if any are damaged.
        options = ocp.CheckpointManagerOptions(read_only=True, lightweight_initialize=True)
        with ocp.CheckpointManager(directory, options=options) as manager:
            restored: Any = manager.restore(step, args=ocp.args.Composite(**items))
    return {name: restored[name] for name in items}


def reason(error: Exception) -> str:
    """Returns the first line of an error, without the pages that Orbax and TensorStore add."""
    text = str(error) or type(error).__name__
    if "No space left on device" in text:
        return "no space left on device"
    return text.splitlines()[0][:_LONGEST_REASON]


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Keeps Orbax's log records off the terminal: all that it reports, we raise or warn about in one sentence."""
    drop: Callable[[logging.LogRecord], bool] = lambda record: "orbax" not in record.pathname  # noqa: E731
    logger = logging.getLogger("absl")
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


@contextlib.contextmanager
def _late_callbacks_dropped() -> Generator[None]:
    """Drops what work on other arrays, still running when that on one has failed, tells an event loop that is gone."""
    shown = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if "Event loop is closed" not in str(unraisable.exc_value):
            shown(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    except Exception:
        time.sleep(_LATE_SECONDS)
        raise
    finally:
        # Where somebody has put another hook over ours, it stays.
        if sys.unraisablehook is hook:
            sys.unraisablehook = shown


def _options(keep_best: int) -> ocp.CheckpointManagerOptions:
    """Returns what to keep; `max_to_keep` with `best_fn` alone would delete the newest checkpoint if it is worse."""
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
