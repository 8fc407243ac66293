"""The best checkpoints and the last: saved in the background, verified when restored."""

import functools
import json
import math
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from aecf_jax.checkpoint import _orbax
from aecf_jax.checkpoint._fingerprint import Leaf, altered_leaves, leaf_table, require_same_leaves
from aecf_jax.errors import InputError, require

# What is not the checkpoint's fault, and so must not make us pass it over or delete it.
_NOT_DAMAGE = (MemoryError, PermissionError, InputError, jax.errors.JaxRuntimeError)


class Restored(NamedTuple):
    """A checkpoint, read and verified.

    Attributes:
        step: the step it was saved at.
        state: the arrays, in the structure of the template.
        meta: what was saved beside them.
    """

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run in one folder: the few best, and the last two.

    Every array has a fingerprint that is verified when it is restored: Orbax reads a flipped bit without a word. A
    damaged checkpoint is reported, and the next one taken.

    Args:
        directory: the folder; it is made at the first save.
        keep_best: how many of the checkpoints with the lowest metric to keep, beside the last two.
    """

    def __init__(self, directory: str | Path, *, keep_best: int = 3) -> None:
        self.directory = Path(directory).resolve()
        self._keep_best = keep_best
        self._writer: _orbax.Writer | None = None

    def save(self, step: int, state: Any, meta: Mapping[str, Any], *, metric: float | None) -> None:
        """Starts to save a checkpoint in the background; the arrays may be donated as soon as this returns.

        Args:
            step: the number of steps done; above that of every earlier checkpoint.
            state: any tree of arrays.
            meta: JSON values to keep beside them.
            metric: what "best" is judged by, lower is better; None or not finite: never the best.

        Raises:
            InputError: if this save, or the one before it, could not be written; older checkpoints stay usable.
        """
        # A NaN would break Orbax's sorting, and with it delete the true best.
        score = metric if metric is not None and math.isfinite(metric) else math.inf
        text = json.dumps({"metric": score, "leaves": leaf_table(state), "meta": dict(meta)}, sort_keys=True)
        sealed = {"content": text, "crc32": zlib.crc32(text.encode())}
        if self._writer is None:
            self._delete_unreadable()
        try:
            self._writer = self._writer or _orbax.Writer(self.directory, self._keep_best)
            done = self._writer.save(step, state, sealed, score)
        except InputError:
            self.drop()
            raise
        rule = f"be above those of the checkpoints in {self.directory}"
        require(done, "step", rule, step, "Resume the run, or choose another folder.")

    def wait(self) -> None:
        """Waits until everything is on disk.

        Raises:
            InputError: if it could not be written; older checkpoints stay usable.
        """
        if self._writer is None:
            return
        try:
            self._writer.wait()
        except InputError:
            self.drop()
            raise

    def close(self) -> None:
        """Waits until everything is on disk and ends the background threads; a later call starts them again.

        Raises:
            InputError: if something could not be written; older checkpoints stay usable.
        """
        self.wait()
        self.drop()

    def drop(self) -> None:
        """Ends the background threads, whatever happens to the last save; a later call starts them again.

        After a failure they must end: Orbax's list of checkpoints is not that of the disk any more.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def path(self, step: int) -> Path:
        """Returns the folder of one checkpoint.

        Args:
            step: the step it was saved at.
        """
        return self.directory / str(step)

    def steps(self) -> tuple[int, ...]:
        """Returns the steps of the checkpoints on disk, oldest first; a save that still runs is not among them."""
        if not self.directory.is_dir():
            return ()
        names = [entry.name for entry in self.directory.iterdir() if entry.is_dir()]
        return tuple(sorted(int(name) for name in names if name.isdigit()))

    def scores(self) -> dict[int, float]:
        """Returns the metric of every checkpoint that can be read, by its step; infinite where there is none."""
        self.wait()
        contents = {step: self._tried_content(step) for step in self.steps()}
        readable = {step: content for step, content in contents.items() if not isinstance(content, _orbax.Damaged)}
        return {step: float(content["metric"]) for step, content in readable.items()}

    def best_step(self) -> int | None:
        """Returns the step of the checkpoint with the lowest finite metric; None if there is none."""
        ranked = self._ranked()
        return ranked[0] if ranked else None

    def read_meta(self) -> dict[str, Any] | None:
        """Returns what was saved beside the arrays of the newest readable checkpoint; None if there is none."""
        self.wait()
        contents = (self._tried_content(step) for step in reversed(self.steps()))
        return next((content["meta"] for content in contents if not isinstance(content, _orbax.Damaged)), None)

    def restore_latest(self, template: Any, *, delete_damaged: bool = False) -> Restored | None:
        """Returns the newest undamaged checkpoint; None if there are no checkpoints at all.

        Newer, damaged ones are reported by a warning.

        Args:
            template: arrays or `jax.ShapeDtypeStruct`s of the structure, shapes, types and shardings to restore to.
            delete_damaged: whether to delete those; needed where the run goes on, since as long as they exist, no
                older step can be saved. If no checkpoint is undamaged, none is deleted.

        Raises:
            InputError: if the template does not fit the checkpoint, or no checkpoint is undamaged.
        """
        self.close()
        restored, damaged = self._first_undamaged(reversed(self.steps()), template)
        for step, reason in damaged.items():
            deleted = "It was deleted, and the" if delete_damaged else "The"
            _report(self.path(step), reason, f"{deleted} one before it was restored.")
            if delete_damaged:
                _orbax.delete(self.path(step))
        return restored

    def restore_best(self, template: Any) -> Restored | None:
        """Returns the undamaged checkpoint with the lowest metric; None if none has a finite metric.

        Args:
            template: arrays or `jax.ShapeDtypeStruct`s of the structure, shapes, types and shardings to restore to.

        Raises:
            InputError: if the template does not fit the checkpoint, or no checkpoint is undamaged.
        """
        restored, damaged = self._first_undamaged(self._ranked(), template)
        for step, reason in damaged.items():
            _report(self.path(step), reason, "The next best one was restored.")
        return restored

    def _ranked(self) -> list[int]:
        """Returns the steps with a finite metric, the lowest metric first, then the earliest."""
        scores = self.scores()
        return sorted((step for step in scores if math.isfinite(scores[step])), key=lambda step: (scores[step], step))

    def _first_undamaged(self, steps: Iterable[int], template: Any) -> tuple[Restored | None, dict[int, str]]:
        """Returns the first checkpoint that can be restored, and why those before it could not."""
        damaged: dict[int, str] = {}
        for step in steps:
            found = _orbax.tried(functools.partial(self._restored, step, template), _NOT_DAMAGE)
            if not isinstance(found, _orbax.Damaged):
                return found, damaged
            damaged[step] = found.reason
        reasons = "; ".join(f"step {step}: {reason}" for step, reason in damaged.items())
        require(not damaged, "checkpoint folder", f"hold an undamaged checkpoint in {self.directory}", reasons)
        return None, damaged

    def _restored(self, step: int, template: Any) -> Restored:
        """Returns one checkpoint, or raises whatever its damage causes."""
        content = self._content(step)
        stored = {path: Leaf(tuple(shape), *rest) for path, (shape, *rest) in content["leaves"].items()}
        abstract = jax.tree.map(_described, template)
        require_same_leaves(leaf_table(abstract), stored)
        state = _orbax.read(self.directory, step, template=abstract)["state"]
        altered = altered_leaves(leaf_table(state), stored)
        if altered:
            raise ValueError(f"the values of {', '.join(altered[:3])} are not those that were saved")
        return Restored(step, state, content["meta"])

    def _content(self, step: int) -> dict[str, Any]:
        """Returns what was saved beside the arrays, or raises whatever its damage causes."""
        items = _orbax.read(self.directory, step)
        sealed, text = items["meta"], items["meta"]["content"]
        content = json.loads(text)
        if zlib.crc32(text.encode()) != sealed["crc32"] or items["metrics"] != {_orbax.METRIC: content["metric"]}:
            raise ValueError("its description is not the one that was saved")
        return content

    def _tried_content(self, step: int) -> dict[str, Any] | _orbax.Damaged:
        """Returns what was saved beside the arrays, or why it cannot be read."""
        return _orbax.tried(functools.partial(self._content, step), _NOT_DAMAGE)

    def _delete_unreadable(self) -> None:
        """Deletes what a run that was killed while it deleted has left: Orbax would list it and never delete it."""
        for step in self.steps():
            content = self._tried_content(step)
            if isinstance(content, _orbax.Damaged):
                _report(self.path(step), content.reason, "It was deleted.")
                _orbax.delete(self.path(step))


def _described(leaf: Any) -> jax.ShapeDtypeStruct:
    """Returns an array's shape, type and sharding; without one, that of the first device."""
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _report(path: Path, reason: str, consequence: str) -> None:
    """Warns, in one sentence and its consequence, about a checkpoint that cannot be used."""
    warnings.warn(f"The checkpoint {path} is damaged ({reason}). {consequence}", stacklevel=4)
