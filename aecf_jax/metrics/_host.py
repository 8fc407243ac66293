"""The same sums and counts as on the device, from all predictions at once, in float64 NumPy."""

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.metrics._bins import BinSums
from aecf_jax.metrics._classes import ClassSums
from aecf_jax.metrics._groups import Groups
from aecf_jax.metrics._labels import LabelSums
from aecf_jax.metrics._sums import Sum
from aecf_jax.metrics._values import value_metrics
from aecf_jax.metrics._weights import WeightSums

_TOP = 5

# What is not finite shows in the metric itself; NumPy's warning would name neither row nor metric.
quiet = np.errstate(over="ignore", invalid="ignore")


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


def bin_index(values: Float[np.ndarray, "some"], edges: Float[np.ndarray, "edges"]) -> Int[np.ndarray, "some"]:
    """Returns the bin of each number in [0, 1]: `np.searchsorted(edges, values)`, in a fifth of the time.

    Args:
        values: numbers, none of them NaN.
        edges: what `bin_edges` returned.
    """
    bins = len(edges) + 1
    # Rounding puts the product at most one bin beside the right one; that of 1 is one too many.
    guess = (values * bins).astype(np.int64)
    around = np.concatenate([[-np.inf], edges, [np.inf, np.inf]])
    guess -= values <= around[guess]
    guess += values > around[guess + 1]
    return guess


def host_bins(
    probs: Float[np.ndarray, "batch classes"],
    hits: Bool[np.ndarray, "batch classes"],
    edges: Float[np.ndarray, "edges"],
) -> BinSums:
    """Returns the bins of all predictions.

    Args:
        probs: predicted probabilities.
        hits: whether what was predicted came true.
        edges: inner edges of the bins, from `bin_edges`.
    """
    sums = _bins(np.ascontiguousarray(probs.T), hits.T, edges, Groups.of(np.array([len(probs)])))
    return jax.tree.map(lambda leaf: leaf[0], sums)


