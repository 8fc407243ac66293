"""What each row's prediction is worth by itself: subsets, gates and models are compared row by row."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from aecf_jax.config import TaskType
from aecf_jax.errors import require

Calibrated = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(logits (rows, classes), visible (rows, modality)) -> calibrated logits, such as a `calibrate.Calibration`."""


class RowScores(NamedTuple):
    """Scores of every row; their means over rows are the metrics of the same names.

    Attributes:
        loss: negative log-likelihood in nats (of labels: a label), or of values the mean squared error.
        confidence: the largest probability; of labels, the mean over labels of max(p, 1 - p); of values NaN.
        brier: squared distance of the probabilities from the truth (of labels: a label); of values NaN.
        correct: 1 where the most probable class is the true one; of labels, the share predicted right; of values NaN.
    """

    loss: Float64[np.ndarray, "rows"]
    confidence: Float64[np.ndarray, "rows"]
    brier: Float64[np.ndarray, "rows"]
    correct: Float64[np.ndarray, "rows"]


def row_scores(
    output: Shaped[np.ndarray, "rows classes"], label: Shaped[np.ndarray, "rows ..."], task: TaskType
) -> RowScores:
    """Returns the scores of every row, in float64.

    Args:
        output: logits, or values.
        label: integer classes `(rows,)`, or labels or values in the shape of `output`.
        task: classification or regression; an embedding has no loss of its own.

    Raises:
        InputError: for an embedding.

    >>> scores = row_scores(np.log([[0.75, 0.25]]), np.array([1]), "classification")
    >>> [round(float(score[0]), 4) for score in scores]
    [1.3863, 0.75, 1.125, 0.0]
    """
    require(task != "embedding", "task_type", "be classification or regression, to score single rows", task)
    output = np.asarray(output, np.float64)
    if task == "regression":
        loss = np.square(output - label.reshape(output.shape)).mean(axis=1)
        nothing = np.full(len(loss), np.nan)
        return RowScores(loss, nothing, nothing, nothing)
    return _of_classes(output, label) if label.ndim == 1 else _of_labels(output, label > 0.5)


def _of_classes(logits: np.ndarray, label: np.ndarray) -> RowScores:
    """Returns the scores of exclusive classes."""
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probs = np.exp(log_probs)
    own = probs[rows, label]
    # |p - e_y|² without a matrix of the truth.
    brier = np.square(probs).sum(axis=1) - np.square(own) + np.square(1 - own)
    correct = np.where(np.isnan(own), 0.0, logits.argmax(axis=1) == label)
    return RowScores(-log_probs[rows, label], probs.max(axis=1), brier, correct)


def _of_labels(logits: np.ndarray, truth: np.ndarray) -> RowScores:
    """Returns the scores of independent labels, means over the labels."""
    # -log sigmoid(x) = log(1 + exp(-x)), of the log-odds of what is true.
    loss = np.logaddexp(0.0, np.where(truth, -logits, logits))
    probs = 0.5 * (1.0 + np.tanh(0.5 * logits))
    right = np.where(np.isnan(logits), False, (logits > 0) == truth)
    return RowScores(
        loss.mean(axis=1), np.maximum(probs, 1 - probs).mean(axis=1), np.square(probs - truth).mean(axis=1),
        right.mean(axis=1),
    )  # fmt: skip
