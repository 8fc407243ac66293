"""Which modalities matter: what each is worth alone, together with others, and on average over every order."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from aecf_jax.report._facts import real


class Share(NamedTuple):
    """What one modality is worth, in the headline metric; a higher figure is always more useful.

    Attributes:
        modality: its name.
        alone: the metric with nothing else.
        lost: how much worse all the others are without it.
        mean: its mean gain over every order in which modalities may come (Shapley's value); NaN where unknown.
    """

    modality: str
    alone: float
    lost: float
    mean: float


def shares(table: Sequence[Mapping[str, Any]], modalities: Sequence[str], metric: str, *, more_is_better: bool,
           nothing: float) -> list[Share]:  # fmt: skip
    """Returns what each modality is worth.

    Args:
        table: merged metrics of every subset.
        modalities: all of them.
        metric: by which they are judged.
        more_is_better: of it.
        nothing: the metric without any modality; NaN where unknown.

    Source: Shapley 1953, "A value for n-person games".

    >>> rows = [("a", 0.5), ("b", 0.7), ("ab", 0.8)]
    >>> table = [{"modalities": list(names), "metrics": {"accuracy": {"value": value}}} for names, value in rows]
    >>> [one] = [s for s in shares(table, "ab", "accuracy", more_is_better=True, nothing=0.1) if s.modality == "b"]
    >>> one.alone, round(one.lost, 2), round(one.mean, 2)
    (0.7, 0.3, 0.45)
    """
    sign = 1.0 if more_is_better else -1.0
    worth = {frozenset(row["modalities"]): real(row["metrics"][metric]["value"]) for row in table}
    worth[frozenset()] = nothing
    everything = frozenset(modalities)
    return [
        Share(name, worth.get(frozenset([name]), math.nan),
              sign * (worth[everything] - worth.get(everything - {name}, math.nan)),
              sign * _mean_gain(name, modalities, worth))
        for name in modalities
    ]  # fmt: skip


def _mean_gain(name: str, modalities: Sequence[str], worth: Mapping[frozenset[str], float]) -> float:
    """Returns Shapley's value of a modality; NaN unless every subset is known."""
    others = [other for other in modalities if other != name]
    sizes: list[float] = []
    for size in range(len(modalities)):
        gains = [worth.get(frozenset([*some, name]), math.nan) - worth.get(frozenset(some), math.nan)
                 for some in combinations(others, size)]  # fmt: skip
        sizes.append(math.fsum(gains) / len(gains))
    return math.fsum(sizes) / len(sizes) if all(map(math.isfinite, sizes)) else math.nan
