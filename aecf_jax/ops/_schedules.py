"""Coefficients over training, as functions of a traced epoch, so that one compiled program serves all of it."""

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from aecf_jax.errors import require
from aecf_jax.ops._scalars import is_on
from aecf_jax.types import Scalar


def warmup_cosine(
    epoch: Scalar, *, free: float, warmup: float, total: float, peak: Scalar, cosine: float = 1.0
) -> Float[Array, ""]:
    """Returns the coefficient at an epoch: 0 while free, a linear rise to the peak, a cosine to 0 at the end.

    Args:
        epoch: epochs since the start; fractions are meant.
        free: epochs at the start during which it is 0.
        warmup: epochs of the linear rise after them.
        total: epochs of the whole training; if none are left after the rise, the peak is kept.
        peak: the largest value.
        cosine: share of the training, at its end, that the cosine takes; the peak is kept before it. 1: all that the
            rise leaves.

    Source: `AECFLoss._get_entropy_lambda` of the PyTorch generation; `cosine` is 0.1 in the one before it.

    >>> [round(float(warmup_cosine(e, free=0.0, warmup=5.0, total=30.0, peak=0.1)), 4) for e in (0, 1, 5, 15, 30)]
    [0.0, 0.02, 0.1, 0.0655, 0.0]
    """
    epoch = jnp.asarray(epoch, jnp.float32)
    start = max(free + warmup, total * (1 - cosine))
    rest = total - start
    decay = (epoch - start) / (rest if rest > 0 else 1.0)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(decay, 0.0, 1.0))) if rest > 0 else jnp.ones_like(epoch)
    rising = (epoch - free) / (warmup if warmup > 0 else 1.0)
    value = jnp.where(epoch < free + warmup, rising, falling)
    return peak * jnp.where(epoch < free, jnp.zeros_like(epoch), value)


def linear_ramp(position: Scalar, length: Scalar) -> Float[Array, ""]:
    """Returns min(1, position / length), and 1 everywhere if the length is 0.

    Args:
        position: how far training is, in the unit of the length.
        length: how long the ramp takes, at least 0.

    Raises:
        InputError: if the length is negative.

    >>> [float(linear_ramp(p, 4.0)) for p in (0.0, 1.0, 8.0)]
    [0.0, 0.25, 1.0]
    """
    position = jnp.asarray(position, jnp.float32)
    if not is_on(length):
        return jnp.ones_like(position)
    require(isinstance(length, Tracer) or bool(length >= 0), "length", "be at least 0", length)
    return jnp.minimum(position / length, 1.0)
