"""Metrics of a model for every subset of its modalities, by one compiled program."""

import math
from collections.abc import Callable, Collection

import numpy as np

from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import SUBSET_BATCH_SIZE, Model
from aecf_jax.evaluate._outputs import SubsetOutputs, subset_outputs
from aecf_jax.evaluate._table import SubsetRow, SubsetTable
from aecf_jax.metrics import evaluate_many, resampled_metrics
from aecf_jax.stats import percentile_interval, resample_counts

Calibrate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(outputs (rows, classes), what was seen (rows, modality)) -> calibrated outputs, which are logits again."""

MAX_SUBSETS = 4095
"""Most subsets that are evaluated: all of 12 modalities. Each modality more would double them."""


def subset_count(modalities: int, sizes: Collection[int] | None = None) -> int:
    """Returns how many subsets `subsets` would list, without listing them.

    Args:
        modalities: how many there are.
        sizes: how many modalities a subset may have, beside one and all; None: any number.

    >>> subset_count(4), subset_count(4, (3,)), subset_count(40)
    (15, 9, 1099511627775)
    """
    if sizes is None:
        return 2**modalities - 1
    return sum(math.comb(modalities, size) for size in {1, modalities, *sizes})


def evaluate_subsets(
    model: Model,
    dataset: Dataset,
    *,
    batch_size: int = SUBSET_BATCH_SIZE,
    sizes: Collection[int] | None = None,
    calibration: Calibrate | None = None,
    draws: int = 0,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> SubsetTable:
    """Returns the metrics of every non-empty subset of the modalities.

    For a subset the model sees those modalities alone, on the rows that have all of them. What is seen is an array,
    not a shape: all subsets run in one compiled program.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with labels and the model's modalities.
        batch_size: rows per block.
        sizes: how many modalities a subset may have, beside one and all; None: any number.
        calibration: what outputs and what was seen of each row become calibrated outputs by; None: as they are.
        draws: of a bootstrap over rows, for 95 % intervals of every metric (`stats.DRAWS` are enough); 0: no intervals.
            The rows that a draw takes are the same for all subsets, models and tables with as many rows.
        seed: of the draws.
        on_progress: called from time to time with how many are done and how many there are.

    Raises:
        InputError: if there are more than `MAX_SUBSETS` subsets, or the data does not fit the model.
    """
    names = tuple(model.config.modalities)
    count = subset_count(len(names), sizes)
    require(count <= MAX_SUBSETS, "modalities", f"have at most {MAX_SUBSETS} subsets, to evaluate each",
            f"{len(names)} modalities, which have {count}", "Choose subset `sizes`.")  # fmt: skip
    require(dataset.label_kind != "none", "label", "be given to evaluate a model", "data without labels")
    require(draws >= 0, "draws", "be 0 or more", draws)
    counts = resample_counts(len(dataset), draws, seed=seed) if draws else None
    present = dataset.select(names).present
    rows: list[SubsetRow] = []
    for chunk in subset_outputs(model, dataset, sizes=sizes, batch_size=batch_size):
        if calibration is not None:
            chunk = chunk._replace(output=_calibrated(chunk, present, calibration))
        found = _chunk_rows(chunk, dataset.label, model.config.task_type)
        if counts is not None:
            found = _with_intervals(found, chunk, dataset.label, model.config.task_type, counts)
        rows += found
        if on_progress is not None:
            on_progress(len(rows), count)
    kind = "embedding" if model.config.task_type == "embedding" else dataset.label_kind
    return SubsetTable(names, kind, tuple(rows))


def _calibrated(chunk: SubsetOutputs, present: np.ndarray, calibration: Calibrate) -> np.ndarray:
    """Returns the calibrated outputs of a few subsets."""
    pairs = zip(chunk.output, chunk.seen, strict=True)
    return np.stack([calibration(output, present & seen[None]) for output, seen in pairs])


def _with_intervals(
    rows: list[SubsetRow], chunk: SubsetOutputs, label: np.ndarray, task: str, counts: np.ndarray
) -> list[SubsetRow]:
    """Returns the rows of the table with the interval of each metric; a draw takes those of its rows that count."""
    found: list[SubsetRow] = []
    for row, output, entropy, counted in zip(rows, chunk.output, chunk.entropy, chunk.counted, strict=True):
        taken = counts[:, counted]
        metrics = resampled_metrics(output[counted], label[counted], task, taken)
        total = taken.sum(axis=1)
        drawn = taken @ entropy[counted].astype(np.float64)
        metrics["entropy"] = np.divide(drawn, total, out=np.full(len(total), np.nan), where=total > 0)
        low, high = percentile_interval(np.stack([metrics[name] for name in row.metrics], axis=1))
        bounds = zip(low.tolist(), high.tolist(), strict=True)
        found.append(row._replace(intervals=dict(zip(row.metrics, bounds, strict=True))))
    return found


def _chunk_rows(chunk: SubsetOutputs, label: np.ndarray, task: str) -> list[SubsetRow]:
    """Returns the metrics of a few subsets, each on the rows that have all of it."""
    rows = chunk.counted.sum(axis=1)
    metrics = evaluate_many(chunk.output, label, task, counted=chunk.counted)
    entropy = np.where(chunk.counted, chunk.entropy, 0).sum(axis=1, dtype=np.float64)
    metrics["entropy"] = np.divide(entropy, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    values = zip(*(array.tolist() for array in metrics.values()), strict=True)
    return [
        SubsetRow(subset, count, dict(zip(metrics, one, strict=True)))
        for subset, count, one in zip(chunk.subsets, rows.tolist(), values, strict=True)
    ]
