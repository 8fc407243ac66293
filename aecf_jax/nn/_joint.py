"""Fusions that mix embeddings before they predict: concatenation, mean, low-rank tensor, transformer."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._heads import OutputHeadFactory
from aecf_jax.nn._mlp import MLP
from aecf_jax.nn._parameter import parameter
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
        """Returns the embeddings, or what a fusion makes of each of them by itself.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: not used.
        """
        del prior, train, views
        return self._parts(encoded)

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present, with equal weights of it.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        weights = renormalized(present.astype(jnp.float32))
        fused = self._fused(shared, present, weights, train=train)
        output = self._predicted(shared, fused, present, train=train)
        return FusionOutput(output=output, weights=weights, entropy=gate_entropy(weights), fused=fused)

    def _parts(self, encoded: Array) -> Any:
        """What views share."""
        return encoded

    def _fused(self, shared: Any, present: Array, weights: Array, *, train: bool) -> Array:
        """One embedding for each row: the mean of those that are present."""
        del present, train
        return jnp.einsum("bm,bme->be", weights, shared)

    def _predicted(self, shared: Any, fused: Array, present: Array, *, train: bool) -> Array:
        """What the head makes of it."""
        del shared, present
        return self.head(fused, train=train)


class MeanFusion(_Joint):
    """The head predicts from the mean of the embeddings that are present."""


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

    def _parts(self, encoded: Array) -> Any:
        """Each modality's share of the first layer, and the embeddings."""
        return {"layer": self.head.parts(encoded), "encoded": encoded}

    def _fused(self, shared: Any, present: Array, weights: Array, *, train: bool) -> Array:
        """The mean of the embeddings, which the head does not read."""
        return super()._fused(shared["encoded"], present, weights, train=train)

    def _predicted(self, shared: Any, fused: Array, present: Array, *, train: bool) -> Array:
        """The rest of the MLP."""
        del fused
        return self.head(shared["layer"], present, train=train)


class LowRankFusion(_Joint):
    """The product over modalities of linear maps, summed over ranks: a full tensor of all interactions, factorized.

    An absent modality's factor is 1, which leaves the interactions of the others.

    Source: Liu et al. 2018, low-rank multimodal fusion, eq. 8. Differs: rank 8, factors around 1, absent modalities.
    """

    def setup(self) -> None:
        """Names the maps and the head."""
        super().setup()
        count, width = len(self.config.modalities), self.config.embed_width
        self.kernel = parameter(self, "kernel", nn.initializers.lecun_normal(), (count * width, _RANK * width))
        self.mixing = parameter(self, "mixing", nn.initializers.constant(1.0 / _RANK), (_RANK,))

    def _parts(self, encoded: Array) -> Any:
        """Every modality's factors, (batch, modality, rank, embed)."""
        count, width = encoded.shape[1:]
        maps = self.kernel.reshape(count, width, _RANK, width)
        # Divided by the count: a product of many factors around 1 must not explode at the start.
        return 1.0 + jnp.einsum("bme,merf->bmrf", encoded, maps) / count

    def _fused(self, shared: Any, present: Array, weights: Array, *, train: bool) -> Array:
        """The product of the factors, mixed over ranks."""
        del weights, train
        factors = jnp.where(present[..., None, None], shared, 1.0)
        return jnp.einsum("r,bre->be", self.mixing, jnp.prod(factors, axis=1))


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
        self.names = parameter(self, "names", start, (count + 1, width))
        self.norms = [nn.LayerNorm(dtype=jnp.float32) for _ in range(3)]
        self.attend = nn.MultiHeadDotProductAttention(heads, dtype=compute_dtype(self.config))
        self.widen = MLP((2 * width,), width, "gelu", self.config.head_dropout, dtype=compute_dtype(self.config))

    def _fused(self, shared: Any, present: Array, weights: Array, *, train: bool) -> Array:
        """The summary token after the layer."""
        del weights
        encoded = jnp.where(present[..., None], shared, jnp.zeros_like(shared))
        summary = jnp.zeros_like(encoded[:, :1])
        tokens = jnp.concatenate([summary, encoded], axis=1) + self.names[None]
        seen = jnp.concatenate([jnp.ones_like(present[:, :1]), present], axis=1)
        # One layer of which only the summary is read: nothing else asks, so there is one query.
        normed = self.norms[0](tokens)
        heard = self.attend(normed[:, :1], normed, mask=seen[:, None, None, :]).astype(jnp.float32)
        x = tokens[:, 0] + heard[:, 0]
        x = x + self.widen(self.norms[1](x), train=train).astype(jnp.float32)
        return self.norms[2](x)
