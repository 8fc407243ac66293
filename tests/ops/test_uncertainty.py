"""How unsure draws of a prediction are: against float64 definitions, and at extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.ops import mutual_information, predictive_entropy

DRAWS = np.random.default_rng(0).normal(0, 3, (4, 6, 5))
MEASURES = {"predictive": predictive_entropy, "information": mutual_information}


def entropy(p):
    return -(p * np.log(p)).sum(-1)


def by_definition(logits, labels):
    """Entropy of the mean prediction, and what it exceeds the draws' own mean entropy by, as shares of the largest."""
    if labels:
        p = 1 / (1 + np.exp(-logits))
        binary = lambda p: (entropy(np.stack([p, 1 - p], -1)) / np.log(2)).mean(-1)  # noqa: E731
        whole, own = binary(p.mean(0)), binary(p).mean(0)
    else:
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        whole, own = entropy(p.mean(0)) / np.log(5), entropy(p).mean(0) / np.log(5)
    return {"predictive": whole, "information": whole - own}


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_their_definitions(name, labels):
    found = MEASURES[name](jnp.asarray(DRAWS, jnp.float32), labels=labels)
    # Float32 sums of a few logarithms, and a difference of them.
    np.testing.assert_allclose(found, by_definition(DRAWS, labels)[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("name", MEASURES)
def test_measures_lie_between_0_and_1_at_extremes(name, labels):
    for logits in (np.sign(DRAWS) * 1e4, np.zeros_like(DRAWS), DRAWS[:1], DRAWS[..., :1]):
        logits = jnp.asarray(logits, jnp.float32)
        value = MEASURES[name](logits, labels=labels)
        assert ((np.asarray(value) >= 0) & (np.asarray(value) <= 1)).all()
        assert np.isfinite(jax.grad(lambda x: jnp.sum(MEASURES[name](x, labels=labels)))(logits)).all()
    assert (np.asarray(mutual_information(jnp.asarray(DRAWS[:1], jnp.float32), labels=labels)) < 1e-6).all()
