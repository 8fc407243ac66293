"""The two views of a batch in training: everything that is present, and what the curriculum leaves visible."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.config import AECFConfig
from aecf_jax.losses import AECFLoss
from aecf_jax.nn import AECF
from aecf_jax.ops import is_on, renormalized
from aecf_jax.train._keys import StepKeys
from aecf_jax.train._masks import hides, visible_to_training
from aecf_jax.types import Batch, FusionOutput

_OWN_CHOICE = ("random", "uniform_size", "hardest", "exponentiated_gradient")
"""Strategies that do not read the gate's weights."""


class Views(NamedTuple):
    """What the model makes of a batch.

    Attributes:
        shared: what all views share: see `Fusion.shared`.
        visible: what the curriculum leaves visible; everything present, where it hides nothing.
        trained: the view of what is visible.
        full: the view of everything present, where that is another one and something reads it.
        draws: outputs of everything present under draws of dropout, where the entropy reward asks for them.
    """

    shared: Any
    visible: Bool[Array, "batch modality"]
    trained: FusionOutput
    full: FusionOutput | None
    draws: Float[Array, "draws batch classes"] | None = None


def training_views(
    variables: Any, batch: Batch, *, config: AECFConfig, progress: Float[Array, ""], keys: StepKeys,
    odds: Float[Array, "modality"] | None = None,
) -> Views:  # fmt: skip
    """Returns the views of a batch that the configuration asks for, encoded once.

    What is hidden is hidden from the gate too (`mask_gate_input`), as it will be where a modality is missing;
    otherwise the gate sees everything and its weights are multiplied afterwards, as in PyTorch.

    Args:
        variables: the model's parameters and constants.
        batch: rows.
        config: which views, and what is hidden how often.
        progress: how much of the training is done, in [0, 1].
        keys: of this step.
        odds: the state's, where the curriculum learns.
    """
    model = AECF(config)
    encoded = _apply(model, variables, batch.features, batch.present, method="encode", key=keys.encode)
    shared = _apply(model, variables, encoded, method="share", key=keys.experts)
    draws = dropout_draws(variables, batch, config=config, keys=keys) if _reads_draws(config) else None
    if not hides(config):
        trained = _apply(model, variables, shared, batch.present, method="fuse_shared", key=keys.full)
        return Views(shared, batch.present, trained, None, draws)
    full = None
    if _reads_full_view(config):
        full = _apply(model, variables, shared, batch.present, method="fuse_shared", key=keys.full)
    weights = renormalized(batch.present.astype(jnp.float32)) if full is None else full.weights

    def seen(visible: Bool[Array, "batch modality"]) -> FusionOutput:
        if config.mask_gate_input:
            return _apply(model, variables, shared, visible, method="fuse_shared", key=keys.hidden)
        left = renormalized(jnp.where(visible, weights, jnp.zeros_like(weights)))
        return _apply(model, variables, encoded, left, method="mix", key=keys.hidden)

    visible = visible_to_training(
        weights, batch.present, config=config, progress=progress, key=keys.curriculum, odds=odds,
        losses=lambda visible: lax.stop_gradient(AECFLoss(config).row_losses(seen(visible).output, batch.label)),
    )  # fmt: skip
    return Views(shared, visible, seen(visible), full, draws)


def alone_logits(
    variables: Any, shared: Any, present: Bool[Array, "batch modality"], *, config: AECFConfig, keys: StepKeys
) -> Float[Array, "modality batch classes"]:
    """Returns the output from each modality alone, from what the views share.

    Args:
        variables: the model's parameters and constants.
        shared: what the views of the batch share.
        present: what is present.
        config: the model's settings.
        keys: of this step.
    """
    model = AECF(config)

    def output(one: Bool[Array, "modality"]) -> Array:
        return _apply(model, variables, shared, present & one[None, :], method="fuse_shared", key=keys.alone).output

    return jax.vmap(output)(jnp.eye(present.shape[-1], dtype=bool))


def dropout_draws(
    variables: Any, batch: Batch, *, config: AECFConfig, keys: StepKeys
) -> Float[Array, "draws batch classes"]:
    """Returns outputs of everything present under draws of dropout, each its own, without gradient.

    Args:
        variables: the model's parameters and constants.
        batch: rows.
        config: how many draws, and the model's settings.
        keys: of this step.

    Source: Gal and Ghahramani 2016, Monte-Carlo dropout.
    """
    model, variables = AECF(config), lax.stop_gradient(variables)
    draws = jax.random.split(keys.uncertainty, config.entropy_instance_passes)

    def output(key: Key[Array, ""]) -> Array:
        return _apply(model, variables, batch.features, batch.present, method="__call__", key=key).output

    return jax.vmap(output)(draws)


def _reads_draws(config: AECFConfig) -> bool:
    """Returns whether the entropy reward asks for draws of dropout."""
    rewards = config.entropy_reg and is_on(config.entropy_max_coeff) and not config.separate_experts
    return rewards and config.entropy_instance in ("predictive", "mutual_information")


def _reads_full_view(config: AECFConfig) -> bool:
    """Returns whether anything reads the full view: an objective, or the choice or the use of what is hidden."""
    weights_read = config.masking_strategy not in _OWN_CHOICE or not config.mask_gate_input
    terms = (config.consistency_coeff, config.consistency_loss_coeff, config.confidence_coeff, config.unimodal_coeff)
    read = any(is_on(term) for term in terms) or config.entropy_instance == "output"
    return config.pair_training or read or weights_read


def _apply(model: AECF, variables: Any, *inputs: Any, method: str, key: Key[Array, ""]) -> Any:
    """Returns what one method of the model computes in training."""
    return model.apply(variables, *inputs, train=True, method=method, rngs={"dropout": key})
