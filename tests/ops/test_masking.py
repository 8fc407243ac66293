"""The curriculum's masks: frequencies against exact probabilities, and what must hold in every draw."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.errors import InputError
from aecf_jax.nn import CurriculumMasker
from aecf_jax.ops import STRATEGIES, hiding_probability, renormalized, sample_visible

WEIGHTS = jnp.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
PRESENT = jnp.array([[True, True, True], [True, True, True], [False, True, True], [False, True, False]])
DRAWS = 20_000
INDEPENDENT = tuple(name for name in STRATEGIES if name != "uniform_size")


def visible_rate(strategy, prob, rescue="empty"):
    """How often each modality of WEIGHTS stays visible."""

    def draw(key):
        return sample_visible(WEIGHTS, PRESENT, key=key, strategy=strategy, prob=prob, tau=0.4, rescue=rescue)

    return np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), DRAWS)), float).mean(0)


def exact_rate(hide, present, rescue):
    """The same by enumerating all masks of one row."""
    there = [m for m, ok in enumerate(present) if ok]
    rate = np.zeros(len(present))
    for kept in itertools.product((0, 1), repeat=len(there)):
        chance = np.prod([1 - hide[m] if k else hide[m] for m, k in zip(there, kept, strict=True)])
        for back in there:
            rescued = rescue == "every" or not any(kept)
            for m, k in zip(there, kept, strict=True):
                rate[m] += chance / len(there) * (k or (rescued and m == back))
    return rate


@pytest.mark.parametrize("rescue", ["empty", "every"])
@pytest.mark.parametrize("strategy", INDEPENDENT)
def test_rates_equal_the_enumerated_ones(strategy, rescue):
    hide = np.asarray(hiding_probability(WEIGHTS, PRESENT, strategy=strategy, prob=0.6, tau=0.4))
    want = np.stack([exact_rate(h, p, rescue) for h, p in zip(hide, np.asarray(PRESENT), strict=True)])
    # Of a frequency over DRAWS draws, for 12 frequencies each.
    assert (np.abs(visible_rate(strategy, 0.6, rescue) - want) <= five_deviations(want)).all()


def five_deviations(rate):
    return 5 * np.sqrt(np.maximum(rate * (1 - rate), 1e-12) / DRAWS) + 1e-6


RATES = [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0.0, 0.4, 1.0)]
LEAST = (1, 2)


# One program for all, which costs its compiling.
@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def draws_of_all(weights, present, key, rates):
    cases = list(itertools.product(STRATEGIES, LEAST))
    return {
        (strategy, least): sample_visible(
            weights, present, key=one, strategy=strategy, prob=rates, tau=0.4, min_active=least
        )
        for (strategy, least), one in zip(cases, jax.random.split(key, len(cases)), strict=True)
    }


@given(
    hnp.arrays(bool, (8, 3)), hnp.arrays(np.float32, (8, 3), elements=st.sampled_from([0.0, 1e-30, 0.1, 1.0])),
    st.integers(0, 1000), st.sampled_from(RATES),
)  # fmt: skip
def test_every_strategy_respects_what_is_absent_min_active_and_the_rates(present, odds, seed, rates):
    weights = renormalized(jnp.where(jnp.asarray(present), odds, 0.0))
    drawn = draws_of_all(weights, jnp.asarray(present), jax.random.key(seed), jnp.array(rates))
    for (strategy, least), visible in drawn.items():
        visible = np.asarray(visible)
        assert not (visible & ~present).any()
        assert (visible.sum(-1) >= np.minimum(present.sum(-1), least)).all()
        never = np.array([rate == 0 for rate in rates]) | (strategy == "none")
        assert (visible[:, never] == present[:, never]).all()


@pytest.mark.parametrize("prob", [0.3, 0.7, (0.1, 0.9, 0.4)])
def test_gate_proportional_hides_in_proportion_and_at_the_mean_rate(prob):
    hide = np.asarray(hiding_probability(WEIGHTS, PRESENT, strategy="gate_proportional", prob=jnp.array(prob), tau=0.4))
    rate = np.where(PRESENT, np.asarray(prob), 0.0)
    # Float32: sums of three numbers, and weights moved by a millionth.
    np.testing.assert_allclose(hide.sum(-1), rate.sum(-1), rtol=1e-4)
    for row, chance in zip(rate * np.asarray(WEIGHTS), hide, strict=True):
        free = (chance < 1) & (row > 0)
        np.testing.assert_allclose(chance[free] / row[free], (chance[free] / row[free]).max(initial=0), rtol=1e-4)
        assert ((chance[row > row[free].max(initial=np.inf)]) == 1).all()


@pytest.mark.parametrize(("prob", "least", "rates"), [(0.2, 1, None), (0.8, 2, None), (0.5, 1, True)])
def test_uniform_size_draws_every_size_alike_and_by_rates_within(prob, least, rates):
    """Sizes are uniform among the rows that take part; within a size the first hidden is drawn by the rates."""
    prob = jnp.array([0.2, 0.3, 1.0]) if rates else prob

    def draw(key):
        return sample_visible(WEIGHTS, PRESENT, key=key, strategy="uniform_size", prob=prob, tau=0.4, min_active=least)

    visible = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), DRAWS)))
    for row, present in enumerate(np.asarray(PRESENT)):
        count = present.sum()
        share = min(1.0, 2 * float(np.broadcast_to(prob, 3)[present].mean()))
        sizes = np.arange(min(least, count), count + 1)
        want = np.zeros(4)
        want[sizes] += share / len(sizes)
        want[count] += 1 - share
        found = np.bincount(visible[:, row].sum(-1), minlength=4) / DRAWS
        assert (np.abs(found - want) <= five_deviations(want)).all()
    one_hidden = visible[visible[:, 0].sum(-1) == 2, 0]
    odds = np.broadcast_to(np.asarray(prob), 3) / np.broadcast_to(np.asarray(prob), 3).sum()
    spread = 5 * np.sqrt(odds * (1 - odds) / len(one_hidden))
    assert (np.abs((~one_hidden).mean(0) - odds) <= spread).all()


@pytest.mark.parametrize("strategy", INDEPENDENT)
def test_rates_of_each_modality_scale_its_own_chance(strategy):
    rates, weights, present = jnp.array([0.1, 0.5, 0.9]), jnp.ones((1, 3)) / 3, jnp.ones((1, 3), bool)
    hide = hiding_probability(weights, present, strategy=strategy, prob=rates, tau=0.4)[0]
    if strategy != "none":
        # Float32 products.
        np.testing.assert_allclose(hide / hide[0], rates / rates[0], rtol=1e-4)


def test_min_active_gives_back_uniformly_and_no_more_than_is_lacking():
    def draw(key):
        return sample_visible(WEIGHTS, PRESENT, key=key, strategy="random", prob=1.0, tau=0.4, min_active=2)

    visible = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(3), DRAWS)))
    assert (visible.sum(-1) == np.minimum(np.asarray(PRESENT).sum(-1), 2)).all()
    rate = np.full(3, 2 / 3)
    assert (np.abs(visible[:, 0].mean(0) - rate) <= five_deviations(rate)).all()


def test_the_same_key_draws_the_same_mask_and_another_key_another():
    def draw(seed):
        present = jnp.ones((64, 3), bool)
        weights = jnp.ones((64, 3)) / 3
        key = jax.random.key(seed)
        return np.asarray(sample_visible(weights, present, key=key, strategy="random", prob=0.5, tau=0.4))

    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()


@pytest.mark.parametrize("strategy", INDEPENDENT)
def test_no_gradient_reaches_the_weights(strategy):
    def hidden(weights):
        return jnp.sum(hiding_probability(weights, PRESENT, strategy=strategy, prob=0.6, tau=0.4))

    assert (np.asarray(jax.grad(hidden)(WEIGHTS)) == 0).all()


def test_the_strategies_prefer_what_their_names_say():
    hide = {s: np.asarray(hiding_probability(WEIGHTS, PRESENT, strategy=s, prob=0.6, tau=0.4))[0] for s in INDEPENDENT}
    assert hide["entropy_min"][0] < hide["entropy_min"][1] < hide["entropy_min"][2]
    assert hide["entropy_max"][0] > hide["entropy_max"][1] > hide["entropy_max"][2]
    assert hide["gate_proportional"][0] > hide["gate_proportional"][1] > hide["gate_proportional"][2]
    assert hide["weighted_random"][0] < hide["weighted_random"][1] < hide["weighted_random"][2]


def test_an_unknown_strategy_or_rescue_is_refused():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="Did you mean `entropy_min`"):
        sample_visible(WEIGHTS, PRESENT, key=key, strategy="entropy_mim", prob=0.5, tau=0.4)
    with pytest.raises(InputError, match="`rescue` must be empty or every"):
        CurriculumMasker(strategy="random", prob_missing=0.5, rescue="some")
