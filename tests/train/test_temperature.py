"""The temperature that is fitted to held-out rows, against SciPy's minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from aecf_jax.nn import AECF, init_variables, with_temperature
from aecf_jax.train import HeldOut, both_views, fitted_count_temperature, fitted_temperature
from tests.train.small import small_batch, small_config

PRIOR = np.array([0.3, -0.2, 0.1, 0.4], np.float32)
FIT = jax.jit(fitted_temperature)
FIT_BY_COUNT = jax.jit(fitted_count_temperature)


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


def held_out(kind, seen=(1, 4)):
    logits, label = case(kind)
    if kind == "labels":
        label = (np.random.default_rng(1).random(logits.shape) < 1 / (1 + np.exp(-logits / 2))).astype(np.float32)
    return HeldOut(logits, np.resize(np.array(seen, np.int32), len(logits)), label)


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_by_count_it_is_the_likeliest_with_a_doubt_of_the_exponent(kind):
    data = held_out(kind)

    def cost(found):
        scale = np.exp(-found[0] - found[1] * np.log(data.seen))[:, None]
        return nll(PRIOR + scale * (data.logits - PRIOR), data.label) + found[1] ** 2 / (
            2 * 0.5**2 * len(data.seen) / 2
        )

    best = minimize(cost, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).x
    temperature, growth = fitted_count_temperature(data, PRIOR)
    assert float(temperature) == pytest.approx(np.exp(best[0]), rel=2e-3)
    assert float(growth) == pytest.approx(best[1], abs=2e-3)


@pytest.mark.parametrize("seen", [(1,), (0, 1)])
def test_of_one_modality_by_count_is_without(seen):
    data = held_out("classes", seen)
    temperature, growth = fitted_count_temperature(data, PRIOR)
    assert float(growth) == 0.0
    assert float(temperature) == pytest.approx(float(FIT(data.logits, PRIOR, data.label)), rel=1e-3)


@pytest.mark.parametrize(("sign", "end"), [(1.0, 0.05), (-1.0, 20.0)])
def test_by_count_it_stays_in_its_range(sign, end):
    data = held_out("classes", (1,))
    evidence = data.logits - PRIOR
    found = fitted_count_temperature(data._replace(logits=PRIOR + sign * evidence, label=evidence.argmax(1)), PRIOR)
    assert [float(value) for value in found] == pytest.approx([end, 0.0], rel=1e-4)


@pytest.mark.parametrize(("repeated", "exponent"), [(False, 0.0), (True, 1.0)])
def test_the_exponent_says_whether_modalities_repeat_each_other(repeated, exponent):
    """Two classes with unit normal scores at -1 and 1, whose log odds are twice the score, in four modalities."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 20_000)
    scores = (2 * label - 1)[:, None] + rng.normal(size=(len(label), 1 if repeated else 4))
    scores = np.broadcast_to(scores, (len(label), 4))
    seen = np.resize(np.arange(1, 5, dtype=np.int32), len(label))
    odds = 2 * np.sum(scores * (np.arange(4) < seen[:, None]), axis=1)
    logits = np.stack([np.zeros_like(odds), odds], axis=1).astype(np.float32)
    temperature, growth = fitted_count_temperature(HeldOut(logits, seen, label), np.zeros(2, np.float32))
    assert [float(temperature), float(growth)] == pytest.approx([1.0, exponent], abs=0.05)


def test_a_model_divides_evidence_by_what_was_fitted():
    config = small_config(fusion="poe", fit_temperature=True, count_temperature=True)
    batch, model = small_batch(), AECF(config)
    fresh = init_variables(config, key=jax.random.key(0))
    fresh = {**fresh, "constants": {**fresh["constants"], "prior": jnp.asarray(PRIOR)}}
    plain, scaled = (
        model.apply(with_temperature(fresh, *fitted), batch.features, batch.present).output
        for fitted in ((1.0, 0.0), (2.0, 0.5))
    )
    count = np.sum(np.asarray(batch.present), axis=1, keepdims=True)
    assert set(count[:, 0]) == {1, 2, 3}
    np.testing.assert_allclose(scaled - PRIOR[None], (plain - PRIOR[None]) / (2 * np.sqrt(count)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_by_count_it_is_found_from_far_away_and_at_the_ends_of_its_range(seed):
    """Evidence from a thirtieth to thirty times as large as it should be, right more often or less."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (60, 4))
    label = np.where(rng.random(60) < rng.uniform(0.3, 1), logits.argmax(1), rng.integers(0, 4, 60))
    logits = (logits * 10 ** rng.uniform(-1.5, 1.5)).astype(np.float32)
    data = HeldOut(logits, np.resize(np.array([1, rng.integers(2, 9)], np.int32), 60), label)

    def cost(found):
        scale = np.exp(-found[0] - found[1] * np.log(data.seen))[:, None]
        return nll(scale * data.logits, data.label) + found[1] ** 2 / (2 * 0.5**2 * len(data.seen) / 2)

    bounds = [(np.log(0.05), np.log(20)), (-2, 2)]
    starts = ([0.0, 0.0], [-2.0, 0.0], [2.0, 0.0])
    best = min(minimize(cost, start, method="L-BFGS-B", bounds=bounds).fun for start in starts)
    temperature, growth = FIT_BY_COUNT(data, np.zeros(4, np.float32))
    assert cost([np.log(float(temperature)), float(growth)]) == pytest.approx(best, rel=1e-3)


def test_what_is_fitted_to_says_how_much_each_view_sees():
    """Predictions at temperature 1, whatever was fitted before: all rows as they are, then all as hidden."""
    config = small_config(fusion="poe", fit_temperature=True, count_temperature=True)
    batch, model, fresh = small_batch(), AECF(config), init_variables(config, key=jax.random.key(0))
    visible = batch.present.at[:, 0].set(False)
    found = both_views(with_temperature(fresh, 3.0, 0.7), batch, visible, config=config)
    views = [model.apply(with_temperature(fresh, 1.0, 0.0), batch.features, seen) for seen in (batch.present, visible)]
    np.testing.assert_allclose(found.logits, np.concatenate([view.output for view in views]), atol=1e-5)
    assert found.seen.tolist() == [*np.sum(batch.present, axis=1), *np.sum(visible, axis=1)]
    assert found.label.tolist() == 2 * batch.label.tolist()
