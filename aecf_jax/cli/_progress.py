"""A bar on the standard error, where that is a terminal: how many rows of how many, how fast, how long still."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from aecf_jax.cli._tables import make_console
from aecf_jax.errors import import_extra


@contextmanager
def row_progress(rows: int) -> Generator[Callable[[int], None]]:
    """Yields what moves the bar by a number of rows.

    Args:
        rows: how many there are in all.
    """
    rich = import_extra("rich.progress", "cli")
    console = make_console(sys.stderr)  # pyright: ignore[reportArgumentType]
    columns = (rich.TextColumn("{task.completed:,} of {task.total:,} rows"), rich.BarColumn(bar_width=None),
               rich.TaskProgressColumn(), rich.TimeElapsedColumn(), rich.TextColumn("left"),
               rich.TimeRemainingColumn())  # fmt: skip
    with rich.Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("rows", total=rows)
        yield lambda count: progress.update(task, advance=count)
