"""Short ways to read the dictionary of a report: one model's figures, and how they are written."""

from collections.abc import Mapping
from typing import Any

from aecf_jax.report._blocks import Range
from aecf_jax.report._facts import real
from aecf_jax.report._models import merged
from aecf_jax.report._numbers import interval, number

Report = Mapping[Any, Any]


def full(model: Report) -> Report:
    """Returns the merged row of all modalities."""
    return model["table"][-1]


def singles(model: Report) -> list[Report]:
    """Returns the merged rows of one modality each."""
    return [row for row in model["table"] if len(row["modalities"]) == 1]


def worst(rows: list[Report], report: Report) -> Report:
    """Returns the row with the worst headline metric; one without a value is no candidate, unless all are.

    Args:
        rows: of a merged table.
        report: the dictionary.
    """
    sign = 1 if report["more_is_better"] else -1
    known = [row for row in rows if value(row, report["headline"]) == value(row, report["headline"])]
    return min(known or rows, key=lambda row: sign * value(row, report["headline"]))


def value(row: Report, metric: str) -> float:
    """Returns a metric of a merged row.

    Args:
        row: of a merged table.
        metric: its name.
    """
    return real(row["metrics"].get(metric, {}).get("value"))


def written(figure: Report, digits: int = 4) -> str:
    """Returns a merged figure: with its spread over seeds, or alone.

    Args:
        figure: from `merged_value`.
        digits: after the point.

    >>> written({"value": 0.5, "spread": 0.01}), written({"value": 0.5, "spread": None})
    ('0.5000 ± 0.0100', '0.5000')
    """
    text = number(real(figure["value"]), digits)
    return text if figure.get("spread") is None else f"{text} ± {number(real(figure['spread']), digits)}"


def bounds(figure: Report, digits: int = 3) -> str:
    """Returns a merged figure's interval.

    Args:
        figure: from `merged_value`.
        digits: after the point.
    """
    return interval(real(figure.get("low")), real(figure.get("high")), digits)


def with_bounds(figure: Report, digits: int = 3) -> str:
    """Returns a merged figure with its interval, if it has one.

    Args:
        figure: from `merged_value`.
        digits: after the point.
    """
    known = figure.get("low") is not None and figure.get("high") is not None
    return written(figure, digits) + (f" {bounds(figure, digits)}" if known else "")


def drawn(figure: Report) -> Range:
    """Returns a merged figure as it is drawn in a cell."""
    return Range(real(figure["value"]), real(figure.get("low")), real(figure.get("high")))


def piece(model: Report, name: str) -> list[Report]:
    """Returns one part of the facts of every run of a model; nothing unless every run has it.

    Args:
        model: one of the report's.
        name: of the part.
    """
    found = [run[name] for run in model["runs"]]
    return found if all(found) else []


def over_runs(parts: list[Report], *path: Any) -> dict[str, Any]:
    """Returns one figure over a model's runs.

    Args:
        parts: one dictionary a run.
        *path: keys that lead to the figure in each.
    """

    def read(part: Any) -> Any:
        for key in path:
            part = part[key]
        return part

    return merged(parts, read)


def several(report: Report) -> bool:
    """Returns whether there is more than one model."""
    return len(report["models"]) > 1


def all_models(report: Report) -> list[Report]:
    """Returns the models and then the baselines."""
    return [*report["models"], *report["baselines"]]
