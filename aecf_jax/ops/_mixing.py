"""Weighted sums of a few entries, forward and backward, in the form that is fast on the CPU."""

import functools
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_FEW = 8


def weighted_sums(
    weights: Float[Array, "batch sums entries"], entries: Float[Array, "batch entries width"]
) -> Float[Array, "batch sums width"]:
    """Returns each row's sums of its entries, every one with weights of its own, in float32.

    Args:
        weights: what the entries are multiplied with.
        entries: of each row.

    >>> import jax.numpy as jnp
    >>> weighted_sums(jnp.array([[[1.0, 2.0]]]), jnp.array([[[1.0, 0.0], [0.0, 1.0]]])).tolist()
    [[[1.0, 2.0]]]
    """
    # Made float32 outside, so that gradients have the type of what came in.
    return _weighted_sums(jnp.asarray(weights, jnp.float32), jnp.asarray(entries, jnp.float32))


@jax.custom_vjp
def _weighted_sums(weights: Array, entries: Array) -> Array:
    """The sums."""
    count = entries.shape[1]
    if count > _FEW:
        return jnp.einsum("bsm,bme->bse", weights, entries)
    # Term by term it is one pass over memory; a product of such small matrices for each row is ten times that.
    terms = (weights[..., index, None] * entries[:, None, index] for index in range(count))
    return functools.reduce(operator.add, terms)


def _forward(weights: Array, entries: Array) -> tuple[Array, tuple[Array, Array]]:
    """The sums, and what their gradients need."""
    return _weighted_sums(weights, entries), (weights, entries)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """The gradients: with respect to weights as products, since XLA:CPU adds up along the last axis one by one."""
    weights, entries = kept
    return jnp.einsum("bse,bme->bsm", gradient, entries), _weighted_sums(jnp.swapaxes(weights, 1, 2), gradient)


_weighted_sums.defvjp(_forward, _backward)
