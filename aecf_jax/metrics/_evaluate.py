"""Every metric of a data set from all of its predictions: exact, on the host, the same to the last digit every time."""

from collections.abc import Callable
from typing import get_args

import jax
import numpy as np
from jaxtyping import Bool, Float, Shaped

from aecf_jax.config import TaskType
from aecf_jax.errors import nearest, require
from aecf_jax.metrics import _embeddings, _host
from aecf_jax.metrics._average_precision import average_precision_on_host
from aecf_jax.metrics._classes import ClassSums
from aecf_jax.metrics._groups import Groups
from aecf_jax.metrics._labels import LabelSums
from aecf_jax.metrics._sums import AnyArray

_TASKS = get_args(TaskType)

_BLOCK = 2**17
"""Numbers of several predictions that are evaluated together: 1 MB in float64."""

_Metrics = dict[str, Float[np.ndarray, "many"]]


def evaluate_predictions(
    output: Shaped[AnyArray, "batch ..."],
    targets: Shaped[AnyArray, "batch ..."],
    task_type: str,
    *,
    weights: Shaped[AnyArray, "batch modality"] | None = None,
    entropy: Shaped[AnyArray, "batch"] | None = None,
    present: Shaped[AnyArray, "batch modality"] | None = None,
    n_bins: int = 15,
) -> dict[str, float]:
    """Returns the metrics of a data set in float64; without rows, NaN.

    Keys, fixed by the task and by whether weights are given:
    classes: those of `ClassSums.compute`;
    labels: `map` (mean average precision over labels that occur, NaN if none does), `map_micro` (of all labels' scores
    as one ranking), then those of `LabelSums.compute`;
    regression: those of `ValueSums.compute`;
    embedding: `cosine_similarity`, and with class targets `centroid_accuracy`;
    with weights, also those of `WeightSums.compute`.

    Args:
        output: logits, values or embeddings, `(rows, classes)`.
        targets: integer classes `(rows,)`, or labels, values or embeddings in the shape of `output`.
        task_type: classification, regression or embedding.
        weights: the gate's weights.
        entropy: their entropy in nats, where the model gave it; None: from the weights.
        present: True where a modality was observed; rows without any have no weights and do not count there.
        n_bins: number of equal-width reliability bins.

    Raises:
        InputError: if shapes, the type of the targets or their values do not fit the output and the task.

    Source: the PyTorch generation's `AECFMetrics`. Differs: over the data set, not averaged over batches; a label
    without positives is left out of `map`, where PyTorch counts it as 0.

    >>> import numpy as np
    >>> found = evaluate_predictions(np.eye(4), np.array([0, 1, 2, 2]), "classification")
    >>> found["accuracy"], round(found["nll"], 4)
    (0.75, 0.9937)
    """
    each = evaluate_many(np.asarray(output)[None], targets, task_type, n_bins=n_bins)
    found = {name: float(value[0]) for name, value in each.items()}
    if weights is None:
        return found
    return found | modality_metrics(np.asarray(weights), entropy, present)


def evaluate_many(
    outputs: Shaped[AnyArray, "many batch ..."],
    targets: Shaped[AnyArray, "batch ..."],
    task_type: str,
    *,
    counted: Bool[np.ndarray, "many batch"] | None = None,
    n_bins: int = 15,
) -> dict[str, Float[np.ndarray, "many"]]:
    """Returns the metrics of several predictions of the same rows, as `evaluate_predictions` does of one.

    What one prediction is worth does not depend, to the last digit, on what others it is evaluated with.

    Args:
        outputs: logits, values or embeddings, `(many, rows, classes)`.
        targets: as for `evaluate_predictions`.
        task_type: classification, regression or embedding.
        counted: which rows count for which prediction; None: all. A prediction without rows has NaN for metrics.
        n_bins: number of equal-width reliability bins.

    Raises:
        InputError: if shapes, the type of the targets or their values do not fit the output and the task.

    >>> import numpy as np
    >>> found = evaluate_many(np.stack([np.eye(3), -np.eye(3)]), np.array([0, 1, 2]), "classification")
    >>> found["accuracy"].tolist()
    [1.0, 0.0]
    """
    require(task_type in _TASKS, "task_type", f"be one of {', '.join(_TASKS)}", task_type, nearest(task_type, _TASKS))
    require(n_bins > 0, "n_bins", "be positive", n_bins)
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    task = {"classification": _classification, "regression": _regression, "embedding": _embedding}[task_type]
    counted = np.ones(outputs.shape[:2], bool) if counted is None else counted
    return task(outputs, targets, counted, n_bins)


