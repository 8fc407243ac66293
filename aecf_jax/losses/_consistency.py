"""Agreement of a prediction from some modalities with the prediction from all of them, which is never pulled."""

import jax.numpy as jnp
from jax import lax, nn
from jaxtyping import Array, Bool, Float

from aecf_jax.ops import log_sigmoids


def class_divergence(full: Float[Array, "batch classes"], part: Float[Array, "batch classes"]) -> Float[Array, ""]:
    """Returns the mean over rows of KL(softmax(full) || softmax(part)) in nats, without gradient to `full`.

    Args:
        full: logits from everything that is present; the teacher.
        part: logits from what is visible; the student.

    Source: Hinton et al. 2015, section 2, at temperature 1, up to the constant entropy of the teacher.
    """
    log_full = nn.log_softmax(lax.stop_gradient(full).astype(jnp.float32), axis=-1)
    log_part = nn.log_softmax(part.astype(jnp.float32), axis=-1)
    return jnp.mean(jnp.sum(jnp.exp(log_full) * (log_full - log_part), axis=-1))


def label_divergence(full: Float[Array, "batch classes"], part: Float[Array, "batch classes"]) -> Float[Array, ""]:
    """Returns the mean over rows and labels of KL(Bernoulli(full) || Bernoulli(part)) in nats, `full` without gradient.

    The mean over labels, not their sum, keeps it on the scale of the focal loss, which is a mean too.

    Args:
        full: log-odds from everything that is present; the teacher.
        part: log-odds from what is visible; the student.
    """
    full, part = lax.stop_gradient(full).astype(jnp.float32), part.astype(jnp.float32)
    (full_yes, full_no), (part_yes, part_no) = log_sigmoids(full), log_sigmoids(part)
    return jnp.mean(nn.sigmoid(full) * (full_yes - part_yes) + nn.sigmoid(-full) * (full_no - part_no))


def squared_distance(full: Float[Array, "batch classes"], part: Float[Array, "batch classes"]) -> Float[Array, ""]:
    """Returns the mean of (part - full)^2 over rows and coordinates, without gradient to `full`.

    Args:
        full: values or embeddings from everything that is present; the teacher.
        part: the same from what is visible; the student.
    """
    return jnp.mean(jnp.square(part.astype(jnp.float32) - lax.stop_gradient(full).astype(jnp.float32)))


def alone_distance(
    full: Float[Array, "batch classes"],
    alone: Float[Array, "modality batch classes"],
    present: Bool[Array, "batch modality"],
) -> Float[Array, ""]:
    """Returns the mean squared distance of each single modality's prediction from the full one, over present ones.

    0 where nothing is present. No gradient to `full`; what stands at an absent modality is never read.

    Args:
        full: probabilities or values from everything that is present; the teacher.
        alone: the same from each modality alone; the students.
        present: True where the modality was observed.

    Source: the PyTorch generation's configuration, `consistency_loss_coeff`. Differs: its code returns 0.
    """
    full = lax.stop_gradient(full).astype(jnp.float32)
    seen = present.T[:, :, None]
    gap = jnp.where(seen, alone.astype(jnp.float32), full[None]) - full[None]
    count = jnp.maximum(jnp.sum(present), 1) * full.shape[-1]
    return jnp.sum(jnp.where(seen, jnp.square(gap), 0.0)) / count
