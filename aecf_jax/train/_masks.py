"""What the curriculum hides from a batch, by the configuration: drawn, chosen by loss, or learnt."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax, nn
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError, message
from aecf_jax.ops import Rate, is_on, linear_ramp, renormalized, sample_visible
from aecf_jax.types import Scalar

_EXPLORED = 0.1  # Share of the hiding that stays uniform, so that no modality is never hidden.

Visible = Bool[Array, "batch modality"]


def hides(config: AECFConfig) -> bool:
    """Returns whether the curriculum can hide anything; experts that are trained separately see one modality each."""
    if config.separate_experts or not config.curriculum_mask or config.masking_strategy == "none":
        return False
    return max(config.masking_rates) > 0 if config.masking_rates else is_on(config.masking_prob)


def final_rate(config: AECFConfig) -> Rate:
    """Returns how often the curriculum hides once it has risen: one probability, or one for each modality."""
    return jnp.asarray(config.masking_rates, jnp.float32) if config.masking_rates else config.masking_prob


def visible_to_training(
    weights: Float[Array, "batch modality"], present: Visible, *, config: AECFConfig, progress: Float[Array, ""],
    key: Key[Array, ""], losses: Callable[[Visible], Float[Array, "batch"]],
    odds: Float[Array, "modality"] | None = None,
) -> Visible:  # fmt: skip
    """Returns what the curriculum leaves visible of a batch.

    By hardest, of `masking_draws` draws at random the one under which the row costs most; by exponentiated_gradient,
    each modality in proportion to what `odds` say, at the mean rate of the curriculum.

    Args:
        weights: the gate's weights of everything present; read without gradient.
        present: what is present.
        config: the strategy and its rates.
        progress: how much of the training is done, in [0, 1].
        key: randomness of this draw.
        losses: every row's loss where so much is visible; called by the hardest strategy alone.
        odds: the state's, where the curriculum learns.

    Source: hardest: online hard example mining, Shrivastava et al. 2016, over masks of one row.
    """
    strategy, weights = config.masking_strategy, lax.stop_gradient(weights)
    if strategy == "exponentiated_gradient":
        if odds is None:
            rule = "be part of the state where masking_strategy is exponentiated_gradient"
            raise InputError(message("odds", rule, None, "Give init_state the configuration."))
        weights = renormalized(jnp.where(present, hiding_shares(odds)[None, :], 0.0))
    drawn_by = {"exponentiated_gradient": "gate_proportional", "hardest": "random"}.get(strategy, strategy)

    def draw(key: Key[Array, ""]) -> Visible:
        return sample_visible(
            weights, present, key=key, strategy=drawn_by, tau=config.masking_tau, rescue=config.masking_rescue,
            prob=final_rate(config) * linear_ramp(progress, config.masking_ramp), min_active=config.masking_min_active,
        )  # fmt: skip

    if strategy != "hardest":
        return draw(key)
    draws = jax.vmap(draw)(jax.random.split(key, config.masking_draws))
    worst = jnp.argmax(jax.vmap(losses)(draws), axis=0)
    return jnp.take_along_axis(draws, worst[None, :, None], axis=0)[0]


def hiding_shares(odds: Float[Array, "modality"]) -> Float[Array, "modality"]:
    """Returns each modality's share of the hiding, summing to 1: a tenth of it alike, the rest by the odds.

    Args:
        odds: logarithms of how much rather each modality is hidden.

    >>> import jax.numpy as jnp
    >>> hiding_shares(jnp.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return (1 - _EXPLORED) * nn.softmax(odds) + _EXPLORED / odds.shape[0]


def hardship(losses: Float[Array, "batch"], present: Visible, visible: Visible) -> Float[Array, "modality"]:
    """Returns by how much the rows in which a modality is hidden cost more than all rows; 0 where it is never hidden.

    Args:
        losses: of every row, from what is visible.
        present: what is present.
        visible: what is visible of it.
    """
    hidden = present & ~visible
    count = jnp.sum(hidden, axis=0)
    mean = jnp.einsum("b,bm->m", losses, hidden.astype(losses.dtype)) / jnp.maximum(count, 1)
    return jnp.where(count > 0, mean - jnp.mean(losses), 0.0)


def odds_after(
    odds: Float[Array, "modality"], costs: Float[Array, "modality"], *, step: Scalar
) -> Float[Array, "modality"]:
    """Returns the odds after one exponentiated-gradient step: those whose absence costs more rise.

    odds + step costs, less their mean, which shares do not know: multiplying shares by exp(step costs).

    Args:
        odds: logarithms of how much rather each modality is hidden.
        costs: from `hardship`.
        step: how far to go.

    Source: Kivinen and Warmuth 1997; the uniform part of `hiding_shares` as in Auer et al. 2002 (Exp3).
    """
    moved = odds + step * costs
    return moved - jnp.mean(moved)
