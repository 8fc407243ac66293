"""Isotonic regression by pooling adjacent violators, and the line through the middles of its blocks."""

import numpy as np
from jaxtyping import Float

from aecf_jax.calibrate._maps import MOST_ODDS, Kind, Line, Map, log_odds


def fit_isotonic(
    logits: Float[np.ndarray, "rows classes"], target: Float[np.ndarray, "rows classes"], kind: Kind, start: Map
) -> Line:
    """Returns the rising line of log-odds that fits soft targets best: one per label, or one for all classes.

    Classes are taken one against the others, all by one line, which keeps their order, and are normalized afterwards.
    The line goes through the middle of each block of pooled values, so that it rises wherever the values do.

    Args:
        logits: in float64.
        target: probabilities of the classes, or of each label.
        kind: classes or labels.
        start: not needed: the fit is exact.

    Source: Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", 2002;
    one line for all classes: Zhang, Kailkhura and Han, "Mix-n-Match", 2020; middles of blocks: Oron and Flournoy,
    "Centered Isotonic Regression", 2017.
    """
    del start
    odds = log_odds(logits, kind)
    columns = [(odds[:, c], target[:, c]) for c in range(odds.shape[1])]
    if kind == "classes":
        columns = [(odds.ravel(), target.ravel())]
    lines = [_line(*column) for column in columns]
    return Line(tuple(knots for knots, _ in lines), tuple(values for _, values in lines))


def pooled(
    x: Float[np.ndarray, "points"], y: Float[np.ndarray, "points"]
) -> tuple[Float[np.ndarray, "blocks"], Float[np.ndarray, "blocks"], Float[np.ndarray, "blocks"]]:
    """Returns the blocks of the least-squares rising step function: mean x, mean y, and number of points.

    Neighbours that do not rise are merged, all such runs at once, until every block is above the one before it: the
    order in which they are merged does not change the result.

    Args:
        x: where; equal ones share a block.
        y: what there.
    """
    _, block = np.unique(x, return_inverse=True)
    count, x_sum, y_sum = np.bincount(block).astype(np.float64), np.bincount(block, x), np.bincount(block, y)
    while True:
        mean = y_sum / count
        rises = np.append(True, mean[1:] > mean[:-1])
        if rises.all():
            return x_sum / count, mean, count
        block = np.cumsum(rises) - 1
        count, x_sum, y_sum = (np.bincount(block, sums) for sums in (count, x_sum, y_sum))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the knots and the log-odds there."""
    middle, mean, _ = pooled(x, y)
    with np.errstate(divide="ignore"):
        odds = np.log(mean) - np.log1p(-np.minimum(mean, 1.0))
    return middle, np.clip(odds, -MOST_ODDS, MOST_ODDS)
