"""Fusion by attention: one learned query looks at what is present, in several heads."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._attention import MultimodalAttentionPool
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._fusion_pool import FusionPool
from aecf_jax.nn._heads import OutputHeadFactory
from aecf_jax.ops import gate_entropy, masked_softmax
from aecf_jax.types import FusionOutput


class AttentionFusion(nn.Module):
    """An attention pool weighs what is present, in every head by itself; the head predicts from what it mixed.

    The model's curriculum hides modalities before they are mixed, as it does for every fusion; the weights that are
    returned are means over the heads.

    Attributes:
        config: all settings.

    Source: `MultimodalAttentionPool` of the PyTorch layer, with its learned query.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the parts."""
        config, dtype = self.config, compute_dtype(self.config)
        self.pool = FusionPool(MultimodalAttentionPool(config.embed_width, config.attention_heads, dtype=dtype))
        self.head = OutputHeadFactory.create_head(
            config.task_type, config.embed_width, config.num_classes,
            hidden_dims=config.head_hidden_dims, dropout=config.head_dropout, dtype=dtype,
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Any:  # fmt: skip
        """Returns what every head mixes, and the scores: neither depends on what else is present.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: not used.
        """
        del prior, train, views
        return self.pool.projected(encoded), self.pool.scores(encoded)

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction; what `present` leaves out has weight 0 in every head.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        projected, scores = shared
        by_head = masked_softmax(scores, jnp.broadcast_to(present[:, None, :], scores.shape))
        fused = self.pool.joined(projected, by_head)
        weights = jnp.mean(by_head, axis=1)
        output = self.head(fused, train=train)
        return FusionOutput(output=output, weights=weights, entropy=gate_entropy(weights), fused=fused)
