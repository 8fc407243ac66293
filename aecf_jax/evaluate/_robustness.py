"""Robustness curves: metrics over rates of missing, on drop tables or exactly over all patterns."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.data import Dataset, DropTable, Marginals, Mechanism, fingerprint, make_drops
from aecf_jax.errors import require
from aecf_jax.evaluate._curve import EXACT, CurveTable, RobustnessCurve, made_curve
from aecf_jax.evaluate._forward import Model, predict
from aecf_jax.evaluate._late_fusion import Predictor
from aecf_jax.evaluate._outputs import subsets
from aecf_jax.evaluate._row_scores import Calibrated
from aecf_jax.evaluate._subsets import subset_count
from aecf_jax.metrics import resampled_metrics
from aecf_jax.stats import DRAWS, resample_counts

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Rates of a curve, unless others are asked for."""

CURVE_METRICS = {
    "classes": ("accuracy", "nll", "brier", "ece"),
    "labels": ("map", "nll", "brier", "ece"),
    "values": ("rmse", "mae", "r2"),
    "embedding": ("cosine_similarity", "centroid_accuracy"),
}
"""What is predicted -> the metrics of a curve, as far as `evaluate_predictions` has them."""

MOST_PATTERNS = 1 << 20
"""Most pairs of a row and a subset of its modalities that an exact curve holds in memory."""

# Weights of patterns as integers, which counting rows takes: the smallest weight that counts is 1e-9 of a row.
_UNIT = 1 << 30
_MOST_WEIGHTS = 1 << 24


def robustness_curve(
    predictor: Model | Predictor,
    dataset: Dataset,
    rates: Sequence[float] = RATES,
    *,
    mechanism: Mechanism = "mcar",
    tables: Sequence[DropTable] | None = None,
    exact: bool = False,
    calibration: Calibrated | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = 0.95,
    **options: Any,
) -> RobustnessCurve:
    """Returns the metrics of a predictor as more and more modalities are hidden, with bootstrap intervals over rows.

    Each rate has one drop table, all of one seed, so that a higher rate hides mostly more of the same. Rows that a
    table leaves without a modality count only where it allows them.

    Exactly, instead: every row counts with each non-empty subset S of the k modalities that it has, by the weight
    r^(k - |S|) (1 - r)^|S| / (1 - r^k): the limit of infinitely many tables of "mcar", put into one.

    Args:
        predictor: a model, or a function from a data set to logits of what is present in it, as `late_fusion` makes.
        dataset: rows with labels.
        rates: of the mechanism, rising.
        mechanism: see `make_drops`.
        tables: tables that are there already, instead of those that `rates`, `mechanism` and `options` make.
        exact: whether to weigh all patterns instead of drawing tables.
        calibration: (logits, visible) -> calibrated logits, of a model; visible in its order of modalities.
        seed: of the tables and of the bootstrap.
        draws: resamples of the bootstrap.
        level: confidence of the intervals.
        **options: further arguments of `make_drops`.

    Raises:
        InputError: if there are no labels, the rates do not rise within [0, 1], or what is exact is not "mcar", or has
            more than `MOST_PATTERNS` patterns of rows.
    """
    require(dataset.label_kind != "none", "label", "be given to evaluate a model", "data without labels")
    task = _task_of(predictor, dataset)
    kind = "embedding" if task == "embedding" else dataset.label_kind
    require(not exact or kind != "embedding", "exact", "be of classes, labels or values", task)
    counts = np.concatenate([np.ones((1, len(dataset)), np.int32), resample_counts(len(dataset), draws, seed=seed)])
    predicted = _predicted(predictor, calibration)
    if exact:
        plain = mechanism == "mcar" and tables is None and not options
        require(plain, "exact", "be of plain mcar drops", mechanism if tables is None else "given tables")
        rates = _checked_rates(rates, below_one=True)
        marks, found = _exact(predicted, dataset, task, rates, counts)
    else:
        rates = _checked_rates(rates) if tables is None else _rates_of(tables)
        tables = tables or [make_drops(dataset, mechanism, rate=rate, seed=seed, **options) for rate in rates]
        marks = [CurveTable(table.hash, table.marginals()) for table in tables]
        found = [_on_table(predicted, dataset, task, table, counts) for table in tables]
    names = [name for name in CURVE_METRICS[kind] if name in found[0]]
    return made_curve(
        {name: np.stack([point[name] for point in found]) for name in names}, level, kind=kind,
        data=fingerprint(dataset), mechanism=_mechanism(mechanism, tables), seed=seed, rates=rates, tables=tuple(marks),
    )  # fmt: skip


def _task_of(predictor: Model | Predictor, dataset: Dataset) -> str:
    """Returns the task of a model, or of what predicts the labels."""
    if isinstance(predictor, Model):
        return predictor.config.task_type
    return "regression" if dataset.label_kind == "values" else "classification"


