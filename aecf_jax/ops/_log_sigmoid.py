"""Logarithms of a probability and of its complement, from log-odds."""

import jax
import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float

_TERMS = 8  # The ninth is 2e-9 of the sum: a thirtieth of float32's rounding.


@jax.custom_jvp
def log_sigmoids(x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Returns log sigmoid(x) and log sigmoid(-x), both from one exponential, and exact to a few float32 roundings.

    Args:
        x: log-odds, float32.

    >>> import jax.numpy as jnp
    >>> [round(float(nats), 4) for nats in log_sigmoids(jnp.array(2.0))]
    [-0.1269, -2.1269]
    """
    rest = _log1p(jnp.exp(-jnp.abs(x)))
    return jnp.minimum(x, 0.0) - rest, -jnp.maximum(x, 0.0) - rest


@log_sigmoids.defjvp
def _log_sigmoids_slope(at: tuple[Array], along: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The logarithms and their change along a direction."""
    (x,), (change,) = at, along
    return log_sigmoids(x), (nn.sigmoid(-x) * change, -nn.sigmoid(x) * change)


def _log1p(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns log(1 + x) for x in [0, 1], as 2 artanh(x / (2 + x)) by its series, whose argument is at most 1/3.

    XLA's own takes several times as long to compile (`docs/performance.md`).
    """
    ratio = x / (2.0 + x)
    square, total = ratio * ratio, jnp.zeros_like(x)
    for term in reversed(range(_TERMS)):
        total = total * square + 1 / (2 * term + 1)
    return 2.0 * ratio * total
