"""The keys of training steps, by what they are for."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Int, Key

from aecf_jax.rng import Stream, hashed_key, stream_key


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
    encode, full, hidden, alone = jax.random.split(stream_key(root, Stream.DROPOUT, step), 4)
    return StepKeys(
        encode=encode,
        full=full,
        hidden=hidden,
        alone=alone,
        experts=stream_key(root, Stream.EXPERTS, step),
        curriculum=stream_key(root, Stream.CURRICULUM, step),
        uncertainty=stream_key(root, Stream.UNCERTAINTY, step),
    )
