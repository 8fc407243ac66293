"""The table of subsets: every one, with intervals, or the extremes of each size where there are too many to read."""

import math
from itertools import groupby

from aecf_jax.report._answer import nothing
from aecf_jax.report._blocks import Block, Column, Figure, Figures, Fold, Heading, Section, Strip, Table, Text
from aecf_jax.report._facts import real
from aecf_jax.report._names import SHOWN, label, plus
from aecf_jax.report._numbers import counted, number
from aecf_jax.report._read import (
    Report,
    all_models,
    bounds,
    drawn,
    full,
    over_runs,
    piece,
    several,
    value,
    with_bounds,
    worst,
    written,
)

_MOST_UNFOLDED = 31
_MOST_OF_A_SIZE = 70
_EXTREMES = 10


def subsets_section(report: Report) -> Section:
    """Returns the section.

    Args:
        report: the dictionary.
    """
    blocks: list[Block] = [Text(_lead(report))]
    if several(report) or report["baselines"]:
        blocks.append(_side_by_side(report))
    for model in report["models"]:
        if several(report):
            blocks.append(Heading(model["name"]))
        blocks += _model(report, model)
    return Section("subsets", "Every subset of the modalities", tuple(blocks))


def _lead(report: Report) -> str:
    """Returns how to read the table."""
    model = report["models"][0]
    figure = full(model)["metrics"][report["headline"]]
    lacking = any(row["rows"] != full(model)["rows"] for row in model["table"])
    parts = ["The model sees the modalities marked ● and nothing else."]
    if piece(model, "calibration"):
        parts.append("Its outputs are calibrated.")
    if lacking:
        parts.append("A subset is measured on the rows that have all of it, so that rows differ between subsets.")
    if figure["count"] > 1:
        parts.append("Intervals are Student's, over seeds.")
    elif figure.get("low") is not None:
        parts.append("Intervals are bootstraps over the test rows.")
    parts.append("The row below the tables is what a prediction that ignores the input achieves: a figure near it "
                 "says that the subset is of no use, and a small ECE alone says nothing.")  # fmt: skip
    return " ".join(parts)


def _side_by_side(report: Report) -> Table:
    """Returns the headline metric of each model, of all modalities and on average, worst and by size."""
    metric, models = report["headline"], all_models(report)
    columns = (Column("subset"), *(Column(model["name"], "number") for model in models))
    sizes = sorted({len(row["modalities"]) for row in models[0]["table"]})
    rows = [("all modalities", *(with_bounds(full(model)["metrics"][metric]) for model in models))]
    rows.append(("worst subset", *(_named(worst(list(model["table"]), report), metric) for model in models)))
    rows += [(f"mean of {counted(size, 'modality', 'modalities')}", *(number(_mean(model, metric, size))
             for model in models)) for size in sizes]  # fmt: skip
    return Table(columns, tuple(rows), f"{label(metric)}, models side by side.")


def _named(row: Report, metric: str) -> str:
    """Returns a row's metric and the row's name."""
    return f"{written(row['metrics'][metric])} ({plus(row['modalities'])})"


def _mean(model: Report, metric: str, size: int) -> float:
    """Returns the mean of a metric over the subsets of a size, of those where it is known."""
    known = [value(row, metric) for row in model["table"] if len(row["modalities"]) == size]
    known = [one for one in known if math.isfinite(one)]
    return math.fsum(known) / len(known) if known else math.nan


def _model(report: Report, model: Report) -> list[Block]:
    """Returns the strip by size and the tables of one model."""
    by_size = {size: list(rows) for size, rows in groupby(model["table"], key=lambda row: len(row["modalities"]))}
    blocks: list[Block] = [Figures((_strip(report, model, by_size),))]
    axis = _axis(report, model)
    if len(model["table"]) <= _MOST_UNFOLDED:
        return [*blocks, _table(report, model, model["table"], axis), *_guess(report, model)]
    ends = {min(by_size), *sorted(by_size)[-2:]}
    for size, rows in by_size.items():
        table = _table(report, model, _readable(rows, report), axis)
        blocks.append(Fold(_summary(report, size, rows), (table,), open=size in ends and len(rows) <= _MOST_UNFOLDED))
    return [*blocks, *_guess(report, model)]


