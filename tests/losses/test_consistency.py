"""Agreement terms against float64 definitions: real, one-sided, and blind to absent modalities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.losses import alone_distance, class_divergence, label_divergence, squared_distance

BATCH, CLASSES, MODALITIES = 8, 5, 3
LOGITS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.floats(-20, 20, width=32))
SATURATED = jnp.asarray([[1e4, -1e4, 0.0, 1e4, -1e4]] * BATCH)
TERMS = [class_divergence, label_divergence, squared_distance]


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@given(LOGITS, LOGITS)
def test_class_divergence_equals_its_definition(full, part):
    p, q = softmax(full.astype(np.float64)), softmax(part.astype(np.float64))
    want = np.mean(np.sum(p * np.log(p / q), axis=-1))
    # Differences of float32 log-probabilities up to 40, each good to 4e-6.
    assert float(class_divergence(jnp.asarray(full), jnp.asarray(part))) == pytest.approx(want, rel=1e-5, abs=1e-5)


@given(LOGITS, LOGITS)
def test_label_divergence_equals_its_definition(full, part):
    p, q = (1 / (1 + np.exp(-x.astype(np.float64))) for x in (full, part))
    r, s = (1 / (1 + np.exp(x.astype(np.float64))) for x in (full, part))
    want = np.mean(p * np.log(p / q) + r * np.log(r / s))
    # As above.
    assert float(label_divergence(jnp.asarray(full), jnp.asarray(part))) == pytest.approx(want, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_0_at_agreement_and_pull_only_the_student(term):
    full = jnp.linspace(-2, 2, BATCH * CLASSES).reshape(BATCH, CLASSES)
    part = full[:, ::-1]
    # Equal float32 numbers subtract to 0 exactly.
    assert float(term(full, full)) == 0.0
    of_full, of_part = jax.grad(term, argnums=(0, 1))(full, part)
    assert (np.asarray(of_full) == 0).all()
    assert np.abs(of_part).max() > 0
    assert float(term(full, part - 0.5 * of_part)) < float(term(full, part))


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_finite_at_saturated_logits(term):
    value, gradient = jax.value_and_grad(lambda part: term(SATURATED, part))(-SATURATED)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_class_divergence_at_saturation_has_its_exact_value():
    full, part = jnp.asarray([[1e4, -1e4]]), jnp.asarray([[-1e4, 1e4]])
    # All mass on a class whose log-probability is -2e4; exact in float32.
    assert float(class_divergence(full, part)) == 2e4
    assert float(label_divergence(full, part)) == 1e4


def test_alone_distance_counts_only_present_modalities():
    present = np.asarray([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0]], bool)
    draws = np.random.default_rng(0)
    full = draws.normal(size=(BATCH, CLASSES)).astype(np.float32)
    alone = draws.normal(size=(MODALITIES, BATCH, CLASSES)).astype(np.float32)
    pairs = [(m, r) for r in range(BATCH) for m in range(MODALITIES) if present[r, m]]
    want = np.mean([np.mean((alone[m, r].astype(np.float64) - full[r]) ** 2) for m, r in pairs])
    got = alone_distance(jnp.asarray(full), jnp.asarray(alone), jnp.asarray(present))
    # A float32 sum of 65 squares.
    assert float(got) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_absent_modalities_leave_no_trace_in_value_or_gradient(poison):
    present = jnp.asarray([[True, False]] * BATCH)
    full = jnp.ones((BATCH, CLASSES))
    clean = jnp.zeros((2, BATCH, CLASSES))
    dirty = clean.at[1].set(poison)
    value, gradient = jax.value_and_grad(alone_distance, argnums=1)(full, dirty, present)
    want_value, want_gradient = jax.value_and_grad(alone_distance, argnums=1)(full, clean, present)
    assert float(value) == float(want_value) == 1.0
    np.testing.assert_array_equal(gradient, want_gradient)


def test_alone_distance_is_0_where_nothing_is_present():
    present = jnp.zeros((BATCH, MODALITIES), bool)
    assert float(alone_distance(jnp.ones((BATCH, CLASSES)), jnp.zeros((MODALITIES, BATCH, CLASSES)), present)) == 0.0
