"""Monotonicity: whether a model becomes surer, and better, with every modality that is added."""

from typing import Any

from aecf_jax.report._blocks import Column, Section, Table, Text
from aecf_jax.report._facts import real
from aecf_jax.report._numbers import interval, percent
from aecf_jax.report._read import Report, over_runs, piece

_PAIRS = (("covering", "one modality more"), ("nested", "any number more"))


def order_section(report: Report) -> Section | None:
    """Returns the section; None where it was not measured.

    Args:
        report: the dictionary.
    """
    found = [(model["name"], piece(model, "monotonicity")) for model in report["models"]]
    found = [(name, parts) for name, parts in found if parts]
    if not found:
        return None
    columns = (Column("model"), Column("pairs of subsets"), Column("less sure", "number"), Column("interval", "number"),
               Column("loss rises", "number"), Column("interval", "number"))  # fmt: skip
    rows = [(name, f"{said}: {parts[0][key]['pairs']:,}", *_cells(parts, key, "violating"),
             *_cells(parts, key, "counter_intuitive")) for name, parts in found for key, said in _PAIRS]  # fmt: skip
    caption = ("Less sure: the confidence falls when modalities are added. Loss rises: the prediction becomes worse, "
               "which is counter-intuitive, since a modality more is more to go by. Noise alone makes some of both; "
               "look for models that differ.")  # fmt: skip
    lead = Text("Each row is predicted from every subset S and every larger subset T of what it has. A model that uses "
                "its modalities well is seldom worse with T than with S.")  # fmt: skip
    return Section("monotonicity", "More modalities, better predictions?", (lead, Table(columns, tuple(rows), caption)))


def _cells(parts: list[Report], key: str, rate: str) -> tuple[Any, str]:
    """Returns a rate with its interval."""
    figure = over_runs(parts, key, rate)
    ends = (None if figure[end] is None else 100 * real(figure[end]) for end in ("low", "high"))
    return percent(real(figure["value"])), interval(*ends, digits=1)
