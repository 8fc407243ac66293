"""Metrics of a model for every subset of its modalities, by one compiled program."""

import math
from collections.abc import Callable, Collection
from itertools import combinations

import numpy as np

from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import BATCH_SIZE, Model, blocks, checked, programs
from aecf_jax.evaluate._table import SubsetRow, SubsetTable
from aecf_jax.metrics import evaluate_predictions

MAX_SUBSETS = 4095
"""Most subsets that are evaluated: all of 12 modalities. Each modality more would double them."""

_CHUNK = 16
"""Subsets per call: enough to spread the cost of encoding, few enough to hold all their outputs in memory."""


def subsets(modalities: tuple[str, ...], sizes: Collection[int] | None = None) -> list[tuple[str, ...]]:
    """Returns every non-empty subset: singles first, the full set last, each in the order of the modalities.

    Args:
        modalities: their names.
        sizes: how many modalities a subset may have, beside one and all; None: any number.

    >>> subsets(("a", "b", "c"))
    [('a',), ('b',), ('c',), ('a', 'b'), ('a', 'c'), ('b', 'c'), ('a', 'b', 'c')]
    """
    count = len(modalities)
    wanted = range(1, count + 1) if sizes is None else sorted({1, count, *(set(sizes) & set(range(1, count + 1)))})
    return [chosen for size in wanted for chosen in combinations(modalities, size)]


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
    dataset = checked(model.config, dataset, batch_size)
    chosen = subsets(names, sizes)
    size = min(_CHUNK, len(chosen))
    rows: list[SubsetRow] = []
    for start in range(0, len(chosen), size):
        seen = np.zeros((size, len(names)), bool)
        for index, subset in enumerate(chosen[start : start + size]):
            seen[index] = [name in subset for name in names]
        rows += _chunk_rows(model, dataset, chosen[start : start + size], seen, batch_size)
        if on_progress is not None:
            on_progress(len(rows), len(chosen))
    kind = "embedding" if model.config.task_type == "embedding" else dataset.label_kind
    return SubsetTable(names, kind, _same_metrics(rows))


def _chunk_rows(
    model: Model, dataset: Dataset, chosen: list[tuple[str, ...]], seen: np.ndarray, batch_size: int
) -> list[SubsetRow]:
    """Returns the metrics of a few subsets, each on the rows that have all of it."""
    forward = programs(model.config).subsets
    parts = [
        np.asarray(forward(model.variables, features, shown, seen))[:, :count]
        for count, features, shown in blocks(dataset, dataset.present, batch_size)
    ]
    outputs = np.concatenate(parts, axis=1)
    rows: list[SubsetRow] = []
    for index, subset in enumerate(chosen):
        counted = dataset.present[:, seen[index]].all(axis=1)
        task = model.config.task_type
        metrics = evaluate_predictions(outputs[index][counted], dataset.label[counted], task) if counted.any() else {}
        rows.append(SubsetRow(subset, int(counted.sum()), metrics))
    return rows


def _same_metrics(rows: list[SubsetRow]) -> tuple[SubsetRow, ...]:
    """Returns the rows with the same metrics in each, NaN where a subset had no row of data."""
    names = next((tuple(row.metrics) for row in rows if row.metrics), ())
    return tuple(row._replace(metrics={name: row.metrics.get(name, math.nan) for name in names}) for row in rows)
