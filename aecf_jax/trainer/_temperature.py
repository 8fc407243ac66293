"""One temperature for a model's evidence, fitted to held-out rows: the minimum of a convex function of one number."""

import numpy as np
from jaxtyping import Float, Shaped

_STEPS = 60
_RANGE = (0.05, 20.0)
_GOLDEN = (5**0.5 - 1) / 2


def fitted_temperature(
    logits: Float[np.ndarray, "rows classes"],
    prior: Float[np.ndarray, "classes"],
    label: Shaped[np.ndarray, "rows ..."],
) -> float:
    """Returns the temperature T in [0.05, 20] that makes prior + (logits - prior) / T likeliest.

    The mean negative log-likelihood is convex in 1 / T, so that a golden section search finds its minimum.

    Args:
        logits: at temperature 1.
        prior: what is predicted from nothing.
        label: classes `(rows,)`, or labels of 0 and 1 `(rows, classes)`.

    Source: Guo et al. 2017, section 4.2. Differs: what is scaled is the evidence beyond the prior.
    """
    evidence, prior = logits.astype(np.float64) - prior.astype(np.float64), prior.astype(np.float64)[None, :]

    def cost(scale: float) -> float:
        scaled = prior + scale * evidence
        if label.ndim == 2:
            return float(np.mean(np.logaddexp(0.0, np.where(label > 0.5, -scaled, scaled))))
        top = scaled.max(axis=1)
        return float(np.mean(np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
                             - scaled[np.arange(len(label)), label]))  # fmt: skip

    low, high = 1 / _RANGE[1], 1 / _RANGE[0]
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if cost(left) <= cost(right) else (left, high)
    return 2.0 / (low + high)
