"""An attention pool with the query that it learns."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.errors import require
from aecf_jax.nn._attention import AttentionInfo, MultimodalAttentionPool
from aecf_jax.nn._curriculum import CurriculumMasking
from aecf_jax.nn._parameter import parameter


class FusionPool(nn.Module):
    """A pool together with the one query that it learns: the modalities of a row in, one embedding out.

    Attributes:
        pool: of which the query has the width.

    Source: `create_fusion_pool` of the PyTorch layer, which returns the two apart.
    """

    pool: MultimodalAttentionPool

    def setup(self) -> None:
        """Names the query."""
        width = self.pool.embed_dim
        start = nn.initializers.normal(math.sqrt(2.0 / width))
        self.fusion_query = parameter(self, "fusion_query", start, (1, 1, width))

    def __call__(
        self, modalities: Float[Array, "batch entries embed"],
        key_padding_mask: Bool[Array, "batch entries"] | None = None, *, train: bool = False,
    ) -> tuple[Float[Array, "batch embed"], AttentionInfo]:  # fmt: skip
        """Returns one embedding a row, and what happened.

        Args:
            modalities: embeddings.
            key_padding_mask: True where a modality is missing; None: nowhere.
            train: as of the pool.
        """
        output, info = self.pool(self.fusion_query, modalities, key_padding_mask=key_padding_mask, train=train)
        return output[:, 0], info

    def scores(self, modalities: Float[Array, "batch entries embed"]) -> Float[Array, "batch heads entries"]:
        """Returns the scores of every modality, which do not depend on what else is there.

        Args:
            modalities: embeddings, finite.
        """
        absorbed = self.pool.absorbed(self.fusion_query)[0, :, 0]
        return jnp.einsum("bme,he->bhm", modalities.astype(self.pool.dtype), absorbed).astype(jnp.float32)

    def projected(self, modalities: Float[Array, "batch entries embed"]) -> Float[Array, "batch entries heads head"]:
        """Returns what every head mixes, which does not depend on what else is there.

        Args:
            modalities: embeddings, finite.
        """
        return self.pool.projected(modalities)

    def joined(
        self, projected: Float[Array, "batch entries heads head"], weights: Float[Array, "batch heads entries"]
    ) -> Float[Array, "batch embed"]:
        """Returns one embedding a row from given weights.

        Args:
            projected: as `projected` returns it.
            weights: of every head.
        """
        return self.pool.joined(projected, weights[:, :, None, :])[:, 0]


def create_fusion_pool(embed_dim: int, num_modalities: int, mask_prob: float = 0.15, **kwargs: Any) -> FusionPool:
    """Returns a new pool with its query, and a curriculum.

    Args:
        embed_dim: width of every modality's embedding.
        num_modalities: how many there are; checked, and not kept: a pool takes any number.
        mask_prob: the curriculum's base probability, in [0, 1].
        **kwargs: further attributes of `MultimodalAttentionPool`.

    Raises:
        InputError: if a value is outside its range.

    >>> pool = create_fusion_pool(embed_dim=512, num_modalities=3, num_heads=8)
    >>> pool.pool.num_heads, pool.pool.curriculum_masking.base_mask_prob
    (8, 0.15)
    """
    require(num_modalities > 0, "num_modalities", "be positive", num_modalities)
    kwargs = {"curriculum_masking": CurriculumMasking(base_mask_prob=mask_prob)} | kwargs
    return FusionPool(MultimodalAttentionPool(embed_dim, **kwargs))
