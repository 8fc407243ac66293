"""Task losses against float64 definitions, and finite with their gradients where arithmetic could break."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.losses import cross_entropy, focal_binary_cross_entropy, mean_squared_error, positive_weights

BATCH, CLASSES = 8, 5
LOGITS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.floats(-30, 30, width=32))
TARGETS = hnp.arrays(np.int32, BATCH, elements=st.integers(0, CLASSES - 1))
LABELS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.sampled_from([0.0, 1.0]))
SATURATED = jnp.asarray([[1e4, -1e4, 0.0, 1e4, -1e4]] * BATCH)

jit_cross_entropy = jax.jit(cross_entropy, static_argnames="smoothing")
jit_focal = jax.jit(focal_binary_cross_entropy, static_argnames=("alpha", "gamma", "smoothing"))


def cross_entropy_oracle(logits, targets, smoothing):
    rows = []
    for row, target in zip(logits.astype(np.float64), targets, strict=True):
        log_total = row.max() + math.log(math.fsum(math.exp(x - row.max()) for x in row))
        goal = [(1 - smoothing) * (c == target) + smoothing / len(row) for c in range(len(row))]
        rows.append(-math.fsum(q * (x - log_total) for q, x in zip(goal, row, strict=True)))
    return math.fsum(rows) / len(rows)


def focal_oracle(logits, labels, alpha, gamma, smoothing, weights):
    terms = []
    for row, truth in zip(logits.astype(np.float64), labels, strict=True):
        for x, t, w in zip(row, truth, weights, strict=True):
            p_true = 1 / (1 + math.exp(-x if t else x))
            alpha_t = alpha if t else 1 - alpha
            focal = alpha_t * (1 - p_true) ** gamma * (w if t else 1) * -math.log(p_true)
            soft = t * (1 - smoothing) + smoothing / 2
            p = 1 / (1 + math.exp(-x))
            plain = -soft * math.log(p) - (1 - soft) * math.log(1 / (1 + math.exp(x)))
            terms.append((1 - smoothing) * focal + smoothing * plain)
    return math.fsum(terms) / len(terms)


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@given(LOGITS, TARGETS)
def test_cross_entropy_equals_its_definition(smoothing, logits, targets):
    got = float(jit_cross_entropy(jnp.asarray(logits), jnp.asarray(targets), smoothing=smoothing))
    # Logits up to 60 apart in float32: one rounding of each is 60 * 2**-24 = 4e-6.
    assert got == pytest.approx(cross_entropy_oracle(logits, targets, smoothing), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("gamma", "smoothing"), [(0.0, 0.0), (0.5, 0.05), (2.0, 0.0), (2.0, 0.05)])
@given(LOGITS, LABELS)
def test_focal_equals_its_definition(gamma, smoothing, logits, labels):
    weights = np.asarray([0.1, 1.0, 2.0, 5.0, 10.0], np.float32)
    settings = {"alpha": 0.25, "gamma": gamma, "smoothing": smoothing}
    got = float(jit_focal(jnp.asarray(logits), jnp.asarray(labels), positive_weight=jnp.asarray(weights), **settings))
    # float32 against float64; log-sigmoid and two exponentials, each within a few units of rounding at |logit| 30.
    assert got == pytest.approx(focal_oracle(logits, labels, 0.25, gamma, smoothing, weights), rel=1e-5, abs=1e-6)


def test_a_label_between_0_and_1_is_the_expected_focal_loss():
    logits = jnp.asarray([[0.3, -2.0]])

    def loss(target):
        return float(focal_binary_cross_entropy(logits, jnp.full((1, 2), target), alpha=0.25, gamma=2.0))

    # One float32 addition apart.
    assert loss(0.25) == pytest.approx(0.75 * loss(0.0) + 0.25 * loss(1.0), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_focal_gradient_is_finite_where_p_is_0_or_1(gamma, label):
    def loss(logits):
        return focal_binary_cross_entropy(logits, jnp.full_like(logits, label), gamma=gamma, smoothing=0.05)

    value, gradient = jax.value_and_grad(loss)(SATURATED)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_focal_gradient_with_gamma_below_1_equals_finite_differences():
    logits = np.linspace(-3, 3, BATCH * CLASSES).reshape(BATCH, CLASSES)
    labels = (np.arange(BATCH * CLASSES).reshape(BATCH, CLASSES) % 3 == 0).astype(np.float64)

    def loss(x):
        return focal_binary_cross_entropy(x, jnp.asarray(labels, jnp.float32), alpha=0.3, gamma=0.5)

    gradient = np.asarray(jax.grad(loss)(jnp.asarray(logits, jnp.float32)))
    step, ones = 1e-5, np.ones(CLASSES)
    for at in [(0, 0), (3, 2), (7, 4)]:
        up, down = logits.copy(), logits.copy()
        up[at] += step
        down[at] -= step
        slope = (focal_oracle(up, labels, 0.3, 0.5, 0, ones) - focal_oracle(down, labels, 0.3, 0.5, 0, ones)) / 2e-5
        # float32 gradient against a central difference whose own error is about step**2.
        assert gradient[at] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_cross_entropy_is_exact_and_has_a_gradient_at_saturated_logits():
    targets = jnp.ones(BATCH, jnp.int32)
    value, gradient = jax.value_and_grad(lambda x: cross_entropy(x, targets, smoothing=0.05))(SATURATED)
    # Two logits share the top, so that all log-probabilities are log 2 below 0, -2e4, -1e4, 0, -2e4; target 1.
    want = math.log(2) + 0.95 * 2e4 + 0.05 * 5e4 / 5
    # float32 at 2e4 is good to 2e-3, a relative 1e-7.
    assert float(value) == pytest.approx(want, rel=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("target", [-1, CLASSES])
def test_a_class_out_of_range_gives_nan_and_not_another_class(target):
    targets = jnp.asarray([target] + [0] * (BATCH - 1))
    assert np.isnan(jit_cross_entropy(jnp.zeros((BATCH, CLASSES)), targets, smoothing=0.0))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_reductions_are_float32_for_narrow_logits(dtype):
    # 1 + 1/8 is exact in both; its mean over 4,096 rows is not if it is accumulated in either.
    logits = jnp.full((4096, CLASSES), 1.125, dtype)
    zeros = jnp.zeros((4096, CLASSES), dtype)
    assert mean_squared_error(logits, zeros).dtype == jnp.float32
    # Exact in float32, whose 24 bits hold every partial sum.
    assert float(mean_squared_error(logits, zeros)) == 1.125**2
    assert cross_entropy(logits, jnp.zeros(4096, jnp.int32)).dtype == jnp.float32
    assert focal_binary_cross_entropy(logits, zeros).dtype == jnp.float32


def test_positive_weights_are_clipped_inverse_frequencies():
    got = positive_weights((0.0, 0.02, 0.3, 1.0))
    # One float32 division.
    np.testing.assert_allclose(got, [10.0, 10.0, 1 / 0.3, 1.0], rtol=1e-6)
