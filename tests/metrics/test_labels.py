"""Metrics of independent labels: device and host against definitions and scikit-learn, however rows are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import precision_recall_fscore_support

from aecf_jax.errors import InputError
from aecf_jax.metrics import LabelSums, evaluate_predictions
from tests.metrics import brute

BATCH, CLASSES = 8, 5
# No subnormal numbers: XLA takes them for 0.
LOGIT = st.one_of(st.floats(-30, 30, width=32, allow_subnormal=False), st.integers(-2, 2))
LOGITS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=LOGIT)
LABELS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=st.sampled_from([0.0, 1.0]))

update, merge = jax.jit(LabelSums.update), jax.jit(LabelSums.merge)
EMPTY = LabelSums.empty(CLASSES)


def on_device(logits, labels, valid=None):
    return update(EMPTY, jnp.asarray(logits), jnp.asarray(labels), None if valid is None else jnp.asarray(valid))


def assert_same(got, want, **tolerance):
    for name, value in want.items():
        if name not in ("map", "map_micro"):
            assert got[name] == pytest.approx(value, nan_ok=True, **tolerance), name


@given(LOGITS, LABELS)
def test_metrics_equal_their_definitions(logits, labels):
    want = brute.label_metrics(logits.astype(float).tolist(), labels.tolist())
    # float64 both.
    assert_same(evaluate_predictions(logits, labels, "classification"), want, rel=1e-12, abs=1e-12)
    # float32 sigmoids and their logarithms, at logits up to 30.
    assert_same(on_device(logits, labels).compute(), want, rel=1e-5, abs=1e-6)


@given(LOGITS, LABELS)
def test_precision_recall_and_f1_equal_scikit_learn_over_labels_that_occur(logits, labels):
    guess = (logits > 0).astype(int)
    occurs = np.flatnonzero((guess + labels).any(axis=0))
    got = evaluate_predictions(logits, labels, "classification")
    if not len(occurs):
        assert all(np.isnan(got[name]) for name in ("precision", "recall", "f1_macro", "f1_micro"))
        return
    scores = {
        average: precision_recall_fscore_support(
            labels.astype(int), guess, labels=occurs, average=average, zero_division=0
        )
        for average in ("macro", "micro")
    }
    want = dict(zip(("precision", "recall", "f1_macro"), scores["macro"], strict=False)) | {
        "f1_micro": scores["micro"][2]
    }
    # Ratios of the same counts, in float64.
    assert_same(got, want, rel=1e-12)
    assert_same(on_device(logits, labels).compute(), want, rel=1e-12)


@given(LOGITS, LABELS, hnp.arrays(bool, BATCH), st.sampled_from([np.nan, np.inf, 1e30]))
def test_padding_leaves_no_trace(logits, labels, valid, poison):
    rows = valid[:, None]
    got = on_device(np.where(rows, logits, np.float32(poison)), np.where(rows, labels, np.float32(1)), valid)
    want = on_device(np.where(rows, logits, np.float32(0)), np.where(rows, labels, np.float32(0)), valid)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(one, other)
    # float32 against float64, as above.
    assert_same(got.compute(), evaluate_predictions(logits[valid], labels[valid], "classification"), rel=1e-5, abs=1e-6)


@given(LOGITS, LABELS, LOGITS, LABELS, LOGITS, LABELS)
def test_merging_is_associative_and_order_free_with_empty_neutral(x, a, y, b, z, c):
    one, two, three = on_device(x, a), on_device(y, b), on_device(z, c)
    whole = evaluate_predictions(np.concatenate([x, y, z]), np.concatenate([a, b, c]), "classification")
    orders = [merge(merge(one, two), three), merge(one, merge(two, three)), merge(merge(three, one), two)]
    first = orders[0].compute()
    for merged in orders:
        np.testing.assert_array_equal(merged.hits, orders[0].hits)
        # Two-float sums: 48 bits.
        assert_same(merged.compute(), first, rel=1e-12, abs=1e-12)
        # Row values are float32, as above; the split is not seen.
        assert_same(merged.compute(), whole, rel=1e-5, abs=1e-6)
    assert_same(merge(EMPTY, one).compute(), one.compute(), rel=0, abs=0)


def test_a_million_rows_stay_exact():
    draws = np.random.default_rng(0)
    logits = jnp.asarray(draws.normal(size=(1000, CLASSES)) * 3, jnp.float32)
    labels = jnp.asarray(draws.integers(0, 2, (1000, CLASSES)), jnp.float32)
    sums = jax.jit(lambda s: jax.lax.scan(lambda c, _: (c.update(logits, labels), None), s, length=1000)[0])(EMPTY)
    assert int(sums.rows) == 10**6
    want = evaluate_predictions(np.asarray(logits), np.asarray(labels), "classification")
    # The requirement; a row's own float32 value is off by 1e-7 of it.
    assert_same(sums.compute(), want, rel=1e-6, abs=1e-7)


def test_saturated_logits_have_exact_finite_metrics():
    logits = np.asarray([[1e4, -1e4, 1e4, -1e4, 1e4]] * BATCH, np.float32)
    labels = np.asarray([[1, 0, 0, 0, 0]] * BATCH, np.float32)
    for got in (evaluate_predictions(logits, labels, "classification"), on_device(logits, labels).compute()):
        # Two of five labels are 1e4 nats off, three are certain and right; NLL is 4e4 / 10, in float32 exact.
        assert (got["nll"], got["brier"], got["ece"], got["mce"]) == (4e3, 0.4, 0.4, 1.0)


def test_a_nan_is_a_wrong_prediction_and_shows():
    logits = np.full((BATCH, CLASSES), -1.0, np.float32)
    logits[0, 0] = np.nan
    labels = np.zeros((BATCH, CLASSES), np.float32)
    for got in (evaluate_predictions(logits, labels, "classification"), on_device(logits, labels).compute()):
        assert got["exact_match"] == 7 / 8
        # One of forty cells.
        assert got["hamming_loss"] == 1 / 40
        assert np.isnan(got["nll"])
        assert np.isnan(got["ece"])


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_are_defined(rows):
    logits, labels = np.ones((rows, CLASSES), np.float32), np.ones((rows, CLASSES), np.float32)
    got = evaluate_predictions(logits, labels, "classification")
    assert all(np.isnan(value) if rows == 0 else np.isfinite(value) for value in got.values())
    assert_same((EMPTY.update(logits, labels) if rows else EMPTY).compute(), got, rel=1e-6, abs=1e-7)


@pytest.mark.usefixtures("untyped_caller")
def test_labels_of_another_shape_are_refused():
    with pytest.raises(InputError, match="targets"):
        EMPTY.update(np.ones((2, CLASSES), np.float32), np.ones((2, 1), np.float32))
