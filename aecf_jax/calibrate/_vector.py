"""Vector scaling: a scale and a shift for each class or label, by Newton's method."""

import numpy as np
from jaxtyping import Float

from aecf_jax.calibrate._maps import Affine, Kind, Map, cross_entropy, probabilities

_STEPS = 100
_HALVINGS = 40
_CLOSE = 1e-14
_RIDGE = 1e-10
"""Added to the diagonal, relative to its mean: the shifts of classes are known up to a constant alone."""


def fit_vector(
    logits: Float[np.ndarray, "rows classes"], target: Float[np.ndarray, "rows classes"], kind: Kind, start: Map
) -> Affine:
    """Returns the scales and shifts with the least cross-entropy, which is convex in them.

    Args:
        logits: in float64.
        target: probabilities of the classes, or of each label.
        kind: classes or labels.
        start: the map to start from; where no step lowers the cross-entropy, it is returned.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """
    classes = logits.shape[1]
    scale, bias = (start.scale, start.bias) if isinstance(start, Affine) else (np.ones(1), np.zeros(1))
    theta = np.concatenate([np.broadcast_to(scale, classes), np.broadcast_to(bias, classes)])

    def loss(at: np.ndarray) -> float:
        return float(cross_entropy(logits * at[:classes] + at[classes:], target, kind).mean())

    now = loss(theta)
    for _ in range(_STEPS):
        likely = probabilities(logits * theta[:classes] + theta[classes:], kind)
        gradient, hessian = _derivatives(logits, likely, target, kind)
        ridge = _RIDGE * max(float(np.trace(hessian)) / (2 * classes), 1.0)
        step = np.linalg.solve(hessian + ridge * np.eye(2 * classes), -gradient)
        if -gradient @ step <= _CLOSE * max(now, 1.0):
            break
        for _ in range(_HALVINGS):
            lower = loss(theta + step)
            if lower < now:
                break
            step = step / 2
        else:
            break
        theta, now = theta + step, lower
    bias = theta[classes:]
    return Affine(theta[:classes], bias - bias.mean() if kind == "classes" else bias)


def _derivatives(
    logits: np.ndarray, likely: np.ndarray, target: np.ndarray, kind: Kind
) -> tuple[np.ndarray, np.ndarray]:
    """Returns gradient and Hessian of the mean cross-entropy in all scales, then all shifts."""
    rows, classes = logits.shape
    # The loss of labels is their mean.
    share = 1 / rows if kind == "classes" else 1 / (rows * classes)
    wrong = likely - target
    gradient = np.concatenate([(wrong * logits).sum(axis=0), wrong.sum(axis=0)]) * share
    own = likely if kind == "classes" else likely * (1 - likely)
    weighed = own * logits
    squares, products, shifts = (weighed * logits).sum(axis=0), weighed.sum(axis=0), own.sum(axis=0)
    hessian = np.diag(np.concatenate([squares, shifts])) + np.diag(products, classes) + np.diag(products, -classes)
    if kind == "classes":
        both = np.concatenate([weighed, own], axis=1)
        hessian -= both.T @ both
    return gradient, hessian * share
