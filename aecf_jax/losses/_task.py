"""Losses of the task itself: cross-entropy over classes, focal cross-entropy over labels, squared error over values.

All reduce in float32, whatever the dtype of the logits, and stay finite with their gradients at saturated logits.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float, Int

from aecf_jax.ops import is_on, log_sigmoids
from aecf_jax.types import Scalar

_FREQUENCY_FLOOR = 1e-8
_WEIGHT_RANGE = (0.1, 10.0)


def cross_entropy(
    logits: Float[Array, "batch classes"], targets: Int[Array, "batch"], *, smoothing: Scalar = 0.0
) -> Float[Array, ""]:
    """Returns the mean cross-entropy -sum_c q_c log p_c in nats, with q = (1 - smoothing) onehot + smoothing / C.

    A target outside 0 .. C - 1 gives NaN, which stops training, where clamping or wrapping would hide it.

    Args:
        logits: unnormalized log-probabilities of exclusive classes.
        targets: index of the true class.
        smoothing: share of the target spread over all classes.

    Source: Szegedy et al. 2016, section 7; `torch.nn.functional.cross_entropy`.

    >>> import jax.numpy as jnp
    >>> round(float(cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    1.3863
    """
    log_probs = nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    # take_along_axis wraps negative indices, so that -1 would silently mean the last class.
    index = jnp.where(targets < 0, logits.shape[-1], targets)[:, None]
    of_target = jnp.take_along_axis(log_probs, index, axis=-1, mode="fill", fill_value=jnp.nan)[:, 0]
    if not is_on(smoothing):
        return -jnp.mean(of_target)
    return -jnp.mean((1 - smoothing) * of_target + smoothing * jnp.mean(log_probs, axis=-1))


def focal_binary_cross_entropy(
    logits: Float[Array, "batch classes"],
    targets: Float[Array, "batch classes"],
    *,
    alpha: Scalar = 0.5,
    gamma: Scalar = 0.0,
    smoothing: Scalar = 0.0,
    positive_weight: Float[Array, "classes"] | None = None,
) -> Float[Array, ""]:
    """Returns the mean focal cross-entropy over rows and labels, in nats.

    With p = sigmoid(logit), w the positive weight and b the plain binary cross-entropy:
    f = t alpha w (1 - p)^gamma (-log p) + (1 - t) (1 - alpha) p^gamma (-log(1 - p)), and the result is the mean of
    (1 - smoothing) f + smoothing b(logit, t (1 - smoothing) + smoothing / 2).

    Args:
        logits: log-odds of independent labels.
        targets: 1 where the label holds, 0 where it does not; a number between them is a probability.
        alpha: weight of positives; negatives have 1 - alpha.
        gamma: focusing exponent, at least 0.
        smoothing: share of the unweighted, smoothed cross-entropy.
        positive_weight: weight of each label's positives; None: 1.

    Source: Lin et al. 2017, eq. 5; the PyTorch generation's `AECFLoss`, equal to it for targets 0 and 1.
    """
    logits, targets = logits.astype(jnp.float32), targets.astype(jnp.float32)
    log_p, log_not_p = log_sigmoids(logits)
    positive, negative = alpha * -log_p, (1 - alpha) * -log_not_p
    if is_on(gamma):
        # exp(gamma log(1 - p)), not (1 - p)**gamma: a power below 1 has an infinite slope where p rounds to 1.
        positive, negative = jnp.exp(gamma * log_not_p) * positive, jnp.exp(gamma * log_p) * negative
    if positive_weight is not None:
        positive = positive * positive_weight[None, :]
    focal = targets * positive + (1 - targets) * negative
    if not is_on(smoothing):
        return jnp.mean(focal)
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    plain = -smooth * log_p - (1 - smooth) * log_not_p
    return jnp.mean((1 - smoothing) * focal + smoothing * plain)


def positive_weights(frequencies: Sequence[float]) -> Float[Array, "classes"]:
    """Returns the weight of each label's positives: 1 / (frequency + 1e-8), clipped to [0.1, 10].

    Source: the PyTorch generation's `AECFLoss`.

    >>> positive_weights([0.5, 0.01, 1.0]).round(3).tolist()
    [2.0, 10.0, 1.0]
    """
    inverse = 1.0 / (jnp.asarray(frequencies, jnp.float32) + _FREQUENCY_FLOOR)
    return jnp.clip(inverse, *_WEIGHT_RANGE)


def mean_squared_error(
    predictions: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float[Array, ""]:
    """Returns the mean of (prediction - target)^2 over rows and targets.

    Args:
        predictions: predicted values.
        targets: true ones.

    >>> import jax.numpy as jnp
    >>> float(mean_squared_error(jnp.array([[1.0, 3.0]]), jnp.zeros((1, 2))))
    5.0
    """
    return jnp.mean(jnp.square(predictions.astype(jnp.float32) - targets.astype(jnp.float32)))
