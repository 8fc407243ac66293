"""Attention pooling over modalities: a query, several heads, and a curriculum that acts before values are mixed.

The keys of the modalities are never projected: q · (x Wk) = x · (Wk q), which for one query is a product with a matrix
as narrow as there are heads. Nor need the values be: a weighted mean of x Wv is the weighted mean of x, times Wv.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, UInt32

from aecf_jax.errors import require
from aecf_jax.nn._curriculum import CurriculumMasking, MaskingInfo
from aecf_jax.nn._dropout import Dropout
from aecf_jax.nn._inputs import validate_tensor_input
from aecf_jax.nn._parameter import parameter
from aecf_jax.ops import biased, gate_entropy, masked_softmax, matmul, weighted_sums
from aecf_jax.rng import HASHED, hashed_key

_ROWS, _WIDTH = 256, 64
"""From how many rows, and which width of a head, values are mixed before they are projected."""


class AttentionInfo(NamedTuple):
    """What happened in a pool; weights are means over the heads.

    Attributes:
        attention_weights: before the curriculum, `(batch, queries, entries)`; 0 where padded.
        masked_attention_weights: those that mixed the values.
        entropy: of `attention_weights` in nats, with its gradient, `(batch, queries)`.
        mask_rate: share of the entries that the curriculum hid, mean over the heads, `(batch, queries)`.
        target_entropy: what `CurriculumMasking.entropy_loss` pulls to; 0 without a curriculum, `(batch, queries)`.
    """

    attention_weights: Float[Array, "batch queries entries"]
    masked_attention_weights: Float[Array, "batch queries entries"]
    entropy: Float[Array, "batch queries"]
    mask_rate: Float[Array, "batch queries"]
    target_entropy: Float[Array, "batch queries"]


class MultimodalAttentionPool(nn.Module):
    """Multi-head attention of a few queries over the modalities of each row, with an optional curriculum.

    The curriculum hides entries in training, in every head by itself, before the values are mixed. A padded entry has
    weight exactly 0, and what stands there, NaN and infinity included, changes neither output nor gradient; where all
    are padded, nothing is mixed, and the output is the bias of the last layer.

    Attributes:
        embed_dim: width of everything, a multiple of `num_heads`.
        num_heads: how many heads there are.
        dropout: probability that a weight is zeroed in training.
        bias: whether the projections have biases.
        curriculum_masking: what hides entries in training; None: nothing does.
        remat: compute everything a second time for the gradient, instead of keeping it in memory.
        dtype: type that is computed in; weights are float32.

    Source: `MultimodalAttentionPool` of the PyTorch layer. Differs: there the mask never reaches the output and the
    entropy has no gradient; `remat` stands for `use_checkpoint`; the batch always comes first.
    """

    embed_dim: int
    num_heads: int = 1
    dropout: float = 0.0
    bias: bool = True
    curriculum_masking: CurriculumMasking | None = None
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Checks the attributes."""
        require(self.embed_dim > 0, "embed_dim", "be positive", self.embed_dim)
        require(self.num_heads > 0, "num_heads", "be positive", self.num_heads)
        fits = self.embed_dim % self.num_heads == 0
        require(fits, "embed_dim", f"be a multiple of num_heads, {self.num_heads}", self.embed_dim)
        require(0 <= self.dropout < 1, "dropout", "be in [0, 1)", self.dropout)
        super().__post_init__()

    def setup(self) -> None:
        """Names the parameters."""
        width = self.embed_dim
        # One matrix, as PyTorch draws it: the fan of the uniform distribution is that of all three together.
        self.in_kernel = parameter(self, "in_kernel", nn.initializers.xavier_uniform(), (width, 3 * width))
        if self.bias:
            self.in_bias = parameter(self, "in_bias", nn.initializers.zeros_init(), (3 * width,))
        self.out_kernel = parameter(self, "out_kernel", nn.initializers.lecun_normal(), (width, width))
        if self.bias:
            self.out_bias = parameter(self, "out_bias", nn.initializers.zeros_init(), (width,))
        self.drop = Dropout(self.dropout)

    def __call__(
        self,
        query: Float[Array, "#batch queries embed"],
        keys: Float[Array, "batch entries embed"],
        values: Float[Array, "batch entries embed"] | None = None,
        key_padding_mask: Bool[Array, "batch entries"] | None = None,
        *,
        attn_mask: Bool[Array, "queries entries"] | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "batch queries embed"], AttentionInfo]:
        """Returns the pooled embeddings, and what happened.

        Args:
            query: the queries, of one row for all or of every row.
            keys: what is attended to.
            values: what is mixed; None: the keys.
            key_padding_mask: True where an entry is padding, as in PyTorch; None: nowhere.
            attn_mask: True where a query may not look; None: nowhere.
            train: whether curriculum and dropout act; then the apply call needs "curriculum" and "dropout" keys.

        Raises:
            InputError: if shapes do not fit each other.
        """
        present = self._present(query, keys, values, key_padding_mask, attn_mask)
        draw = self.make_rng("curriculum") if train and self.curriculum_masking is not None else None
        safe = without_padding(keys, key_padding_mask)
        mixed = safe if values is None else without_padding(values, key_padding_mask)
        scale = jnp.ones((keys.shape[0], self.num_heads, *present.shape[1:]))
        scale = self.drop(scale, train=train)
        pooled = jax.checkpoint(self._pooled) if self.remat else self._pooled
        # As numbers, since rematerialization draws the same mask twice, which a key may not be used for.
        numbers = None if draw is None else jax.random.key_data(hashed_key(draw))
        return pooled(query, safe, mixed, present, scale, numbers)

    def absorbed(self, query: Float[Array, "rows queries embed"]) -> Float[Array, "rows heads queries embed"]:
        """Returns what keys are multiplied with to have their scores: projected queries through the keys' matrix.

        The keys' bias adds the same to every entry's score, which the softmax does not see.

        Args:
            query: the queries.
        """
        head = self.embed_dim // self.num_heads
        kernel = self.in_kernel.astype(self.dtype)
        width = self.embed_dim
        projected = query.astype(self.dtype) @ kernel[:, :width]
        if self.bias:
            projected = projected + self.in_bias[None, None, :width].astype(self.dtype)
        projected = projected.reshape(*query.shape[:2], self.num_heads, head) / math.sqrt(head)
        keys = kernel[:, width : 2 * width].reshape(width, self.num_heads, head)
        return jnp.einsum("bshd,ehd->bhse", projected, keys)

    def projected(self, values: Float[Array, "batch entries embed"]) -> Float[Array, "batch entries heads head"]:
        """Returns what every head mixes.

        Args:
            values: finite everywhere.
        """
        product = matmul(values, self.in_kernel[:, 2 * self.embed_dim :], dtype=self.dtype)
        if self.bias:
            product = biased(product, self.in_bias[2 * self.embed_dim :])
        return product.reshape(*values.shape[:2], self.num_heads, self.embed_dim // self.num_heads)

    def joined(
        self,
        projected: Float[Array, "batch entries heads head"],
        weights: Float[Array, "batch heads queries entries"],
    ) -> Float[Array, "batch queries embed"]:
        """Returns the heads' weighted means, joined by the last layer.

        Args:
            projected: as `projected` returns it.
            weights: of every head.
        """
        heads = jnp.einsum("bhsm,bmhd->bshd", weights.astype(self.dtype), projected.astype(self.dtype))
        return self._last(heads.reshape(*heads.shape[:2], self.embed_dim))

    def _mixed_first(
        self, values: Float[Array, "batch entries embed"], weights: Float[Array, "batch heads queries entries"]
    ) -> Float[Array, "batch queries embed"]:
        """What `joined` returns of `projected` values: every head projects only what it has mixed."""
        kernels = jnp.split(self.in_kernel[:, 2 * self.embed_dim :], self.num_heads, axis=1)
        means = (weighted_sums(weights[:, index], values) for index in range(self.num_heads))
        products = (matmul(mean, kernel, dtype=self.dtype) for mean, kernel in zip(means, kernels, strict=True))
        heads = jnp.concatenate(list(products), axis=-1)
        if self.bias:
            # A head's biases count as much as its weights add up to; a product, which is fast for the gradient too.
            own = jnp.repeat(jnp.eye(self.num_heads), self.embed_dim // self.num_heads, axis=1)
            total = jnp.swapaxes(jnp.sum(weights, axis=-1), 1, 2)
            heads = heads + matmul(total, own * self.in_bias[None, 2 * self.embed_dim :])
        return self._last(heads)

    def _last(self, heads: Float[Array, "batch queries embed"]) -> Float[Array, "batch queries embed"]:
        """The last layer."""
        output = matmul(heads, self.out_kernel, dtype=self.dtype)
        return biased(output, self.out_bias) if self.bias else output

    def _pooled(
        self,
        query: Float[Array, "rows queries embed"],
        keys: Float[Array, "batch entries embed"],
        values: Float[Array, "batch entries embed"],
        present: Bool[Array, "batch queries entries"],
        scale: Float[Array, "batch heads queries entries"],
        numbers: UInt32[Array, "_"] | None,
    ) -> tuple[Float[Array, "batch queries embed"], AttentionInfo]:
        """The output and what happened; `scale` is what dropout multiplies the weights with."""
        draw = None if numbers is None else jax.random.wrap_key_data(numbers, impl=HASHED)
        weights = attention_weights(self.absorbed(query), keys.astype(self.dtype), present)
        left, info = weights, None
        if self.curriculum_masking is not None:
            left, info = self.curriculum_masking(weights, jnp.broadcast_to(present[:, None], weights.shape), key=draw)
        mixing = left * scale
        # Measured (docs/performance.md): the gain is products of fewer rows, the price smaller ones, each of a head.
        rows = mixing.shape[0]  # No number where a program is exported for any.
        many = isinstance(rows, int) and rows >= _ROWS and self.embed_dim >= _WIDTH * self.num_heads
        first = many and query.shape[1] < keys.shape[1] and jax.default_backend() == "cpu"
        output = self._mixed_first(values, mixing) if first else self.joined(self.projected(values), mixing)
        return output, _mean_over_heads(weights, left, info)

    def _present(
        self, query: Any, keys: Any, values: Any, padding: Any, attn_mask: Any
    ) -> Bool[Array, "batch queries entries"]:
        """True where a query may look, after checking all shapes."""
        validate_tensor_input(query, "query", 3, (-1, -1, self.embed_dim))
        validate_tensor_input(keys, "keys", 3, (-1, -1, self.embed_dim))
        rows, entries = keys.shape[:2]
        require(entries > 0, "keys", "have at least one entry", keys.shape)
        require(query.shape[0] in (1, rows), "query", f"have 1 row or {rows}", query.shape)
        if values is not None:
            validate_tensor_input(values, "values", 3, keys.shape)
        present = jnp.ones((rows, query.shape[1], entries), bool)
        if padding is not None:
            validate_tensor_input(padding, "key_padding_mask", 2, (rows, entries), bool)
            present = present & ~padding[:, None, :]
        if attn_mask is not None:
            validate_tensor_input(attn_mask, "attn_mask", 2, (query.shape[1], entries), bool)
            present = present & ~attn_mask[None]
        return present


def attention_weights(
    absorbed: Float[Array, "rows heads queries embed"],
    keys: Float[Array, "batch entries embed"],
    present: Bool[Array, "batch queries entries"],
) -> Float[Array, "batch heads queries entries"]:
    """Returns each head's weights in float32, 0 where nothing is present.

    Args:
        absorbed: as `MultimodalAttentionPool.absorbed` returns it, of one row for all or of every row.
        keys: finite everywhere.
        present: True where a query may look.
    """
    if absorbed.shape[0] == 1:
        scores = jnp.einsum("hse,bme->bhsm", absorbed[0], keys)
    else:
        scores = jnp.einsum("bhse,bme->bhsm", absorbed, keys)
    return masked_softmax(scores.astype(jnp.float32), jnp.broadcast_to(present[:, None], scores.shape))


def without_padding(x: Float[Array, "batch entries embed"], padding: Any) -> Float[Array, "batch entries embed"]:
    """Returns entries with zeros for padding, before any arithmetic: NaN * 0 is NaN, in values and in gradients.

    Args:
        x: entries.
        padding: True where there is none; None: nowhere.
    """
    return x if padding is None else jnp.where(padding[..., None], jnp.zeros_like(x), x)


def _mean_over_heads(weights: Array, left: Array, info: MaskingInfo | None) -> AttentionInfo:
    """What is told of all heads together."""
    mean = jnp.mean(weights, axis=1)
    nothing = jnp.zeros(mean.shape[:-1])
    rate, target = (nothing, nothing) if info is None else (info.mask_rate.mean(1), info.target_entropy.mean(1))
    return AttentionInfo(mean, jnp.mean(left, axis=1), gate_entropy(mean), rate, target)
