"""How far a sweep is, and how long it will still take."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
        done: runs that are done; runs under way count in part.
        total: how many there are.
        seconds: since the start.

    >>> print(Progress(done=10, total=40, seconds=60.0))
    10 of 40 runs, 3.0 minutes left
    """

    done: float
    total: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that the rest will take, if it is as fast as what is done."""
        return self.seconds * (self.total - self.done) / self.done if self.done else float("inf")

    def __str__(self) -> str:
        """Returns one line."""
        shown = f"{int(self.done)} of {self.total} runs"
        if not self.done:
            return shown
        return (
            f"{shown}, {self.left / 60:.1f} minutes left"
            if self.left >= 60
            else f"{shown}, {self.left:.0f} seconds left"
        )


class Counter:
    """Counts runs, and tells after each how far the sweep is.

    Args:
        total: how many runs there are.
        show: what is told; None: nothing is.
    """

    def __init__(self, total: int, show: Callable[[Progress], None] | None) -> None:
        self._total, self._show = total, show
        self._done, self._start = 0.0, time.monotonic()

    def add(self, runs: float) -> None:
        """Adds runs, or parts of them.

        Args:
            runs: how many were done since the last call.
        """
        self._done += runs
        if self._show is not None:
            self._show(Progress(self._done, self._total, time.monotonic() - self._start))
