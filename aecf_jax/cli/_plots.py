"""The two pictures of a run: how it learned, and how it fares with every subset of the modalities."""

import io
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from aecf_jax.cli._tables import COLUMNS
from aecf_jax.errors import import_extra
from aecf_jax.evaluate import COMPARED, NetworkFigures, RobustnessCurve, SubsetRow, SubsetTable
from aecf_jax.files import write_whole

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6B6B6B"
"""Okabe and Ito's colours, which people with any common colour blindness tell apart."""

# The second is dashed, so that the first shows through where both are the same.
_LINES = ((BLUE, "-"), (ORANGE, (0, (4, 1.5))))
_SIZE_COLOURS = ("#8CC0E2", "#5FA8D6", "#2F8FC7", "#0072B2", "#00568A", "#00395C")
_STYLE = {
    "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.labelcolor": "#303030",
    "xtick.color": GREY, "ytick.color": GREY, "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#E4E4E4",
    "axes.axisbelow": True, "legend.frameon": False, "lines.linewidth": 1.8,
}  # fmt: skip
_DOTS_PER_INCH = 150
_MOST_COLUMNS = 63
_MOST_LABELLED = 31
_COLUMN_WIDTHS = (0.36, 0.2)
"""Inches per subset, with values written above the dots and without."""


class Series:
    """Values over training.

    Attributes:
        x: epochs.
        y: values, as many.
        name: how the legend names it.
    """

    def __init__(self, name: str, x: Sequence[float], y: Sequence[float]) -> None:
        self.name, self.x, self.y = name, x, y


def draw_curves(path: Path, panels: Mapping[str, Sequence[Series]], *, best: float | None) -> None:
    """Writes a picture of values over epochs.

    Args:
        path: the PNG file.
        panels: title -> the series in it; a panel without a value is left out.
        best: epoch of the best checkpoint, marked by a line.
    """
    shown = {title: [one for one in series if len(one.x)] for title, series in panels.items()}
    shown = {title: series for title, series in shown.items() if series}
    with _style():
        figure = _figure(3.4 * max(len(shown), 1), 3.0)
        grid = figure.subplots(1, max(len(shown), 1), squeeze=False)[0]
        for axes, (title, series) in zip(grid, shown.items(), strict=False):
            _draw_panel(axes, title, series, best)
        _write(figure, path)


def _draw_panel(axes: Any, title: str, series: Sequence[Series], best: float | None) -> None:
    """Draws the series of one panel."""
    for one, (colour, dashes) in zip(series, _LINES, strict=False):
        marker = "o" if len(one.x) == 1 else None
        axes.plot(one.x, one.y, color=colour, linestyle=dashes, label=one.name, marker=marker, markersize=4)
    axes.yaxis.set_major_formatter("{x:g}")
    if best is not None:
        axes.axvline(best, color=GREY, linestyle=":", linewidth=1.2, label="best", zorder=0)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.margins(x=0.02)
    axes.locator_params(axis="y", nbins=6)
    axes.legend(fontsize=8)


def draw_robustness(path: Path, table: SubsetTable, *, title: str) -> None:
    """Writes a picture of the headline metric by modality subset, grouped by how many modalities are present.

    Below each dot stands which modalities it saw; with more than 63 subsets, only how many.

    Args:
        path: the PNG file.
        table: what `evaluate_subsets` returned.
        title: stands above it.
    """
    name = table.headline
    rows = sorted(
        (row for row in table.rows if not math.isnan(row.metrics.get(name, math.nan))),
        key=lambda row: (len(row.modalities), row.metrics[name]),
    )
    detailed = len(rows) <= _MOST_COLUMNS
    with _style():
        if detailed:
            matrix = 0.22 * len(table.modalities) + 0.2
            width = max(6.4, 1.9 + _COLUMN_WIDTHS[len(rows) > _MOST_LABELLED] * len(rows))
            figure = _figure(width, 3.0 + matrix)
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.0, matrix])
            _draw_matrix(lower, rows, table.modalities)
        else:
            figure = _figure(7.5, 3.2)
            upper = figure.subplots()
            upper.set_xlabel("number of modalities that the model saw")
            upper.set_xticks(range(1, len(table.modalities) + 1))
        _draw_dots(upper, rows, table, detailed=detailed)
        _draw_levels(upper, table)
        upper.set_title(title)
        _write(figure, path)


