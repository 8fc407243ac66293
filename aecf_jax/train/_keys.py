"""The keys of training steps, by what they are for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aecf_jax.rng import Stream, hashed_key, made_once

_STREAMS = (Stream.DROPOUT, Stream.EXPERTS, Stream.CURRICULUM, Stream.UNCERTAINTY)


class StepKeys(NamedTuple):
    """The keys of one step.

    Attributes:
        encode: of dropout in the encoders.
        full: of dropout in the view of everything present.
        hidden: of dropout in the view of what the curriculum leaves visible.
        alone: of dropout in the views of one modality each.
        experts: of dropout in the experts.
        curriculum: of what is hidden.
        uncertainty: of the draws of dropout that the entropy reward asks for.
    """

    encode: Key[Array, ""]
    full: Key[Array, ""]
    hidden: Key[Array, ""]
    alone: Key[Array, ""]
    experts: Key[Array, ""]
    curriculum: Key[Array, ""]
    uncertainty: Key[Array, ""]


def step_keys(root: Key[Array, ""], step: Int[Array, ""]) -> StepKeys:
    """Returns the keys of a step: those of `stream_key`, with dropout's split in four.

    Args:
        root: the run's key.
        step: steps done before it.
    """
    root = hashed_key(root)

    def at_step(stream: Int[Array, ""]) -> Key[Array, ""]:
        return jax.random.fold_in(jax.random.fold_in(root, stream), step)

    dropout, experts, curriculum, uncertainty = made_once(jax.vmap(at_step)(jnp.array(_STREAMS)))
    encode, full, hidden, alone = made_once(jax.random.split(dropout, 4))
    return StepKeys(encode, full, hidden, alone, experts, curriculum, uncertainty)
