"""The curriculum's masks: which of the present modalities stay visible, drawn by pure, keyed functions."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from aecf_jax.errors import nearest, require
from aecf_jax.ops._weights import masked_softmax, renormalized
from aecf_jax.types import Scalar

Rescue = Literal["empty", "every"]
Rate = Scalar | Float[Array, "modality"]
"""How often what is present is hidden: one probability, or one for each modality."""
STRATEGIES = (
    "none", "random", "weighted_random", "entropy_min", "entropy_max", "gate_proportional", "uniform_size",
)  # fmt: skip
"""Names that `sample_visible` knows."""
_LEAST = 1e-6


def sample_visible(
    weights: Float[Array, "batch modality"],
    present: Bool[Array, "batch modality"],
    *,
    key: Key[Array, ""],
    strategy: str,
    prob: Rate,
    tau: Scalar,
    rescue: Rescue = "empty",
    min_active: int = 1,
) -> Bool[Array, "batch modality"]:
    """Returns which present modalities stay visible; at least `min_active` of them, as far as a row has so many.

    Each present modality is hidden independently with `hiding_probability`; by uniform_size, a number of them that is
    itself drawn, see `uniform_sizes`. A row left with fewer than `min_active` gets others of its present modalities
    back, drawn uniformly. What is not present never becomes visible.

    Args:
        weights: the gate's weights, summing to 1 over what is present; read without gradient.
        present: True where the modality was observed.
        key: randomness of this draw.
        strategy: one of `STRATEGIES`.
        prob: base probability that a modality is hidden, in [0, 1]; one, or one for each modality.
        tau: temperature of the entropy strategies.
        rescue: which rows get a modality back: those left "empty", or "every" row.
        min_active: how many stay visible at least.

    Raises:
        InputError: if the strategy is unknown.

    Source: `CurriculumMasker` of the PyTorch generation. Differs: aware of what is present; there, one empty row in
    a batch gives every row of it a modality back (`rescue="every"`), so that the rate is below `prob`.
    """
    keys = jax.random.split(key)
    if strategy == "uniform_size":
        kept = uniform_sizes(present, key=keys[0], prob=prob, min_active=min_active)
    else:
        hide = hiding_probability(weights, present, strategy=strategy, prob=prob, tau=tau)
        kept = present & (jax.random.uniform(keys[0], present.shape) >= hide)
    chance = jax.random.uniform(keys[1], present.shape)
    if rescue == "every":
        kept = kept | _first(present, chance, 1)
    # Those kept come first, so that exactly as many come back as are lacking.
    return kept | _first(present, chance + kept, min_active)


def hiding_probability(
    weights: Float[Array, "batch modality"],
    present: Bool[Array, "batch modality"],
    *,
    strategy: str,
    prob: Rate,
    tau: Scalar,
) -> Float[Array, "batch modality"]:
    """Returns the probability that each modality is hidden, before a row left with too few gets some back.

    With weights w and base probability p: none 0; random p; weighted_random p(1 - w); entropy_min
    p softmax(-w / tau), so that what the gate neglects is hidden most; entropy_max p softmax(w / tau);
    gate_proportional min(1, s w), so that what the gate relies on is hidden most, with s such that the mean over what
    is present is that of p.

    Args:
        weights: the gate's weights, summing to 1 over what is present; read without gradient.
        present: True where the modality was observed; the softmax is over these.
        strategy: one of `STRATEGIES` other than uniform_size, which does not hide independently.
        prob: base probability p, in [0, 1]; one, or one for each modality, whose shares it then scales.
        tau: temperature of the entropy strategies.

    Raises:
        InputError: if the strategy is unknown.

    Source: `CurriculumMasker` of the PyTorch generation, the definition that is in force there; gate_proportional is
    of this library.
    """
    known = tuple(name for name in STRATEGIES if name != "uniform_size")
    require(strategy in known, "strategy", f"be one of {', '.join(known)}", strategy, nearest(strategy, known))
    weights = lax.stop_gradient(weights)
    rate = _rates(present, prob)
    share = {
        "none": lambda: jnp.zeros_like(weights),
        "random": lambda: jnp.ones_like(weights),
        "weighted_random": lambda: 1 - weights,
        "entropy_min": lambda: masked_softmax(-weights / tau, present),
        "entropy_max": lambda: masked_softmax(weights / tau, present),
        "gate_proportional": lambda: _proportional(weights, rate),
    }[strategy]()
    hide = share if strategy == "gate_proportional" else rate * share
    return jnp.where(present, hide, jnp.zeros_like(hide))


def uniform_sizes(
    present: Bool[Array, "batch modality"], *, key: Key[Array, ""], prob: Rate, min_active: int = 1
) -> Bool[Array, "batch modality"]:
    """Returns which present modalities stay visible where their number is uniform, and not binomial as by chance.

    A share min(1, 2p) of the rows takes part: all of them from p = 0.5 on. Of these, each number from `min_active` to
    all that are present is equally likely to stay. Which ones are hidden follows the rates: the next one hidden is m
    with a probability proportional to p_m; with one rate for all, every subset of a size is equally likely.

    Args:
        present: True where the modality was observed.
        key: randomness of this draw.
        prob: p in [0, 1], one, or one for each modality, whose mean over what is present then is p.
        min_active: how many stay visible at least.

    Source: subset sizes as in Shapley values, which weigh every size alike; the order is Gumbel's top k, Kool et al.
    2019.
    """
    rate = _rates(present, prob)
    takes_part_key, size_key, order_key = jax.random.split(key, 3)
    count = jnp.sum(present, axis=-1)
    mean = jnp.sum(rate, axis=-1) / jnp.maximum(count, 1)
    takes_part = jax.random.uniform(takes_part_key, count.shape) < 2 * mean
    # Whole numbers below most + 1, each as likely.
    most = jnp.maximum(jnp.minimum(count - min_active, jnp.sum(rate > 0, axis=-1)), 0)
    hidden = jnp.floor(jax.random.uniform(size_key, count.shape) * (most + 1)).astype(count.dtype)
    score = jnp.log(jnp.maximum(rate, _LEAST)) + jax.random.gumbel(order_key, present.shape)
    position = _positions(jnp.where(rate > 0, score, -jnp.inf))
    return present & (position >= jnp.where(takes_part, jnp.minimum(hidden, most), 0)[:, None])


def _rates(present: Bool[Array, "batch modality"], prob: Rate) -> Float[Array, "batch modality"]:
    """Returns the base probability of every modality of every row, 0 where it is absent."""
    rate = jnp.broadcast_to(jnp.asarray(prob, jnp.float32), present.shape[-1:])
    return jnp.where(present, rate[None, :], 0.0)


def _proportional(
    weights: Float[Array, "batch modality"], rate: Float[Array, "batch modality"]
) -> Float[Array, "batch modality"]:
    """Returns min(1, s v), v the products of weight and rate, with s such that each row sums to the sum of its rates.

    With the v in falling order, s = (sum of rates - j) / (sum of all but the j largest) for the smallest j at which
    all but the j largest come out at 1 or less.
    """
    total = jnp.sum(rate, axis=-1, keepdims=True)
    # A weight that rounds to 0 may have to be hidden all the same, once the others are.
    share = renormalized((weights + _LEAST) * rate)
    falling = -jnp.sort(-share, axis=-1)
    left = jnp.maximum(jnp.cumsum(falling[:, ::-1], axis=-1)[:, ::-1], 1e-30)
    scale = jnp.maximum(total - jnp.arange(rate.shape[-1])[None, :], 0.0) / left
    # Float32: what should be 1 must not be taken for more.
    fits = scale * falling <= 1 + 1e-5
    best = jnp.take_along_axis(scale, jnp.argmax(fits, axis=-1, keepdims=True), axis=-1)
    return jnp.minimum(best * share, 1.0)


def _first(
    present: Bool[Array, "batch modality"], score: Float[Array, "batch modality"], count: int
) -> Bool[Array, "batch modality"]:
    """Returns the present modalities with the largest scores, which are at least 0; so many of each row, if it can."""
    score = jnp.where(present, score, -1.0)
    if count == 1:
        return present & (jnp.arange(present.shape[-1])[None, :] == jnp.argmax(score, axis=-1, keepdims=True))
    return present & (_positions(score) < count)


def _positions(score: Float[Array, "batch modality"]) -> Int[Array, "batch modality"]:
    """Returns the place of every score of a row in falling order, from 0."""
    index = jnp.arange(score.shape[-1])
    one, other = score[:, :, None], score[:, None, :]
    # Among equal ones the first comes first.
    before = (other > one) | ((other == one) & (index[None, None, :] < index[None, :, None]))
    return jnp.sum(before, axis=-1)
