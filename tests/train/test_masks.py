"""Masks that follow losses: the hardest of several draws, and the exponentiated gradient, against loops by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.ops import sample_visible
from aecf_jax.train._masks import hardship, hiding_shares, odds_after, visible_to_training
from tests.train.small import small_config

SEED = 4
PRESENT = jnp.asarray(np.random.default_rng(0).random((64, 3)) < 0.8)
WEIGHTS = jnp.where(PRESENT, 1 / 3, 0.0)


def drawn(strategy, losses, odds=None, **changes):
    config = small_config(masking_strategy=strategy, masking_ramp=0.0, **changes)
    return visible_to_training(
        WEIGHTS, PRESENT, config=config, progress=jnp.asarray(1.0), key=jax.random.key(SEED), losses=losses, odds=odds
    )


def no_losses(visible):
    raise AssertionError


def test_hardest_is_the_draw_with_the_largest_loss_of_each_row():
    cost = jnp.array([1.0, 2.5, 0.3])

    def losses(visible):
        return -jnp.sum(visible * cost[None, :], axis=-1)

    found = drawn("hardest", losses, masking_draws=5)
    draws = [
        sample_visible(WEIGHTS, PRESENT, key=key, strategy="random", prob=0.5, tau=0.4)
        for key in jax.random.split(jax.random.key(SEED), 5)
    ]
    worst = np.argmax([losses(draw) for draw in draws], axis=0)
    np.testing.assert_array_equal(found, np.stack(draws)[worst, np.arange(64)])
    assert len(set(worst.tolist())) > 1
    assert not bool(jnp.any(found & ~PRESENT))


def test_hardship_is_the_mean_of_rows_without_a_modality_less_that_of_all():
    rng = np.random.default_rng(1)
    losses, visible = jnp.asarray(rng.random(64), jnp.float32), np.asarray(PRESENT) & (rng.random((64, 3)) < 0.5)
    visible[:, 2] = np.asarray(PRESENT)[:, 2]
    hidden = np.asarray(PRESENT) & ~visible
    want = [np.asarray(losses)[hidden[:, m]].mean() - losses.mean() for m in range(2)]
    # Float32 means of 64 numbers.
    np.testing.assert_allclose(hardship(losses, PRESENT, jnp.asarray(visible)), [*want, 0.0], rtol=1e-4, atol=1e-6)


def test_a_step_multiplies_shares_and_no_share_vanishes():
    odds, costs = jnp.array([0.3, -0.3, 0.0]), jnp.array([0.5, -1.0, 0.2])
    share = np.exp(np.asarray(odds)) * np.exp(2.0 * np.asarray(costs))
    want = 0.9 * share / share.sum() + 0.1 / 3
    # Float32 exponentials.
    np.testing.assert_allclose(hiding_shares(odds_after(odds, costs, step=2.0)), want, rtol=1e-5)
    assert float(hiding_shares(jnp.array([0.0, -1e4, 1e4])).min()) > 0.03


def test_exponentiated_gradient_hides_by_the_odds_at_the_mean_rate():
    odds = jnp.array([2.0, 0.0, -2.0])
    visible, present = np.asarray(drawn("exponentiated_gradient", no_losses, odds=odds)), np.asarray(PRESENT)
    hidden = (present & ~visible).sum(0) / present.sum(0)
    assert hidden[0] > hidden[1] > hidden[2]


def test_fault_states_without_odds_are_refused():
    with pytest.raises(InputError, match="`odds` must be part of the state where masking_strategy is exponentiated"):
        drawn("exponentiated_gradient", no_losses)
