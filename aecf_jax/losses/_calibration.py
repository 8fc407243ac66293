"""Calibration errors that have a gradient: equal-width bins, the mean confidence of each bin pulled to its frequency.

Which bin a prediction falls in is not differentiated (hard bins, not kernels); the gradient comes through the mean
confidence of each bin, so that it moves an over-confident bin down and an under-confident one up.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jaxtyping import Array, Bool, Float, Float32, Int

from aecf_jax.ops import confidence, summed_rows


def top_label_calibration_error(
    logits: Float[Array, "batch classes"], targets: Int[Array, "batch"], *, bins: int = 15
) -> Float[Array, ""]:
    """Returns the expected calibration error of the most probable class, differentiable in the logits.

    sum_b (n_b / n) |confidence_b - accuracy_b| over bins ((b - 1) / bins, b / bins] of the top probability.

    Args:
        logits: unnormalized log-probabilities of exclusive classes.
        targets: index of the true class.
        bins: number of equal-width bins.

    Source: Guo et al. 2017, eq. 3.
    """
    probs = nn.softmax(logits.astype(jnp.float32), axis=-1)
    hit = jnp.argmax(logits, axis=-1) == targets
    # The maximum by index, not by max: ties would share the gradient among all of the largest.
    top = jnp.take_along_axis(probs, jnp.argmax(logits, axis=-1)[:, None], axis=-1)
    return jnp.mean(_binned_gap(top, hit[:, None].astype(jnp.float32), bins))


def label_calibration_error(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"], *, bins: int = 15
) -> Float[Array, ""]:
    """Returns the calibration error of independent labels, averaged over labels, differentiable in the logits.

    For each label sum_b (n_b / n) |mean p - mean t| over the bins of p = sigmoid(logit); then the mean over labels.

    Args:
        logits: log-odds of independent labels.
        targets: 1 where the label holds, else 0.
        bins: number of equal-width bins.

    Source: Guo et al. 2017, eq. 3, for each label. Differs from the PyTorch generation, whose term of this name is
    mean |p - t|: that is a loss of sharpness, 0 only where every prediction is certain, not a calibration error.

    >>> import jax.numpy as jnp
    >>> half = jnp.array([[1.0], [0.0]])
    >>> float(label_calibration_error(jnp.zeros((2, 1)), half))
    0.0
    """
    return jnp.mean(_binned_gap(nn.sigmoid(logits.astype(jnp.float32)), targets.astype(jnp.float32), bins))


def size_calibration_gap(
    logits: Float[Array, "batch classes"],
    targets: Int[Array, "batch"] | Float[Array, "batch classes"],
    visible: Bool[Array, "batch modality"],
) -> Float[Array, ""]:
    """Returns the gap of confidence and accuracy by the number of modalities that are seen, differentiable in logits.

    sum_k (n_k / n) |mean confidence_k - mean accuracy_k| over the numbers k = 1 .. M of visible modalities, n_k rows
    each: predictions from few modalities may not be surer than they are right, nor those from many less sure.
    Confidence is the top probability, for labels the mean over labels of max(p, 1 - p). Rows that see nothing do not
    count.

    Args:
        logits: of classes or labels.
        targets: index of the true class, or 1 where the label holds, else 0.
        visible: True for what the prediction has seen.

    Source: the calibration error of Guo et al. 2017, eq. 3, over subset sizes in place of bins of confidence.

    >>> import jax.numpy as jnp
    >>> sure, wrong = jnp.array([[9.0, -9.0]]), jnp.array([1])
    >>> round(float(size_calibration_gap(sure, wrong, jnp.array([[True, False]]))), 3)
    1.0
    """
    labels = targets.ndim == 2
    logits = logits.astype(jnp.float32)
    hit = (logits > 0) == (targets > 0.5) if labels else (jnp.argmax(logits, axis=-1) == targets)[:, None]
    gap = confidence(logits, labels=labels) - jnp.mean(hit, axis=-1)
    size = jnp.sum(visible, axis=-1)
    member = size[:, None] == jnp.arange(1, visible.shape[-1] + 1)[None, :]
    by_size = jnp.sum(jnp.where(member, gap[:, None], 0.0), axis=0)
    return jnp.sum(jnp.abs(by_size)) / jnp.maximum(jnp.sum(size > 0), 1)


def _binned_gap(
    probs: Float[Array, "batch classes"], frequency: Float[Array, "batch classes"], bins: int
) -> Float[Array, "classes"]:
    """Returns sum over bins of |sum of (p - t) in the bin| / batch, which is the count-weighted gap of the means."""
    gap = probs - lax.stop_gradient(frequency)
    bin_of = _bin_index(lax.stop_gradient(probs), bins)
    # |sum| is the sum of sign times gap: what is differentiated has no axis of bins.
    signs = jnp.sign(_bin_sums(lax.stop_gradient(gap), bin_of, bins))
    total = jnp.sum(jnp.take_along_axis(signs, bin_of, axis=0, mode="clip") * gap, axis=0)
    return jnp.maximum(total, 0.0) / probs.shape[0]  # Below 0 by rounding alone, where every sum is next to 0.


def _bin_index(probs: Float[Array, "batch classes"], bins: int) -> Int[Array, "batch classes"]:
    """Returns the bin (low, high] of every probability: how many edges lie below it."""
    return jnp.searchsorted(_inner_edges(bins), probs, method="compare_all")


def _bin_sums(
    gap: Float[Array, "batch classes"], bin_of: Int[Array, "batch classes"], bins: int
) -> Float[Array, "bins classes"]:
    """Returns the sum over rows of what lies in each bin."""

    def within(one: Int[Array, ""]) -> Float[Array, "classes"]:
        return summed_rows(jnp.where(bin_of == one, gap, 0.0))

    # On a CPU one after the other: an axis of bins would be written out, and a kernel for each is long in compiling.
    return lax.platform_dependent(jnp.arange(bins), cpu=lambda every: lax.map(within, every), default=jax.vmap(within))


def _inner_edges(bins: int) -> Float32[np.ndarray, "edges"]:
    """Returns the edges between bins: the first bin has 0 and all below its edge, the last all above its."""
    # From NumPy: a compiler may divide by multiplying with a rounded reciprocal, which moves the edges.
    return (np.arange(1, bins) / bins).astype(np.float32)
