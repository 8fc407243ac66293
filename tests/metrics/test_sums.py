"""Sums that carry their rounding error: against exact sums, however they are split."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.metrics import Sum
from aecf_jax.metrics._sums import ratio, sum_of_fractions, sum_of_squares

# Whole numbers of 2**-20 up to 2**20: wide enough to round, and nothing vanishes below float32's smallest.
TERMS = hnp.arrays(np.float32, 9, elements=st.integers(-(2**40), 2**40).map(lambda n: float(np.float32(n * 2.0**-20))))

jit_of = jax.jit(Sum.of)
jit_add = jax.jit(lambda one, other: one + other)
jit_squares = jax.jit(sum_of_squares)
jit_fractions = jax.jit(sum_of_fractions)


@given(TERMS)
def test_a_sum_is_exact_to_twice_the_precision(terms):
    want, size = math.fsum(terms.astype(float)), math.fsum(abs(terms.astype(float)))
    for total in (Sum.of(jnp.asarray(terms)), jit_of(jnp.asarray(terms))):
        # Two float32 numbers hold 48 bits; nine terms round their errors a few times.
        assert float(total.value) == pytest.approx(want, abs=2.0**-44 * size)


@given(TERMS, TERMS, TERMS)
def test_adding_commutes_to_the_bit_and_associates(one, two, three):
    a, b, c = (jit_of(jnp.asarray(terms)) for terms in (one, two, three))
    assert jit_add(a, b) == jit_add(b, a)
    left, right = jit_add(jit_add(a, b), c), jit_add(a, jit_add(b, c))
    size = math.fsum(abs(x) for terms in (one, two, three) for x in terms.astype(float))
    # As above.
    assert float(left.value) == pytest.approx(float(right.value), abs=2.0**-44 * size)
    neutral = jit_add(a, Sum.zeros())
    assert float(neutral.value) == float(a.value)


def test_a_million_rows_in_a_thousand_batches_stay_exact_where_float32_does_not():
    batch = jnp.asarray(np.random.default_rng(0).uniform(0.05, 0.15, 1000), jnp.float32)

    @jax.jit
    def run(start):
        def step(carry, _):
            compensated, plain = carry
            return (compensated + Sum.of(batch), plain + jnp.sum(batch)), None

        return jax.lax.scan(step, start, length=1000)[0]

    compensated, plain = run((Sum.zeros(), jnp.float32(0.0)))
    want = 1000 * math.fsum(np.asarray(batch, np.float64))
    # 48 bits less a few for a thousand additions; the requirement is 1e-6.
    assert float(compensated.value) == pytest.approx(want, rel=1e-12)
    assert abs(float(plain) - want) / want > 1e-6


def test_a_million_rows_in_one_batch_stay_exact():
    terms = np.random.default_rng(1).uniform(0, 1, 10**6).astype(np.float32)
    # As above.
    assert float(jit_of(jnp.asarray(terms)).value) == pytest.approx(math.fsum(terms.astype(float)), rel=1e-12)


@given(TERMS)
def test_squares_are_not_rounded(terms):
    want = math.fsum(x * x for x in terms.astype(float))
    # Every product is exact; their sum has 48 bits.
    assert float(jit_squares(jnp.asarray(terms)).value) == pytest.approx(want, rel=2.0**-44)


def test_a_small_variance_survives_a_large_mean():
    values = (1000 + np.random.default_rng(2).normal(size=4096)).astype(np.float32)
    total, square = jit_of(jnp.asarray(values)), jit_squares(jnp.asarray(values))
    got = float(square.value) / 4096 - (float(total.value) / 4096) ** 2
    # Squares of 1e6 to 48 bits leave the variance, 1, with an error near 1e-8.
    assert got == pytest.approx(float(np.var(values.astype(float))), rel=1e-7)


@pytest.mark.parametrize("rows", [1, 8, 4096, 10_000])
def test_fractions_add_up_in_their_bins(rows):
    draws = np.random.default_rng(3)
    probs = draws.uniform(size=(rows, 2)).astype(np.float32) ** 4
    index = draws.integers(0, 3, size=(rows, 2))
    chosen = index[:, :, None] == np.arange(3)
    got = np.asarray(jit_fractions(jnp.asarray(probs), jnp.asarray(chosen)).value)
    for c, b in itertools.product(range(2), range(3)):
        want = math.fsum(float(p) for p, k in zip(probs[:, c], index[:, c], strict=True) if k == b)
        # Rests below 2**-12 are added in plain float32: at most 1e-8 a row.
        assert got[c, b] == pytest.approx(want, abs=1e-8 * rows)


def test_infinity_and_nan_stay_what_they_are():
    assert float(Sum.of(jnp.asarray([1.0, np.inf])).value) == np.inf
    assert float((Sum.of(jnp.asarray([np.inf])) + Sum.zeros()).value) == np.inf
    assert np.isnan(Sum.of(jnp.asarray([1.0, np.nan, 2.0])).value)
    assert np.isnan(np.asarray(sum_of_fractions(jnp.asarray([[np.nan]]), jnp.ones((1, 1, 1), bool)).value))


def test_sums_of_no_rows_are_0():
    assert float(Sum.of(jnp.zeros((0,))).value) == 0.0
    assert np.asarray(sum_of_fractions(jnp.zeros((0, 2)), jnp.zeros((0, 2, 3), bool)).value).tolist() == [[0.0] * 3] * 2


def test_a_ratio_over_nothing_is_nan():
    np.testing.assert_array_equal(ratio(np.asarray([1.0, 0.0, 0.0]), np.asarray([2, 0, 4])), [0.5, np.nan, 0.0])
