"""Weights over the modalities that are present: non-negative, 0 where absent, summing to 1 unless nothing is there."""

import jax.numpy as jnp
from jax import lax, nn
from jaxtyping import Array, Bool, Float

_TINY = 1e-12


def masked_softmax(
    logits: Float[Array, "*batch modality"], present: Bool[Array, "*batch modality"]
) -> Float[Array, "*batch modality"]:
    """Returns the softmax over present modalities; absent ones have weight exactly 0, and no gradient.

    Args:
        logits: one score per modality; what stands at an absent one is never read.
        present: True where the modality is there. A row without any gives all zeros.

    >>> import jax.numpy as jnp
    >>> masked_softmax(jnp.array([0.0, jnp.nan, 0.0]), jnp.array([True, False, True])).tolist()
    [0.5, 0.0, 0.5]
    """
    safe = jnp.where(present, logits, -jnp.inf)
    top = lax.stop_gradient(jnp.max(safe, axis=-1, keepdims=True))
    # A row with nothing present has top = -inf; 0 in its place keeps the unused branch finite, and so its gradient.
    top = jnp.where(jnp.isfinite(top), top, jnp.zeros_like(top))
    exponent = jnp.where(present, logits - top, jnp.zeros_like(logits))
    return renormalized(jnp.where(present, jnp.exp(exponent), jnp.zeros_like(logits)))


def normalized_sigmoid(
    logits: Float[Array, "*batch modality"], present: Bool[Array, "*batch modality"]
) -> Float[Array, "*batch modality"]:
    """Returns sigmoids of present modalities, divided by their sum; absent ones have weight exactly 0.

    Args:
        logits: one score per modality; what stands at an absent one is never read.
        present: True where the modality is there. A row without any gives all zeros.

    Source: `AdaptiveGate` of the PyTorch generation, `use_softmax=False`. Differs: dividing sigmoids by their sum is
    a softmax of log-sigmoids, which stays exact where every sigmoid underflows.
    """
    return masked_softmax(nn.log_sigmoid(jnp.where(present, logits, jnp.zeros_like(logits))), present)


def renormalized(weights: Float[Array, "*batch modality"]) -> Float[Array, "*batch modality"]:
    """Returns non-negative weights divided by their sum; a row of zeros stays zeros.

    >>> import jax.numpy as jnp
    >>> renormalized(jnp.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """
    return weights / jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), _TINY)


def unit_norm(x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    """Returns vectors divided by their L2 norm; a vector of zeros stays zeros, with a finite gradient.

    Source: `torch.nn.functional.normalize`, which also floors the norm at 1e-12.
    """
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    # sqrt has an infinite slope at 0, so 0 must not reach it even in the branch that is not taken.
    norm = jnp.sqrt(jnp.where(square > 0, square, jnp.ones_like(square)))
    return jnp.where(square > 0, x / jnp.maximum(norm, _TINY), jnp.zeros_like(x))
