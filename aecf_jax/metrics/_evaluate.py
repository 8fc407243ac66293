"""Every metric of a data set from all of its predictions: exact, on the host, the same to the last digit every time."""

from typing import get_args

import numpy as np
from jaxtyping import Float, Shaped

from aecf_jax.config import TaskType
from aecf_jax.errors import nearest, require
from aecf_jax.metrics import _embeddings, _host
from aecf_jax.metrics._average_precision import average_precision_on_host
from aecf_jax.metrics._sums import AnyArray

_TASKS = get_args(TaskType)


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
    require(task_type in _TASKS, "task_type", f"be one of {', '.join(_TASKS)}", task_type, nearest(task_type, _TASKS))
    require(n_bins > 0, "n_bins", "be positive", n_bins)
    output, targets = np.asarray(output), np.asarray(targets)
    task = {"classification": _classification, "regression": _regression, "embedding": _embedding}[task_type]
    found = task(output, targets, n_bins)
    if weights is None:
        return found
    return found | modality_metrics(np.asarray(weights), entropy, present)


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


def _classification(output: np.ndarray, targets: np.ndarray, bins: int) -> dict[str, float]:
    """Returns the metrics of classes or labels."""
    require(output.ndim == 2, "output", "have the shape (rows, classes)", output.shape)
    logits = as_float64(output)
    if targets.ndim == 1:
        _check_rows(output, targets)
        return _host.host_classes(logits, as_classes(targets, logits.shape[1]), bins).compute()
    truth = as_labels(targets, logits.shape)
    # Scores as they came, since sorting float32 costs half; bfloat16 has no fast sort.
    scores = output if output.dtype.name in ("float32", "float64") else logits
    each = average_precision_on_host(scores, truth)
    occurs = truth.any(axis=0)
    ranking = {
        "map": float(np.mean(each[occurs])) if occurs.any() else float("nan"),
        "map_micro": float(average_precision_on_host(scores.reshape(-1, 1), truth.reshape(-1, 1))[0]),
    }
    return ranking | _host.host_labels(logits, truth, bins).compute()


def _regression(output: np.ndarray, targets: np.ndarray, bins: int) -> dict[str, float]:
    """Returns the metrics of values; a single target may do without its axis."""
    del bins
    predictions, values = (as_float64(x[:, None] if x.ndim == 1 else x) for x in (output, targets))
    rule = f"have the shape of the predictions, {predictions.shape}"
    require(values.ndim == 2 and values.shape == predictions.shape, "targets", rule, targets.shape)
    return _host.host_value_metrics(predictions, values)


def _embedding(output: np.ndarray, targets: np.ndarray, bins: int) -> dict[str, float]:
    """Returns the metrics of embeddings, against target embeddings or classes."""
    del bins
    require(output.ndim == 2, "output", "have the shape (rows, embed)", output.shape)
    if targets.ndim == 1:
        _check_rows(output, targets)
        require(np.issubdtype(targets.dtype, np.integer), "targets", "be integers, if one a row", targets.dtype)
        return _embeddings.group_metrics(as_float64(output), targets.astype(np.int64))
    rule = f"be integer classes (rows,) or have the shape of the output, {output.shape}"
    require(targets.shape == output.shape, "targets", rule, targets.shape)
    return _embeddings.pair_metrics(as_float64(output), as_float64(targets))


def _check_rows(output: np.ndarray, targets: np.ndarray) -> None:
    """Raises unless there is one target a row."""
    require(len(output) == len(targets), "targets", f"have {len(output)} rows, as the output has", len(targets))
