"""The temperature that is fitted to held-out rows, against SciPy's minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from aecf_jax.train import fitted_temperature

PRIOR = np.array([0.3, -0.2, 0.1, 0.4], np.float32)
FIT = jax.jit(fitted_temperature)


def nll(logits, label):
    logits = logits.astype(np.float64)
    if label.ndim == 2:
        return np.mean(np.logaddexp(0, np.where(label > 0.5, -logits, logits)))
    return np.mean(np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(label)), label])


def case(kind):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (60, 4)).astype(np.float32)
    label = rng.integers(0, 4, 60) if kind == "classes" else rng.integers(0, 2, (60, 4)).astype(np.float32)
    return logits, np.where(rng.random(60) < 0.6, logits.argmax(1), label) if kind == "classes" else label


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_it_is_the_minimum_of_the_likelihood(kind):
    logits, label = case(kind)
    best = minimize_scalar(lambda t: nll(PRIOR + (logits - PRIOR) / t, label), bounds=(0.05, 20), method="bounded",
                           options={"xatol": 1e-7})  # fmt: skip
    # Where the slope, a float32 sum, changes its sign.
    assert float(FIT(logits, PRIOR, label)) == pytest.approx(best.x, rel=1e-3)


@pytest.mark.parametrize(("sign", "end"), [(1.0, 0.05), (-1.0, 20.0)])
def test_it_stays_in_its_range_where_everything_is_right_or_wrong(sign, end):
    logits, _ = case("classes")
    evidence = sign * (logits - PRIOR)
    right = np.argmax(logits - PRIOR, axis=1)
    assert float(FIT(PRIOR + evidence, PRIOR, right)) == pytest.approx(end, rel=1e-4)


def test_many_are_fitted_side_by_side():
    logits, label = case("classes")
    both = jax.vmap(fitted_temperature, in_axes=(0, None, None))(jnp.stack([logits, 2 * logits]), PRIOR, label)
    # Twice the logits, and the prior with them.
    alone = [float(FIT(scaled, PRIOR, label)) for scaled in (logits, 2 * logits)]
    np.testing.assert_allclose(both, alone, rtol=1e-4)
