"""What every writer does, and the two that write nothing themselves."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Writer(Protocol):
    """Something that keeps a run's metrics; a metric that is not finite is kept as missing where the format says so."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keeps the metrics of one step.

        Args:
            step: training steps done; never below that of an earlier call.
            metrics: numbers by name.
        """
        ...

    def close(self) -> None:
        """Ends the writing; everything is on disk or sent."""
        ...


class NullWriter:
    """Keeps nothing."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Does nothing.

        Args:
            step: ignored.
            metrics: ignored.
        """

    def close(self) -> None:
        """Does nothing."""


class MultiWriter:
    """Hands everything on to several writers.

    Args:
        writers: in the order in which they are called.
    """

    def __init__(self, writers: Sequence[Writer]) -> None:
        self.writers = tuple(writers)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keeps the metrics of one step with every writer.

        Args:
            step: training steps done.
            metrics: numbers by name.
        """
        for writer in self.writers:
            writer.write(step, metrics)

    def close(self) -> None:
        """Ends the writing of every writer."""
        for writer in self.writers:
            writer.close()
