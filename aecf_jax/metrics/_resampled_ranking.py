"""Average precision when rows are drawn anew: the scores are sorted once, and every draw counts along that order."""

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.metrics._sums import ratio

_BLOCK = 2**22
"""Counts in the ranking of a block of draws: 16 MB."""


def resampled_ranking(
    scores: Float[np.ndarray, "rows classes"],
    truth: Bool[np.ndarray, "rows classes"],
    counts: Int[np.ndarray, "draws rows"],
) -> dict[str, Float[np.ndarray, "draws"]]:
    """Returns `map` and `map_micro` of every draw, as `evaluate_predictions` of the rows drawn does.

    Args:
        scores: the larger, the likelier.
        truth: True where the label holds.
        counts: how often each row stands in each draw.
    """
    rows, classes = scores.shape
    each, every = np.arange(rows), np.repeat(np.arange(rows), classes)
    size = max(1, _BLOCK // max(1, scores.size))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    # Half the memory, where sums of counts fit.
    fits = int(counts.sum(axis=1).max(initial=0)) * max(1, classes) < 2**31
    for start in range(0, max(1, len(counts)), size):
        # Draws last: taking a row of counts, and adding two of them, runs along memory.
        drawn = np.ascontiguousarray(counts[start : start + size].T, np.int32 if fits else np.int64)
        labels = np.stack([_precision(scores[:, c], truth[:, c], drawn, each) for c in range(classes)], axis=1)
        occurs = truth.T.astype(np.int32) @ drawn > 0
        mean = ratio(np.where(occurs.T, labels, 0.0).sum(axis=1), occurs.sum(axis=0))
        found.append((mean, _precision(scores.reshape(-1), truth.reshape(-1), drawn, every)))
    return {
        name: np.concatenate(parts) for name, parts in zip(("map", "map_micro"), zip(*found, strict=True), strict=True)
    }


def _precision(
    scores: Float[np.ndarray, "scores"],
    truth: Bool[np.ndarray, "scores"],
    drawn: Int[np.ndarray, "rows draws"],
    row: Int[np.ndarray, "scores"],
) -> Float[np.ndarray, "draws"]:
    """Returns the average precision of every draw; NaN without positives, or where a score drawn is NaN."""
    sound = ~np.isnan(scores)
    order = np.flatnonzero(sound)[np.argsort(-scores[sound], kind="stable")]
    positive = np.flatnonzero(truth[order])
    if not positive.size:
        return np.full(drawn.shape[1], np.nan)
    # A threshold is a score that a positive has; all that share it enter together.
    falling = -scores[order]
    ends, first = np.unique(np.searchsorted(falling, falling[positive], side="right"), return_index=True)
    starts = np.concatenate([[0], ends[:-1]])
    seen = np.cumsum(np.add.reduceat(drawn[row[order[: ends[-1]]]], starts, axis=0), axis=0)
    gain = np.add.reduceat(drawn[row[order[positive]]], first, axis=0)
    found = np.cumsum(gain, axis=0)
    value = ratio(np.sum(gain * (found / np.maximum(seen, 1)), axis=0), found[-1])
    lost = (drawn[row[~sound]] > 0).any(axis=0)
    return np.where(lost, np.nan, value)
