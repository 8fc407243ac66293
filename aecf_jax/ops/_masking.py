"""The curriculum's masks: which of the present modalities stay visible, drawn by pure, keyed functions."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.errors import nearest, require
from aecf_jax.ops._weights import masked_softmax
from aecf_jax.types import Scalar

Rescue = Literal["empty", "every"]
STRATEGIES = ("none", "random", "weighted_random", "entropy_min", "entropy_max")
"""Names that `sample_visible` knows."""


def sample_visible(
    weights: Float[Array, "batch modality"],
    present: Bool[Array, "batch modality"],
    *,
    key: Key[Array, ""],
    strategy: str,
    prob: Scalar,
    tau: Scalar,
    rescue: Rescue = "empty",
) -> Bool[Array, "batch modality"]:
    """Returns which present modalities stay visible; a row that has something present keeps at least one of it.

    Each present modality is hidden independently with `hiding_probability`. A row left with nothing gets one of its
    present modalities back, drawn uniformly.

    Args:
        weights: the gate's weights, summing to 1 over what is present; read without gradient.
        present: True where the modality was observed.
        key: randomness of this draw.
        strategy: one of `STRATEGIES`.
        prob: base probability that a modality is hidden, in [0, 1].
        tau: temperature of the entropy strategies.
        rescue: which rows get a modality back: those left "empty", or "every" row.

    Raises:
        InputError: if the strategy is unknown.

    Source: `CurriculumMasker` of the PyTorch generation. Differs: aware of what is present; there, one empty row in
    a batch gives every row of it a modality back (`rescue="every"`), so that the rate is below `prob`.
    """
    hide = hiding_probability(weights, present, strategy=strategy, prob=prob, tau=tau)
    draw_key, rescue_key = jax.random.split(key)
    kept = present & (jax.random.uniform(draw_key, present.shape) >= hide)
    one = _one_of(present, key=rescue_key)
    return kept | one if rescue == "every" else jnp.where(jnp.any(kept, axis=-1, keepdims=True), kept, one)


def hiding_probability(
    weights: Float[Array, "batch modality"],
    present: Bool[Array, "batch modality"],
    *,
    strategy: str,
    prob: Scalar,
    tau: Scalar,
) -> Float[Array, "batch modality"]:
    """Returns the probability that each modality is hidden, before a row left empty gets one back.

    With weights w and base probability p: none 0; random p; weighted_random p(1 - w); entropy_min
    p softmax(-w / tau), so that what the gate neglects is hidden most; entropy_max p softmax(w / tau).

    Args:
        weights: the gate's weights, summing to 1 over what is present; read without gradient.
        present: True where the modality was observed; the softmax is over these.
        strategy: one of `STRATEGIES`.
        prob: base probability p, in [0, 1].
        tau: temperature of the entropy strategies.

    Raises:
        InputError: if the strategy is unknown.

    Source: `CurriculumMasker` of the PyTorch generation, the definition that is in force there.
    """
    require(strategy in STRATEGIES, "strategy", f"be one of {', '.join(STRATEGIES)}", strategy,
            nearest(strategy, STRATEGIES))  # fmt: skip
    weights = lax.stop_gradient(weights)
    share = {
        "none": lambda: jnp.zeros_like(weights),
        "random": lambda: jnp.ones_like(weights),
        "weighted_random": lambda: 1 - weights,
        "entropy_min": lambda: masked_softmax(-weights / tau, present),
        "entropy_max": lambda: masked_softmax(weights / tau, present),
    }[strategy]()
    return jnp.where(present, prob * share, jnp.zeros_like(share))


def _one_of(present: Bool[Array, "batch modality"], *, key: Key[Array, ""]) -> Bool[Array, "batch modality"]:
    """Returns one present modality of each row, drawn uniformly, or none where none is present."""
    score = jnp.where(present, jax.random.uniform(key, present.shape), -1.0)
    first = jnp.argmax(score, axis=-1, keepdims=True)
    return present & (jnp.arange(present.shape[-1])[None, :] == first)
