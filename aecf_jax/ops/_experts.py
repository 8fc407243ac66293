"""Rules that join what experts say, one expert for each modality: evidence from those that are present, in nats.

Evidence is an expert's logits less the prior's: log p(class | x) - log p(class) up to a constant for exclusive classes,
the same of the log-odds for independent labels. What stands at an absent expert is never read, values or gradients;
where none is present the evidence is 0, and the prediction the prior.
"""

import jax.numpy as jnp
from jax import lax, nn
from jaxtyping import Array, Bool, Float

from aecf_jax.ops._log_sigmoid import log_sigmoids
from aecf_jax.ops._weights import masked_softmax, renormalized
from aecf_jax.types import Scalar

_TINY = 1e-12
_FAINT = 1e-6  # Squared nats, below which evidence is none: a share of next to nothing has no steep gradient.

Evidence = Float[Array, "batch modality classes"]
Present = Bool[Array, "batch modality"]
Prior = Float[Array, "classes"]
Joined = Float[Array, "batch classes"]


def summed_evidence(evidence: Evidence, present: Present) -> Joined:
    """Returns the sum of the evidence: the product of experts, p(c) prod_m p(c | x_m) / p(c), normalized.

    Exact where the modalities are independent given the class.

    Args:
        evidence: of every modality.
        present: True for those to use.

    Source: Hinton 2002, products of experts; the division by the prior is Bayes' rule.

    >>> import jax.numpy as jnp
    >>> summed_evidence(jnp.array([[[1.0, 0.0], [2.0, 1.0], [9.0, 9.0]]]), jnp.array([[True, True, False]])).tolist()
    [[3.0, 1.0]]
    """
    return jnp.sum(jnp.where(present[..., None], evidence, 0.0), axis=-2)


def pooled_evidence(evidence: Evidence, present: Present, *, power: Scalar, centred: bool) -> Joined:
    """Returns the evidence added up so that what is said twice does not count twice.

    E = sum_m w_m e_m with w_m = (|e_m| / N)^(power - 1), where N = (sum_m |e_m|^power)^(1 / power) and |e| is the root
    mean square over classes. At power 1 it is the plain sum, right for modalities that err independently; k equal
    opinions give k^(1 / power) times one, so that a larger power discounts agreement. An unsure modality hardly weakens
    a sure one, as it does in a mean. The weights are read without gradient.

    Args:
        evidence: of every modality.
        present: True for those to use.
        power: at least 1.
        centred: whether to take off every expert's mean over classes first, which says nothing of exclusive classes.

    >>> import jax.numpy as jnp
    >>> both = jnp.array([[True, True]])
    >>> def rounded(evidence, **how):
    ...     return [round(float(e), 3) for e in pooled_evidence(evidence, both, centred=True, **how)[0]]
    >>> rounded(jnp.array([[[4.0, -4.0], [4.0, -4.0]]]), power=2.0)
    [5.657, -5.657]
    >>> rounded(jnp.array([[[4.0, -4.0], [-1.0, 1.0]]]), power=1.0)
    [3.0, -3.0]
    """
    evidence = jnp.where(present[..., None], evidence, 0.0)
    if centred:
        evidence = evidence - jnp.mean(evidence, axis=-1, keepdims=True)
    size = jnp.where(present, _log_size(evidence), -jnp.inf)
    top = jnp.max(size, axis=-1, keepdims=True)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    relative = jnp.where(present, size - top, -jnp.inf)
    total = jnp.log(jnp.maximum(jnp.sum(jnp.exp(power * relative), axis=-1, keepdims=True), _TINY)) / power
    # Not where power is 1 and a modality absent: 0 times infinity.
    weights = jnp.where(present, jnp.exp((power - 1) * jnp.where(present, relative - total, 0.0)), 0.0)
    return jnp.einsum("bm,bmc->bc", weights, evidence)


def _log_size(evidence: Float[Array, "*batch classes"]) -> Float[Array, "*batch"]:
    """Returns the log of the root mean square over classes, without gradient.

    In logarithms of squares: powers of numbers near 0 neither underflow nor have infinite slopes there.
    """
    return 0.5 * jnp.log(lax.stop_gradient(jnp.mean(jnp.square(evidence), axis=-1)) + _TINY)


def mean_evidence(evidence: Evidence, present: Present) -> Joined:
    """Returns the mean of the evidence: the average of logits, a logarithmic opinion pool with equal weights.

    Args:
        evidence: of every modality.
        present: True for those to use.
    """
    return jnp.einsum("bm,bmc->bc", _shares(present), jnp.where(present[..., None], evidence, 0.0))


