"""Metrics of the gate's weights: device and host against NumPy, however rows are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.metrics import AECFMetrics, WeightSums
from aecf_jax.ops import masked_softmax
from tests import oracles

BATCH, MODALITIES = 8, 3
LOGITS = hnp.arrays(np.float32, (BATCH, MODALITIES), elements=st.floats(-5, 5, width=32))
PRESENT = hnp.arrays(bool, (BATCH, MODALITIES))

update, merge = jax.jit(WeightSums.update), jax.jit(WeightSums.merge)
EMPTY = WeightSums.empty(MODALITIES)


def assert_same(got, want, **tolerance):
    assert set(got) == set(want)
    for name, value in want.items():
        assert got[name] == pytest.approx(value, nan_ok=True, **tolerance), name


def by_definition(weights):
    w = weights.astype(float)
    out = {
        "entropy": np.mean([oracles.entropy_nats(row) for row in w]),
        "effective_modalities": 1 / np.mean((w * w).sum(axis=1)),
    }
    for i in range(w.shape[1]):
        out |= {f"weight_mod_{i}": w[:, i].mean(), f"weight_std_mod_{i}": w[:, i].std(ddof=1)}
    return out


def weigh(logits, present):
    return np.asarray(masked_softmax(jnp.asarray(logits), jnp.asarray(present)))


@given(LOGITS)
def test_metrics_equal_their_definitions(logits):
    weights = weigh(logits, np.ones(logits.shape, bool))
    want = by_definition(weights)
    # float64 both; the deviation is a root of a difference of squares.
    assert_same(AECFMetrics.compute_modality_metrics(weights), want, rel=1e-9, abs=1e-7)
    # float32 logarithms; squares are exact.
    assert_same(update(EMPTY, jnp.asarray(weights)).compute(), want, rel=1e-5, abs=1e-6)


@given(LOGITS, PRESENT)
def test_rows_with_nothing_present_and_padding_do_not_count(logits, present):
    weights, some = weigh(logits, present), present.any(axis=1)
    host = AECFMetrics.compute_modality_metrics(weights, present)
    dirty = np.where(some[:, None], weights, np.float32(np.nan))
    device = update(EMPTY, jnp.asarray(dirty), jnp.asarray(some)).compute()
    assert_same(host, AECFMetrics.compute_modality_metrics(weights[some]), rel=0, abs=0)
    # As above.
    assert_same(device, host, rel=1e-5, abs=1e-6)


@given(LOGITS, LOGITS, LOGITS)
def test_merging_is_associative_and_order_free_with_empty_neutral(x, y, z):
    everywhere = np.ones(x.shape, bool)
    parts = [weigh(logits, everywhere) for logits in (x, y, z)]
    one, two, three = (update(EMPTY, jnp.asarray(part)) for part in parts)
    whole = AECFMetrics.compute_modality_metrics(np.concatenate(parts))
    orders = [merge(merge(one, two), three), merge(one, merge(two, three)), merge(merge(three, one), two)]
    for merged in orders:
        # Two-float sums of 48 bits; a deviation is a root of a difference of squares.
        assert_same(merged.compute(), orders[0].compute(), rel=1e-9, abs=1e-6)
        # As above; the split is not seen.
        assert_same(merged.compute(), whole, rel=1e-5, abs=1e-6)
    assert_same(merge(EMPTY, one).compute(), one.compute(), rel=0, abs=0)


def test_effective_modalities_are_1_at_collapse_and_all_at_equality():
    collapsed, equal = np.asarray([[1.0, 0, 0]] * BATCH), np.full((BATCH, 4), 0.25)
    assert AECFMetrics.compute_modality_metrics(collapsed)["effective_modalities"] == 1.0
    assert AECFMetrics.compute_modality_metrics(equal)["effective_modalities"] == 4.0


def test_one_row_has_no_deviation_and_no_rows_have_nothing():
    one = AECFMetrics.compute_modality_metrics(np.asarray([[0.5, 0.5]]))
    assert np.isnan(one["weight_std_mod_0"])
    assert one["weight_mod_0"] == 0.5
    assert all(np.isnan(value) for value in EMPTY.compute().values())
    assert all(np.isnan(value) for value in AECFMetrics.compute_modality_metrics(np.zeros((0, 2))).values())