def _readable(rows: list[Report], report: Report) -> list[Report]:
    """Returns the subsets of a size, or the worst and best of them where there are too many to read."""
    if len(rows) <= _MOST_OF_A_SIZE:
        return rows
    ranked = sorted(rows, key=lambda row: value(row, report["headline"]))
    return ranked[:_EXTREMES] + ranked[-_EXTREMES:]


def _summary(report: Report, size: int, rows: list[Report]) -> str:
    """Returns what is to be known of the subsets of a size without opening them."""
    metric = report["headline"]
    known = [value(row, metric) for row in rows if math.isfinite(value(row, metric))]
    text = f"{counted(size, 'modality', 'modalities')}: {counted(len(rows), 'subset')}"
    if known:
        text += f", {label(metric)} {number(min(known), 3)} to {number(max(known), 3)}"
        text += f", worst {plus(worst(rows, report)['modalities'])}"
    if len(rows) > _MOST_OF_A_SIZE:
        text += f"; the {_EXTREMES} lowest and the {_EXTREMES} highest are shown, all are in report.json"
    return text


def _strip(report: Report, model: Report, by_size: dict[int, list[Report]]) -> Figure:
    """Returns the headline metric of all subsets by their size."""
    metric = report["headline"]
    columns = tuple(
        (str(size), tuple((plus(row["modalities"]), value(row, metric)) for row in rows))
        for size, rows in by_size.items()
    )
    base = nothing(report, model)
    levels = (("ignoring the input", base),) if math.isfinite(base) else ()
    caption = (
        "Each dot is a subset, each dash the mean of its size. Look at how far the lowest dots of a size lie below "
        "the dash: those patterns are the weak ones. "
        + ("Dots near the dashed line are of no use." if levels else "")
    )  # fmt: skip
    return Figure(Strip(f"{label(metric)} by number of modalities", "modalities that the model saw", label(metric),
                        columns, levels), caption.strip())  # fmt: skip


def _axis(report: Report, model: Report) -> tuple[float, float]:
    """Returns from where to where the drawn intervals of all tables reach."""
    figures = [row["metrics"][report["headline"]] for row in model["table"]]
    ends = [real(figure.get(end)) for figure in figures for end in ("value", "low", "high")]
    ends = [*(end for end in ends if math.isfinite(end)), *([nothing(report, model)] if figures else [])]
    ends = [end for end in ends if math.isfinite(end)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _table(report: Report, model: Report, rows: list[Report], axis: tuple[float, float]) -> Table:
    """Returns one row per subset."""
    metric, *others = _metrics(report, model)
    ends = any(row["metrics"][metric].get("low") is not None for row in rows)
    columns = [*(Column(name, "mark") for name in report["modalities"]), Column("rows", "number"),
               Column(label(metric), "number"), *[Column("interval", "number")] * ends, Column(label(metric), "range"),
               *(Column(label(name), "number") for name in others),]  # fmt: skip
    base = nothing(report, model)
    cells = tuple(
        (
            *(name in row["modalities"] for name in report["modalities"]),
            f"{row['rows']:,}",
            written(row["metrics"][metric]),
            *[bounds(row["metrics"][metric])] * ends,
            drawn(row["metrics"][metric]),
            *(written(row["metrics"][name]) for name in others),
        )
        for row in rows
    )
    return Table(tuple(columns), cells, "", axis, base if math.isfinite(base) else None)


def _metrics(report: Report, model: Report) -> list[str]:
    """Returns the metrics of the table, those that were measured."""
    return [name for name in SHOWN[report["kind"]] if name in full(model)["metrics"]]


def _guess(report: Report, model: Report) -> list[Block]:
    """Returns the row of a prediction that ignores the input."""
    parts = piece(model, "prevalence")
    if not parts:
        return []
    names = [name for name in _metrics(report, model) if name in parts[0]]
    columns = (Column("prediction"), *(Column(label(name), "number") for name in names))
    row = ("ignoring the input", *(number(real(over_runs(parts, name)["value"])) for name in names))
    what = "mean" if report["kind"] == "values" else "frequencies"
    return [Table(columns, (row,), f"The training rows' {what}, predicted for every test row.")]