def mean_probability(evidence: Evidence, present: Present, prior: Prior, *, labels: bool) -> Joined:
    """Returns the evidence of the average of the experts' probabilities: a linear opinion pool with equal weights.

    Args:
        evidence: of every modality.
        present: True for those to use.
        prior: log frequencies of classes, or log odds of labels.
        labels: whether labels are independent, rather than classes exclusive.
    """
    logits = prior[None, None, :] + jnp.where(present[..., None], evidence, 0.0)
    # Sums of shares e^{log p}, kept in logarithms: a probability that rounds to 0 must not become an infinite logit.
    share = jnp.log(jnp.maximum(_shares(present), _TINY))[..., None]
    share = jnp.where(present[..., None], share, -jnp.inf)
    anything = jnp.any(present, axis=-1, keepdims=True)
    if labels:
        yes, no = log_sigmoids(logits)
        joined = _log_sum(share + yes) - _log_sum(share + no)
    else:
        joined = _log_sum(share + nn.log_softmax(logits, axis=-1))
    return jnp.where(anything, joined - prior[None, :], 0.0)


def surest_evidence(evidence: Evidence, present: Present, prior: Prior, *, labels: bool) -> Joined:
    """Returns the evidence of the surest expert alone; among equally sure ones the first.

    Sure is one with a large top probability, for labels the mean over labels of max(p, 1 - p).

    Args:
        evidence: of every modality.
        present: True for those to use.
        prior: log frequencies of classes, or log odds of labels.
        labels: whether labels are independent, rather than classes exclusive.
    """
    safe = jnp.where(present[..., None], evidence, 0.0)
    sure = jnp.where(present, confidence(prior[None, None, :] + safe, labels=labels), -1.0)
    chosen = nn.one_hot(jnp.argmax(sure, axis=-1), present.shape[-1]) * present
    return jnp.einsum("bm,bmc->bc", chosen, safe)


def confidence(logits: Float[Array, "*batch classes"], *, labels: bool) -> Float[Array, "*batch"]:
    """Returns the top probability of classes; for labels the mean over labels of max(p, 1 - p).

    Args:
        logits: of classes or labels.
        labels: whether labels are independent, rather than classes exclusive.
    """
    if labels:
        return jnp.mean(nn.sigmoid(jnp.abs(logits)), axis=-1)
    return jnp.max(nn.softmax(logits, axis=-1), axis=-1)


def dempster_shafer(evidence: Float[Array, "batch modality *label classes"], present: Present) -> Array:
    """Returns log probabilities expected under the Dirichlet opinion that Dempster's reduced rule makes of experts.

    Expert m has Dirichlet parameters 1 + e_m, beliefs b = e / S and uncertainty u = K / S, S = sum(e) + K; two opinions
    join to b = (b1 b2 + b1 u2 + b2 u1) / (1 - C) and u = u1 u2 / (1 - C), C the conflict; the expected probability is
    b + u / K. An absent expert is wholly uncertain (u = 1), which changes nothing.

    Args:
        evidence: non-negative counts of every modality, over K classes (of each label).
        present: True for those to use.

    Source: Han et al. 2021 (TMC), definition 4 and eq. 6.

    >>> import jax.numpy as jnp
    >>> doubt = dempster_shafer(jnp.array([[[0.0, 0.0], [6.0, 0.0]]]), jnp.array([[True, True]]))
    >>> [round(float(p), 3) for p in jnp.exp(doubt)[0]]
    [0.875, 0.125]
    """
    classes = evidence.shape[-1]
    shown = present.reshape(*present.shape, *(1,) * (evidence.ndim - 2))
    evidence = jnp.where(shown, evidence, 0.0)
    strength = jnp.sum(evidence, axis=-1, keepdims=True) + classes
    belief, doubt = evidence / strength, classes / strength
    joined, left = belief[:, 0], doubt[:, 0]
    for index in range(1, evidence.shape[1]):
        other, unsure = belief[:, index], doubt[:, index]
        agreed = joined * other + joined * unsure + other * left
        # 1 - conflict is the mass that is left: what is agreed, and the doubt of both.
        mass = jnp.sum(agreed, axis=-1, keepdims=True) + left * unsure
        joined, left = agreed / jnp.maximum(mass, _TINY), left * unsure / jnp.maximum(mass, _TINY)
    return jnp.log(jnp.maximum(joined + left / classes, _TINY))


def evidence_weights(evidence: Evidence, present: Present) -> Float[Array, "batch modality"]:
    """Returns each present modality's share of the evidence, by root mean square over classes; shares sum to 1.

    Where no modality says anything, all that are present share equally.

    Args:
        evidence: of every modality.
        present: True for those to use.
    """
    square = jnp.mean(jnp.square(jnp.where(present[..., None], evidence, 0.0)), axis=-1)
    # The log of the root is half the log: no square root, whose slope at 0 is infinite.
    return masked_softmax(0.5 * jnp.log(square + _FAINT), present)


def _shares(present: Present) -> Float[Array, "batch modality"]:
    """Returns equal weights of what is present."""
    return renormalized(present.astype(jnp.float32))


def _log_sum(terms: Float[Array, "batch modality classes"]) -> Joined:
    """Returns the log of the sum over modalities of exponentials, of which some may be log 0."""
    top = lax.stop_gradient(jnp.max(terms, axis=1, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.sum(jnp.exp(terms - top), axis=1)
    return jnp.log(jnp.maximum(total, _TINY)) + top[:, 0]
