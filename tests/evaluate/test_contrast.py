"""Differences between models: against SciPy where it has the test, and simulated with and without a difference."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from aecf_jax.evaluate._contrast import Drawn, contrast, moments, p_of_moments
from aecf_jax.stats import binomial_interval, resample_counts, t_bound, t_pvalue

ROWS, DRAWS = 200, 100


def drawn(rows_of_seeds, counts):
    return Drawn(rows_of_seeds.mean(1), rows_of_seeds @ counts.T / rows_of_seeds.shape[1])


def without_rows(values):
    """Seeds that differ in nothing but their means: rows add no variance."""
    values = np.asarray(values, float)
    return Drawn(values, np.tile(values[:, None], (1, 4)))


@pytest.mark.parametrize(("t", "freedom"), [(0.0, 3.0), (-1.5, 2.0), (4.303, 2.0), (2.5, 7.7), (30.0, 400.0)])
def test_student(t, freedom):
    assert t_pvalue(t, freedom) == pytest.approx(2 * scipy_stats.t.sf(abs(t), freedom), rel=1e-9)
    assert t_bound(0.9, freedom) == pytest.approx(scipy_stats.t.ppf(0.95, freedom), rel=1e-9)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [([1, 2, 4], [3, 5, 9], True), ([1, 2], [4, 9], True), ([1, 2, 4, 4], [3, 9], False), ([1, 2], [2, 2, 5], False)],
)
def test_seeds_alone_are_students_and_welchs_test(one, other, equal):
    found = contrast(without_rows(one), without_rows(other), rows=ROWS)
    expected = scipy_stats.ttest_ind(one, other, equal_var=equal)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    assert found.estimate == pytest.approx((np.mean(one) - np.mean(other), interval.low, interval.high))
    assert found.seeds


def test_one_model_is_students_interval():
    found = contrast(without_rows([1, 2, 4]), rows=ROWS)
    low, high = scipy_stats.t.interval(0.95, 2, np.mean([1, 2, 4]), scipy_stats.sem([1, 2, 4]))
    assert found.estimate == pytest.approx((7 / 3, low, high))


def test_two_networks_are_the_paired_test_over_rows():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1, ROWS))
    counts = resample_counts(ROWS, 20_000, seed=0)
    found = contrast(drawn(one, counts), drawn(other, counts), rows=ROWS)
    expected = scipy_stats.ttest_rel(one[0], other[0])
    # 20,000 draws: a standard error is off by about half a percent, and by 1 / 400 since it divides by rows.
    assert found.p == pytest.approx(expected.pvalue, rel=0.03)
    assert not found.seeds
    assert found.freedom == pytest.approx(ROWS - 1)


def test_one_seed_is_lent_the_variance_of_the_others_seeds():
    found = contrast(without_rows([1]), without_rows([3, 5, 9]), rows=ROWS)
    expected = scipy_stats.ttest_ind([1], [3, 5, 9])
    assert (found.p, found.freedom) == pytest.approx((expected.pvalue, 2))


def test_where_nothing_varies_equal_is_equal_and_different_different():
    same, more = without_rows([1, 1]), without_rows([2, 2])
    assert contrast(same, same, rows=ROWS).p == 1
    assert contrast(same, more, rows=ROWS).p == 0
    assert contrast(same, more, rows=ROWS).estimate == (-1, -1, -1)
    assert contrast(without_rows([1, 1, 1]), same, rows=ROWS).p == 1


def test_what_is_not_defined_has_no_p_value():
    nothing = Drawn(np.array([math.nan, 1.0]), np.full((2, 4), math.nan))
    assert math.isnan(contrast(nothing, without_rows([1, 2]), rows=ROWS).p)


COUNTS = resample_counts(ROWS, DRAWS, seed=0)


def simulated_p(rng, seeds, *, difference=0.0, seed_spread=0.1, interaction=0.0, ignore_seeds=False):
    """The p-value of two models whose losses are skewed, on rows of differing difficulty, with what each seed adds."""
    hard = rng.gamma(0.5, 1.0, ROWS)
    models = []
    for count, shift in zip(seeds, (0.0, difference), strict=True):
        own = interaction * rng.normal(size=ROWS) + seed_spread * rng.normal(size=(count, 1)) + shift
        loss = hard + own + 0.5 * (rng.gamma(1.0, 1.0, (count, ROWS)) - 1)
        models.append(drawn(loss.mean(0, keepdims=True) if ignore_seeds else loss, COUNTS))
    value, variance, freedom, _ = moments(*models, rows=ROWS)
    return p_of_moments(value, variance, freedom)


@pytest.mark.parametrize(
    ("seeds", "options"),
    [((2, 2), {}), ((3, 3), {}), ((5, 5), {"seed_spread": 0.0}), ((3, 3), {"interaction": 1.0}), ((1, 4), {}),
     ((1, 1), {"seed_spread": 0.0})],
)  # fmt: skip
def test_no_difference_is_found_at_the_nominal_rate(seeds, options):
    rng = np.random.default_rng(0)
    found = sum(simulated_p(rng, seeds, **options) < 0.05 for _ in range(1000))
    low, high = binomial_interval(found, 1000)
    assert low <= 0.05 <= high


def test_a_planted_difference_is_found():
    rng = np.random.default_rng(0)
    assert sum(simulated_p(rng, (3, 3), difference=0.5) < 0.05 for _ in range(200)) > 180


def test_ignoring_seeds_would_find_differences_between_seeds_of_one_model():
    rng = np.random.default_rng(0)
    assert sum(simulated_p(rng, (3, 3), ignore_seeds=True) < 0.05 for _ in range(200)) > 60
