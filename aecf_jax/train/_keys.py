"""The keys of training steps, by what they are for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aecf_jax.rng import Stream

_STREAMS = (Stream.DROPOUT, Stream.EXPERTS, Stream.CURRICULUM, Stream.UNCERTAINTY)
_DROPOUT = 4


class StepKeys(NamedTuple):
    """The keys of one step, or of several: then each has their axis.

    Attributes:
        encode: of dropout in the encoders.
        full: of dropout in the view of everything present.
        hidden: of dropout in the view of what the curriculum leaves visible.
        alone: of dropout in the views of one modality each.
        experts: of dropout in the experts.
        curriculum: of what is hidden.
        uncertainty: of the draws of dropout that the entropy reward asks for.
    """

    encode: Key[Array, "*steps"]
    full: Key[Array, "*steps"]
    hidden: Key[Array, "*steps"]
    alone: Key[Array, "*steps"]
    experts: Key[Array, "*steps"]
    curriculum: Key[Array, "*steps"]
    uncertainty: Key[Array, "*steps"]


def step_keys(root: Key[Array, ""], step: Int[Array, "*steps"]) -> StepKeys:
    """Returns the keys of steps: those of `stream_key`, with dropout's split in four.

    All at once: each of the three programs that this takes, of a few numbers each, would otherwise be compiled for
    every stream, and run in every step.

    Args:
        root: the run's key.
        step: steps done before it; one, or those of a chunk.
    """
    streams = jax.vmap(jax.random.fold_in, (None, 0))(root, jnp.asarray(_STREAMS, jnp.uint32))
    over_steps = jax.vmap(jax.random.fold_in, (None, 0))
    dropout, *others = jax.vmap(over_steps, (0, None))(streams, step.reshape(-1))
    parts = jax.vmap(lambda key: jax.random.split(key, _DROPOUT))(dropout)
    of_dropout = [parts[:, index] for index in range(_DROPOUT)]
    return StepKeys(*(keys.reshape(step.shape) for keys in (*of_dropout, *others)))
