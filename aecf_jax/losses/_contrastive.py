"""Contrastive losses of the embedding task, on directions: every vector is divided by its L2 norm first."""

import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float, Int

from aecf_jax.ops import unit_norm
from aecf_jax.types import Scalar


def info_nce(
    predictions: Float[Array, "batch embed"], targets: Float[Array, "batch embed"], *, temperature: Scalar = 0.07
) -> Float[Array, ""]:
    """Returns the symmetric InfoNCE loss in nats: each row must find its own target among the batch's, and back.

    With s_ij = cos(prediction_i, target_j) / temperature: the mean of cross-entropy(s, diagonal) over rows and of the
    same over columns, halved. 0 for a batch of one row; log(batch) where nothing is told apart.

    Args:
        predictions: embeddings to train.
        targets: the embedding that each should point to.
        temperature: divides the cosines.

    Source: Radford et al. 2021, figure 3; van den Oord et al. 2018, eq. 4. Differs from the PyTorch generation, whose
    embedding task has a constant loss of 0.

    >>> import jax.numpy as jnp
    >>> round(float(info_nce(jnp.eye(2), jnp.eye(2), temperature=1.0)), 4)
    0.3133
    """
    scores = unit_norm(predictions.astype(jnp.float32)) @ unit_norm(targets.astype(jnp.float32)).T / temperature
    own = jnp.diagonal(scores)
    to_target = nn.logsumexp(scores, axis=1) - own
    to_prediction = nn.logsumexp(scores, axis=0) - own
    return 0.5 * jnp.mean(to_target + to_prediction)


def supervised_contrastive(
    embeddings: Float[Array, "batch embed"], targets: Int[Array, "batch"], *, temperature: Scalar = 0.07
) -> Float[Array, ""]:
    """Returns the supervised contrastive loss in nats: rows of one class attract, all others repel.

    For a row i with positives P(i), the other rows of its class, and s_ij = cos(z_i, z_j) / temperature:
    -mean over p in P(i) of [s_ip - log sum over a != i of exp(s_ia)]; then the mean over rows that have a positive,
    and 0 where none has.

    Args:
        embeddings: embeddings to train.
        targets: index of each row's class.
        temperature: divides the cosines.

    Source: Khosla et al. 2020, eq. 2.
    """
    unit = unit_norm(embeddings.astype(jnp.float32))
    others = ~jnp.eye(unit.shape[0], dtype=bool)
    positive = (targets[:, None] == targets[None, :]) & others
    scores = unit @ unit.T / temperature
    log_all = nn.logsumexp(jnp.where(others, scores, -jnp.inf), axis=1, keepdims=True)
    count = jnp.sum(positive, axis=1)
    row = jnp.sum(jnp.where(positive, log_all - scores, 0.0), axis=1) / jnp.maximum(count, 1)
    return jnp.sum(row) / jnp.maximum(jnp.sum(count > 0), 1)
