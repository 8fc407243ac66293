"""The figures of one network that comparisons are made of: on the rows as they are, and on every resample of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int

from aecf_jax.data import Dataset, DropTable, fingerprint
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import SUBSET_BATCH_SIZE, Model, predict
from aecf_jax.evaluate._outputs import subset_outputs
from aecf_jax.evaluate._row_scores import Calibrated, row_scores
from aecf_jax.evaluate._table import HEADLINE
from aecf_jax.metrics import resampled_metrics
from aecf_jax.stats import DRAWS, resample_counts

COMPARED = {
    "classes": ("accuracy", "nll", "brier", "ece"),
    "labels": ("map", "nll", "brier", "ece"),
    "values": ("rmse", "mae"),
    "embedding": ("cosine_similarity",),
}
"""What is predicted -> metrics that models are compared by; the first is the headline."""

FULL, MEAN, WORST = "all modalities", "mean of subsets", "worst single"
"""What a model sees, beside what a drop table leaves: see `evaluate_subsets` and `SubsetTable.worst_single`."""

_OF_ROWS = {"classes": {"accuracy": "correct", "nll": "loss", "brier": "brier"},
            "labels": {"nll": "loss", "brier": "brier"}}  # fmt: skip
"""What is predicted -> metric that is a mean over rows -> its name among `RowScores`."""

Key = tuple[str, str]
"""What a model sees, and a metric."""


@dataclass(frozen=True, eq=False)
class NetworkFigures:
    """Figures of one network.

    Attributes:
        kind: what is predicted: classes, labels, values or embedding.
        about: what was evaluated on; two networks are compared only where all of it is equal.
        value: on the rows as they are.
        draws: on every resample; NaN where it does not define the metric.
        rows: of the metrics that are means over rows, what each row has in them; their mean is the value.
    """

    kind: str
    about: dict[str, Any]
    value: dict[Key, float]
    draws: dict[Key, Float64[np.ndarray, "draws"]]
    rows: dict[Key, Float64[np.ndarray, "rows"]]


class _Part(NamedTuple):
    """The metrics of one subset: `(metrics, 1 + draws)`, the rows as they are first, and what each row has in some."""

    drawn: Float64[np.ndarray, "metrics draws"]
    rows: dict[str, Float64[np.ndarray, "rows"]]


def network_figures(
    model: Model,
    dataset: Dataset,
    drops: DropTable,
    *,
    calibration: Calibrated | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    sizes: Collection[int] | None = None,
    batch_size: int = SUBSET_BATCH_SIZE,
) -> NetworkFigures:
    """Returns the metrics with all modalities, over subsets, of the worst single one, and under a drop table.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with labels and the model's modalities.
        drops: what one of the figures may see of them.
        calibration: (logits, visible) -> calibrated logits; None: as the model gives them.
        draws: resamples of the rows.
        seed: of these; the same for all networks that are to be compared.
        sizes: how many modalities a subset may have, beside one and all; None: any number.
        batch_size: rows per block.

    Raises:
        InputError: if the data have no labels or do not fit the model, or the drop table not the data.
    """
    require(dataset.label_kind != "none", "label", "be given to compare models", "data without labels")
    task, rows = model.config.task_type, dataset.select(model.config.modalities)
    kind = "embedding" if task == "embedding" else rows.label_kind
    counts = np.concatenate([np.ones((1, len(rows)), np.int32), resample_counts(len(rows), draws, seed=seed)])

    def part(output: np.ndarray, visible: np.ndarray, counted: np.ndarray) -> _Part:
        output = output if calibration is None else calibration(output, visible)
        return _part(output, rows.label, task, kind, counted, counts)

    found: list[_Part] = []
    single: list[_Part] = []
    for chunk in subset_outputs(model, dataset, sizes=sizes, batch_size=batch_size):
        for one, output, counted in zip(chunk.seen, chunk.output, chunk.counted, strict=True):
            found.append(part(output, rows.present & one, counted))
            single += found[-1:] if one.sum() == 1 else []
    seen = drops.apply(rows).select(rows.modalities)
    output = np.asarray(predict(model, seen, batch_size=batch_size).output)
    dropped = part(output, seen.present, np.ones(len(rows), bool))
    scopes = {FULL: found[-1], MEAN: _mean(found), WORST: _worst(single, kind), drop_name(drops): dropped}
    keys = [(scope, metric) for scope in scopes for metric in COMPARED[kind]]
    drawn = {(scope, metric): scopes[scope].drawn[COMPARED[kind].index(metric)] for scope, metric in keys}
    return NetworkFigures(
        kind,
        {"modalities": sorted(rows.modalities), "rows": len(rows), "labels": f"{rows.num_classes} {rows.label_kind}",
         "test data": fingerprint(rows.select(sorted(rows.modalities))), "drop table": drops.hash, "draws": draws,
         "seed of draws": seed},
        {key: float(drawn[key][0]) for key in keys},
        {key: drawn[key][1:] for key in keys},
        {key: scopes[key[0]].rows[key[1]] for key in keys if key[1] in scopes[key[0]].rows},
    )  # fmt: skip


def drop_name(drops: DropTable) -> str:
    """Returns what a drop table is called in a table of figures: its mechanism, and its rate where it has one."""
    rate = drops.parameters.get("rate")
    name = drops.mechanism.upper() if drops.mechanism in ("mcar", "mar", "mnar") else drops.mechanism
    return f"{name} {rate:g}" if isinstance(rate, int | float) else name


def _part(
    output: np.ndarray,
    label: np.ndarray,
    task: Any,
    kind: str,
    counted: Bool[np.ndarray, "rows"],
    counts: Int[np.ndarray, "draws rows"],
) -> _Part:
    """Returns the metrics of one subset on the rows that have it."""
    names = _OF_ROWS.get(kind, {})
    if not counted.any():
        nothing = np.full((len(COMPARED[kind]), len(counts)), np.nan)
        return _Part(nothing, {name: np.full(len(counted), np.nan) for name in names})
    metrics = resampled_metrics(output[counted], label[counted], task, counts[:, counted])
    own: dict[str, np.ndarray] = {}
    if names:
        scores = row_scores(output[counted], label[counted], task)
        for name, score in names.items():
            own[name] = np.zeros(len(counted))
            own[name][counted] = getattr(scores, score) * len(counted) / counted.sum()
    return _Part(np.stack([np.asarray(metrics[name], np.float64) for name in COMPARED[kind]]), own)


def _mean(parts: list[_Part]) -> _Part:
    """Returns the mean over subsets, of each metric over those where the rows define it."""
    drawn = np.stack([part.drawn for part in parts])
    defined = ~np.isnan(drawn[:, :, :1])
    number = defined.sum(axis=0)
    # The quotient of a metric that no subset defines is NaN again.
    mean = np.where(defined, drawn, 0.0).sum(axis=0) / np.where(number > 0, number, np.nan)
    some = [part.rows for part in parts if not any(np.isnan(own).any() for own in part.rows.values())]
    return _Part(mean, {name: np.mean([rows[name] for rows in some], axis=0) for name in (some[0] if some else ())})


def _worst(parts: list[_Part], kind: str) -> _Part:
    """Returns the single modality with the worst headline metric; of none that is defined, the first."""
    defined = [part for part in parts if not np.isnan(part.drawn[0, 0])] or parts
    pick = min if HEADLINE[kind][1] else max
    return pick(defined, key=lambda part: float(part.drawn[0, 0]))
