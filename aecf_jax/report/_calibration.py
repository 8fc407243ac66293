"""Calibration: whether probabilities are what they say, before and after mending, and whether sets cover."""

import math
from collections.abc import Sequence

from aecf_jax.report._blocks import Block, Column, Diagram, Figure, Figures, Fold, Heading, Section, Table, Text
from aecf_jax.report._facts import real
from aecf_jax.report._names import label
from aecf_jax.report._numbers import counted, interval, number, percent
from aecf_jax.report._read import Report, drawn, over_runs, piece, several, written

_ERRORS = ("nll", "brier", "brier_reliability", "brier_resolution", "ece", "ece_equal_mass", "ece_debiased", "mce",
           "rms", "classwise_ece")  # fmt: skip

_MOST_UNFOLDED = 31


def calibration_section(report: Report) -> Section | None:
    """Returns the section; None where no model predicts probabilities.

    Args:
        report: the dictionary.
    """
    blocks: list[Block] = []
    for model in report["models"]:
        found = _model(report, model)
        if found and several(report):
            found.insert(0, Heading(model["name"]))
        blocks += found
    return Section("calibration", "Calibration", tuple(blocks)) if blocks else None


def _model(report: Report, model: Report) -> list[Block]:
    """Returns the diagrams and the errors of one model."""
    parts = piece(model, "reliability")
    if not parts:
        return []
    blocks: list[Block] = [Text(_lead(model))]
    what = "probabilities of labels" if report["kind"] == "labels" else "most probable classes"
    rows: list[tuple[Figure, ...]] = []
    for index, found in enumerate(parts[0]["diagrams"]):
        figures = [_figure([part["diagrams"][index][when] for part in parts], f"{found['name']}, {said}", what)
                   for when, said in (("before", "as the model gives it"), ("after", "after calibration"))
                   if all(part["diagrams"][index][when] for part in parts)]  # fmt: skip
        rows.append(tuple(figures))
    # Before and after stand side by side; without an after, the diagrams of before do.
    alone = all(len(row) == 1 for row in rows)
    blocks += [Figures(row) for row in ([tuple(row[0] for row in rows)] if alone else rows)]
    return [*blocks, *_entries(model), _errors(parts)]


def _lead(model: Report) -> str:
    """Returns how calibration was fitted, or that it was not."""
    parts = piece(model, "calibration")
    if not parts:
        return "No calibration was fitted: aecf-jax calibrate fits one, and this section then shows both."
    fitted = parts[0]
    return (f"Fitted: {fitted['method']}, by {fitted['by']}, on {fitted['rows']:,} validation rows. The "
            "figures below are of test rows, which it never saw.")  # fmt: skip


def _figure(found: Sequence[Report], title: str, what: str) -> Figure:
    """Returns one reliability diagram, of all runs pooled."""
    count = [math.fsum(real(one["counts"][place]) for one in found) for place in range(len(found[0]["counts"]))]

    def pooled(name: str) -> tuple[float, ...]:
        return tuple(
            math.fsum(real(one[name][place]) * real(one["counts"][place]) for one in found if one["counts"][place])
            / total if total else math.nan for place, total in enumerate(count)
        )  # fmt: skip

    said, true = pooled("confidence"), pooled("frequency")
    chart = Diagram(title, tuple(map(real, found[0]["edges"])), said, true, tuple(count))
    columns = (Column("said", "number"), Column("came true", "number"), Column("count", "number"))
    rows = tuple((number(a, 3), number(b, 3), f"{n:,.0f}") for a, b, n in zip(said, true, count, strict=True) if n)
    caption = (f"Dots on the diagonal are honest, below it over-confident, above it under-confident; larger dots and "
               f"higher grey bars are more predictions ({what}). Trust no dot above a low bar.")  # fmt: skip
    return Figure(chart, caption, Table(columns, rows))


