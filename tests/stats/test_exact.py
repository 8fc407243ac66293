"""Binomial intervals and tests of no difference: against SciPy and by enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special
from scipy import stats as scipy_stats

from aecf_jax.errors import InputError
from aecf_jax.stats import binomial_interval, holm, paired_permutation
from aecf_jax.stats._beta import beta_cdf, beta_quantile

SHAPE = st.one_of(st.floats(0.5, 50), st.integers(1, 10**4).map(float))
PVALUES = hnp.arrays(np.float64, 6, elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])))


@given(st.floats(0, 1), SHAPE, SHAPE)
def test_the_beta_distribution_equals_scipy_s(x, a, b):
    # Logarithms of gamma functions near 1e5 keep ten digits.
    assert beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), abs=1e-9)


@settings(max_examples=10)
@given(st.floats(1e-6, 1 - 1e-6), SHAPE, SHAPE)
def test_quantiles_are_where_the_distribution_has_their_probability(p, a, b):
    x = beta_quantile(p, a, b)
    # Neighbours of x differ by the density times their distance.
    assert special.betainc(a, b, x) == pytest.approx(p, abs=1e-8)


@pytest.mark.parametrize("trials", [1, 7, 400, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.9, 1.0])
def test_the_binomial_interval_equals_scipy_s(trials, share):
    successes = round(share * trials)
    want = scipy_stats.binomtest(successes, trials).proportion_ci(0.9, method="exact")
    # Quantiles of a distribution known to 1e-9.
    assert binomial_interval(successes, trials, 0.9) == pytest.approx((want.low, want.high), abs=1e-9)


def test_of_no_trial_nothing_is_known():
    assert binomial_interval(0, 0) == (0.0, 1.0)


def test_the_p_value_is_the_share_of_signs_that_are_as_extreme():
    differences = np.asarray([0.3, -0.1, 0.7, 0.2, 0.4, -0.2, 0.1])
    signs = np.asarray(list(itertools.product([-1, 1], repeat=7)))
    want = np.mean(np.abs(signs @ differences) >= differences.sum() - 1e-9)
    # 20,000 draws have a standard error of 0.002.
    assert paired_permutation(differences, draws=20_000) == pytest.approx(want, abs=0.01)
    mirrored = paired_permutation(-differences, draws=20_000)
    assert mirrored == paired_permutation(differences, draws=20_000)


def test_p_values_under_the_null_are_uniform_and_of_a_shift_small():
    draws = np.random.default_rng(0)
    pvalues = [paired_permutation(draws.normal(size=40), draws=199, seed=seed) for seed in range(300)]
    assert scipy_stats.kstest(pvalues, "uniform").pvalue > 0.01
    assert paired_permutation(draws.normal(size=100) + 1, draws=999) == 1 / 1000


def test_signs_drawn_in_blocks_are_as_many_as_said():
    # 2**21 rows: two draws a block. One row differs, so that every draw is as far.
    differences = np.zeros(2**21)
    differences[0] = 1.0
    assert paired_permutation(differences, draws=3) == 1.0


@given(PVALUES)
def test_holm_equals_its_definition(pvalues):
    order = sorted(range(6), key=lambda i: pvalues[i])
    want, largest = [0.0] * 6, 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (6 - rank) * float(pvalues[index]))
        want[index] = min(largest, 1.0)
    np.testing.assert_allclose(holm(pvalues), want, rtol=1e-12)


def test_holm_of_no_test_is_none():
    assert holm(np.ones(0)).size == 0


@pytest.mark.usefixtures("untyped_caller")
def test_wrong_inputs_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="successes"):
        binomial_interval(3, 2)
    with pytest.raises(InputError, match="level"):
        binomial_interval(1, 2, 0.0)
    with pytest.raises(InputError, match="finite"):
        paired_permutation(np.asarray([np.nan]))
    with pytest.raises(InputError, match="one a row"):
        paired_permutation(np.ones(0))
    with pytest.raises(InputError, match="draws"):
        paired_permutation(np.ones(2), draws=0)
    with pytest.raises(InputError, match="pvalues"):
        holm(np.asarray([1.5]))
