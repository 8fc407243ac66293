"""What a model costs, and how its training went."""

import math
from collections.abc import Sequence

from aecf_jax.report._blocks import Block, Column, Figure, Figures, Line, Lines, Section, Table, Text
from aecf_jax.report._facts import real
from aecf_jax.report._names import label
from aecf_jax.report._numbers import number
from aecf_jax.report._read import Report, all_models, over_runs, piece, written

_CURVES = {"training, all terms": "train_total_loss", "validation, task alone": "val_loss"}
_MEGABYTE = 1e6


def cost_section(report: Report) -> Section:
    """Returns the section.

    Args:
        report: the dictionary.
    """
    columns = (Column("model"), Column("parameters", "number"), Column("training, seconds", "number"),
               Column("steps", "number"), Column("ms per step", "number"), Column("ms per 1,000 rows", "number"),
               Column("memory to predict, MB", "number"))  # fmt: skip
    rows = tuple(_row(model) for model in all_models(report))
    blocks: list[Block] = [Table(columns, rows, _how(report))]
    figures = [figure for model in report["models"] for figure in _curves(report, model)]
    if figures:
        text = (
            "How the training went: a validation curve that rises again is over-fitting, one that still falls at its "
        )
        blocks += [Text(text + "end asks for more epochs."), Figures(tuple(figures))]
    return Section("costs", "Costs and training", tuple(blocks))


def _row(model: Report) -> tuple[str, ...]:
    """Returns the costs of one model."""
    runs, costs = model["runs"], piece(model, "costs")
    recorded = [run["recorded"] for run in runs]
    steps: list[Report] = [{"per": 1000 * real(one["seconds"]) / max(one["steps"], 1)} for one in recorded]
    measured = [written(over_runs(costs, name), 1) if costs else number(None)
                for name in ("ms_per_1000_rows", "predict_megabytes")]  # fmt: skip
    return (model["name"], f"{recorded[0]['parameters']:,}", written(over_runs(recorded, "seconds"), 1),
            written(over_runs(recorded, "steps"), 0), written(over_runs(steps, "per"), 1), *measured)  # fmt: skip


def _how(report: Report) -> str:
    """Returns how the costs were measured."""
    text = "Milliseconds per step: the training's seconds by its steps, with compilation, validation and saving."
    found = [costs for model in all_models(report) for costs in piece(model, "costs")]
    return f"{text} {found[0]['how']}" if found else text


def _curves(report: Report, model: Report) -> list[Figure]:
    """Returns the losses and the headline metric over the first run's training."""
    history = model["runs"][0]["history"]
    best = model["runs"][0]["recorded"]["best_step"]
    metric = report["headline"]
    losses = tuple(line for name, key in _CURVES.items() for line in _line(history, name, key))
    scores = tuple(_line(history, "all modalities present", f"val_{metric}"))
    epoch = next((f" The checkpoint that is reported is of epoch {real(row['epoch']):g}." for row in history
                  if row.get("step") == best and row.get("epoch") is not None), "")  # fmt: skip
    run = f"{model['runs'][0]['name']}: "
    return [
        Figure(Lines(f"{run}{title}", "epoch", y, lines), caption + epoch)
        for title, y, lines, caption in (
            ("loss", "loss", losses, "Losses over the training."),
            (f"validation {label(metric)}", label(metric), scores, "Of the validation rows."),
        )
        if lines
    ]


def _line(history: Sequence[Report], name: str, key: str) -> list[Line]:
    """Returns one logged figure over epochs, if it was logged."""
    rows = [row for row in history if row.get(key) is not None and row.get("epoch") is not None]
    rows = [row for row in rows if math.isfinite(real(row[key]))]
    if not rows:
        return []
    return [Line(name, tuple(real(row["epoch"]) for row in rows), tuple(real(row[key]) for row in rows))]
