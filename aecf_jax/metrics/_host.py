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
    """Returns the bin of each number in [0, 1]: `np.searchsorted(edges, values)`, in a tenth of the time.

    Args:
        values: numbers, none of them NaN.
        edges: what `bin_edges` returned.
    """
    bins = len(edges) + 1
    # Two products, one too small and one too large by more than edges and products are rounded: where both give the
    # same bin it is the right one, and near an edge a search tells.
    slack = 2.0**-50 + 2 * np.abs(edges * bins / np.arange(1, bins) - 1).max(initial=0.0)
    guess, other = ((values * (bins * factor)).astype(np.int64) for factor in (1 - slack, 1 + slack))
    near = np.flatnonzero(guess != np.minimum(other, bins - 1, out=other))
    guess[near] = np.searchsorted(edges, values[near])
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
    came_true = np.flatnonzero(np.ascontiguousarray(hits.T))
    sums = _bins(np.ascontiguousarray(probs.T), came_true, edges, Groups.of(np.array([len(probs)])))
    return jax.tree.map(lambda leaf: leaf[0], sums)


def _bins(probs: np.ndarray, came_true: np.ndarray, edges: np.ndarray, groups: Groups) -> BinSums:
    """Returns the bins of each group, (groups, classes, bins), from probabilities (classes, rows) and where in them."""
    classes, bins, many = len(probs), len(edges) + 1, len(groups.size)
    first = (groups.number * (classes * bins))[None, :] + (np.arange(classes) * bins)[:, None]
    flat, first = probs.reshape(-1), first.reshape(-1)
    # Most probabilities fall in one bin, and its sums are what a mask leaves; the others are searched for theirs. A NaN
    # is outside no bin: it stays with the most, whose sum shows it.
    usual = _usual_bin(probs, edges, groups)
    around = np.concatenate([[-np.inf], edges, [np.inf]])
    low, high = around[usual][groups.number], around[usual + 1][groups.number]
    others = np.flatnonzero((probs <= low) | (probs > high))
    value = flat[others]
    cell = first[others] + bin_index(value, edges)
    true = flat[came_true]
    true_cell = first[came_true] + bin_index(np.where(np.isnan(true), 0.0, true), edges)

    def table(cells: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        found = np.bincount(cells, weights, minlength=many * classes * bins)
        # bincount of nothing is of integers, weights or not.
        return found.astype(np.int64 if weights is None else np.float64, copy=False).reshape(-1, classes, bins)

    count, confidence = table(cell), table(cell, value)
    rest = probs.copy()
    rest.reshape(-1)[others] = 0.0
    group = np.arange(many)
    count[group, :, usual] = groups.size[:, None] - count.sum(-1)
    confidence[group, :, usual] = groups.sum(rest).value
    return BinSums(count=count, hits=table(true_cell), confidence=Sum(confidence, np.zeros_like(confidence)))


def _usual_bin(probs: np.ndarray, edges: np.ndarray, groups: Groups) -> np.ndarray:
    """Returns the bin in which most probabilities of each group are, judged by a few of its rows."""
    bins, many = len(edges) + 1, len(groups.size)
    cell = np.searchsorted(edges, probs[:, groups.sample]) + np.arange(many)[:, None] * bins
    return np.bincount(cell.reshape(-1), minlength=many * bins).reshape(many, bins).argmax(axis=1)


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
    own_place = targets * rows + np.arange(rows)
    # Classes first: every pass runs along memory. What is only compared stays in the precision it came in.
    x = np.ascontiguousarray(logits.T)
    own, largest = x.reshape(-1)[own_place], x.max(axis=0)
    rank = _rank(x, own, targets, largest)
    right = rank == 0
    actual, hits = _actual_and_hits(targets, right, classes, groups)
    probs, peak = x.astype(np.float64), largest.astype(np.float64)
    probs -= peak
    np.exp(probs, out=probs)
    total = probs.sum(axis=0)
    nll = np.log(total) - (own - peak)
    probs /= total
    # The largest logit's exponential is 1.
    top, edges = 1.0 / total, bin_edges(bins)
    classwise = _bins(probs, own_place, edges, groups)
    # Now what is left of the probabilities when the truth is taken away.
    probs.reshape(-1)[own_place] -= 1.0
    return ClassSums(
        rows=groups.size,
        correct=hits.sum(axis=-1),
        correct_top5=groups.count(rank < (_TOP if classes >= _TOP else 1)),
        hits=hits,
        predicted=_predicted(x, logits, largest, groups),
        actual=actual,
        nll=groups.sum(nll),
        brier=groups.sum(np.einsum("cr,cr->r", probs, probs)),
        confidence=groups.sum(top),
        top=_bins(top[None, :], np.flatnonzero(right), edges, groups),
        classwise=classwise,
    )


def _rank(x: np.ndarray, own: np.ndarray, targets: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Returns how many of the logits (classes, rows) stand before the true class's; all and more, if one is NaN."""
    kind = np.min_scalar_type(len(x) + _TOP)
    rank, equal = (
        np.sum(chosen, axis=0, dtype=kind) for chosen in ((x > own).view(np.uint8), (x == own).view(np.uint8))
    )
    tied = np.flatnonzero(equal > 1)
    if tied.size:
        earlier = np.arange(len(x))[:, None] < targets[tied]
        rank[tied] += np.sum((x[:, tied] == own[tied]) & earlier, axis=0, dtype=kind)
    rank[np.isnan(largest)] = len(x) + _TOP
    return rank


def _actual_and_hits(
    targets: np.ndarray, right: np.ndarray, classes: int, groups: Groups
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many rows of each group have each class, and how many of them are right."""
    found = groups.table(2 * targets + right, 2 * classes).reshape(-1, classes, 2)
    return found.sum(axis=-1), found[..., 1]


def _predicted(x: np.ndarray, logits: np.ndarray, largest: np.ndarray, groups: Groups) -> np.ndarray:
    """Returns how many rows of each group are predicted as each class, from logits either way round."""
    chosen = x == largest
    if (np.sum(chosen.view(np.uint8), axis=0, dtype=np.uint8) == 1).all() and len(x) < 256:
        return groups.count(chosen)
    # Among equals the first is predicted, and NaN is the largest.
    return groups.table(logits.argmax(axis=1), len(x))


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
        bins=_bins(probs, np.flatnonzero(holds), bin_edges(bins), groups),
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
