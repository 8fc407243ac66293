"""The same sums and counts as on the device, from all predictions at once, in float64 NumPy."""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.metrics._bins import BinSums
from aecf_jax.metrics._classes import ClassSums
from aecf_jax.metrics._labels import LabelSums
from aecf_jax.metrics._sums import Sum
from aecf_jax.metrics._values import value_metrics
from aecf_jax.metrics._weights import WeightSums

_TOP = 5

# What is not finite shows in the metric itself; NumPy's warning would name neither row nor metric.
_quiet = np.errstate(over="ignore", invalid="ignore")


def host_sum(terms: Float[np.ndarray, "..."], axis: int | None = 0) -> Sum:
    """Returns a sum in float64, which has nothing left to carry.

    Args:
        terms: numbers to add.
        axis: along which; None: all of them.
    """
    total = np.asarray(np.sum(terms, axis=axis))
    return Sum(high=total, low=np.zeros_like(total))


def bin_edges(bins: int, dtype: np.dtype | type = np.float64) -> Float[np.ndarray, "edges"]:
    """Returns the inner edges of equal-width bins on [0, 1], rounded as probabilities of a dtype are.

    A float32 probability of 1/5 lies above the float64 number 1/5; compared at its own precision, it is on the edge.

    Args:
        bins: number of bins.
        dtype: precision of the probabilities.
    """
    return (np.arange(1, bins) / bins).astype(dtype).astype(np.float64)


def host_bins(
    probs: Float[np.ndarray, "batch classes"],
    hits: Bool[np.ndarray, "batch classes"],
    edges: Float[np.ndarray, "edges"],
) -> BinSums:
    """Returns the bins of all predictions.

    Args:
        probs: predicted probabilities.
        hits: whether what was predicted came true.
        edges: inner edges of the bins.
    """
    classes, bins = probs.shape[1], len(edges) + 1
    first = edges[0] if bins > 1 else np.inf
    # Most probabilities of many classes are small: only what lies above the first bin is searched for its own.
    above = probs > first
    row, column = np.nonzero(above)
    cell = column * bins + np.searchsorted(edges, probs[row, column], side="left")

    def table(weights: np.ndarray | None, in_first: np.ndarray) -> np.ndarray:
        # bincount of nothing is of integers, weights or not.
        out = np.bincount(cell, weights, minlength=classes * bins).astype(in_first.dtype).reshape(classes, bins)
        out[:, 0] += in_first
        return out

    confidence = table(probs[row, column], np.where(above, 0.0, probs).sum(axis=0))
    return BinSums(
        count=table(None, (~above).sum(axis=0)),
        hits=table(hits[row, column].astype(np.float64), (hits & ~above).sum(axis=0)),
        confidence=Sum(high=confidence, low=np.zeros_like(confidence)),
    )


def host_softmax(logits: Float[np.ndarray, "batch classes"]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-probabilities and the probabilities of exclusive classes, in float64."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probs, np.exp(log_probs)


@_quiet
def host_classes(logits: Float[np.ndarray, "batch classes"], targets: Int[np.ndarray, "batch"], bins: int) -> ClassSums:
    """Returns the sums of exclusive classes.

    Args:
        logits: unnormalized log-probabilities, in float64.
        targets: index of the true class, in range.
        bins: number of equal-width reliability bins.
    """
    rows, classes = logits.shape
    log_probs, probs = host_softmax(logits)
    own = (np.arange(rows), targets)
    truth = np.zeros(logits.shape, dtype=bool)
    truth[own] = True
    value = logits[own][:, None]
    earlier = np.arange(classes)[None, :] < targets[:, None]
    rank = ((logits > value) | ((logits == value) & earlier)).sum(axis=1)
    rank = np.where(np.isnan(logits).any(axis=1), classes + _TOP, rank)
    right, top = rank == 0, probs.max(axis=1)
    edges = bin_edges(bins)
    return ClassSums(
        rows=np.asarray(rows),
        correct=np.asarray(right.sum()),
        correct_top5=np.asarray((rank < (_TOP if classes >= _TOP else 1)).sum()),
        hits=np.bincount(targets[right], minlength=classes),
        predicted=np.bincount(logits.argmax(axis=1), minlength=classes),
        actual=np.bincount(targets, minlength=classes),
        nll=host_sum(-log_probs[own]),
        brier=host_sum(np.square(probs - truth), axis=None),
        confidence=host_sum(top),
        top=host_bins(top[:, None], right[:, None], edges),
        classwise=host_bins(probs, truth, edges),
    )


@_quiet
def host_labels(
    logits: Float[np.ndarray, "batch classes"], truth: Bool[np.ndarray, "batch classes"], bins: int
) -> LabelSums:
    """Returns the sums of independent labels.

    Args:
        logits: log-odds, in float64.
        truth: True where the label holds.
        bins: number of equal-width reliability bins.
    """
    sound = ~np.isnan(logits)
    guess = np.where(sound, logits > 0, ~truth)
    # -log sigmoid(x) = log(1 + exp(-x)), of the log-odds of what is true.
    cost = np.logaddexp(0.0, np.where(truth, -logits, logits))
    probs = 1.0 / (1.0 + np.exp(-logits))
    best, whole = logits.argmax(axis=1), sound.all(axis=1)
    return LabelSums(
        rows=np.asarray(len(logits)),
        exact=np.asarray((guess == truth).all(axis=1).sum()),
        first=np.asarray((whole & (best == truth.argmax(axis=1))).sum()),
        top=np.asarray((whole & truth[np.arange(len(logits)), best]).sum()),
        hits=(guess & truth).sum(axis=0),
        predicted=guess.sum(axis=0),
        actual=truth.sum(axis=0),
        nll=host_sum(cost, axis=None),
        brier=host_sum(np.square(probs - truth), axis=None),
        bins=host_bins(probs, truth, bin_edges(bins)),
    )


@_quiet
def host_value_metrics(
    predictions: Float[np.ndarray, "batch targets"], targets: Float[np.ndarray, "batch targets"]
) -> dict[str, float]:
    """Returns the metrics of regression; deviations are from means that are known here, so that nothing cancels.

    Args:
        predictions: predicted values, in float64.
        targets: true values, in float64.
    """
    rows, error = len(targets), predictions - targets
    own, grand = np.zeros(targets.shape[1]), 0.0
    if rows:
        own = np.where(
            np.ptp(targets, axis=0) > 0, np.square(targets - targets.mean(axis=0, keepdims=True)).sum(0), 0.0
        )
        grand = float(np.square(targets - targets.mean()).sum()) if np.ptp(targets) > 0 else 0.0
    return value_metrics(float(rows), np.square(error).sum(0), np.abs(error).sum(0), own=own, grand=grand)


@_quiet
def host_weights(
    weights: Float[np.ndarray, "batch modality"], entropy: Shaped[np.ndarray, "batch"] | None
) -> WeightSums:
    """Returns the sums of the gate's weights.

    Args:
        weights: the gate's weights, in float64.
        entropy: their entropy in nats, where the model gave it; None: from the weights.
    """
    if entropy is None:
        entropy = -np.sum(weights * np.log(np.where(weights > 0, weights, 1.0)), axis=1)
    return WeightSums(
        rows=np.asarray(len(weights)),
        entropy=host_sum(np.asarray(entropy, np.float64)),
        weight=host_sum(weights),
        weight_square=host_sum(np.square(weights)),
    )
