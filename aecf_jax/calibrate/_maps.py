"""What a calibration does to the logits of one entry: a scale and a shift, or a monotone line through knots."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

Kind = Literal["classes", "labels"]
KINDS = get_args(Kind)

MOST_ODDS = 50.0
"""Largest log-odds that the monotone line reads or writes: beyond it a probability is 0 or 1 in float64 as well."""


class Affine(NamedTuple):
    """Logits times a scale, plus a shift: one number for all columns, or one for each.

    Attributes:
        scale: 1 / temperature, `(1,)`, or `(classes,)` for vector scaling.
        bias: `(1,)` or `(classes,)`.
    """

    scale: Float[np.ndarray, "_"]
    bias: Float[np.ndarray, "_"]


class Line(NamedTuple):
    """From log-odds to log-odds, linear between knots and constant outside: one line for all classes, or one per label.

    Attributes:
        knots: where, rising, one array for each line.
        values: what there, rising, one array for each line.
    """

    knots: tuple[Float[np.ndarray, "_"], ...]
    values: tuple[Float[np.ndarray, "_"], ...]


Map = Affine | Line


def mapped(one: Map, logits: Float[np.ndarray, "rows classes"], kind: Kind) -> Float[np.ndarray, "rows classes"]:
    """Returns calibrated logits, in float64.

    Args:
        one: the map.
        logits: of the model.
        kind: classes or labels.
    """
    logits = np.asarray(logits, np.float64)
    if isinstance(one, Affine):
        return logits * one.scale + one.bias
    odds = log_odds(logits, kind)
    lines = list(zip(one.knots, one.values, strict=True))
    found = np.empty(odds.shape)
    for column in range(odds.shape[1]):
        knots, values = lines[column if len(lines) > 1 else 0]
        found[:, column] = np.interp(odds[:, column], knots, values)
    return found if kind == "labels" else -np.logaddexp(0.0, -found)


def log_odds(logits: Float[np.ndarray, "rows classes"], kind: Kind) -> Float[np.ndarray, "rows classes"]:
    """Returns the log-odds of every column, bounded: a label's logit itself, a class against all others together.

    Args:
        logits: in float64.
        kind: classes or labels.
    """
    if kind == "labels":
        return np.clip(logits, -MOST_ODDS, MOST_ODDS)
    top = np.zeros(logits.shape, bool)
    top[np.arange(len(logits)), logits.argmax(axis=1)] = True
    total = _log_sum(logits)
    # log(1 - p) where p is not the largest; of the largest, all others are summed, since 1 - p would lose its digits.
    rest = total + np.log1p(-np.where(top, 0.0, np.exp(logits - total)))
    with np.errstate(divide="ignore"):
        rest = np.where(top, _log_sum(np.where(top, -np.inf, logits)), rest)
    return np.clip(logits - rest, -MOST_ODDS, MOST_ODDS)


def probabilities(logits: Float[np.ndarray, "rows classes"], kind: Kind) -> Float[np.ndarray, "rows classes"]:
    """Returns what logits mean.

    Args:
        logits: in float64.
        kind: classes or labels.
    """
    if kind == "labels":
        return 0.5 * (1.0 + np.tanh(0.5 * logits))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def cross_entropy(
    logits: Float[np.ndarray, "rows classes"], target: Float[np.ndarray, "rows classes"], kind: Kind
) -> Float[np.ndarray, "rows"]:
    """Returns each row's negative log-likelihood in nats, of labels their mean, under probabilities as targets.

    Args:
        logits: in float64.
        target: probabilities of the classes, or of each label.
        kind: classes or labels.
    """
    if kind == "labels":
        return (np.logaddexp(0.0, logits) - target * logits).mean(axis=1)
    return _log_sum(logits)[:, 0] - (target * logits).sum(axis=1)


def _log_sum(logits: np.ndarray) -> np.ndarray:
    """Returns log(sum(exp)) of each row, which may hold minus infinity."""
    best = np.maximum(logits.max(axis=1, keepdims=True), -np.finfo(np.float64).max)
    return best + np.log(np.exp(logits - best).sum(axis=1, keepdims=True))
