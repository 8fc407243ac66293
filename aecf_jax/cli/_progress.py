"""A bar on the standard error, where that is a terminal: how much of how much, how fast, how long still."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from aecf_jax.cli._tables import make_console
from aecf_jax.errors import import_extra


@contextmanager
def row_progress(rows: int) -> Generator[Callable[[int], None]]:
    """Yields what moves the bar by a number of rows.

    Args:
        rows: how many there are in all.
    """
    with _bar(rows, "rows") as (progress, task):
        yield lambda count: progress.update(task, advance=count)


@contextmanager
def runs_progress(runs: int) -> Generator[Callable[[Any], None]]:
    """Yields what moves the bar to where a sweep is.

    Args:
        runs: how many there are in all.
    """
    with _bar(runs, "runs") as (progress, task):
        yield lambda reached: progress.update(task, completed=reached.done)


@contextmanager
def _bar(total: int, what: str) -> Generator[tuple[Any, Any]]:
    """Yields a bar and its only task."""
    rich = import_extra("rich.progress", "cli")
    console = make_console(sys.stderr)  # pyright: ignore[reportArgumentType]
    columns = (rich.TextColumn(f"{{task.completed:,.0f}} of {{task.total:,}} {what}"), rich.BarColumn(bar_width=None),
               rich.TaskProgressColumn(), rich.TimeElapsedColumn(), rich.TextColumn("left"),
               rich.TimeRemainingColumn())  # fmt: skip
    with rich.Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        yield progress, progress.add_task(what, total=total)
