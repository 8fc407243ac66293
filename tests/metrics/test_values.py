"""Metrics of regression: device and host against scikit-learn, however rows are split."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from aecf_jax.errors import InputError
from aecf_jax.metrics import ValueSums, evaluate_predictions

BATCH, TARGETS = 8, 3
# Eighths, so that a variance is not all rounding of the squares: at least 1e-6 of them.
VALUES = hnp.arrays(np.float32, (BATCH, TARGETS), elements=st.integers(-800, 800).map(lambda n: n / 8))

update, merge = jax.jit(ValueSums.update), jax.jit(ValueSums.merge)
EMPTY = ValueSums.empty(TARGETS)


def on_device(predictions, targets, valid=None):
    return update(EMPTY, jnp.asarray(predictions), jnp.asarray(targets), None if valid is None else jnp.asarray(valid))


def assert_same(got, want, **tolerance):
    assert set(got) == set(want)
    for name, value in want.items():
        assert got[name] == pytest.approx(value, nan_ok=True, **tolerance), name


def by_definition(predictions, targets):
    p, t = predictions.astype(float), targets.astype(float)
    spread = ((t - t.mean()) ** 2).sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        varies = [c for c in range(t.shape[1]) if np.ptp(t[:, c]) > 0]
        own = [r2_score(t[:, c], p[:, c]) for c in varies]
    return {
        "mse": mean_squared_error(t, p),
        "mae": mean_absolute_error(t, p),
        "rmse": np.sqrt(mean_squared_error(t, p)),
        "r2": 1 - ((p - t) ** 2).sum() / spread if np.ptp(t) > 0 else np.nan,
        "r2_per_target": np.mean(own) if own else np.nan,
    }


@given(VALUES, VALUES)
def test_metrics_equal_their_definitions(predictions, targets):
    want = by_definition(predictions, targets)
    # float64 both.
    assert_same(evaluate_predictions(predictions, targets, "regression"), want, rel=1e-12, abs=1e-12)
    # float32 errors and their squares; as above for R².
    assert_same(on_device(predictions, targets).compute(), want, rel=1e-5, abs=1e-6)


@given(VALUES, VALUES, hnp.arrays(bool, BATCH), st.sampled_from([np.nan, np.inf, 1e30]))
def test_padding_leaves_no_trace(predictions, targets, valid, poison):
    rows = valid[:, None]
    got = on_device(np.where(rows, predictions, np.float32(poison)), np.where(rows, targets, np.float32(poison)), valid)
    want = on_device(np.where(rows, predictions, np.float32(0)), np.where(rows, targets, np.float32(0)), valid)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(one, other)
    host = evaluate_predictions(predictions[valid], targets[valid], "regression")
    # As above.
    assert_same(got.compute(), host, rel=1e-5, abs=1e-6)


@given(VALUES, VALUES, VALUES, VALUES, VALUES, VALUES)
def test_merging_is_associative_and_order_free_with_empty_neutral(x, a, y, b, z, c):
    one, two, three = on_device(x, a), on_device(y, b), on_device(z, c)
    whole = evaluate_predictions(np.concatenate([x, y, z]), np.concatenate([a, b, c]), "regression")
    orders = [merge(merge(one, two), three), merge(one, merge(two, three)), merge(merge(three, one), two)]
    first = orders[0].compute()
    for merged in orders:
        # Two-float sums: 48 bits, of which a small variance may cost R² a few.
        assert_same(merged.compute(), first, rel=1e-8, abs=1e-10)
        # As above; the split is not seen.
        assert_same(merged.compute(), whole, rel=1e-5, abs=1e-6)
    assert_same(merge(EMPTY, one).compute(), one.compute(), rel=0, abs=0)


def test_r2_survives_a_large_mean_over_a_million_rows():
    draws = np.random.default_rng(0)
    targets = (2000 + draws.normal(size=(1000, TARGETS))).astype(np.float32)
    predictions = (targets + 0.5 * draws.normal(size=targets.shape)).astype(np.float32)
    batch = jnp.asarray(predictions), jnp.asarray(targets)
    sums = jax.jit(lambda s: jax.lax.scan(lambda c, _: (c.update(*batch), None), s, length=1000)[0])(EMPTY)
    assert int(sums.rows) == 10**6
    # The requirement; squares of 4e6 to 48 bits leave a variance of 1 with an error near 1e-8.
    assert_same(sums.compute(), by_definition(predictions, targets), rel=1e-6)


def test_r2_on_the_host_survives_an_enormous_mean_beside_a_tiny_scale():
    draws = np.random.default_rng(1)
    noise, scale = draws.normal(size=(100, 2)), np.asarray([[1.0, 1e-6]])
    targets = np.asarray([[1e9, 0.0]]) + scale * draws.normal(size=(100, 2))
    predictions = targets + 0.5 * scale * noise
    got = evaluate_predictions(predictions, targets, "regression")["r2_per_target"]
    # The targets themselves have steps of 1e-7.
    assert got == pytest.approx(r2_score(targets, predictions), rel=1e-6)


def test_targets_that_do_not_vary_have_no_r2():
    targets = np.full((BATCH, TARGETS), 0.1, np.float32)
    for got in (evaluate_predictions(targets + 1, targets, "regression"), on_device(targets + 1, targets).compute()):
        assert np.isnan(got["r2"])
        assert np.isnan(got["r2_per_target"])
    targets[:, 1] = np.arange(BATCH)
    for got in (evaluate_predictions(targets, targets, "regression"), on_device(targets, targets).compute()):
        assert (got["r2"], got["r2_per_target"]) == (1.0, 1.0)


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_are_defined(rows):
    values = np.ones((rows, TARGETS), np.float32)
    got = evaluate_predictions(values, values, "regression")
    assert all(np.isnan(got[name]) == (rows == 0) for name in ("mse", "mae", "rmse"))
    assert_same((EMPTY.update(values, values) if rows else EMPTY).compute(), got, abs=0)


def test_one_target_may_do_without_its_axis():
    draws = np.random.default_rng(2)
    predictions, targets = draws.normal(size=(BATCH, 1)), draws.normal(size=BATCH)
    want = evaluate_predictions(predictions, targets[:, None], "regression")
    assert evaluate_predictions(predictions, targets, "regression") == want
    assert evaluate_predictions(predictions[:, 0], targets, "regression") == want


@pytest.mark.usefixtures("untyped_caller")
def test_a_column_that_would_broadcast_is_refused():
    with pytest.raises(InputError, match="targets"):
        EMPTY.update(np.ones((BATCH, TARGETS), np.float32), np.ones((BATCH, 1), np.float32))
    with pytest.raises(InputError, match="targets"):
        evaluate_predictions(np.ones((BATCH, TARGETS)), np.ones(BATCH), "regression")
