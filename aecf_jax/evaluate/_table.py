"""The table of metrics by modality subset: its rows, its summaries, and the JSON that gives it back exactly."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aecf_jax.errors import require

HEADLINE = {
    "classes": ("accuracy", True),
    "labels": ("map", True),
    "values": ("rmse", False),
    "embedding": ("cosine_similarity", True),
}
"""What is predicted -> the metric that says how good a subset is, and whether more of it is better."""


class SubsetRow(NamedTuple):
    """What a model achieves with one subset of the modalities.

    Attributes:
        modalities: the names of the subset, in the data's order.
        rows: how many rows of the data have all of them, and so were counted.
        metrics: metric -> value; NaN where it is not defined, as all are with no row.
    """

    modalities: tuple[str, ...]
    rows: int
    metrics: dict[str, float]


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
        name, more_is_better = HEADLINE[self.kind]
        counted = [row for row in self.singles if not math.isnan(row.metrics.get(name, math.nan))]
        pick = min if more_is_better else max
        return pick(counted or self.singles, key=lambda row: row.metrics.get(name, math.nan))

    def summary(self) -> dict[str, Any]:
        """Returns every metric of the full set, its mean over all subsets and over single ones, and the worst single.

        A subset without rows has no part in a mean.
        """
        worst = self.worst_single
        return {
            "full": _plain(self.full.metrics),
            "mean_of_subsets": _plain(_means(self.rows)),
            "mean_of_singles": _plain(_means(self.singles)),
            "worst_single": {"modality": worst.modalities[0], "metrics": _plain(worst.metrics)},
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the table as JSON can hold it: NaN is None, and `from_dict` gives every other float back exactly."""
        rows = [{"modalities": list(r.modalities), "rows": r.rows, "metrics": _plain(r.metrics)} for r in self.rows]
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
            SubsetRow(tuple(row["modalities"]), int(row["rows"]), _floats(row["metrics"])) for row in mapping["subsets"]
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
    """Returns metrics as strict JSON can hold them: NaN as None, an infinity as text."""
    return {n: None if math.isnan(v) else v if math.isfinite(v) else str(v) for n, v in metrics.items()}


def _floats(metrics: Mapping[str, float | str | None]) -> dict[str, float]:
    """Returns the metrics that `_plain` made plain."""
    return {name: math.nan if value is None else float(value) for name, value in metrics.items()}
