"""Models side by side on the same rows: means over seeds, paired differences, p-values that count all tests made."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from aecf_jax.errors import require
from aecf_jax.evaluate._contrast import Contrast, Drawn, contrast
from aecf_jax.evaluate._network import COMPARED, Key, NetworkFigures
from aecf_jax.stats import Estimate, holm, paired_permutation

Test = Literal["student", "permutation"]


class Difference(NamedTuple):
    """One paired comparison.

    Attributes:
        one: name of a model.
        other: name of the model that is subtracted.
        seen: what both see.
        metric: what is compared.
        estimate: the difference and its interval.
        p: two-sided p-value of no difference; NaN where the metric is not defined.
        holm: the same, corrected for all tests of the comparison.
        test: Student's over seeds and rows, or the permutation of rows between two networks.
    """

    one: str
    other: str
    seen: str
    metric: str
    estimate: Estimate
    p: float
    holm: float
    test: Test


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models on the same rows.

    Attributes:
        kind: what is predicted: classes, labels, values or embedding.
        about: what they were evaluated on.
        level: confidence of the intervals; a difference is called one where the corrected p-value is below 1 - level.
        seeds: name of a model -> how many networks of it there are.
        figures: name of a model -> (what it sees, metric) -> mean over its networks, with its interval.
        differences: every pair of models, in every figure.
    """

    kind: str
    about: dict[str, Any]
    level: float
    seeds: dict[str, int]
    figures: dict[str, dict[Key, Estimate]]
    differences: tuple[Difference, ...]

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def claims(self) -> str:
        """What the p-values speak of, in one or two sentences."""
        once = [name for name, count in self.seeds.items() if count == 1]
        if len(self) == 1:
            (count,) = self.seeds.values()
            return f"{count} networks of one model, which differ in their seeds alone: nothing to compare."
        if not once:
            return "Seeds and test rows both vary: a difference is one between the settings."
        if len(once) == len(self):
            return (
                "One network each: a difference is one between these networks, on other rows of the same kind. "
                "Two seeds of one model differ in this sense, too; to compare settings, train several seeds of each."
            )
        several = [name for name in self.seeds if name not in once]
        return (
            f"{', '.join(once)}: one network, whose seed is taken to matter as much as those of "
            f"{', '.join(several)}; between single networks, a difference is one between these networks alone."
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the comparison as JSON can hold it, NaN as None."""
        return {
            "kind": self.kind,
            "about": self.about,
            "level": self.level,
            "claims": self.claims,
            "models": [
                {"name": name, "seeds": self.seeds[name],
                 "figures": [{"seen": seen, "metric": metric, **_plain(estimate._asdict())}
                             for (seen, metric), estimate in found.items()]}
                for name, found in self.figures.items()
            ],
            "differences": [_plain({**d._asdict(), **d.estimate._asdict()}, without="estimate")
                            for d in self.differences],
        }  # fmt: skip


def compare_models(
    models: Mapping[str, Sequence[NetworkFigures]], *, level: float = 0.95, against: str | None = None
) -> Comparison:
    """Returns the comparison of models, each with the figures of one or more networks: its seeds.

    Where both models have one network, and the metric is a mean over rows, the p-value is that of the permutation
    test; else of Student's, with the variance of seeds and of resampled rows (docs/comparison.md). Corrected by Holm
    over all comparisons made: pairs, metrics and what is seen.

    Args:
        models: name -> figures of its networks, on the same rows under the same resamples.
        level: confidence of the intervals.
        against: the model that every other one is compared with, and no others with each other; None: all pairs.

    Raises:
        InputError: if there is no model, or one without networks, or what two were evaluated on differs.
    """
    require(len(models) > 0 and all(models.values()), "models", "each have at least one network", dict(models))
    first = next(iter(models.values()))[0]
    for name, networks in models.items():
        for network in networks:
            _check_same(name, network, first)
    rows = int(first.about["rows"])
    keys = [(seen, metric) for seen, metric in first.value if metric in COMPARED[first.kind]]
    figures = {
        name: {key: contrast(_drawn(networks, key), rows=rows, level=level).estimate for key in keys}
        for name, networks in models.items()
    }
    pairs = itertools.combinations(models, 2)
    if against is not None:
        require(against in models, "against", f"be one of {', '.join(models)}", against)
        pairs = ((name, against) for name in models if name != against)
    found = [_difference(pair, key, models, level, rows) for pair in pairs for key in keys]
    pvalues = np.array([one.p for one in found])
    tested = ~np.isnan(pvalues)
    pvalues[tested] = holm(pvalues[tested])
    differences = tuple(one._replace(holm=float(p)) for one, p in zip(found, pvalues, strict=True))
    seeds = {name: len(networks) for name, networks in models.items()}
    return Comparison(first.kind, first.about, level, seeds, figures, differences)


def _check_same(name: str, network: NetworkFigures, first: NetworkFigures) -> None:
    """Raises unless two networks were evaluated on the same, naming what differs."""
    for what, wanted in first.about.items():
        found = network.about[what]
        require(found == wanted, what, f"be the same for all that is compared, {_short(wanted)}",
                f"{_short(found)} for {name}")  # fmt: skip


def _short(value: Any) -> str:
    """Returns a value as it is shown, a hash by its beginning."""
    return value[:12] if isinstance(value, str) else ", ".join(value) if isinstance(value, list) else str(value)


def _difference(
    pair: tuple[str, str], key: Key, models: Mapping[str, Sequence[NetworkFigures]], level: float, rows: int
) -> Difference:
    """Returns one comparison, not yet corrected."""
    one, other = (models[name] for name in pair)
    found: Contrast = contrast(_drawn(one, key), _drawn(other, key), rows=rows, level=level)
    p, test = found.p, "student"
    if len(one) == len(other) == 1 and key in one[0].rows and key in other[0].rows and not math.isnan(p):
        # Exact also where few rows differ, as they do in accuracy.
        p, test = paired_permutation(one[0].rows[key] - other[0].rows[key]), "permutation"
    return Difference(*pair, *key, found.estimate, p, math.nan, test)


def _drawn(networks: Sequence[NetworkFigures], key: Key) -> Drawn:
    """Returns one figure of all networks of a model."""
    return Drawn(np.array([one.value[key] for one in networks]), np.stack([one.draws[key] for one in networks]))


def _plain(numbers: Mapping[str, Any], without: str = "") -> dict[str, Any]:
    """Returns numbers as JSON can hold them."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in numbers.items()
        if name != without
    }
