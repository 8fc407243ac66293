"""What a checkpoint is judged by: the task's loss with everything present, and with some of it hidden."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.config import AECFConfig
from aecf_jax.losses import AECFLoss
from aecf_jax.nn import AECF
from aecf_jax.ops import renormalized, sample_visible
from aecf_jax.rng import Stream, stream_key
from aecf_jax.train._compiled import compiled
from aecf_jax.train._masks import final_rate
from aecf_jax.train._programs import Numbers, numbers, program_config, with_numbers
from aecf_jax.types import Batch, FusionOutput


@struct.dataclass
class ValidationInfo:
    """What validation computes of a block of rows.

    Attributes:
        full: the model's output with everything that is present.
        full_loss: the task's loss of `full`, mean over the rows.
        hidden_loss: the task's loss with the fixed pattern hidden.
    """

    full: FusionOutput
    full_loss: Float[Array, ""]
    hidden_loss: Float[Array, ""]


def hidden_pattern(
    present: Bool[Array | np.ndarray, "rows modality"], *, config: AECFConfig, root: Key[Array, ""]
) -> Bool[Array, "rows modality"]:
    """Returns what validation leaves visible, drawn once for a run: each modality hidden by chance, as in training.

    The same at every validation, so that losses can be compared; everything, where the curriculum hides nothing.

    Args:
        present: what the validation rows have.
        config: the curriculum's probability.
        root: the run's key.
    """
    return _pattern(present, root, numbers(config), config=program_config(config))


@compiled(static_argnames="config")
def _pattern(present: Array, root: Key[Array, ""], values: Numbers, *, config: AECFConfig) -> Array:
    """What configurations that differ in numbers alone share."""
    config = with_numbers(config, values)
    acts = config.curriculum_mask and config.masking_strategy != "none"
    weights = renormalized(present.astype(jnp.float32))
    key = stream_key(root, Stream.VALIDATION)
    return sample_visible(
        weights, present, key=key, strategy="random" if acts else "none", prob=final_rate(config),
        tau=config.masking_tau, min_active=config.masking_min_active,
    )  # fmt: skip


def validation_step(
    variables: Any, batch: Batch, visible: Bool[Array, "batch modality"], *, config: AECFConfig
) -> ValidationInfo:
    """Returns output and losses of a block of validation rows.

    Args:
        variables: the model's parameters and constants.
        batch: the rows.
        visible: their part of `hidden_pattern`.
        config: all settings.
    """
    return _compiled(variables, batch, visible, numbers(config), config=program_config(config))


@compiled(static_argnames="config")
def _compiled(variables: Any, batch: Batch, visible: Array, values: Numbers, *, config: AECFConfig) -> ValidationInfo:
    """What configurations that differ in numbers alone share."""
    return validation_info(variables, batch, visible, config=with_numbers(config, values))


def validation_info(
    variables: Any, batch: Batch, visible: Bool[Array, "batch modality"], *, config: AECFConfig
) -> ValidationInfo:
    """Returns what `validation_step` does, for use inside a compiled program.

    Args:
        variables: the model's parameters and constants.
        batch: the rows.
        visible: their part of `hidden_pattern`.
        config: all settings.
    """
    model, loss_fn = AECF(config), AECFLoss(config)
    encoded = model.apply(variables, batch.features, batch.present, method="encode")
    shared = model.apply(variables, encoded, method="share", views=2)
    full: Any = model.apply(variables, shared, batch.present, method="fuse_shared")
    hidden: Any = model.apply(variables, shared, visible, method="fuse_shared")
    losses = [loss_fn.task_loss(view.output, batch.label) for view in (full, hidden)]
    return ValidationInfo(full=full, full_loss=losses[0], hidden_loss=losses[1])
