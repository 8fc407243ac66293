"""The gate: how even its weights are, which modality it prefers, and whether predictions need it."""

import math
from typing import Any

from aecf_jax.report._blocks import Block, Column, Heading, Section, Table, Text, Tone, Verdict
from aecf_jax.report._facts import real
from aecf_jax.report._numbers import number
from aecf_jax.report._read import Report, over_runs, piece, several, with_bounds, written

_TONES: dict[str, Tone] = {"the gate is used": "good", "the gate is not used": "care"}
_REPLACED = {"mean": "by its mean", "shuffled": "by another row's"}
_MOST_CLASSES = 30


def gate_section(report: Report) -> Section | None:
    """Returns the section; None where no gate was looked at.

    Args:
        report: the dictionary.
    """
    blocks: list[Block] = []
    for model in report["models"]:
        parts = piece(model, "gate")
        if not parts:
            continue
        if several(report):
            blocks.append(Heading(model["name"]))
        blocks += [_verdict(parts), *_model(report, parts)]
    return Section("gate", "The gate", tuple(blocks)) if blocks else None


def _verdict(parts: list[Report]) -> Verdict:
    """Returns whether the gate is used, by every run."""
    found = [part["verdict"] for part in parts]
    title = found[0].capitalize() if len(set(found)) == 1 else "The seeds disagree: " + "; ".join(found)
    alarms = sorted({part["collapsed"] for part in parts if part["collapsed"]})
    text = (f"Alarm: it has collapsed to {', '.join(alarms)}. " if alarms else "") + (
        "Used means that predictions become worse, by the interval, when the weights are replaced: by their mean, and "
        "by those of other rows where the same is present."
    )
    tone = "bad" if alarms else _TONES.get(found[0], "plain") if len(set(found)) == 1 else "plain"
    return Verdict(tone, f"{title}.", text)


def _model(report: Report, parts: list[Report]) -> list[Block]:
    """Returns the figures of a gate; nothing of a model without one."""
    if any(part["entropy"] is None for part in parts):
        return []
    most = over_runs(parts, "largest_entropy")
    lead = Text(f"Mean entropy of the weights: {written(over_runs(parts, 'entropy'), 3)} nats, of at most "
                f"{number(real(most['value']), 3)} for equal weights (the mean of ln of the number present), over "
                f"{parts[0]['rows']:,} rows with two modalities or more.")  # fmt: skip
    columns = (Column("weights replaced"), Column("loss rises by", "number"), Column("accuracy changes by", "number"))
    rows = tuple((said, *(with_bounds(over_runs(parts, name, what), 4) for what in ("loss", "accuracy")))
                 for name, said in _REPLACED.items() if all(part[name] for part in parts))  # fmt: skip
    blocks: list[Block] = [lead]
    if rows:
        blocks.append(Table(columns, rows, "What replacing the gate costs; an interval that holds 0 is no evidence."))
    return [*blocks, *_dominance(report, parts)]


def _dominance(report: Report, parts: list[Report]) -> list[Block]:
    """Returns the mean weights, and by class how often each modality has the largest weight."""
    names = [name for name in report["modalities"] if name in parts[0]["mean_weights"]]

    def cells(*path: Any) -> tuple[float, ...]:
        found = [real(over_runs(parts, *path, name)["value"]) for name in names]
        return tuple(value if math.isfinite(value) else 0.0 for value in found)

    columns = (Column(""), *(Column(name, "heat") for name in names))
    tables = [Table(columns, (("mean weight", *cells("mean_weights")),), "Mean weight in the rows that have it.")]
    labels = list(parts[0]["dominance"])
    if labels:
        rows = tuple((f"class {label}", *cells("dominance", label)) for label in labels[:_MOST_CLASSES])
        more = f" The first {_MOST_CLASSES} of {len(labels)} classes." if len(labels) > _MOST_CLASSES else ""
        caption = f"Share of each class's rows in which the modality has the largest weight.{more}"
        tables.append(Table(columns, rows, caption))
    return [*tables]