def draw_robustness_curve(path: Path, curves: Mapping[str, RobustnessCurve], *, title: str) -> None:
    """Writes a picture of metrics over the rate of missing, each with the band of its intervals.

    Args:
        path: the PNG file.
        curves: name -> curve, two at most, measured on the same drop tables.
        title: stands above it.
    """
    first = next(iter(curves.values()))
    names = [(name, heading) for name, heading in COLUMNS[first.kind] if name in first.metrics]
    with _style():
        figure = _figure(3.4 * len(names), 3.0)
        for axes, (name, heading) in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for (label, curve), (colour, dashes) in zip(curves.items(), _LINES, strict=False):
                value, low, high = zip(*curve.metrics[name], strict=True)
                axes.fill_between(curve.rates, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(curve.rates, value, color=colour, linestyle=dashes, label=label, marker="o", markersize=3)
            axes.set_title(heading)
            axes.set_xlabel(f"rate of missing, {first.mechanism}")
            axes.margins(x=0.02)
        figure.axes[0].legend(fontsize=8)
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        _write(figure, path)


def draw_sweep(path: Path, figures: Mapping[str, Sequence[NetworkFigures]], *, title: str) -> None:
    """Writes a picture of the headline metric by setting: a dot for every seed, and their mean.

    Args:
        path: the PNG file.
        figures: setting -> figures of its networks.
        title: stands above it.
    """
    first = next(iter(figures.values()))[0]
    metric = COMPARED[first.kind][0]
    scopes = [seen for seen, name in first.value if name == metric]
    with _style():
        figure = _figure(1.2 + 2.4 * len(scopes), 1.2 + 0.3 * len(figures))
        grid = figure.subplots(1, len(scopes), sharey=True, squeeze=False)[0]
        for axes, seen in zip(grid, scopes, strict=True):
            for place, networks in enumerate(figures.values()):
                values = [one.value[seen, metric] for one in networks]
                axes.scatter(values, [place] * len(values), s=14, color=BLUE, alpha=0.5, linewidths=0)
                axes.scatter([sum(values) / len(values)], [place], s=60, color=ORANGE, marker="|", zorder=3)
            axes.set_title(seen)
            axes.set_xlabel(dict(COLUMNS[first.kind]).get(metric, metric))
            axes.locator_params(axis="x", nbins=4)
            axes.grid(visible=True, axis="x")
        grid[0].set_yticks(range(len(figures)), list(figures))
        grid[0].set_ylim(len(figures) - 0.5, -0.5)
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        _write(figure, path)


def _draw_dots(axes: Any, rows: Sequence[SubsetRow], table: SubsetTable, *, detailed: bool) -> None:
    """Draws one dot per subset, and the mean of each group of equally many modalities."""
    start = 0
    for size, group in groupby(rows, key=lambda row: len(row.modalities)):
        values = [row.metrics[table.headline] for row in group]
        spread = [0.0] if len(values) == 1 else [0.6 * k / (len(values) - 1) - 0.3 for k in range(len(values))]
        places = [start + float(k) for k in range(len(values))] if detailed else [size + offset for offset in spread]
        colour = _colour(size, len(table.modalities))
        mean = sum(values) / len(values)
        ends = [places[0] - 0.4, places[-1] + 0.4] if detailed else [size - 0.4, size + 0.4]
        axes.plot(ends, [mean, mean], color=colour, linewidth=1.2, zorder=2)
        area = 46 if len(rows) <= _MOST_LABELLED else 22 if detailed else 9
        rim = 0.6 if detailed else 0.0
        axes.scatter(places, values, s=area, color=colour, edgecolor="white", linewidth=rim, zorder=3)
        if detailed and start:
            axes.axvline(start - 0.5, color="#E4E4E4", linewidth=0.8, zorder=0)
        if len(rows) <= _MOST_LABELLED:
            _write_values(axes, places, values)
        start += len(values)
    axes.set_ylabel(dict(COLUMNS[table.kind])[table.headline])
    axes.margins(y=0.14)


def _write_values(axes: Any, places: Sequence[float], values: Sequence[float]) -> None:
    """Writes each value above its dot, with a white rim, so that lines behind it do not disturb."""
    rim = [import_extra("matplotlib.patheffects", "cli").withStroke(linewidth=2.5, foreground="white")]
    for place, value in zip(places, values, strict=True):
        axes.annotate(f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}", (place, value), xytext=(0, 6),
                      textcoords="offset points", ha="center", fontsize=7, color="#303030",
                      path_effects=rim, zorder=4)  # fmt: skip


def _draw_levels(axes: Any, table: SubsetTable) -> None:
    """Draws lines for the full set and for the mean over all subsets, each named at its right end."""
    summary, name = table.summary(), table.headline
    full, mean = summary["full"].get(name), summary["mean_of_subsets"].get(name)
    for level, label, colour, dashes in ((full, "all", ORANGE, "--"), (mean, "mean", GREY, ":")):
        if level is None:
            continue
        # The higher of the two is named above its line and the lower below, so that close ones stay apart.
        place = "bottom" if level >= (mean if label == "all" else full) else "top"
        axes.axhline(level, color=colour, linestyle=dashes, linewidth=1.2, zorder=1)
        axes.annotate(f"{label} {level:.3f}", (1.0, level), xycoords=("axes fraction", "data"), xytext=(4, 0),
                      textcoords="offset points", va=place, color=colour, fontsize=8)  # fmt: skip


def _draw_matrix(axes: Any, rows: Sequence[SubsetRow], modalities: Sequence[str]) -> None:
    """Draws which modalities each column saw."""
    for place, row in enumerate(rows):
        levels = [level for level, name in enumerate(modalities) if name in row.modalities]
        colour = _colour(len(levels), len(modalities))
        absent = [level for level in range(len(modalities)) if level not in levels]
        axes.scatter([place] * len(absent), absent, s=14, color="#E4E4E4", zorder=1)
        axes.plot([place] * len(levels), levels, color=colour, linewidth=1.4, zorder=2)
        axes.scatter([place] * len(levels), levels, s=26, color=colour, zorder=3)
    axes.set_yticks(range(len(modalities)), modalities)
    axes.set_ylim(len(modalities) - 0.4, -0.6)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_xticks([])
    axes.set_xlabel("modalities that the model saw")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor="#303030")


def _colour(size: int, modalities: int) -> str:
    """Returns the colour of subsets of a size: the darker, the more is present."""
    last = len(_SIZE_COLOURS) - 1
    return _SIZE_COLOURS[round(last * (size - 1) / max(modalities - 1, 1))]


def _style() -> Any:
    """Returns a context in which figures have our style, whatever the user's own settings are."""
    matplotlib = import_extra("matplotlib", "cli")
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "backend": "agg"})


def _figure(width: float, height: float) -> Any:
    """Returns a figure that no window system knows of."""
    module = import_extra("matplotlib.figure", "cli")
    return module.Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def _write(figure: Any, path: Path) -> None:
    """Writes a figure as a PNG file, whole."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())
