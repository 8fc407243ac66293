"""What is printed: the table with one row per subset of the modalities, and its summary."""

import io
import math
import sys
from collections.abc import Mapping
from typing import Any

from aecf_jax.errors import import_extra
from aecf_jax.evaluate import SubsetRow, SubsetTable

COLUMNS = {
    "classes": (("accuracy", "accuracy"), ("nll", "NLL"), ("ece", "ECE")),
    "labels": (("map", "mAP"), ("nll", "NLL"), ("ece", "ECE")),
    "values": (("rmse", "RMSE"), ("r2", "R²")),
    "embedding": (("cosine_similarity", "cosine"), ("centroid_accuracy", "centroid accuracy")),
}
"""What is predicted -> metrics that are printed, with their headings."""

_WIDTH_OF_A_FILE = 200


def make_console(file: io.TextIOBase | None = None) -> Any:
    """Returns a rich console that prints names and paths as they are, brackets included.

    Args:
        file: where to; None: standard output. What is no terminal gets lines long enough not to be wrapped.
    """
    stream: Any = sys.stdout if file is None else file
    width = None if stream.isatty() else _WIDTH_OF_A_FILE
    return import_extra("rich.console", "cli").Console(
        file=stream, width=width, highlight=False, markup=False, emoji=False
    )


def make_grid(**options: Any) -> Any:
    """Returns an empty rich table with our look: horizontal lines alone, so that four modalities fit 80 columns.

    Args:
        **options: further ones of rich.
    """
    look = {"box": import_extra("rich.box", "cli").HORIZONTALS, "collapse_padding": True, "pad_edge": False}
    return import_extra("rich.table", "cli").Table(header_style="bold", **look, **options)


def print_table(console: Any, table: SubsetTable) -> None:
    """Prints one row per subset and a line that sums them up.

    Args:
        console: from `make_console`.
        table: what `evaluate_subsets` returned.
    """
    text = import_extra("rich.text", "cli").Text
    present, absent = ("●", "·") if "utf" in console.encoding.lower() else ("x", ".")
    grid = make_grid()
    for name in table.modalities:
        # Where the terminal is narrow, names are folded and numbers stay whole.
        grid.add_column(name, justify="center", overflow="fold")
    for heading in ("rows", *(heading for _, heading in COLUMNS[table.kind])):
        grid.add_column(heading, justify="right", no_wrap=True)
    for index, row in enumerate(table.rows):
        marks = [present if name in row.modalities else text(absent, style="dim") for name in table.modalities]
        values = [_cell(row, name) for name, _ in COLUMNS[table.kind]]
        following = table.rows[index + 1] if index + 1 < len(table.rows) else row
        grid.add_row(*marks, str(row.rows), *values, end_section=len(following.modalities) > len(row.modalities))
    console.print(grid)
    console.print(summary_line(table))


def summary_line(table: SubsetTable) -> str:
    """Returns the headline metric of the full set, its means, and the worst single modality."""
    summary, worst = table.summary(), table.summary()["worst_single"]
    parts = {
        "all modalities": summary["full"],
        "mean of subsets": summary["mean_of_subsets"],
        "mean of singles": summary["mean_of_singles"],
        f"worst single ({worst['modality']})": worst["metrics"],
    }
    shown = ", ".join(f"{label} {_of(metrics, table.headline)}" for label, metrics in parts.items())
    return f"{dict(COLUMNS[table.kind])[table.headline]}: {shown}"


def number(value: float) -> str:
    """Returns a metric with four decimals, or a dash where it is not defined.

    >>> number(0.97222), number(float("nan"))
    ('0.9722', '–')
    """
    return "–" if math.isnan(value) else f"{value:.4f}"


def _cell(row: SubsetRow, name: str) -> str:
    """Returns a metric as it is printed, with its interval where there is one."""
    value = number(row.metrics.get(name, math.nan))
    if row.intervals is None or name not in row.intervals:
        return value
    low, high = row.intervals[name]
    return f"{value} [{number(low)}, {number(high)}]"


def _of(metrics: Mapping[str, Any], name: str) -> str:
    """Returns one metric of a summary as it is printed."""
    value = metrics.get(name)
    return number(math.nan if value is None else float(value))
