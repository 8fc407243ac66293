"""A dense layer over concatenated modalities, as one product for each modality: subsets of them share the products."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from aecf_jax.nn._dropout import Dropout
from aecf_jax.nn._mlp import MLP
from aecf_jax.nn._parameter import parameter
from aecf_jax.ops import biased, matmul
from aecf_jax.types import Scalar


class SplitHead(nn.Module):
    """An MLP over the concatenation of all embeddings, zeros where absent, and of the presence bits.

    `parts` is each modality's share of the first layer's product; calling the head with it and with what is present
    sums the shares and computes the other layers.

    Attributes:
        modalities: how many embeddings are concatenated.
        width: of each embedding.
        hidden_dims: widths of the hidden layers; empty: one linear layer.
        output_dim: width of the output.
        bits: whether the presence bits are part of the input.
        dropout: probability that a hidden unit is zeroed in training.
        zero: whether the last layer starts at 0, so that the output does.
        dtype: type that is computed in; what is returned is float32.
    """

    modalities: int
    width: int
    hidden_dims: tuple[int, ...]
    output_dim: int
    bits: bool = True
    dropout: Scalar = 0.0
    zero: bool = False
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Names the parameters and the other layers."""
        first = self.hidden_dims[0] if self.hidden_dims else self.output_dim
        start = nn.initializers.zeros_init() if self.zero else nn.initializers.lecun_normal()
        inner = nn.initializers.lecun_normal() if self.hidden_dims else start
        self.kernel = parameter(self, "kernel", inner, (self.modalities * self.width, first))
        self.bias = parameter(self, "bias", nn.initializers.zeros_init(), (first,))
        if self.bits:
            self.present_kernel = parameter(self, "present_kernel", inner, (self.modalities, first))
        if self.hidden_dims:
            self.drop = Dropout(self.dropout, "relu")
            self.rest = MLP(self.hidden_dims[1:], self.output_dim, dropout=self.dropout, last_init=start,
                            dtype=self.dtype)  # fmt: skip

    def parts(self, encoded: Float[Array, "batch modality embed"]) -> Float[Array, "batch modality hidden"]:
        """Returns each modality's share of the first layer.

        Args:
            encoded: embeddings, finite.
        """
        split = self.kernel.reshape(self.modalities, self.width, -1).astype(self.dtype)
        parts = jnp.einsum("bme,mef->bmf", encoded.astype(self.dtype), split)
        return parts + self.present_kernel.astype(self.dtype)[None] if self.bits else parts

    def __call__(
        self, parts: Float[Array, "batch modality hidden"], present: Bool[Array, "batch modality"], *,
        train: bool = False,
    ) -> Float[Array, "batch out"]:  # fmt: skip
        """Returns the output from the modalities that are present.

        Args:
            parts: what `parts` returned.
            present: True for those to use.
            train: whether dropout acts.
        """
        return self._rest(jnp.sum(jnp.where(present[..., None], parts, jnp.zeros_like(parts)), axis=1), train=train)

    def whole(
        self, encoded: Float[Array, "batch modality embed"], present: Bool[Array, "batch modality"], *,
        train: bool = False,
    ) -> Float[Array, "batch out"]:  # fmt: skip
        """Returns the same for one view, by one product of everything.

        Args:
            encoded: embeddings, finite.
            present: True for those to use.
            train: whether dropout acts.
        """
        rows = jnp.where(present[..., None], encoded, jnp.zeros_like(encoded))
        x = matmul(rows.reshape(-1, len(self.kernel)), self.kernel, dtype=self.dtype)
        if self.bits:
            x = x + matmul(present.astype(jnp.float32), self.present_kernel, dtype=self.dtype)
        return self._rest(x, train=train)

    def _rest(self, x: Array, *, train: bool) -> Array:
        """What follows the first layer's products."""
        x = biased(x.astype(jnp.float32), self.bias)
        if self.hidden_dims:
            x = self.drop(x, train=train)
            x = self.rest(x, train=train)
        return x
