"""Metrics of a model for every subset of its modalities, by one compiled program."""

import math
from collections.abc import Callable, Collection

import numpy as np

from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import BATCH_SIZE, Model
from aecf_jax.evaluate._outputs import SubsetOutputs, subset_outputs
from aecf_jax.evaluate._table import SubsetRow, SubsetTable
from aecf_jax.metrics import evaluate_predictions

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
    batch_size: int = BATCH_SIZE,
    sizes: Collection[int] | None = None,
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
        on_progress: called from time to time with how many are done and how many there are.

    Raises:
        InputError: if there are more than `MAX_SUBSETS` subsets, or the data does not fit the model.
    """
    names = tuple(model.config.modalities)
    count = subset_count(len(names), sizes)
    require(count <= MAX_SUBSETS, "modalities", f"have at most {MAX_SUBSETS} subsets, to evaluate each",
            f"{len(names)} modalities, which have {count}", "Choose subset `sizes`.")  # fmt: skip
    require(dataset.label_kind != "none", "label", "be given to evaluate a model", "data without labels")
    rows: list[SubsetRow] = []
    for chunk in subset_outputs(model, dataset, sizes=sizes, batch_size=batch_size):
        rows += _chunk_rows(chunk, dataset.label, model.config.task_type)
        if on_progress is not None:
            on_progress(len(rows), count)
    kind = "embedding" if model.config.task_type == "embedding" else dataset.label_kind
    return SubsetTable(names, kind, _same_metrics(rows))


def _chunk_rows(chunk: SubsetOutputs, label: np.ndarray, task: str) -> list[SubsetRow]:
    """Returns the metrics of a few subsets, each on the rows that have all of it."""
    return [
        SubsetRow(subset, int(counted.sum()),
                  evaluate_predictions(output[counted], label[counted], task) if counted.any() else {})
        for subset, output, counted in zip(chunk.subsets, chunk.output, chunk.counted, strict=True)
    ]  # fmt: skip


def _same_metrics(rows: list[SubsetRow]) -> tuple[SubsetRow, ...]:
    """Returns the rows with the same metrics in each, NaN where a subset had no row of data."""
    names = next((tuple(row.metrics) for row in rows if row.metrics), ())
    return tuple(row._replace(metrics={name: row.metrics.get(name, math.nan) for name in names}) for row in rows)
