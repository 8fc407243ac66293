"""Fusions: embeddings of the modalities, some of them absent, to one prediction; all behind one interface.

A fusion is a linen module made from a configuration. `shared(encoded)` is what does not depend on which modalities are
seen, computed once for all views of a batch and for all subsets; calling the fusion with it and with what is present
gives the prediction. An embedding of an absent modality may hold anything finite: a fusion never lets it through.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._attention_fusion import AttentionFusion
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._gate import AdaptiveGate
from aecf_jax.nn._heads import OutputHeadFactory
from aecf_jax.ops import gate_entropy, renormalized
from aecf_jax.types import FusionOutput


class Fusion(Protocol):
    """What every fusion can do."""

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False
    ) -> Any:
        """Returns what all subsets of the modalities have in common, as any tree of arrays.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present: log frequencies, log odds or means.
            train: whether dropout acts.
        """
        ...

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present."""
        ...


class GatedFusion(nn.Module):
    """A gate weighs what is present; the head predicts from the weighted mean of the embeddings.

    Attributes:
        config: all settings.

    Source: `AECFCore` of the PyTorch generation. Differs: aware of what is present.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the parts."""
        config = self.config
        dtype = compute_dtype(config)
        if not config.gate_disabled:
            self.gate = AdaptiveGate(
                input_dim=len(config.modalities) * config.embed_width,
                num_modalities=len(config.modalities),
                hidden_dims=config.gate_hidden_dims,
                use_softmax=config.gate_use_softmax,
                learnable_temp=config.gate_learnable_temp,
                init_temp=config.gate_init_temp,
                min_temp=config.gate_min_temp,
                dropout=config.gate_dropout,
                dtype=dtype,
            )
        self.head = OutputHeadFactory.create_head(
            config.task_type, config.embed_width, config.num_classes,
            hidden_dims=config.head_hidden_dims, dropout=config.head_dropout, dtype=dtype,
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False
    ) -> Any:
        """Returns the embeddings.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
        """
        del prior, train
        return encoded

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction; what `present` leaves out is hidden from the gate as well.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        encoded = jnp.where(present[..., None], shared, jnp.zeros_like(shared))
        if self.config.gate_disabled:
            weights = renormalized(present.astype(jnp.float32))
        else:
            weights = self.gate(encoded.reshape(encoded.shape[0], -1), present, train=train).weights
        return self.mix(encoded, weights, train=train)

    def mix(
        self, encoded: Float[Array, "batch modality embed"], weights: Float[Array, "batch modality"], *,
        train: bool = False,
    ) -> FusionOutput:  # fmt: skip
        """Returns the prediction from embeddings and given weights.

        Args:
            encoded: embeddings of every modality, finite.
            weights: summing to 1, or all 0 where nothing is present.
            train: whether dropout acts.
        """
        fused = jnp.einsum("bm,bme->be", weights, encoded)
        output = self.head(fused, train=train)
        return FusionOutput(output=output, weights=weights, entropy=gate_entropy(weights), fused=fused)


FUSIONS: Mapping[str, type[nn.Module]] = {"aecf": GatedFusion, "attention": AttentionFusion}
"""Fusions by the name that `AECFConfig.fusion` gives them."""


def make_fusion(config: AECFConfig) -> Any:
    """Returns a new fusion.

    Args:
        config: all settings.

    >>> make_fusion(AECFConfig()).config.fusion
    'aecf'
    """
    return FUSIONS[config.fusion](config)  # pyright: ignore[reportCallIssue]