def _rates_of(tables: Sequence[DropTable]) -> tuple[float, ...]:
    """Returns what share of what is present each table hides."""
    require(len(tables) > 0, "tables", "hold at least one drop table", "none")
    return tuple(1 - float(one.visible.sum()) / max(float(one.present.sum()), 1.0) for one in tables)


def _checked_rates(rates: Sequence[float], *, below_one: bool = False) -> tuple[float, ...]:
    """Returns rates that rise within [0, 1]."""
    numbers = tuple(float(rate) for rate in rates)
    rising = all(low < high for low, high in itertools.pairwise(numbers))
    within = all(0 <= rate <= 1 for rate in numbers) and not (below_one and 1.0 in numbers)
    require(len(numbers) > 0 and rising and within, "rates", "rise from 0 or more to 1 or less", numbers,
            "Exactly, 1 leaves no pattern." if below_one else "")  # fmt: skip
    return numbers


def _mechanism(mechanism: str, tables: Sequence[DropTable] | None) -> str:
    """Returns the name of what hid the modalities."""
    return mechanism if tables is None else ", ".join(dict.fromkeys(table.mechanism for table in tables))


def _predicted(predictor: Model | Predictor, calibration: Calibrated | None) -> Predictor:
    """Returns a function from a data set to what is predicted for it."""
    if not isinstance(predictor, Model):
        require(calibration is None, "calibration", "be of a model", "one for another predictor")
        return predictor
    model = predictor

    def predicted(dataset: Dataset) -> np.ndarray:
        output = np.asarray(predict(model, dataset).output)
        if calibration is None:
            return output
        return calibration(output, dataset.select(model.config.modalities).present)

    return predicted


def _on_table(
    predicted: Predictor, dataset: Dataset, task: str, table: DropTable, counts: Int[np.ndarray, "draws rows"]
) -> dict[str, np.ndarray]:
    """Returns the metrics of every draw, with what the table hides hidden."""
    counted = table.visible.any(axis=1) | table.allow_empty
    return resampled_metrics(predicted(table.apply(dataset)), dataset.label, task, counts * counted)


def _exact(
    predicted: Predictor,
    dataset: Dataset,
    task: str,
    rates: Sequence[float],
    counts: Int[np.ndarray, "draws rows"],
) -> tuple[list[CurveTable], list[dict[str, np.ndarray]]]:
    """Returns expected marginals, and the metrics of every draw, over all patterns by their weights."""
    patterns = len(dataset) * subset_count(len(dataset.modalities))
    require(patterns <= MOST_PATTERNS, "exact", f"have at most {MOST_PATTERNS:,} patterns of rows", f"{patterns:,}",
            "Draw tables instead.")  # fmt: skip
    seen = np.array([[name in subset for name in dataset.modalities] for subset in subsets(dataset.modalities)])
    counted = np.asarray((dataset.present[None] | ~seen[:, None]).all(axis=-1))
    outputs = np.concatenate([predicted(_seeing(dataset, one))[has] for one, has in zip(seen, counted, strict=True)])
    subset, row = np.nonzero(counted)
    size, had = seen.sum(axis=1)[subset], dataset.present.sum(axis=1)[row]
    weights = np.stack([rate ** (had - size) * (1 - rate) ** size / (1 - rate**had) for rate in rates])
    marks = [CurveTable(EXACT, _expected(dataset, seen[subset], weight)) for weight in weights]
    whole, drawn = np.rint(weights * _UNIT).astype(np.int64), counts[:, row]
    step = max(1, _MOST_WEIGHTS // len(row))
    found: list[dict[str, np.ndarray]] = []
    for weight in whole:
        parts = [
            resampled_metrics(outputs, dataset.label[row], task, drawn[start : start + step] * weight)
            for start in range(0, len(drawn), step)
        ]
        found.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return marks, found


def _seeing(dataset: Dataset, seen: Bool[np.ndarray, "modality"]) -> Dataset:
    """Returns the rows with some modalities alone, and perhaps none in some."""
    visible = dataset.present & seen
    return DropTable(dataset.modalities, dataset.present, visible, "subset", allow_empty=True).apply(dataset)


def _expected(
    dataset: Dataset, seen: Bool[np.ndarray, "patterns modality"], weight: Float[np.ndarray, "patterns"]
) -> Marginals:
    """Returns what is hidden in expectation, where each pattern of a row has a weight."""
    rows, had = len(dataset), dataset.present.sum(axis=0)
    hidden = np.divide(had - weight @ seen, had, out=np.full(len(had), np.nan), where=had > 0)
    sizes = np.bincount(seen.sum(axis=1), weight, minlength=seen.shape[1] + 1) / rows
    empty = int((~dataset.present.any(axis=1)).sum())
    sizes[0] = empty / rows
    return Marginals(dict(zip(dataset.modalities, hidden.tolist(), strict=True)), tuple(sizes.tolist()), empty)
