"""The bootstrap: against its definition, NumPy's quantiles and SciPy's intervals, and by how often it is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats

from aecf_jax.errors import InputError
from aecf_jax.stats import binomial_interval, mean_interval, paired_bootstrap, percentile_interval, resample_counts

VALUES = hnp.arrays(np.float64, (9, 3), elements=st.one_of(st.floats(-9, 9, width=16), st.just(np.nan)))
LEVEL = st.floats(0.01, 0.99)


def test_every_draw_has_as_many_rows_as_the_data_and_the_same_seed_the_same_draws():
    counts = resample_counts(20, 500, seed=3)
    assert counts.shape == (500, 20)
    assert (counts.sum(axis=1) == 20).all()
    np.testing.assert_array_equal(counts, resample_counts(20, 500, seed=3))
    assert (counts != resample_counts(20, 500, seed=4)).any()


def test_counts_are_multinomial():
    counts = resample_counts(50, 4000, seed=0)
    # Binomial(50, 1/50) has variance 0.98; over 200,000 counts the standard error is 0.005. Covariance is -1/50.
    assert counts.var() == pytest.approx(0.98, abs=0.02)
    assert np.cov(counts[:, :2].T)[0, 1] == pytest.approx(-0.02, abs=0.06)


def test_no_rows_have_no_counts():
    assert resample_counts(0, 3, seed=0).shape == (3, 0)


@given(VALUES, LEVEL)
def test_bounds_are_the_quantiles_of_the_draws_that_are_defined(values, level):
    low, high = percentile_interval(values, level)
    for column in range(3):
        defined = values[:, column][~np.isnan(values[:, column])]
        want = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if defined.size else [np.nan, np.nan]
        # float64 both.
        np.testing.assert_allclose([low[column], high[column]], want, atol=1e-12)


def test_the_axis_of_the_draws_is_said_and_infinite_draws_are_taken():
    values = np.random.default_rng(0).normal(size=(3, 50))
    np.testing.assert_array_equal(percentile_interval(values, axis=1), percentile_interval(values.T))
    low, high = percentile_interval(np.full(9, np.inf))
    assert low == high == np.inf


def test_the_difference_of_means_equals_scipy_s_bootstrap():
    draws = np.random.default_rng(1)
    one, other = draws.normal(size=(2, 200))
    found = paired_bootstrap(one, other, draws=4000)
    want = scipy_stats.bootstrap(
        (one - other,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    )
    assert found.value == pytest.approx(np.mean(one - other), rel=1e-12)
    # Bounds of 4,000 draws scatter by 2.7 % of the standard error; two of them differ, by four of that.
    assert found[1:] == pytest.approx(want.confidence_interval, abs=0.15 * want.standard_error)


def test_a_statistic_is_taken_on_the_same_rows_for_both():
    draws = np.random.default_rng(1)
    one, noise = draws.normal(size=(2, 50))

    def root(values, counts):
        return np.sqrt(counts @ np.square(values) / counts.sum(axis=1))

    plain = paired_bootstrap(one, one, statistic=root)
    assert plain == (0.0, 0.0, 0.0)
    # Rows shared: the interval of the difference is far shorter than that of either.
    near = paired_bootstrap(one, one + 0.01 * noise, statistic=root, rows=50)
    assert near.high - near.low < 0.02
    assert near.low <= near.value <= near.high


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(5)
    counts = resample_counts(60, 300, seed=5)
    samples = draws.exponential(size=(60, 400))
    low, high = percentile_interval(counts @ samples / 60)
    held = int(np.sum((low <= 1) & (high >= 1)))
    # Percentile intervals of skewed data cover a little less: 93 % at 60 rows. The band is the binomial one.
    assert binomial_interval(held, 400, 0.999)[0] < 0.93 < binomial_interval(held, 400, 0.999)[1]


@settings(max_examples=15)
@given(hnp.arrays(np.float64, 5, elements=st.floats(-9, 9, width=16)), LEVEL)
def test_the_interval_over_seeds_is_scipy_s_t_interval(values, level):
    found = mean_interval(values, level)
    error = np.std(values, ddof=1) / np.sqrt(5)
    half = scipy_stats.t.ppf((1 + level) / 2, 4) * error
    # The bound is a quantile by bisection.
    assert found == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=1e-10)


def test_one_seed_has_a_mean_and_no_interval():
    found = mean_interval(np.asarray([0.5]))
    assert found.value == 0.5
    assert np.isnan(found[1:]).all()


@pytest.mark.usefixtures("untyped_caller")
def test_wrong_inputs_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="draws"):
        resample_counts(3, 0, seed=0)
    with pytest.raises(InputError, match="rows"):
        resample_counts(-1, 3, seed=0)
    with pytest.raises(InputError, match="level"):
        percentile_interval(np.ones(3), 1.0)
    with pytest.raises(InputError, match="rows"):
        paired_bootstrap(np.ones(0), np.ones(0))
    with pytest.raises(InputError, match="have 3 values"):
        paired_bootstrap(np.ones(3), np.ones(2))
    with pytest.raises(InputError, match="at least one"):
        mean_interval(np.ones(0))
