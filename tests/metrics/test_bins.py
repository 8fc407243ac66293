"""Reliability bins and the calibration errors from them, against a loop over bins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.metrics import AECFMetrics, BinSums
from aecf_jax.metrics._host import bin_edges, host_bins
from tests.metrics import brute

BATCH, CLASSES, BINS = 8, 3, 15
# Edges of the bins, both ends, and anything between.
EDGE = st.integers(0, BINS).map(lambda k: float(np.float32(k / BINS)))
PROB = st.one_of(st.floats(0, 1, width=32, allow_subnormal=False), EDGE)
PROBS = hnp.arrays(np.float32, (BATCH, CLASSES), elements=PROB)
HITS = hnp.arrays(bool, (BATCH, CLASSES))

jit_of = jax.jit(BinSums.of, static_argnums=3)


def float32_edge(k, bins):
    return np.float32(k / bins)


@given(PROBS, HITS)
def test_bins_equal_a_loop_over_bins_on_the_device_and_on_the_host(probs, hits):
    gaps = [brute.bin_gaps(probs[:, c], hits[:, c], BINS, float32_edge) for c in range(CLASSES)]
    want = [sum(share * gap for share, gap in column) for column in gaps]
    device = jit_of(jnp.asarray(probs), jnp.asarray(hits), jnp.ones(BATCH, bool), BINS)
    host = host_bins(probs.astype(np.float64), hits, bin_edges(BINS, np.float32))
    np.testing.assert_array_equal(device.count, host.count)
    np.testing.assert_array_equal(device.hits, host.hits)
    for sums in (device, host):
        error = sums.calibration_error()
        # Sums of eight float32 probabilities, to 48 bits.
        np.testing.assert_allclose(error, want, atol=1e-9)
        assert ((error >= 0) & (error <= 1 + 1e-9)).all()
        assert sums.largest_gap() == pytest.approx(max(gap for column in gaps for _, gap in column), abs=1e-9)


@given(PROBS, HITS, hnp.arrays(bool, BATCH))
def test_padding_does_not_count(probs, hits, rows):
    got = jit_of(jnp.asarray(probs), jnp.asarray(hits), jnp.asarray(rows), BINS)
    want = host_bins(probs[rows].astype(np.float64), hits[rows], bin_edges(BINS, np.float32))
    np.testing.assert_array_equal(got.count, want.count)
    np.testing.assert_array_equal(got.hits, want.hits)
    # As above.
    np.testing.assert_allclose(got.confidence.value, want.confidence.value, atol=1e-9)


@pytest.mark.parametrize("bins", [1, 2, 10])
def test_any_number_of_bins(bins):
    draws = np.random.default_rng(bins)
    probs, hits = draws.uniform(size=(50, 1)), draws.integers(0, 2, (50, 1)) == 1
    want, _ = brute.calibration(probs[:, 0], hits[:, 0], bins)
    # float64 both.
    assert host_bins(probs, hits, bin_edges(bins)).calibration_error()[0] == pytest.approx(want, abs=1e-12)


def test_an_edge_is_compared_at_the_precision_of_the_probabilities():
    # float32(1/5) lies above the float64 edge 1/5, and on its own.
    probs = np.full((4, 5), 0.2, np.float32)
    sums = host_bins(probs.astype(np.float64), np.zeros((4, 5), bool), bin_edges(5, np.float32))
    assert np.asarray(sums.count)[:, 0].tolist() == [4] * 5
    jax_count = BinSums.of(jnp.asarray(probs), jnp.zeros((4, 5), bool), jnp.ones(4, bool), 5).count
    assert np.asarray(jax_count)[:, 0].tolist() == [4] * 5


def test_every_edge_belongs_to_the_bin_below_it_and_the_next_number_to_the_bin_above():
    edges = (np.arange(1, BINS) / BINS).astype(np.float32)
    for probs, bins in ((edges, range(BINS - 1)), (np.nextafter(edges, np.float32(2)), range(1, BINS))):
        want = [int(k in bins) for k in range(BINS)]
        column, nothing, rows = probs[:, None], np.zeros((BINS - 1, 1), bool), jnp.ones(BINS - 1, bool)
        for of in (BinSums.of, jit_of):
            assert np.asarray(of(jnp.asarray(column), jnp.asarray(nothing), rows, BINS).count)[0].tolist() == want
        assert host_bins(column.astype(np.float64), nothing, bin_edges(BINS, np.float32)).count[0].tolist() == want


def test_nan_shows_in_the_calibration_error():
    probs = np.asarray([[np.nan], [0.9]])
    assert np.isnan(host_bins(probs, np.ones((2, 1), bool), bin_edges(BINS)).calibration_error()).all()
    device = BinSums.of(jnp.asarray(probs), jnp.ones((2, 1), bool), jnp.ones(2, bool), BINS)
    assert np.isnan(device.calibration_error()).all()


def test_empty_bins_have_no_error():
    empty = BinSums.empty(2)
    assert np.isnan(empty.calibration_error()).all()
    assert np.isnan(empty.largest_gap())


def test_certain_and_right_is_0_certain_and_wrong_is_1():
    probs = np.asarray([[1.0, 0.0]] * 4)
    assert AECFMetrics.compute_calibration_metrics(probs, np.zeros(4, int)) == {"ece": 0.0, "mce": 0.0}
    assert AECFMetrics.compute_calibration_metrics(probs, np.ones(4, int)) == {"ece": 1.0, "mce": 1.0}


def test_calibration_metrics_compare_edges_at_the_precision_of_the_probabilities():
    # float32(1/5) lies above the float64 edge 1/5, yet it belongs to (1/10, 1/5] with 0.15.
    probs = np.asarray([[0.2, 0.0], [0.15, 0.0]], np.float32)
    got = AECFMetrics.compute_calibration_metrics(probs, np.asarray([0, 1]), n_bins=10)
    # One bin of both rows: mean confidence 0.175, accuracy 1/2; in two bins it would be 0.475.
    assert got["ece"] == pytest.approx(0.325, abs=1e-6)
