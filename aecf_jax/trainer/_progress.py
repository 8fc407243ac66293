"""A progress bar on the standard error: how far, how fast, how long still, how well."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from aecf_jax.errors import import_extra

_BESIDE = 50
"""Characters that epoch, bar, share and times take, beside which metrics are shown as far as there is room."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Does nothing."""

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Does nothing.

        Args:
            step: ignored.
            metrics: ignored.
        """


class Bar(Silent):
    """Shows a bar with the epoch, the time that is left, and a few metrics.

    Args:
        total: steps of the whole run.
        steps_per_epoch: what turns steps into epochs.
        first: steps done before.

    Raises:
        MissingExtraError: if rich is not installed.
    """

    def __init__(self, total: int, steps_per_epoch: int, first: int) -> None:
        rich = import_extra("rich.progress", "cli")
        console = import_extra("rich.console", "cli").Console(stderr=True)
        self._steps_per_epoch = steps_per_epoch
        self._epochs = total // steps_per_epoch
        self._shown: dict[str, float] = {}
        self._room = console.width - _BESIDE
        self._bar: Any = rich.Progress(
            rich.TextColumn("epoch {task.fields[epoch]}"), rich.BarColumn(bar_width=None),
            rich.TaskProgressColumn(), rich.TimeElapsedColumn(), rich.TextColumn("left"), rich.TimeRemainingColumn(),
            rich.TextColumn("{task.fields[metrics]}"), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("train", total=total, completed=first, epoch=self._epoch(first), metrics="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leaves the bar as it was last."""
        self._bar.stop()

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar.

        Args:
            step: steps done.
            metrics: numbers by name; names that were shown before stay.
        """
        self._shown |= metrics
        text = ""
        for name, value in self._shown.items():
            longer = f"{text}  {name} {value:.4g}" if text else f"{name} {value:.4g}"
            text = longer if len(longer) <= self._room else text
        self._bar.update(self._task, completed=step, epoch=self._epoch(step), metrics=text)

    def _epoch(self, step: int) -> str:
        """Returns the epoch that is under way, of how many."""
        return f"{min(step // self._steps_per_epoch + 1, self._epochs)}/{self._epochs}"
