"""Fusions that mix embeddings before they predict: concatenation, mean, low-rank tensor, transformer."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._heads import OutputHeadFactory
from aecf_jax.nn._mlp import MLP
from aecf_jax.nn._split import SplitHead
from aecf_jax.ops import gate_entropy, renormalized
from aecf_jax.types import FusionOutput

_RANK = 8
_HEADS = 4


class _Joint(nn.Module):
    """What these fusions share: their configuration, a head, and equal weights, since they have no gate.

    Attributes:
        config: all settings.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the head."""
        config = self.config
        self.head = OutputHeadFactory.create_head(
            config.task_type, config.embed_width, config.num_classes, hidden_dims=config.head_hidden_dims,
            dropout=config.head_dropout, dtype=compute_dtype(config),
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Any:  # fmt: skip
        """Returns the embeddings.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: not used.
        """
        del prior, train, views
        return encoded

    def _predicted(self, fused: Array, present: Array, *, train: bool) -> FusionOutput:
        """The head's prediction, with equal weights of what is present."""
        return ungated(self.head(fused, train=train), fused, present)


class MeanFusion(_Joint):
    """The head predicts from the mean of the embeddings that are present."""

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        fused = jnp.einsum("bm,bme->be", renormalized(present.astype(jnp.float32)), shared)
        return self._predicted(fused, present, train=train)


class ConcatFusion(_Joint):
    """An MLP over the concatenated embeddings, zeros where absent; `concat` also reads the presence bits.

    Without the bits (`concat_zeros`) an absent embedding and one of zeros are the same to it.
    """

    def setup(self) -> None:
        """Names the head."""
        config = self.config
        self.head = SplitHead(
            len(config.modalities), config.embed_width, tuple(config.head_hidden_dims or ()), config.num_classes,
            bits=config.fusion == "concat", dropout=config.head_dropout, dtype=compute_dtype(config),
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Any:  # fmt: skip
        """Returns each modality's share of the first layer, and the embeddings.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: not used.
        """
        del prior, train, views
        return {"parts": self.head.parts(encoded), "encoded": encoded}

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        fused = jnp.einsum("bm,bme->be", renormalized(present.astype(jnp.float32)), shared["encoded"])
        return ungated(self.head(shared["parts"], present, train=train), fused, present)


class LowRankFusion(_Joint):
    """The product over modalities of linear maps, summed over ranks: a full tensor of all interactions, factorized.

    An absent modality's factor is 1, which leaves the interactions of the others.

    Source: Liu et al. 2018, low-rank multimodal fusion, eq. 8. Differs: rank 8, factors around 1, absent modalities.
    """

    def setup(self) -> None:
        """Names the maps and the head."""
        super().setup()
        count, width = len(self.config.modalities), self.config.embed_width
        self.kernel = self.param("kernel", nn.initializers.lecun_normal(), (count * width, _RANK * width))
        self.mixing = self.param("mixing", nn.initializers.constant(1.0 / _RANK), (_RANK,))

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Any:  # fmt: skip
        """Returns every modality's factors, (batch, modality, rank, embed).

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: not used.
        """
        del prior, train, views
        count, width = encoded.shape[1:]
        maps = self.kernel.reshape(count, width, _RANK, width)
        # Divided by the count: a product of many factors around 1 must not explode at the start.
        return 1.0 + jnp.einsum("bme,merf->bmrf", encoded, maps) / count

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        factors = jnp.where(present[..., None, None], shared, 1.0)
        fused = jnp.einsum("r,bre->be", self.mixing, jnp.prod(factors, axis=1))
        return self._predicted(fused, present, train=train)


class TransformerFusion(_Joint):
    """One transformer layer over a summary token and the embeddings that are present; the head reads the summary.

    Source: Vaswani et al. 2017, with the norms first (Xiong et al. 2020); absent embeddings are masked as keys.
    """

    def setup(self) -> None:
        """Names the tokens, the layer and the head."""
        super().setup()
        count, width = len(self.config.modalities), self.config.embed_width
        heads = next(heads for heads in range(min(_HEADS, width), 0, -1) if width % heads == 0)
        start = nn.initializers.normal(0.02)
        self.names = self.param("names", start, (count + 1, width))
        self.norms = [nn.LayerNorm(dtype=jnp.float32) for _ in range(3)]
        self.attend = nn.MultiHeadDotProductAttention(heads, dtype=compute_dtype(self.config))
        self.widen = MLP((2 * width,), width, "gelu", self.config.head_dropout, dtype=compute_dtype(self.config))

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        encoded = jnp.where(present[..., None], shared, jnp.zeros_like(shared))
        summary = jnp.zeros_like(encoded[:, :1])
        tokens = jnp.concatenate([summary, encoded], axis=1) + self.names[None]
        seen = jnp.concatenate([jnp.ones_like(present[:, :1]), present], axis=1)
        # One layer of which only the summary is read: nothing else asks, so there is one query.
        normed = self.norms[0](tokens)
        heard = self.attend(normed[:, :1], normed, mask=seen[:, None, None, :]).astype(jnp.float32)
        x = tokens[:, 0] + heard[:, 0]
        x = x + self.widen(self.norms[1](x), train=train).astype(jnp.float32)
        return self._predicted(self.norms[2](x), present, train=train)


def ungated(output: Array, fused: Array, present: Bool[Array, "batch modality"]) -> FusionOutput:
    """Returns a prediction with the weights of a fusion that has no gate: equal ones.

    Args:
        output: the prediction.
        fused: what it was made from.
        present: True for the modalities that were used.
    """
    weights = renormalized(present.astype(jnp.float32))
    return FusionOutput(output=output, weights=weights, entropy=gate_entropy(weights), fused=fused)
