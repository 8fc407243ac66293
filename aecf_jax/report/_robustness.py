"""Robustness: how performance falls as more modalities go missing, against baselines on the same drop tables."""

import math
from typing import Any

from aecf_jax.report._blocks import Block, Column, Figure, Figures, Line, Lines, Section, Table, Text
from aecf_jax.report._facts import real
from aecf_jax.report._models import merged_value
from aecf_jax.report._names import SHOWN, label
from aecf_jax.report._numbers import number, percent
from aecf_jax.report._read import Report, all_models, piece, with_bounds

_MECHANISMS = {
    "mcar": "at random, whatever the data", "mar": "depending on another modality",
    "mnar": "depending on what is hidden", "exclusive": "all but one", "bursts": "in runs of rows",
}  # fmt: skip

Curves = dict[str, list[Report]]
"""Name of a model -> the curve of each of its runs."""


def robustness_section(report: Report) -> Section | None:
    """Returns the section; None where no curve was measured.

    Args:
        report: the dictionary.
    """
    curves = {model["name"]: piece(model, "robustness") for model in all_models(report)}
    curves = {name: parts for name, parts in curves.items() if parts}
    if not curves:
        return None
    first = next(iter(curves.values()))[0]
    metrics = [name for name in SHOWN[report["kind"]] if name in first["metrics"]][:2]
    blocks: list[Block] = [Text(_lead(first)), Figures(tuple(_figure(report, curves, name) for name in metrics))]
    blocks.append(_summary(curves, metrics))
    measured = {model["name"]: curves[model["name"]] for model in report["models"] if model["name"] in curves}
    against = [one for name, parts in measured.items() for one in _effective(report, name, parts)]
    blocks += [Figures(tuple(against))] if against else []
    return Section("robustness", "Robustness to missing modalities", tuple(blocks))


def _lead(curve: Report) -> str:
    """Returns how the rows were made to lack modalities."""
    how = _MECHANISMS.get(curve["mechanism"], "as the protocol says")
    empty = sum(table["empty"] for table in curve["tables"])
    return (
        f"Modalities of the test rows are hidden {how} ({curve['mechanism']}), by one drop table for each rate, the "
        f"same for every model; a row {'may be' if empty else 'is never'} left with nothing. The tables' hashes stand "
        "in the protocol, and curves of other tables are not compared."
    )


def estimate(parts: list[Report], part: str, metric: str, index: int | None = None) -> dict[str, Any]:
    """Returns one figure of a curve, merged over a model's runs.

    Args:
        parts: the curve of each run.
        part: metrics, area or relative.
        metric: its name.
        index: of the rate; None for the area.
    """
    found = [curve[part][metric] if index is None else curve[part][metric][index] for curve in parts]
    return _merged(found)


def _merged(found: list[Any]) -> dict[str, Any]:
    """Returns estimates of several runs as one figure."""
    return merged_value([dict(zip(("value", "low", "high"), one, strict=True)) for one in found])


def _figure(report: Report, curves: Curves, metric: str) -> Figure:
    """Returns the curves of one metric."""
    baselines = [model["name"] for model in report["baselines"]]
    rates = [real(rate) for rate in next(iter(curves.values()))[0]["rates"]]
    lines: list[Line] = []
    for name, parts in curves.items():
        points = [estimate(parts, "metrics", metric, index) for index in range(len(rates))]
        value, low, high = (tuple(real(point[end]) for point in points) for end in ("value", "low", "high"))
        bands = any(map(math.isfinite, low))
        lines.append(Line(name, tuple(rates), value, low if bands else (), high if bands else (), name in baselines))
    for name, (value, low, high) in _late(curves, metric).items():
        lines.append(Line(name, tuple(rates), value, low, high, dashed=True))
    rows = tuple(
        (f"{rate:g}", *(with_bounds({"value": line.y[index], "low": line.low[index] if line.low else None,
                                     "high": line.high[index] if line.high else None}, 3) for line in lines))
        for index, rate in enumerate(rates)
    )  # fmt: skip
    data = Table((Column("rate", "number"), *(Column(line.name, "number") for line in lines)), rows)
    chart = Lines(f"{label(metric)} over missing rates", "share of modalities hidden", label(metric), tuple(lines))
    level = percent(real(next(iter(curves.values()))[0]["level"]), 0)
    caption = f"Bands are {level} intervals. Flat for long is robust; look for where a curve leaves the dashed ones."
    return Figure(chart, caption, data)


def _late(curves: Curves, metric: str) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Returns the curve of late fusion of the first model's first run, if it was measured."""
    late = next(iter(curves.values()))[0].get("late_fusion")
    if not late or metric not in late["metrics"]:
        return {}
    points = late["metrics"][metric]
    value, low, high = (tuple(real(point[end]) for point in points) for end in range(3))
    return {late["name"]: (value, low, high)}


def _summary(curves: Curves, metrics: list[str]) -> Table:
    """Returns the curves in a few figures each."""
    columns = [Column("model"), *(Column(f"area, {label(name)}", "number") for name in metrics)]
    rates = next(iter(curves.values()))[0]["rates"]
    marks = [index for index, rate in enumerate(rates) if math.isclose(rate, 0.5) or index == len(rates) - 1]
    kept = [
        index for index in marks if all(metrics[0] in curve["relative"] for parts in curves.values() for curve in parts)
    ]
    columns += [Column(f"relative at {rates[index]:g}", "number") for index in kept]
    rows = tuple(
        (name, *(with_bounds(estimate(parts, "area", metric), 3) if metric in parts[0]["area"] else number(None)
                 for metric in metrics),
         *(with_bounds(estimate(parts, "relative", metrics[0], index), 3) for index in kept))
        for name, parts in curves.items()
    )  # fmt: skip
    caption = (f"Area: the mean over the rates. Relative robustness: the {label(metrics[0])} that is left at a rate, "
               "divided by that with everything present.")  # fmt: skip
    return Table(tuple(columns), rows, caption)


def _effective(report: Report, name: str, parts: list[Report]) -> list[Figure]:
    """Returns by how much a model is better than each baseline at every rate."""
    metric, rates = report["headline"], tuple(real(rate) for rate in parts[0]["rates"])
    figures: list[Figure] = []
    for baseline in parts[0].get("effective", {}):
        points = [
            _merged([part["effective"][baseline][metric][index] for part in parts]) for index in range(len(rates))
        ]
        value, low, high = (tuple(real(point[end]) for point in points) for end in ("value", "low", "high"))
        bands = any(map(math.isfinite, low))
        lines = (Line(name, rates, value, low if bands else (), high if bands else ()),
                 Line(f"as good as {baseline}", rates, (0.0,) * len(rates), dashed=True))  # fmt: skip
        rows = tuple((f"{rate:g}", with_bounds(point)) for rate, point in zip(rates, points, strict=True))
        chart = Lines(f"{name} against {baseline}", "share of modalities hidden", f"{label(metric)}, difference", lines)
        better = "above" if report["more_is_better"] else "below"
        caption = (f"Effective robustness: the {label(metric)} less the baseline's, on the same drop tables. Where the "
                   f"band lies {better} the dashed line, these rows support that the model is better.")  # fmt: skip
        columns = (Column("rate", "number"), Column("difference", "number"))
        figures.append(Figure(chart, caption, Table(columns, rows)))
    return figures