def modality_metrics(
    weights: Shaped[AnyArray, "batch modality"],
    entropy: Shaped[AnyArray, "batch"] | None = None,
    present: Shaped[AnyArray, "batch modality"] | None = None,
) -> dict[str, float]:
    """Returns the metrics of the gate's weights, with the keys of `WeightSums.compute`.

    Args:
        weights: the gate's weights.
        entropy: their entropy in nats, where the model gave it; None: from the weights.
        present: True where a modality was observed; rows without any do not count. None: all rows count.
    """
    weights = as_float64(weights)
    require(weights.ndim == 2, "weights", "have the shape (rows, modalities)", weights.shape)
    rows = slice(None) if present is None else np.asarray(present, dtype=bool).any(axis=1)
    kept = None if entropy is None else as_float64(entropy)[rows]
    return _host.host_weights(weights[rows], kept).compute()


def as_float64(values: Shaped[AnyArray, "..."]) -> Float[np.ndarray, "..."]:
    """Returns numbers of any floating or integer type, bfloat16 included, in float64."""
    return np.asarray(values).astype(np.float64)


def as_classes(targets: Shaped[np.ndarray, "batch"], classes: int) -> np.ndarray:
    """Returns classes as indices.

    Args:
        targets: index of each row's class.
        classes: number of classes.

    Raises:
        InputError: if they are not integers, or one is out of range.
    """
    require(np.issubdtype(targets.dtype, np.integer), "targets", "be integers, if they are one a row", targets.dtype)
    index = targets.astype(np.int64)
    bad = np.flatnonzero((index < 0) | (index >= classes))
    got = f"{index[bad[0]]} in row {bad[0]}" if bad.size else ""
    require(bad.size == 0, "targets", f"be classes from 0 to {classes - 1}", got)
    return index


def as_labels(targets: Shaped[np.ndarray, "batch classes"], shape: tuple[int, ...]) -> np.ndarray:
    """Returns labels as booleans.

    Args:
        targets: 1 where a label holds, else 0.
        shape: the shape that they must have.

    Raises:
        InputError: if their shape is another, or one is neither 0 nor 1.
    """
    rule = f"be integer classes (rows,) or have the shape of the output, {shape}"
    require(targets.shape == shape, "targets", rule, targets.shape)
    truth = targets.astype(np.float32) > 0.5
    bad = np.argwhere(truth.astype(np.float32) != targets.astype(np.float32))
    got = f"{targets[tuple(bad[0])]} in row {bad[0][0]}" if bad.size else ""
    require(bad.size == 0, "targets", "be 0 or 1, if they are labels", got)
    return truth


def _classification(outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray, bins: int) -> _Metrics:
    """Returns the metrics of classes or labels."""
    require(outputs.ndim == 3, "output", "have the shape (rows, classes)", outputs.shape[1:])
    if targets.ndim == 1:
        _check_rows(outputs, targets)
        index = as_classes(targets, outputs.shape[2])
        return _blockwise(outputs, index, counted, lambda x, y, groups: _host.host_classes(x, y, groups, bins))
    truth = as_labels(targets, outputs.shape[1:])
    ranking = _ranking(outputs, truth, counted)
    return ranking | _blockwise(outputs, truth, counted, lambda x, y, groups: _host.host_labels(x, y, groups, bins))


