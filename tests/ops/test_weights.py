"""Weights over what is present: against a float64 oracle, and their gradients where they could break."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.ops import gate_entropy, masked_softmax, normalized_sigmoid, renormalized, unit_norm
from tests import oracles

SHAPE = (4, 3)
LOGITS = hnp.arrays(np.float32, SHAPE, elements=st.floats(-50, 50, width=32))
PRESENT = hnp.arrays(bool, SHAPE)


@given(LOGITS, PRESENT)
def test_softmax_equals_the_oracle_and_is_exactly_zero_where_absent(logits, present):
    weights = np.asarray(masked_softmax(jnp.asarray(logits), jnp.asarray(present)))
    want = np.stack([oracles.softmax_over_present(row, there) for row, there in zip(logits, present, strict=True)])
    # float32 exp of differences up to 100 carries a relative error of about 100 * 2**-24.
    np.testing.assert_allclose(weights, want, atol=1e-5)
    assert (weights[~present] == 0).all()


@given(LOGITS, PRESENT)
def test_sigmoids_equal_their_definition(logits, present):
    weights = np.asarray(normalized_sigmoid(jnp.asarray(logits), jnp.asarray(present)))
    squashed = np.where(present, 1 / (1 + np.exp(-logits.astype(np.float64))), 0)
    want = squashed / np.maximum(squashed.sum(-1, keepdims=True), 1e-300)
    # As above: float32 exponentials.
    np.testing.assert_allclose(weights, want, atol=1e-5)


@given(LOGITS, PRESENT)
def test_visible_weights_sum_to_one_or_nothing_is_there(logits, present):
    for weigh in (masked_softmax, normalized_sigmoid):
        total = np.asarray(weigh(jnp.asarray(logits), jnp.asarray(present)).sum(-1))
        # Three float32 roundings.
        np.testing.assert_allclose(total, present.any(-1).astype(float), atol=1e-6)


@pytest.mark.parametrize("weigh", [masked_softmax, normalized_sigmoid])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
def test_what_stands_at_an_absent_modality_is_never_read(weigh, poison):
    present = jnp.array([[True, False, True], [False, False, True], [False, False, False]])
    clean = jnp.array([[0.3, 0.0, -1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    dirty = jnp.where(present, clean, poison)

    def loss(logits):
        weights = weigh(logits, present)
        return jnp.sum(weights * jnp.arange(3.0)[None]) + jnp.sum(gate_entropy(weights))

    for left, right in zip(jax.value_and_grad(loss)(clean), jax.value_and_grad(loss)(dirty), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e30])
@pytest.mark.parametrize("weigh", [masked_softmax, normalized_sigmoid])
def test_gradients_are_finite_with_one_modality_none_and_saturated_logits(weigh, scale):
    logits = scale * jnp.array([[1.0, -1.0, 0.5]] * 3)
    present = jnp.array([[True, True, True], [True, False, False], [False, False, False]])

    def loss(x):
        weights = weigh(x, present)
        return jnp.sum(gate_entropy(weights)) + jnp.sum(weights * jnp.arange(3.0)[None])

    assert np.isfinite(jax.grad(loss)(logits)).all()


@given(LOGITS, PRESENT)
def test_entropy_equals_the_oracle(logits, present):
    weights = masked_softmax(jnp.asarray(logits), jnp.asarray(present))
    want = [oracles.entropy_nats(row) for row in np.asarray(weights)]
    # Three float32 products of numbers below 1.
    np.testing.assert_allclose(gate_entropy(weights), want, atol=1e-6)


def test_entropy_has_a_gradient_towards_equal_weights():
    slope = jax.grad(lambda x: gate_entropy(masked_softmax(x, jnp.ones(2, bool))))(jnp.array([1.0, 0.0]))
    assert slope[0] < 0 < slope[1]


def test_renormalizing_keeps_ratios_and_leaves_zeros():
    np.testing.assert_array_equal(renormalized(jnp.array([[2.0, 6.0], [0.0, 0.0]])), [[0.25, 0.75], [0.0, 0.0]])


def test_unit_norm_of_zero_is_zero_with_a_finite_gradient():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    # Exact in binary: 3/5 and 4/5 round once.
    np.testing.assert_allclose(unit_norm(x), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-7)
    assert np.isfinite(jax.grad(lambda v: unit_norm(v).sum())(x)).all()
