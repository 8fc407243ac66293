"""Metrics of exclusive classes: device and host against definitions and scikit-learn, however rows are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from sklearn.metrics import precision_recall_fscore_support

from aecf_jax.metrics import ClassSums, evaluate_predictions
from tests.metrics import brute

BATCH, CLASSES = 8, 6
# No subnormal numbers: XLA takes them for 0.
LOGIT = st.one_of(st.floats(-30, 30, width=32, allow_subnormal=False), st.integers(-2, 2))
LOGITS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=LOGIT)
TARGETS = hnp.arrays(np.int32, BATCH, elements=st.integers(0, CLASSES - 1))

update, merge = jax.jit(ClassSums.update), jax.jit(ClassSums.merge)
EMPTY = ClassSums.empty(CLASSES)


def on_device(logits, targets, valid=None):
    return update(EMPTY, jnp.asarray(logits), jnp.asarray(targets), None if valid is None else jnp.asarray(valid))


def assert_same(got, want, **tolerance):
    assert set(want) <= set(got)
    for name, value in want.items():
        assert got[name] == pytest.approx(value, nan_ok=True, **tolerance), name


@given(LOGITS, TARGETS)
def test_metrics_equal_their_definitions(logits, targets):
    want = brute.class_metrics(logits.astype(float).tolist(), targets.tolist())
    # float64 both.
    assert_same(evaluate_predictions(logits, targets, "classification"), want, rel=1e-12, abs=1e-12)
    # float32 log-probabilities of logits up to 60 apart.
    assert_same(on_device(logits, targets).compute(), want, rel=1e-5, abs=1e-5)


@given(LOGITS, TARGETS)
def test_precision_recall_and_f1_equal_scikit_learn(logits, targets):
    got = evaluate_predictions(logits, targets, "classification")
    guess = logits.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(targets, guess, average="macro", zero_division=0)
    micro = precision_recall_fscore_support(targets, guess, average="micro", zero_division=0)[2]
    want = {"precision": precision, "recall": recall, "f1_macro": f1, "f1_micro": micro}
    # Ratios of the same counts, in float64.
    assert_same(got, want, rel=1e-12)
    assert_same(on_device(logits, targets).compute(), want, rel=1e-12)


@given(LOGITS, TARGETS, hnp.arrays(bool, BATCH), st.sampled_from([np.nan, np.inf, 1e30]))
def test_padding_leaves_no_trace(logits, targets, valid, poison):
    dirty = np.where(valid[:, None], logits, np.float32(poison))
    clean = np.where(valid[:, None], logits, np.float32(0))
    got = on_device(dirty, np.where(valid, targets, -7), valid)
    want = on_device(clean, np.where(valid, targets, 0), valid)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(one, other)
    # The device's float32 against float64 of the rows that count, as above; NaN where none does.
    assert_same(
        got.compute(), evaluate_predictions(logits[valid], targets[valid], "classification"), rel=1e-5, abs=1e-5
    )


@given(LOGITS, TARGETS, LOGITS, TARGETS, LOGITS, TARGETS)
def test_merging_is_associative_and_order_free_with_empty_neutral(x, a, y, b, z, c):
    one, two, three = on_device(x, a), on_device(y, b), on_device(z, c)
    whole = evaluate_predictions(np.concatenate([x, y, z]), np.concatenate([a, b, c]), "classification")
    orders = [merge(merge(one, two), three), merge(one, merge(two, three)), merge(merge(three, one), two)]
    first = orders[0].compute()
    for merged in orders:
        np.testing.assert_array_equal(merged.hits, orders[0].hits)
        np.testing.assert_array_equal(merged.classwise.count, orders[0].classwise.count)
        # Two-float sums: 48 bits.
        assert_same(merged.compute(), first, rel=1e-12, abs=1e-12)
        # Row values are float32, as above; the split is not seen.
        assert_same(merged.compute(), whole, rel=1e-5, abs=1e-5)
    assert_same(merge(EMPTY, one).compute(), one.compute(), rel=0, abs=0)


def test_fault_metrics_are_of_the_data_set_and_not_means_over_batches():
    # Batches of 8 and 2 rows, all right and all wrong: 8/10, where the mean of batch means is 1/2.
    logits = np.tile(np.asarray([[4.0, 0, 0, 0, 0, 0]], np.float32), (10, 1))
    targets = np.asarray([0] * 8 + [1] * 2)
    sums = EMPTY.update(logits[:8], targets[:8]).update(logits[8:], targets[8:])
    got = sums.compute()
    assert got["accuracy"] == 0.8
    # The largest probability is 0.9161 in every row: float32 softmax.
    assert got["ece"] == pytest.approx(np.exp(4) / (np.exp(4) + 5) - 0.8, abs=1e-6)


def test_a_million_rows_stay_exact():
    draws = np.random.default_rng(0)
    logits = jnp.asarray(draws.normal(size=(1000, CLASSES)) * 3, jnp.float32)
    targets = jnp.asarray(draws.integers(0, CLASSES, 1000))
    sums = jax.jit(lambda s: jax.lax.scan(lambda c, _: (c.update(logits, targets), None), s, length=1000)[0])(EMPTY)
    assert int(sums.rows) == 10**6
    want = evaluate_predictions(np.asarray(logits), np.asarray(targets), "classification")
    # The requirement; a row's own float32 value is off by 1e-7 of it.
    assert_same(sums.compute(), want, rel=1e-6, abs=1e-7)


def test_ties_go_to_the_first_class():
    got = evaluate_predictions(np.zeros((2, CLASSES)), np.asarray([0, CLASSES - 1]), "classification")
    assert (got["accuracy"], got["top5_accuracy"]) == (0.5, 0.5)
    device = on_device(np.zeros((BATCH, CLASSES), np.float32), np.asarray([0, CLASSES - 1] * 4)).compute()
    assert (device["accuracy"], device["top5_accuracy"]) == (0.5, 0.5)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_top5_is_accuracy_below_five_classes(classes):
    draws = np.random.default_rng(classes)
    logits, targets = draws.normal(size=(BATCH, classes)).astype(np.float32), draws.integers(0, classes, BATCH)
    for got in (
        evaluate_predictions(logits, targets, "classification"),
        ClassSums.empty(classes).update(logits, targets).compute(),
    ):
        assert got["top5_accuracy"] == got["accuracy"]


def test_saturated_logits_have_exact_finite_metrics():
    logits = np.asarray([[1e4, -1e4, 0, 0, 0, 0]] * BATCH, np.float32)
    targets = np.asarray([0, 1] * 4)
    for got in (evaluate_predictions(logits, targets, "classification"), on_device(logits, targets).compute()):
        # Half of the rows are sure of the truth, the others 2e4 nats away from it: exact in float32.
        assert (got["nll"], got["brier"], got["confidence"], got["ece"]) == (1e4, 1.0, 1.0, 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_never_right_and_shows(bad):
    logits = np.zeros((BATCH, CLASSES), np.float32)
    logits[:, 1] = 1.0
    logits[0, 1] = bad
    targets = np.ones(BATCH, np.int32)
    with np.errstate(invalid="ignore"):
        host = evaluate_predictions(logits, targets, "classification")
    for got in (host, on_device(logits, targets).compute()):
        assert got["accuracy"] == (7 / 8 if np.isnan(bad) else 1.0)
        assert got["top5_accuracy"] == (7 / 8 if np.isnan(bad) else 1.0)
        assert np.isnan(got["nll"])
        assert np.isnan(got["ece"])


@pytest.mark.parametrize("target", [-1, CLASSES])
def test_a_class_out_of_range_is_never_right_and_shows(target):
    got = on_device(np.zeros((BATCH, CLASSES), np.float32), np.asarray([target] + [0] * 7)).compute()
    assert got["accuracy"] == 7 / 8
    assert np.isnan(got["nll"])


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_are_defined(rows):
    logits, targets = np.zeros((rows, CLASSES), np.float32), np.zeros(rows, np.int64)
    got = evaluate_predictions(logits, targets, "classification")
    assert all(np.isnan(value) if rows == 0 else np.isfinite(value) for value in got.values())
    assert_same((EMPTY.update(logits, targets) if rows else EMPTY).compute(), got, rel=1e-6, abs=1e-7)


def test_eight_devices_count_as_one():
    draws = np.random.default_rng(5)
    logits = draws.normal(size=(BATCH * 8, CLASSES)).astype(np.float32)
    targets = draws.integers(0, CLASSES, BATCH * 8).astype(np.int32)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    spread = jax.device_put((logits, targets), NamedSharding(mesh, PartitionSpec("data")))
    got, want = update(EMPTY, *spread), update(EMPTY, jnp.asarray(logits), jnp.asarray(targets))
    assert_same(got.compute(), want.compute(), rel=1e-6, abs=1e-7)
    np.testing.assert_array_equal(got.classwise.count, want.classwise.count)


def test_narrow_logits_are_summed_in_float32():
    logits = jnp.asarray(np.random.default_rng(6).normal(size=(BATCH, CLASSES)), jnp.bfloat16)
    targets = jnp.zeros(BATCH, jnp.int32)
    got = ClassSums.empty(CLASSES).update(logits, targets)
    assert got.nll.high.dtype == jnp.float32
    # As above.
    assert_same(
        got.compute(), evaluate_predictions(np.asarray(logits), np.asarray(targets), "classification"), rel=1e-5
    )
