"""Average precision: compiled and on the host against scikit-learn and the definition, ties and all."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from aecf_jax.errors import InputError
from aecf_jax.metrics import average_precision, average_precision_on_host, evaluate_predictions
from tests.metrics import brute

BATCH, CLASSES = 8, 3
# Few distinct values, both zeros and infinities among them: most rows share a score with another.
TIED = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf])
SCORES = hnp.arrays(
    np.float32, (BATCH, CLASSES), elements=st.one_of(TIED, st.floats(-5, 5, width=32, allow_subnormal=False))
)
TARGETS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.sampled_from([0.0, 1.0]))

compiled = jax.jit(average_precision)


def on_device(scores, targets, valid=None):
    return np.asarray(
        compiled(jnp.asarray(scores), jnp.asarray(targets), None if valid is None else jnp.asarray(valid))
    )


@given(SCORES, TARGETS)
def test_both_equal_the_definition(scores, targets):
    want = [brute.average_precision(scores[:, c].tolist(), targets[:, c]) for c in range(CLASSES)]
    # float64 both.
    np.testing.assert_allclose(average_precision_on_host(scores, targets), want, rtol=1e-12)
    # Float32 precisions, summed to 48 bits.
    np.testing.assert_allclose(on_device(scores, targets), want, rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 10, 1000, 10**9])
@pytest.mark.parametrize("rows", [1, 2, 500, 5000])
def test_both_equal_scikit_learn_with_many_ties_and_few(rows, levels):
    draws = np.random.default_rng(rows + levels)
    scores = (draws.integers(0, levels, (rows, CLASSES)) / levels).astype(np.float32)
    targets = (draws.uniform(size=(rows, CLASSES)) < scores * 0.5).astype(np.float32)
    targets[0] = 1
    want = [average_precision_score(targets[:, c], scores[:, c]) for c in range(CLASSES)]
    # float64 both, in another order.
    np.testing.assert_allclose(average_precision_on_host(scores, targets), want, rtol=1e-12)
    # The requirement.
    np.testing.assert_allclose(on_device(scores, targets), want, atol=1e-6)


@given(SCORES, TARGETS, hnp.arrays(bool, BATCH))
def test_scores_of_every_type_give_the_same(scores, targets, valid):
    """Float32 and others are sorted in different ways."""
    halves = scores.astype(np.float16)
    found = [on_device(given, targets, valid) for given in (halves, halves.astype(np.float32))]
    np.testing.assert_array_equal(*found)


def test_micro_and_macro_equal_scikit_learn():
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(200, CLASSES)).round(1).astype(np.float32)
    targets = (draws.uniform(size=(200, CLASSES)) < 0.3).astype(np.float32)
    got = evaluate_predictions(logits, targets, "classification")
    # float64 both, in another order.
    assert got["map"] == pytest.approx(average_precision_score(targets, logits, average="macro"), rel=1e-12)
    assert got["map_micro"] == pytest.approx(average_precision_score(targets, logits, average="micro"), rel=1e-12)


def test_fault_map_leaves_out_a_class_without_positives():
    logits = np.asarray([[2.0, 1.0], [1.0, 0.0], [0.0, 3.0]])
    targets = np.asarray([[1.0, 0], [1.0, 0], [0, 0]])
    each = average_precision_on_host(logits, targets)
    assert each[0] == 1.0
    assert np.isnan(each[1])
    assert np.isnan(on_device(logits.astype(np.float32), targets)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert average_precision_score(targets[:, 1], logits[:, 1]) == 0.0
    assert evaluate_predictions(logits, targets, "classification")["map"] == 1.0
    nothing = evaluate_predictions(logits, np.zeros((3, 2)), "classification")
    assert np.isnan(nothing["map"])
    assert np.isnan(nothing["map_micro"])


def test_fault_average_precision_is_of_the_data_set_and_not_of_its_batches():
    # In each half the positive comes first, but every score of the second half is below the first half's negatives.
    scores, targets = np.asarray([[0.9], [0.8], [0.2], [0.1]]), np.asarray([[1], [0], [1], [0]])
    halves = [average_precision_on_host(scores[h], targets[h])[0] for h in (slice(0, 2), slice(2, 4))]
    assert halves == [1.0, 1.0]
    # Ranks 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision_on_host(scores, targets)[0] == pytest.approx(5 / 6, rel=1e-12)


@given(SCORES, TARGETS, hnp.arrays(bool, BATCH), st.sampled_from([np.nan, np.inf, -np.inf, 1e30]))
def test_padding_leaves_no_trace(scores, targets, valid, poison):
    dirty = np.where(valid[:, None], scores, np.float32(poison))
    labels = np.where(valid[:, None], targets, np.float32(np.nan))
    want = average_precision_on_host(scores[valid], targets[valid])
    # Float32 precisions.
    np.testing.assert_allclose(on_device(dirty, labels, valid), want, rtol=1e-6)


@given(SCORES, TARGETS, st.permutations(range(BATCH)))
def test_the_order_of_rows_does_not_change_one_bit(scores, targets, order):
    order = np.asarray(order)
    np.testing.assert_array_equal(
        average_precision_on_host(scores[order], targets[order]), average_precision_on_host(scores, targets)
    )
    for dtype in (np.float32, np.float16):  # These are sorted in different ways.
        given = scores.astype(dtype)
        np.testing.assert_array_equal(on_device(given[order], targets[order]), on_device(given, targets))


@given(SCORES, TARGETS)
def test_only_the_ranking_counts(scores, targets):
    finite = np.nan_to_num(scores, posinf=6, neginf=-6)
    np.testing.assert_array_equal(
        average_precision_on_host(np.exp(finite.astype(float)), targets),
        average_precision_on_host(finite.astype(float), targets),
    )


def test_degenerate_inputs_are_defined():
    ones, half = np.ones((BATCH, 1), np.float32), np.asarray([[1], [0]] * 4, np.float32)
    for found in (average_precision_on_host, on_device):
        assert found(half, ones)[0] == 1.0
        # All scores equal: one threshold, whose precision is the share of positives.
        assert found(ones, half)[0] == 0.5
        assert found(np.asarray([[3.0]], np.float32), np.ones((1, 1), np.float32))[0] == 1.0
        assert np.isnan(found(np.asarray([[3.0]], np.float32), np.zeros((1, 1), np.float32))[0])
    assert np.isnan(average_precision_on_host(np.zeros((0, 2)), np.zeros((0, 2)))).all()
    assert np.isnan(on_device(ones, ones, np.zeros(BATCH, bool))[0])


def test_a_nan_score_shows():
    scores = np.asarray([[0.3, np.nan], [0.2, 0.1]], np.float32)
    for found in (average_precision_on_host, on_device):
        assert np.isnan(found(scores, np.ones((2, 2), np.float32))).tolist() == [False, True]


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize("function", [average_precision, average_precision_on_host])
def test_other_shapes_are_refused(function):
    with pytest.raises(InputError, match="targets"):
        function(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(InputError, match="scores"):
        function(np.ones(3), np.ones(3))
