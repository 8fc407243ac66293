"""Differentiable calibration errors against a loop over bins, and the direction of their gradients."""

import contextlib
import itertools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.losses import _calibration as calibration
from aecf_jax.losses import label_calibration_error, top_label_calibration_error
from aecf_jax.losses._calibration import _bin_index, _bin_sums, _binned_gap

BATCH, CLASSES, BINS = 8, 5, 15
LOGITS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.floats(-30, 30, width=32))
TARGETS = hnp.arrays(np.int32, BATCH, elements=st.integers(0, CLASSES - 1))
LABELS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.sampled_from([0.0, 1.0]))

jit_top = jax.jit(top_label_calibration_error)
jit_labels = jax.jit(label_calibration_error)


def gap_by_hand(probs, truth):
    """Count-weighted |mean p - mean t| over (low, high], the first bin with 0."""
    edges, total = (np.arange(BINS + 1, dtype=np.float32) / BINS), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (probs > low) & (probs <= high) | ((probs == 0) & (low == 0))
        if inside.any():
            total += inside.mean() * abs(probs[inside].astype(np.float64).mean() - truth[inside].mean())
    return total


@given(LOGITS, TARGETS)
def test_top_label_error_equals_a_loop_over_bins(logits, targets):
    probs = np.asarray(jax.jit(jax.nn.softmax)(logits))
    want = gap_by_hand(probs.max(axis=1), logits.argmax(axis=1) == targets)
    got = float(jit_top(jnp.asarray(logits), jnp.asarray(targets)))
    # Sums of eight float32 probabilities.
    assert got == pytest.approx(want, abs=1e-6)
    assert 0 <= got <= 1 + 1e-6


@given(LOGITS, LABELS)
def test_label_error_equals_a_loop_over_bins(logits, labels):
    probs = np.asarray(jax.jit(jax.nn.sigmoid)(logits))
    want = np.mean([gap_by_hand(probs[:, c], labels[:, c]) for c in range(CLASSES)])
    # Sums of eight float32 probabilities.
    assert float(jit_labels(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(want, abs=1e-6)


def test_fault_multilabel_ece_is_a_calibration_error_and_not_mean_absolute_error():
    # Every label holds in half of the rows and is predicted with 1/2: perfectly calibrated, though mean |p - t| is 1/2.
    labels = jnp.asarray(np.arange(BATCH * CLASSES).reshape(BATCH, CLASSES) // CLASSES % 2, jnp.float32)
    assert float(label_calibration_error(jnp.zeros((BATCH, CLASSES)), labels)) == 0.0
    # Over-confident on the same labels: sigmoid(2) = 0.8808 against a frequency of 1/2.
    got = float(label_calibration_error(jnp.full((BATCH, CLASSES), 2.0), labels))
    # float32 sigmoid.
    assert got == pytest.approx(0.880797 - 0.5, abs=1e-6)


def test_descent_on_the_label_error_calibrates_an_over_confident_label():
    labels = jnp.asarray([[1.0], [0.0]] * 4)
    logits = jnp.full((8, 1), 2.0)
    gradient = jax.grad(lambda x: label_calibration_error(x, labels))(logits)
    assert (np.asarray(gradient) > 0).all()
    before = float(label_calibration_error(logits, labels))
    for _ in range(60):
        logits = logits - 4.0 * jax.grad(lambda x: label_calibration_error(x, labels))(logits)
    assert float(label_calibration_error(logits, labels)) < 0.2 * before


def test_descent_on_the_top_label_error_lowers_unearned_confidence():
    targets = jnp.asarray([0, 1] * 4)
    logits = jnp.tile(jnp.asarray([[3.0, 0.0, 0.0]]), (8, 1))
    gradient = np.asarray(jax.grad(lambda x: top_label_calibration_error(x, targets))(logits))
    assert (gradient[:, 0] > 0).all()


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_calibration_gradients_are_finite_at_saturated_logits(scale):
    logits = jnp.full((BATCH, CLASSES), scale).at[:, 0].set(0.0)
    labels = jnp.ones((BATCH, CLASSES))
    for loss in (
        lambda x: label_calibration_error(x, labels),
        lambda x: top_label_calibration_error(x, jnp.zeros(BATCH, jnp.int32)),
    ):
        value, gradient = jax.value_and_grad(loss)(logits)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_probability_0_belongs_to_the_first_bin():
    # sigmoid(-1e4) is exactly 0; left out of all bins, its false certainty would cost nothing.
    assert float(label_calibration_error(jnp.full((4, 1), -1e4), jnp.ones((4, 1)))) == 1.0


def test_every_edge_belongs_to_the_bin_below_it_and_the_next_number_to_the_bin_above():
    edges = (np.arange(1, BINS) / BINS).astype(np.float32)
    for probs, first in ((edges, 0), (np.nextafter(edges, np.float32(2)), 1)):
        for found in (_bin_index, jax.jit(_bin_index, static_argnums=1)):
            np.testing.assert_array_equal(found(jnp.asarray(probs)[None], BINS)[0], np.arange(first, first + BINS - 1))


def test_the_gradient_is_that_of_the_absolute_sums_over_bins():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(2 * rng.normal(size=(64, CLASSES)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 2, logits.shape), jnp.float32)

    def by_definition(logits):
        gap = jax.nn.sigmoid(logits) - labels
        member = _bin_index(jax.nn.sigmoid(logits), BINS)[None] == jnp.arange(BINS)[:, None, None]
        return jnp.mean(jnp.sum(jnp.abs(jnp.sum(jnp.where(member, gap[None], 0.0), axis=1)), axis=0)) / len(logits)

    got, want = (jax.grad(loss)(logits) for loss in (lambda x: label_calibration_error(x, labels), by_definition))
    # The same products in float32.
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert (np.asarray(got) != 0).all()


def test_rounding_takes_no_error_below_0():
    # Rows of which a of n hold, predicted with a / n: every bin's sum is 0 but for its rounding.
    groups = [(1, 3), (5, 7), (1, 6), (4, 9)]
    probs = np.concatenate([np.full(n, a / n, np.float32) for a, n in groups])
    labels = np.concatenate([np.arange(n) < a for a, n in groups]).astype(np.float32)
    rng, error = np.random.default_rng(1), jax.jit(_binned_gap, static_argnums=2)
    for _ in range(200):
        order = rng.permuted(np.tile(np.arange(len(probs))[:, None], 256), axis=0)
        found = np.asarray(error(jnp.asarray(probs[order]), jnp.asarray(labels[order]), BINS))
        assert (found >= 0).all()
        # Sums of 25 float32 numbers.
        assert found.max() < 1e-6


def test_bins_are_summed_alike_on_every_platform():
    rng = np.random.default_rng(0)
    gap, bin_of = rng.normal(size=(64, CLASSES)).astype(np.float32), rng.integers(0, BINS, (64, CLASSES))
    want = np.stack([np.where(bin_of == one, gap, 0).sum(axis=0) for one in range(BINS)])
    elsewhere = mock.patch.object(calibration.lax, "platform_dependent", lambda every, cpu, default: default(every))
    for way in (contextlib.nullcontext(), elsewhere):
        with way:
            # Sums of some ten float32 numbers.
            np.testing.assert_allclose(_bin_sums(jnp.asarray(gap), jnp.asarray(bin_of), BINS), want, atol=1e-5)
