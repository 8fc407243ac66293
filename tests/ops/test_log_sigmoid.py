"""Logarithms of a probability and of its complement are exact, and so are their slopes, however sure it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from aecf_jax.ops import log_sigmoids

SURE = np.float32([0.0, -0.0, 1e-30, 1e-4, 0.5, 1.0, 16.0, 17.0, 80.0, 1e4, np.inf])
ODDS = np.concatenate([np.random.default_rng(0).normal(0, 4, 4096).astype(np.float32), SURE, -SURE])


def test_logarithms_are_exact_to_a_few_roundings():
    for found, odds in zip(log_sigmoids(jnp.asarray(ODDS)), (ODDS, -ODDS), strict=True):
        # Where the logarithm is a subnormal float32, XLA says 0.
        np.testing.assert_allclose(found, special.log_expit(odds.astype(np.float64)), rtol=4e-7, atol=1e-37)


def test_slopes_are_the_probabilities_of_the_contrary():
    finite = ODDS[np.isfinite(ODDS)]
    for index, sign in enumerate((1, -1)):
        slopes = jax.vmap(jax.grad(lambda x, index=index: log_sigmoids(x)[index]))(jnp.asarray(finite))
        contrary = special.expit(-sign * finite.astype(np.float64))
        np.testing.assert_allclose(slopes, sign * contrary, rtol=1e-6, atol=1e-37)
        curves = jax.vmap(jax.grad(jax.grad(lambda x, index=index: log_sigmoids(x)[index])))(jnp.asarray(finite))
        np.testing.assert_allclose(curves, -contrary * (1 - contrary), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("index", [0, 1])
def test_what_is_no_number_stays_none(index):
    assert np.isnan(log_sigmoids(jnp.array(jnp.nan))[index])
