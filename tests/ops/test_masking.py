"""The curriculum's masks: frequencies against exact probabilities, and what must hold in every draw."""

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
from aecf_jax.ops import STRATEGIES, hiding_probability, sample_visible

WEIGHTS = jnp.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
PRESENT = jnp.array([[True, True, True], [True, True, True], [False, True, True], [False, True, False]])
DRAWS = 20_000


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
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rates_equal_the_enumerated_ones(strategy, rescue):
    hide = np.asarray(hiding_probability(WEIGHTS, PRESENT, strategy=strategy, prob=0.6, tau=0.4))
    want = np.stack([exact_rate(h, p, rescue) for h, p in zip(hide, np.asarray(PRESENT), strict=True)])
    # Five standard deviations of a frequency over DRAWS draws, for 12 frequencies each.
    tolerance = 5 * np.sqrt(np.maximum(want * (1 - want), 1e-12) / DRAWS) + 1e-6
    assert (np.abs(visible_rate(strategy, 0.6, rescue) - want) <= tolerance).all()


@given(hnp.arrays(bool, (8, 3)), st.integers(0, 1000), st.sampled_from(STRATEGIES), st.sampled_from([0.0, 0.5, 1.0]))
def test_never_hides_everything_and_never_shows_what_is_absent(present, seed, strategy, prob):
    weights = jnp.where(jnp.asarray(present), 1 / 3, 0.0)
    visible = np.asarray(
        sample_visible(weights, jnp.asarray(present), key=jax.random.key(seed), strategy=strategy, prob=prob, tau=0.4)
    )
    assert not (visible & ~present).any()
    assert (visible.any(-1) == present.any(-1)).all()
    if prob == 0.0 or strategy == "none":
        assert (visible == present).all()


def test_the_same_key_draws_the_same_mask_and_another_key_another():
    def draw(seed):
        present = jnp.ones((64, 3), bool)
        weights = jnp.ones((64, 3)) / 3
        key = jax.random.key(seed)
        return np.asarray(sample_visible(weights, present, key=key, strategy="random", prob=0.5, tau=0.4))

    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_gradient_reaches_the_weights(strategy):
    def hidden(weights):
        return jnp.sum(hiding_probability(weights, PRESENT, strategy=strategy, prob=0.6, tau=0.4))

    assert (np.asarray(jax.grad(hidden)(WEIGHTS)) == 0).all()


def test_the_strategies_prefer_what_their_names_say():
    hide = {s: np.asarray(hiding_probability(WEIGHTS, PRESENT, strategy=s, prob=0.6, tau=0.4))[0] for s in STRATEGIES}
    assert hide["entropy_min"][0] < hide["entropy_min"][1] < hide["entropy_min"][2]
    assert hide["entropy_max"][0] > hide["entropy_max"][1] > hide["entropy_max"][2]
    assert hide["weighted_random"][0] < hide["weighted_random"][1] < hide["weighted_random"][2]


def test_an_unknown_strategy_or_rescue_is_refused():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="Did you mean `entropy_min`"):
        sample_visible(WEIGHTS, PRESENT, key=key, strategy="entropy_mim", prob=0.5, tau=0.4)
    with pytest.raises(InputError, match="`rescue` must be empty or every"):
        CurriculumMasker(strategy="random", prob_missing=0.5, rescue="some")
