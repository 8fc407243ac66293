"""Shannon entropy of the gate's weights, in nats."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def gate_entropy(weights: Float[Array, "*batch modality"]) -> Float[Array, "*batch"]:
    """Returns -sum w log w in nats: 0 for one modality or none, log M for M equal weights.

    Args:
        weights: non-negative, summing to 1 (or all 0).

    Source: `AdaptiveGate` of the PyTorch generation. Differs: exact, where PyTorch adds 1e-8 inside the logarithm.

    >>> import jax.numpy as jnp
    >>> [round(float(nats), 4) for nats in gate_entropy(jnp.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))]
    [0.6931, 0.0]
    """
    # Not xlogy: its gradient is -inf as soon as one weight is exactly 0, and an absent modality's weight is.
    positive = weights > 0
    terms = weights * jnp.log(jnp.where(positive, weights, jnp.ones_like(weights)))
    return jnp.abs(-jnp.sum(jnp.where(positive, terms, jnp.zeros_like(terms)), axis=-1))
