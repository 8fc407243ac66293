"""How unsure a prediction is, between 0 and 1, from one or several draws of its logits."""

import math

import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float


def predictive_entropy(logits: Float[Array, "draws *batch classes"], *, labels: bool) -> Float[Array, "*batch"]:
    """Returns the entropy of the mean prediction, as a share of the largest: H(mean p) / log C.

    For labels the mean over labels of the binary entropy / log 2. 0 is certain, 1 knows nothing.

    Args:
        logits: of classes or labels, from every draw.
        labels: whether labels are independent, rather than classes exclusive.

    Source: Gal and Ghahramani 2016, with draws of dropout; Gal 2016, section 3.3.1.

    >>> import jax.numpy as jnp
    >>> float(predictive_entropy(jnp.zeros((1, 2, 4)), labels=False)[0])
    1.0
    """
    return _entropy(jnp.mean(_probabilities(logits, labels=labels), axis=0), labels=labels)


def mutual_information(logits: Float[Array, "draws *batch classes"], *, labels: bool) -> Float[Array, "*batch"]:
    """Returns what is left of `predictive_entropy` without the draws' own: H(mean p) - mean H(p), in the same unit.

    It is large where the draws disagree, and 0 where they agree, however unsure each of them is.

    Args:
        logits: of classes or labels, from every draw.
        labels: whether labels are independent, rather than classes exclusive.

    Source: Gal 2016, section 3.3.1; Houlsby et al. 2011 (BALD).

    >>> import jax.numpy as jnp
    >>> float(mutual_information(jnp.zeros((3, 2, 4)), labels=False)[0])
    0.0
    """
    probabilities = _probabilities(logits, labels=labels)
    whole = _entropy(jnp.mean(probabilities, axis=0), labels=labels)
    # By concavity at least 0; float32 may round it below.
    return jnp.maximum(whole - jnp.mean(_entropy(probabilities, labels=labels), axis=0), 0.0)


def _probabilities(logits: Float[Array, "*batch classes"], *, labels: bool) -> Float[Array, "*batch answers"]:
    """Returns probabilities of every class; of every label's yes, then of every label's no."""
    if labels:
        return nn.sigmoid(jnp.concatenate([logits, -logits], axis=-1))
    return nn.softmax(logits, axis=-1)


def _entropy(probabilities: Float[Array, "*batch answers"], *, labels: bool) -> Float[Array, "*batch"]:
    """Returns -sum p log p as a share of the largest there is; 0 where there is but one answer."""
    answers = probabilities.shape[-1]
    largest = answers / 2 * math.log(2) if labels else math.log(answers)
    positive = probabilities > 0
    terms = jnp.where(positive, probabilities * jnp.log(jnp.where(positive, probabilities, 1.0)), 0.0)
    return jnp.clip(-jnp.sum(terms, axis=-1) / largest, 0.0, 1.0) if largest > 0 else jnp.zeros(terms.shape[:-1])
