"""When checkpoints are written: not at every validation of a fast run, and yet none that counts is lost."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.trainer._processes import several


class _Held(NamedTuple):
    """A checkpoint in memory: on the host, or where other processes have a part of it, on the devices."""

    tree: Any
    meta: Mapping[str, Any]
    score: float | None


class Keeper:
    """Writes checkpoints, at least some seconds apart; the best few and the newest wait in memory meanwhile.

    A save costs about as much as an epoch over a thousand rows. What a kill takes from memory is computed again, bit
    for bit, when the run is resumed.

    Args:
        checkpoints: where they are written.
        keep_best: how many of the lowest scores are kept.
        seconds: least time between writing; 0 writes all at once.
        clock: seconds, from any point on.
    """

    def __init__(
        self, checkpoints: Checkpoints, keep_best: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checkpoints, self._keep_best, self._seconds, self._clock = checkpoints, keep_best, seconds, clock
        self._scores = checkpoints.scores()
        self._held: dict[int, _Held] = {}
        self._written_at = -math.inf
        self._newest = -1

    def offer(self, step: int, tree: Any, meta: Mapping[str, Any], score: float | None) -> None:
        """Writes a checkpoint or holds it; the arrays may be donated afterwards. The same step twice is held once.

        Args:
            step: steps done.
            tree: the arrays.
            meta: what is saved beside them.
            score: what "best" is judged by; None: never the best.

        Raises:
            InputError: if something cannot be written.
        """
        if step == self._newest:
            return
        self._newest = step
        self._scores[step] = math.inf if score is None or not math.isfinite(score) else score
        if self._clock() - self._written_at >= self._seconds:
            self.write_held()
            self._checkpoints.save(step, tree, meta, metric=score)
            self._written_at = self._clock()
            return
        kept = jax.tree.map(jnp.copy, tree) if several() else jax.device_get(tree)
        self._held[step] = _Held(kept, meta, score)
        best = sorted((step for step in self._scores if math.isfinite(self._scores[step])), key=self._rank)
        kept = {*best[: self._keep_best], step}
        self._held = {step: held for step, held in self._held.items() if step in kept}

    def write_held(self) -> None:
        """Writes what waits in memory.

        Raises:
            InputError: if something cannot be written.
        """
        for step, held in sorted(self._held.items()):
            self._checkpoints.save(step, held.tree, held.meta, metric=held.score)
        self._held = {}

    def last_good(self) -> str:
        """Returns where the newest checkpoint is, once everything is written."""
        self.write_held()
        self._checkpoints.wait()
        steps = self._checkpoints.steps()
        return f"the last good checkpoint is {self._checkpoints.path(steps[-1])}" if steps else "nothing was saved yet"

    def _rank(self, step: int) -> tuple[float, int]:
        """Returns what steps are sorted by, the best first."""
        return self._scores[step], step
