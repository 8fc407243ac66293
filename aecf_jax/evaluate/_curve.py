"""How metrics fall as more is missing: curves, what they lose, and the refusal to compare what is not comparable."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from aecf_jax.data import Marginals
from aecf_jax.errors import InputError, message, require
from aecf_jax.evaluate._table import HEADLINE
from aecf_jax.stats import Estimate, percentile_interval

EXACT = "exact"
"""Stands for the hash of a drop table where every pattern was counted with its probability, and none was drawn."""


class CurveTable(NamedTuple):
    """What a point of a curve was measured on.

    Attributes:
        hash: of the drop table; `EXACT` where there is none.
        marginals: what it hides; of an exact point, in expectation.
    """

    hash: str
    marginals: Marginals


@dataclass(frozen=True, eq=False)
class RobustnessCurve:
    """Metrics of one predictor on the same rows, with more and more of their modalities hidden.

    Attributes:
        kind: what is predicted: classes, labels, values or embedding.
        data: the fingerprint of the rows, from before anything was hidden.
        mechanism: what hid the modalities.
        seed: of the drop tables and of the bootstrap.
        rates: the mechanism's rates, rising; for tables that were given, the share of what is there that each hides.
        tables: what each point was measured on.
        metrics: metric -> its value at every rate, with the percentile interval of a bootstrap over rows.
        level: confidence of the intervals.
        area: metric -> its mean over the rates, by the trapezoid rule: the area under the curve by the width of the
            range; none where the rates do not rise.
        relative: metric -> its value at every rate divided by that at rate 0; none without rate 0.
        drawn: metric -> its value in every resample, `(rates, draws)`; empty in a curve that was read from a file.
    """

    kind: str
    data: str
    mechanism: str
    seed: int
    rates: tuple[float, ...]
    tables: tuple[CurveTable, ...]
    metrics: dict[str, tuple[Estimate, ...]]
    level: float
    area: dict[str, Estimate]
    relative: dict[str, tuple[Estimate, ...]]
    drawn: dict[str, Float[np.ndarray, "rates draws"]] = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RobustnessCurve) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def headline(self) -> str:
        """The metric that curves are compared by."""
        return HEADLINE[self.kind][0]

    def effective(self, baseline: "RobustnessCurve") -> dict[str, tuple[Estimate, ...]]:
        """Returns metric -> by how much more it is than the baseline's at every rate, on the same tables.

        The intervals are of the paired difference, over the same resampled rows; NaN where a curve is from a file.

        Args:
            baseline: the curve of another predictor, for example of `late_fusion`.

        Raises:
            InputError: if the two were not measured on the same rows and drop tables.
        """
        require_comparable(self, baseline)
        out: dict[str, tuple[Estimate, ...]] = {}
        for name in (name for name in self.metrics if name in baseline.metrics):
            value = values_of(self.metrics[name]) - values_of(baseline.metrics[name])
            drawn = np.full((len(value), 1), np.nan)
            one, other = self.drawn.get(name), baseline.drawn.get(name)
            if one is not None and other is not None and self.seed == baseline.seed and one.shape == other.shape:
                drawn = one - other
            out[name] = estimates(value, drawn, self.level)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Returns all but `drawn` as JSON can hold it: NaN is None, and every other float reads back exactly."""
        tables = [{"hash": t.hash, "hidden": {m: _plain(v) for m, v in t.marginals.hidden.items()},
                   "sizes": list(t.marginals.sizes), "empty": t.marginals.empty} for t in self.tables]  # fmt: skip
        return {
            "kind": self.kind, "data": self.data, "mechanism": self.mechanism, "seed": self.seed,
            "rates": list(self.rates), "tables": tables, "level": self.level,
            "metrics": {name: [_cells(e) for e in points] for name, points in self.metrics.items()},
            "area": {name: _cells(e) for name, e in self.area.items()},
            "relative": {name: [_cells(e) for e in points] for name, points in self.relative.items()},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "RobustnessCurve":
        """Returns the curve that `to_dict` described, without its draws.

        Args:
            mapping: what `to_dict` returned, perhaps by way of a file.

        Raises:
            InputError: if a part is missing or of another form.
        """
        try:
            tables = tuple(_table(table) for table in mapping["tables"])
            plain = {name: mapping[name] for name in ("kind", "data", "mechanism", "seed", "level")}
            metrics, relative = (
                {name: tuple(map(_estimate, points)) for name, points in mapping[part].items()}
                for part in ("metrics", "relative")
            )
            area = {name: _estimate(cells) for name, cells in mapping["area"].items()}
            return cls(rates=tuple(mapping["rates"]), tables=tables, metrics=metrics, area=area, relative=relative,
                       **plain)  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise InputError(message("curve", "be whole, as `to_dict` describes it", what)) from error


def require_comparable(*curves: RobustnessCurve) -> None:
    """Raises unless all curves were measured on the same rows, with the same drop tables.

    Args:
        *curves: of predictors that are to be compared.

    Raises:
        InputError: naming the first difference.
    """
    for other in curves[1:]:
        first = curves[0]
        pairs = [("data", first.data, other.data), ("rates", str(first.rates), str(other.rates))]
        pairs += [(f"drop tables at {rate:g}", one.hash, two.hash)
                  for rate, one, two in zip(first.rates, first.tables, other.tables, strict=False)]  # fmt: skip
        for what, one, two in pairs:
            require(one == two, "curves", "be of the same rows and drop tables, to be compared",
                    f"different {what}: {_short(one)} and {_short(two)}")  # fmt: skip


def made_curve(
    drawn: Mapping[str, Float[np.ndarray, "rates draws"]],
    level: float,
    **fields: Any,
) -> RobustnessCurve:
    """Returns a curve from the metrics of the rows as they are and of resampled ones.

    Args:
        drawn: metric -> its values; the first column is of the rows as they are.
        level: confidence of the intervals.
        **fields: all others that do not follow from these.
    """
    rates = tuple(float(rate) for rate in fields["rates"])
    area: dict[str, Estimate] = {}
    relative: dict[str, tuple[Estimate, ...]] = {}
    metrics = {name: estimates(values[:, 0], values[:, 1:], level) for name, values in drawn.items()}
    for name, values in drawn.items():
        if len(rates) > 1 and all(low < high for low, high in itertools.pairwise(rates)):
            under = np.trapezoid(values, rates, axis=0)[None] / (rates[-1] - rates[0])
            area[name] = estimates(under[:, 0], under[:, 1:], level)[0]
        if 0 in rates[:1]:
            share = _ratio(values, values[:1])
            relative[name] = estimates(share[:, 0], share[:, 1:], level)
    return RobustnessCurve(metrics=metrics, area=area, relative=relative, level=level,
                           drawn={name: values[:, 1:] for name, values in drawn.items()}, **fields)  # fmt: skip


def estimates(
    values: Float[np.ndarray, "points"], drawn: Float[np.ndarray, "points draws"], level: float
) -> tuple[Estimate, ...]:
    """Returns values with their percentile intervals.

    Args:
        values: of the rows as they are.
        drawn: of resampled rows.
        level: confidence.
    """
    low, high = percentile_interval(drawn, level, axis=1)
    return tuple(Estimate(*map(float, numbers)) for numbers in zip(values, low, high, strict=True))


def values_of(points: Sequence[Estimate]) -> Float[np.ndarray, "points"]:
    """Returns the values without their intervals."""
    return np.array([point.value for point in points], np.float64)


def _ratio(values: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Returns values by those of the base, NaN where they are 0."""
    return np.divide(values, base, out=np.full(values.shape, np.nan), where=np.broadcast_to(base != 0, values.shape))


def _plain(value: float) -> float | str | None:
    """Returns a number as strict JSON can hold it."""
    return None if math.isnan(value) else value if math.isfinite(value) else str(value)


def _number(value: float | str | None) -> float:
    """Returns the number that `_plain` made plain."""
    return math.nan if value is None else float(value)


def _cells(estimate: Estimate) -> list[float | str | None]:
    """Returns an estimate as JSON holds it."""
    return [_plain(value) for value in estimate]


def _estimate(cells: Sequence[float | str | None]) -> Estimate:
    """Returns the estimate that `_cells` described."""
    value, low, high = map(_number, cells)
    return Estimate(value, low, high)


def _table(mapping: Mapping[str, Any]) -> CurveTable:
    """Returns the table of a point that `to_dict` described."""
    hidden = {name: _number(value) for name, value in mapping["hidden"].items()}
    return CurveTable(mapping["hash"], Marginals(hidden, tuple(mapping["sizes"]), mapping["empty"]))


def _short(text: str) -> str:
    """Returns the beginning of a hash, or another text whole."""
    return text[:12] if len(text) == 64 else text