def _blockwise(
    outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray, measure: Callable[..., ClassSums | LabelSums]
) -> _Metrics:
    """Returns the metrics of all predictions, from as many rows at a time as fit the processor's cache."""
    if outputs.dtype.name not in ("float32", "float64"):
        outputs = as_float64(outputs)
    rows, size = max(1, outputs.shape[1]), max(1, _BLOCK // max(1, outputs.shape[2]))
    parts: list[ClassSums | LabelSums] = []
    if rows > size:
        for output, chosen in zip(outputs, counted, strict=True):
            # Blocks of the rows that count, so that sums are rounded as they are without the others.
            some, truth = (output, targets) if chosen.all() else (output[chosen], targets[chosen])
            blocks = [slice(start, start + size) for start in range(0, max(1, len(truth)), size)]
            pieces = [measure(some[one], truth[one], Groups.of(np.array([len(truth[one])]))) for one in blocks]
            parts.append(jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *pieces))
    else:
        for start in range(0, len(outputs), size // rows):
            chosen, some = counted[start : start + size // rows], outputs[start : start + size // rows]
            row = np.nonzero(chosen)[1]
            logits = some.reshape(-1, some.shape[2]) if len(row) == chosen.size else some[chosen]
            parts.append(measure(logits, targets[row], Groups.of(chosen.sum(axis=1))))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts).each()


def _ranking(outputs: np.ndarray, truth: np.ndarray, counted: np.ndarray) -> _Metrics:
    """Returns the mean average precision of labels, by label and of all scores as one ranking."""
    # Scores as they came, since sorting float32 costs half; bfloat16 has no fast sort.
    scores = outputs if outputs.dtype.name in ("float32", "float64") else as_float64(outputs)
    found = np.full((2, len(outputs)), np.nan)
    for index, rows in enumerate(counted):
        score, holds = scores[index][rows], truth[rows]
        each, occurs = average_precision_on_host(score, holds), holds.any(axis=0)
        found[0, index] = np.mean(each[occurs]) if occurs.any() else np.nan
        found[1, index] = average_precision_on_host(score.reshape(-1, 1), holds.reshape(-1, 1))[0]
    return {"map": found[0], "map_micro": found[1]}


def _regression(outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray, bins: int) -> _Metrics:
    """Returns the metrics of values; a single target may do without its axis."""
    del bins
    outputs, targets = (as_float64(x[..., None] if x.ndim == n else x) for x, n in ((outputs, 2), (targets, 1)))
    rule = f"have the shape of the predictions, {outputs.shape[1:]}"
    require(targets.ndim == 2 and targets.shape == outputs.shape[1:], "targets", rule, targets.shape)
    return _one_by_one(outputs, targets, counted, _host.host_value_metrics)


def _embedding(outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray, bins: int) -> _Metrics:
    """Returns the metrics of embeddings, against target embeddings or classes."""
    del bins
    require(outputs.ndim == 3, "output", "have the shape (rows, embed)", outputs.shape[1:])
    outputs = as_float64(outputs)
    if targets.ndim == 1:
        _check_rows(outputs, targets)
        require(np.issubdtype(targets.dtype, np.integer), "targets", "be integers, if one a row", targets.dtype)
        return _one_by_one(outputs, targets.astype(np.int64), counted, _embeddings.group_metrics)
    rule = f"be integer classes (rows,) or have the shape of the output, {outputs.shape[1:]}"
    require(targets.shape == outputs.shape[1:], "targets", rule, targets.shape)
    return _one_by_one(outputs, as_float64(targets), counted, _embeddings.pair_metrics)


def _one_by_one(
    outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray, measure: Callable[..., dict[str, float]]
) -> _Metrics:
    """Returns the metrics of all predictions, from one at a time."""
    found = [measure(output[rows], targets[rows]) for output, rows in zip(outputs, counted, strict=True)]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _check_rows(outputs: np.ndarray, targets: np.ndarray) -> None:
    """Raises unless there is one target a row."""
    rows = outputs.shape[1]
    require(rows == len(targets), "targets", f"have {rows} rows, as the output has", len(targets))
