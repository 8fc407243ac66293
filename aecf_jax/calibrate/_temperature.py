"""The temperature that makes soft targets most likely: the root of a rising function, found to the last digits."""

import numpy as np
from jaxtyping import Float

from aecf_jax.calibrate._maps import Affine, Kind, Map, probabilities

MOST_SCALE = 100.0
"""Temperatures lie between one hundredth and one hundred: rows that ask for more have nothing to say."""

_STEPS = 200
_CLOSE = 1e-13


def fit_temperature(
    logits: Float[np.ndarray, "rows classes"], target: Float[np.ndarray, "rows classes"], kind: Kind, start: Map
) -> Affine:
    """Returns the scale, 1 / temperature, with the least cross-entropy.

    The cross-entropy is convex in the scale; Newton's steps on its slope stay in a bracket that is halved (in the
    logarithm) where a step would leave it. Where the slope is 0 everywhere, as with one class, the start stays.

    Args:
        logits: in float64.
        target: probabilities of the classes, or of each label.
        kind: classes or labels.
        start: the map to start from.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    if kind == "classes":
        logits = logits - logits.max(axis=1, keepdims=True)
    low, high = 1 / MOST_SCALE, MOST_SCALE
    scale = float(np.clip(start.scale[0] if isinstance(start, Affine) else 1.0, low, high))
    for _ in range(_STEPS):
        likely = probabilities(scale * logits, kind)
        slope = float(((likely - target) * logits).sum())
        if slope == 0:
            break
        low, high = (low, scale) if slope > 0 else (scale, high)
        curvature = _curvature(likely, logits, kind)
        following = scale - slope / curvature if curvature > 0 else 0.0
        following = following if low < following < high else float(np.sqrt(low * high))
        moved, scale = abs(following - scale), following
        if moved <= _CLOSE * scale:
            break
    return Affine(np.array([scale]), np.zeros(1))


def _curvature(likely: np.ndarray, logits: np.ndarray, kind: Kind) -> float:
    """Returns the second derivative of the cross-entropy in the scale."""
    if kind == "labels":
        return float((likely * (1 - likely) * logits**2).sum())
    mean = (likely * logits).sum(axis=1, keepdims=True)
    return float((likely * (logits - mean) ** 2).sum())