def _bins(probs: np.ndarray, hits: np.ndarray, edges: np.ndarray, groups: Groups) -> BinSums:
    """Returns the bins of each group, (groups, classes, bins), from arrays (classes, rows)."""
    classes, bins = len(probs), len(edges) + 1
    # Most probabilities of many classes are small: only what lies above the first bin is searched for its own.
    # A NaN is above no edge: it falls in the first bin, whose sum shows it.
    above = np.flatnonzero(probs > (edges[0] if bins > 1 else np.inf))
    column = above // probs.shape[1]
    row = above - column * probs.shape[1]
    value = probs.reshape(-1)[above]
    cell = (groups.number[row] * classes + column) * bins + bin_index(value, edges)

    def table(cells: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        found = np.bincount(cells, weights, minlength=len(groups.size) * classes * bins)
        # bincount of nothing is of integers, weights or not.
        return found.astype(np.int64 if weights is None else np.float64, copy=False).reshape(-1, classes, bins)

    count, confidence = table(cell), table(cell, value)
    right = table(np.compress(hits.reshape(-1)[above], cell))
    low = probs.copy()
    low.reshape(-1)[above] = 0.0
    count[..., 0] = groups.size[:, None] - count.sum(-1)
    right[..., 0] = groups.count(hits) - right.sum(-1)
    confidence[..., 0] = groups.sum(low).value
    return BinSums(count=count, hits=right, confidence=Sum(high=confidence, low=np.zeros_like(confidence)))


@quiet
def host_classes(
    logits: Float[np.ndarray, "rows classes"], targets: Int[np.ndarray, "rows"], groups: Groups, bins: int
) -> ClassSums:
    """Returns the sums of exclusive classes, of each group of rows.

    Args:
        logits: unnormalized log-probabilities.
        targets: index of the true class, in range.
        groups: which rows belong together.
        bins: number of equal-width reliability bins.
    """
    rows, classes = logits.shape
    row = np.arange(rows)
    # Classes first: every pass runs along memory. A copy even of one row, since it is changed in place.
    x = np.array(logits.T, np.float64, order="C")
    own, largest = x[targets, row], x.max(axis=0)
    earlier = np.arange(classes)[:, None] < targets[None, :]
    rank = np.sum((x > own) | ((x == own) & earlier), axis=0)
    rank = np.where(np.isnan(largest), classes + _TOP, rank)
    right, guess = rank == 0, targets.copy()
    wrong = np.flatnonzero(rank)
    guess[wrong] = logits[wrong].argmax(axis=1)
    actual = groups.table(targets, classes)
    hits = actual - groups.table(targets[wrong], classes, wrong)
    x -= largest
    np.exp(x, out=x)
    total = x.sum(axis=0)
    nll = np.log(total) - (own - largest)
    x /= total
    probs, top, truth = x, x.max(axis=0), np.arange(classes)[:, None] == targets[None, :]
    edges = bin_edges(bins)
    classwise = _bins(probs, truth, edges, groups)
    # Now what is left of the probabilities when the truth is taken away.
    probs[targets, row] -= 1.0
    return ClassSums(
        rows=groups.size,
        correct=hits.sum(axis=-1),
        correct_top5=groups.count(rank < (_TOP if classes >= _TOP else 1)),
        hits=hits,
        predicted=groups.table(guess, classes),
        actual=actual,
        nll=groups.sum(nll),
        brier=groups.sum(np.einsum("cr,cr->r", probs, probs)),
        confidence=groups.sum(top),
        top=_bins(top[None, :], right[None, :], edges, groups),
        classwise=classwise,
    )


@quiet
def host_labels(
    logits: Float[np.ndarray, "rows classes"], truth: Bool[np.ndarray, "rows classes"], groups: Groups, bins: int
) -> LabelSums:
    """Returns the sums of independent labels, of each group of rows.

    Args:
        logits: log-odds.
        truth: True where the label holds.
        groups: which rows belong together.
        bins: number of equal-width reliability bins.
    """
    x, holds = np.ascontiguousarray(logits.T, np.float64), np.ascontiguousarray(truth.T)
    sound = ~np.isnan(x)
    guess = np.where(sound, x > 0, ~holds)
    # -log sigmoid(x) = log(1 + exp(-x)), of the log-odds of what is true.
    cost = np.logaddexp(0.0, np.where(holds, -x, x))
    probs = 1.0 / (1.0 + np.exp(-x))
    best, whole = logits.argmax(axis=1), sound.all(axis=0)
    return LabelSums(
        rows=groups.size,
        exact=groups.count((guess == holds).all(axis=0)),
        first=groups.count(whole & (best == truth.argmax(axis=1))),
        top=groups.count(whole & truth[np.arange(len(logits)), best]),
        hits=groups.count(guess & holds),
        predicted=groups.count(guess),
        actual=groups.count(holds),
        nll=groups.sum(cost.sum(axis=0)),
        brier=groups.sum(np.square(probs - holds).sum(axis=0)),
        bins=_bins(probs, holds, bin_edges(bins), groups),
    )


@quiet
def host_value_metrics(
    predictions: Float[np.ndarray, "batch targets"], targets: Float[np.ndarray, "batch targets"]
) -> dict[str, float]:
    """Returns the metrics of regression; deviations are from means that are known here, so that nothing cancels.

    Args:
        predictions: predicted values, in float64.
        targets: true values, in float64.
    """
    error, own, grand = predictions - targets, np.zeros(targets.shape[1]), np.zeros(())
    if len(targets):
        own = np.where(
            np.ptp(targets, axis=0) > 0, np.square(targets - targets.mean(axis=0, keepdims=True)).sum(0), 0.0
        )
        grand = np.where(np.ptp(targets) > 0, np.square(targets - targets.mean()).sum(), 0.0)
    found = value_metrics(
        np.asarray(len(targets)), np.square(error).sum(0), np.abs(error).sum(0), own=own, grand=grand
    )  # fmt: skip
    return {name: float(value) for name, value in found.items()}


@quiet
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
