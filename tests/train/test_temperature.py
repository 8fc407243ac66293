"""The temperature that is fitted to held-out rows, against SciPy's minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from aecf_jax import AECFConfig
from aecf_jax.nn import AECF, evidence_size, init_variables, with_temperature
from aecf_jax.train import both_views, fitted_adaptive_temperature, fitted_temperature
from tests.train.small import small_batch, small_config

PRIOR = np.array([0.3, -0.2, 0.1, 0.4], np.float32)
FIT = jax.jit(fitted_temperature)
FIT_ADAPTIVE = jax.jit(fitted_adaptive_temperature)


def nll(logits, label):
    logits = logits.astype(np.float64)
    if label.ndim == 2:
        return np.mean(np.logaddexp(0, np.where(label > 0.5, -logits, logits)))
    return np.mean(logsumexp(logits, axis=-1) - logits[np.arange(len(label)), label])


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


def size_of(evidence, kind):
    if kind == "labels":
        return 1 + np.abs(evidence).mean(axis=1)
    return 1 + evidence.max(axis=1) - evidence.mean(axis=1)


def adaptive_cost(found, logits, label, kind):
    """What is minimized: the loss, and the doubt of the exponent, by rows of which there are two views each."""
    evidence = logits.astype(np.float64) - PRIOR
    scale = np.exp(-found[0] - found[1] * np.log(size_of(evidence, kind)))[:, None]
    return nll(PRIOR + scale * evidence, label) + found[1] ** 2 / (2 * 0.5**2 * len(label) / 2)


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_the_size_of_evidence_is_that_of_the_formula(kind):
    evidence = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)
    np.testing.assert_allclose(
        evidence_size(jnp.asarray(evidence), labels=kind == "labels"), size_of(evidence, kind), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_an_adaptive_one_is_the_likeliest_with_a_doubt_of_the_exponent(kind):
    logits, label = case(kind)
    if kind == "labels":
        label = (np.random.default_rng(1).random(logits.shape) < 1 / (1 + np.exp(-logits / 2))).astype(np.float32)
    best = minimize(adaptive_cost, [0.0, 0.0], args=(logits, label, kind), method="Nelder-Mead",
                    options={"xatol": 1e-8, "fatol": 1e-12}).x  # fmt: skip
    temperature, growth = FIT_ADAPTIVE(logits, PRIOR, label)
    assert abs(best[1]) > 0.02
    assert float(temperature) == pytest.approx(np.exp(best[0]), rel=2e-3)
    assert float(growth) == pytest.approx(best[1], abs=2e-3)


@pytest.mark.parametrize(("sign", "end"), [(1.0, 0.05), (-1.0, 20.0)])
def test_an_adaptive_one_stays_in_its_range(sign, end):
    evidence = case("classes")[0] - PRIOR
    temperature, growth = FIT_ADAPTIVE(PRIOR + sign * evidence, PRIOR, evidence.argmax(axis=1))
    middle = np.log(size_of(sign * evidence, "classes")).mean()
    assert float(temperature) * np.exp(float(growth) * middle) == pytest.approx(end, rel=1e-4)
    assert -1 <= float(growth) <= 1


@pytest.mark.parametrize(("temperature", "growth"), [(1.0, 0.0), (0.7, 0.5), (3.0, -0.4)])
def test_what_made_the_labels_is_found_again(temperature, growth):
    rng = np.random.default_rng(0)
    said = rng.normal(0, 4, (20_000, 1)).astype(np.float32)
    honest = said / (temperature * (1 + np.abs(said)) ** growth)
    label = (rng.random(honest.shape) < 1 / (1 + np.exp(-honest))).astype(np.float32)
    found = [float(value) for value in FIT_ADAPTIVE(said, np.zeros(1, np.float32), label)]
    assert found == pytest.approx([temperature, growth], rel=0.1, abs=0.05)


@pytest.mark.parametrize("fusion", ["poe", "aecf"])
def test_a_model_divides_evidence_by_what_was_fitted(fusion):
    config = small_config(fusion=fusion, unimodal_coeff=1.0, fit_temperature=True, adaptive_temperature=True)
    batch, model = small_batch(), AECF(config)
    fresh = init_variables(config, key=jax.random.key(0))
    fresh = {**fresh, "constants": {**fresh["constants"], "prior": jnp.asarray(PRIOR)}}
    plain, scaled = (
        np.asarray(model.apply(with_temperature(fresh, *fitted), batch.features, batch.present).output) - PRIOR
        for fitted in ((1.0, 0.0), (2.0, 0.5))
    )
    wanted = plain / (2 * np.sqrt(size_of(plain, "classes")))[:, None]
    np.testing.assert_allclose(scaled, wanted, rtol=1e-5, atol=1e-6)


def test_the_temperature_is_adaptive_in_the_default_fusion_alone_unless_it_is_said():
    asked = {"fit_temperature": True, "unimodal_coeff": 1.0}
    found = {
        fusion: [small_config(fusion=fusion, adaptive_temperature=said, **asked).adaptively_tempered
                 for said in (None, True, False)]
        for fusion in ("aecf", "poe", "gated")
    }  # fmt: skip
    assert found == {"aecf": [True, True, False], "poe": [False, True, False], "gated": [False, True, False]}
    assert not AECFConfig(fit_temperature=False).adaptively_tempered


@pytest.mark.parametrize("seed", range(60))
def test_an_adaptive_one_is_found_from_far_away_and_at_the_ends_of_its_range(seed):
    """Evidence from a thirtieth to thirty times as large as it should be, right nearly always or less often."""
    rng = np.random.default_rng(seed)
    rows = (60, 600)[seed % 2]
    logits = rng.normal(0, 3, (rows, 4))
    right = rng.random(rows) < (rng.uniform(0.3, 1), rng.uniform(0.95, 1))[seed % 2]
    label = np.where(right, logits.argmax(1), rng.integers(0, 4, rows))
    logits = (logits * 10 ** rng.uniform(-1.5, 1.5)).astype(np.float32)
    middle = np.log(size_of(logits - PRIOR, "classes")).mean()

    def cost(found):
        return adaptive_cost((found[0] - found[1] * middle, found[1]), logits, label, "classes")

    bounds = [(np.log(0.05), np.log(20)), (-1, 1)]
    starts = ([0.0, 0.0], [-2.0, 0.0], [2.0, 0.0])
    best = min(minimize(cost, start, method="L-BFGS-B", bounds=bounds).fun for start in starts)
    temperature, growth = map(float, FIT_ADAPTIVE(logits, PRIOR, label))
    assert cost([np.log(temperature) + growth * middle, growth]) == pytest.approx(best, rel=1e-3)


def test_it_is_fitted_to_all_rows_as_they_are_and_then_as_they_are_hidden():
    """Predictions at temperature 1, whatever was fitted before."""
    config = small_config(fusion="poe", fit_temperature=True, adaptive_temperature=True)
    batch, model, fresh = small_batch(), AECF(config), init_variables(config, key=jax.random.key(0))
    visible = batch.present.at[:, 0].set(False)
    found = both_views(with_temperature(fresh, 3.0, 0.7), batch, visible, config=config)
    views = [model.apply(with_temperature(fresh, 1.0, 0.0), batch.features, seen) for seen in (batch.present, visible)]
    np.testing.assert_allclose(found.logits, np.concatenate([view.output for view in views]), atol=1e-5)
    assert found.label.tolist() == 2 * batch.label.tolist()
