"""The table of metrics by modality subset: its rows, its summaries, and the JSON that gives it back exactly."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aecf_jax.errors import nearest, require

HEADLINE = {
    "classes": ("accuracy", True),
    "labels": ("map", True),
    "values": ("rmse", False),
    "embedding": ("cosine_similarity", True),
}
"""What is predicted -> the metric that says how good a subset is, and whether more of it is better."""

MORE_IS_BETTER = frozenset(
    ("accuracy", "top5_accuracy", "top1_accuracy", "exact_match", "precision", "recall", "f1_macro", "f1_micro", "map",
     "map_micro", "r2", "r2_per_target", "cosine_similarity", "centroid_accuracy")
)  # fmt: skip
"""The metrics of which more is better; of all others less is."""


class SubsetRow(NamedTuple):
    """What a model achieves with one subset of the modalities.

    Attributes:
        modalities: the names of the subset, in the data's order.
        rows: how many rows of the data have all of them, and so were counted.
        metrics: metric -> value; NaN where it is not defined, as all are with no row. Those of
            `metrics.evaluate_predictions`, and `entropy`, the mean entropy of the gate's weights in nats.
        intervals: metric -> lower and upper bound, by the bootstrap over rows; None: not asked for.
    """

    modalities: tuple[str, ...]
    rows: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] | None = None


@dataclass(frozen=True, eq=False)
class SubsetTable:
    """Metrics of every non-empty subset of the modalities, smallest subsets first.

    Two tables are equal when all names, counts and numbers are, to the last digit; NaN equals NaN.

    Attributes:
        modalities: all modalities, in the data's order.
        kind: what is predicted: classes, labels, values or embedding.
        rows: one `SubsetRow` per subset; the last is the subset of all modalities.
    """

    modalities: tuple[str, ...]
    kind: str
    rows: tuple[SubsetRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubsetTable) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def headline(self) -> str:
        """The metric that subsets are compared by."""
        return HEADLINE[self.kind][0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics, which are those of every row."""
        return tuple(self.full.metrics)

    @property
    def full(self) -> SubsetRow:
        """The row of all modalities together, which is the last."""
        return self.rows[-1]

    @property
    def singles(self) -> tuple[SubsetRow, ...]:
        """The rows of one modality each."""
        return tuple(row for row in self.rows if len(row.modalities) == 1)

    @property
    def worst_single(self) -> SubsetRow:
        """The row of the single modality with the worst headline metric; without a row of data none is compared."""
        return self._worst(self.singles)

    @property
    def worst(self) -> SubsetRow:
        """The row of the subset with the worst headline metric; without a row of data none is compared."""
        return self._worst(self.rows)

    def _worst(self, rows: tuple[SubsetRow, ...]) -> SubsetRow:
        """The row with the worst headline metric."""
        name, more_is_better = HEADLINE[self.kind]
        counted = [row for row in rows if not math.isnan(row.metrics.get(name, math.nan))]
        pick = min if more_is_better else max
        return pick(counted or rows, key=lambda row: row.metrics.get(name, math.nan))

    def reduced(self, metrics: Collection[str]) -> "SubsetTable":
        """Returns the table with these metrics alone, and without intervals."""
        rows = tuple(
            SubsetRow(r.modalities, r.rows, {n: v for n, v in r.metrics.items() if n in metrics}) for r in self.rows
        )
        return SubsetTable(self.modalities, self.kind, rows)

    def regret(
        self, alone: "Mapping[tuple[str, ...], SubsetTable | Mapping[str, float]]", metric: str | None = None
    ) -> dict[tuple[str, ...], float]:
        """Returns how much worse each subset is than a model that was trained on that subset alone.

        Positive: the model for all subsets loses to the one made for it; in units of the metric.

        Args:
            alone: modalities of a subset, in any order -> the table of the model made for it, whose last row is
                taken, or that row's metrics.
            metric: what is compared; None: the headline.

        Raises:
            InputError: for a subset that the table does not have, or a metric that either lacks.

        >>> rows = (SubsetRow(("a",), 4, {"accuracy": 0.5}), SubsetRow(("b",), 4, {"accuracy": 0.75}))
        >>> SubsetTable(("a", "b"), "classes", rows).regret({("a",): {"accuracy": 0.75}})
        {('a',): 0.25}
        """
        name = self.headline if metric is None else metric
        own = {frozenset(row.modalities): row for row in self.rows}
        found: dict[tuple[str, ...], float] = {}
        for subset, given in alone.items():
            row = own.get(frozenset(subset))
            require(row is not None, "alone", "name subsets of the table", " + ".join(subset))
            other = given.full.metrics if isinstance(given, SubsetTable) else given
            if row is not None:
                for metrics in (row.metrics, other):
                    require(name in metrics, "metric", f"be one of {', '.join(metrics)}", name, nearest(name, metrics))
                sign = 1.0 if name in MORE_IS_BETTER else -1.0
                found[row.modalities] = sign * (float(other[name]) - row.metrics[name])
        return found

    def summary(self) -> dict[str, Any]:
        """Returns every metric of the full set, its means over all subsets and over single ones, and the worst of both.

        A subset without rows has no part in a mean.
        """
        worst, single = self.worst, self.worst_single
        return {
            "full": _plain(self.full.metrics),
            "mean_of_subsets": _plain(_means(self.rows)),
            "mean_of_singles": _plain(_means(self.singles)),
            "worst_subset": {"modalities": list(worst.modalities), "metrics": _plain(worst.metrics)},
            "worst_single": {"modality": single.modalities[0], "metrics": _plain(single.metrics)},
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the table as JSON can hold it: NaN is None, and `from_dict` gives every other float back exactly."""
        rows: list[dict[str, Any]] = []
        for row in self.rows:
            one: dict[str, Any] = {"modalities": list(row.modalities), "rows": row.rows, "metrics": _plain(row.metrics)}
            if row.intervals is not None:
                one["intervals"] = {name: [_json(x) for x in bounds] for name, bounds in row.intervals.items()}
            rows.append(one)
        return {"modalities": list(self.modalities), "kind": self.kind, "subsets": rows}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "SubsetTable":
        """Returns the table that `to_dict` described.

        Args:
            mapping: what `to_dict` returned, perhaps by way of a file.

        Raises:
            InputError: if a part is missing.
        """
        for name in ("modalities", "kind", "subsets"):
            require(name in mapping, "table", f"have `{name}`", f"a table with {', '.join(mapping) or 'nothing'}")
        require(mapping["kind"] in HEADLINE, "kind", f"be one of {', '.join(HEADLINE)}", str(mapping["kind"]))
        rows = tuple(
            SubsetRow(
                tuple(row["modalities"]), int(row["rows"]), _floats(row["metrics"]), _bounds(row.get("intervals"))
            )
            for row in mapping["subsets"]
        )
        return cls(tuple(mapping["modalities"]), str(mapping["kind"]), rows)


def _means(rows: Iterable[SubsetRow]) -> dict[str, float]:
    """Returns the mean of every metric over the rows where it is defined."""
    rows = tuple(rows)
    means: dict[str, float] = {}
    for name in rows[-1].metrics:
        values = [row.metrics[name] for row in rows if not math.isnan(row.metrics.get(name, math.nan))]
        means[name] = math.fsum(values) / len(values) if values else math.nan
    return means


def _plain(metrics: Mapping[str, float]) -> dict[str, float | str | None]:
    """Returns metrics as strict JSON can hold them."""
    return {name: _json(value) for name, value in metrics.items()}


def _json(value: float) -> float | str | None:
    """Returns a number as strict JSON can hold it: NaN as None, an infinity as text."""
    return None if math.isnan(value) else value if math.isfinite(value) else str(value)


def _floats(metrics: Mapping[str, float | str | None]) -> dict[str, float]:
    """Returns the metrics that `_plain` made plain."""
    return {name: _float(value) for name, value in metrics.items()}


def _float(value: float | str | None) -> float:
    """Returns the number that `_json` made plain."""
    return math.nan if value is None else float(value)


def _bounds(intervals: Mapping[str, Any] | None) -> dict[str, tuple[float, float]] | None:
    """Returns the intervals of a row as it was written; older files have none."""
    if intervals is None:
        return None
    return {name: (_float(low), _float(high)) for name, (low, high) in intervals.items()}