def _entries(model: Report) -> list[Block]:
    """Returns what was fitted for each pattern, of the first run."""
    parts = piece(model, "calibration")
    entries = parts[0]["entries"] if parts else []
    if not entries:
        return []
    columns = (Column("pattern"), Column("rows", "number"), Column("temperature", "number"))
    rows = tuple((one["name"], f"{one['rows']:,}", number(real(one["temperature"]), 3)) for one in entries)
    caption = "Above 1 the model was too sure, and its probabilities are made milder; below 1 it was not sure enough."
    return [Fold(f"Temperatures of {counted(len(entries), 'pattern')}", (Table(columns, rows, caption),))]


def _errors(parts: list[Report]) -> Table:
    """Returns errors before and after calibration, of all modalities, on average and at worst."""
    names = [name for name in _ERRORS if name in parts[0]["before"]]
    times = [when for when in ("before", "after") if all(part[when] for part in parts)]
    kinds = (("full", "all modalities"), ("mean", "mean of subsets"), ("worst", "worst subset"))
    columns = (Column("metric"), *(Column(said + (f", {when}" if len(times) > 1 else ""), "number")
               for _, said in kinds for when in times))  # fmt: skip
    rows = tuple((label(name), *(written(over_runs(parts, when, name, kind)) for kind, _ in kinds for when in times))
                 for name in names)  # fmt: skip
    caption = ("Lower is better, except for the resolution, which says how far predictions tell rows apart. NLL and "
               "Brier judge the whole prediction; ECE and its kin judge its honesty alone.")  # fmt: skip
    return Table(columns, rows, caption)


def conformal_section(report: Report) -> Section | None:
    """Returns the section on prediction sets; None where none were fitted.

    Args:
        report: the dictionary.
    """
    blocks: list[Block] = []
    for model in report["models"]:
        parts = piece(model, "conformal")
        if not parts:
            continue
        if several(report):
            blocks.append(Heading(model["name"]))
        table: Block = _coverage(parts)
        many = len(parts[0]["patterns"]) > _MOST_UNFOLDED
        blocks += [Text(_promise(parts[0])), Fold("Coverage by pattern", (table,)) if many else table]
    return Section("conformal", "Prediction sets", tuple(blocks)) if blocks else None


def _promise(part: Report) -> str:
    """Returns what the sets promise."""
    return (
        f"Instead of one class the model can give a set that holds the true one with probability "
        f"{percent(part['level'], 0)} ({part['method']}, by {part['by']}, fitted on the validation part). Small sets "
        "mean that it is sure; a coverage below what is expected is a broken promise."
    )


def _coverage(parts: list[Report]) -> Table:
    """Returns coverage and size by pattern."""
    columns = (Column("pattern"), Column("rows", "number"), Column("coverage", "number"), Column("interval", "number"),
               Column("expected", "number"), Column("coverage", "range"), Column("mean size", "number"))  # fmt: skip
    rows: list[tuple[object, ...]] = []
    ends: list[float] = [parts[0]["level"]]
    for index, row in enumerate(parts[0]["patterns"]):
        covered, size = (over_runs(parts, "patterns", index, name) for name in ("coverage", "size"))
        low, high = ((real(row[end]) if len(parts) == 1 else real(covered[end])) for end in ("low", "high"))
        ends += [end for end in (real(covered["value"]), low, high) if math.isfinite(end)]
        rows.append((row["pattern"], f"{row['rows']:,}", number(real(covered["value"]), 3), interval(low, high),
                     interval(real(row["least"]), real(row["most"])),
                     drawn({"value": covered["value"], "low": low, "high": high}),
                     number(real(size["value"]), 2)))  # fmt: skip
    axis = (max(min(ends) - 0.02, 0.0), min(max(ends) + 0.02, 1.0))
    caption = ("The dotted line is the promise. Expected: where the coverage lies in 95 of 100 cases if the promise is "
               "kept, by the number of rows that the threshold was found on and that it is tried on.")  # fmt: skip
    return Table(columns, tuple(rows), caption, axis, parts[0]["level"])
