"""The one stack of layers that encoders, gate and heads share."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"relu": jax.nn.relu, "gelu": jax.nn.gelu, "tanh": jnp.tanh}
"""Activations by name."""


class MLP(nn.Module):
    """Hidden layers with activation and dropout, then one linear layer.

    Attributes:
        hidden_dims: widths of the hidden layers; empty: one linear layer.
        output_dim: width of the output.
        activation: a name in `ACTIVATIONS`.
        dropout: probability that a hidden unit is zeroed in training.
        dtype: type that is computed in; parameters are float32.
    """

    hidden_dims: tuple[int, ...]
    output_dim: int
    activation: str = "relu"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"], *, train: bool = False) -> Float[Array, "*batch out"]:
        """Returns the output of the last layer.

        Args:
            x: input.
            train: whether dropout acts; then the apply call needs a "dropout" key.
        """
        for index, width in enumerate(self.hidden_dims):
            x = ACTIVATIONS[self.activation](nn.Dense(width, dtype=self.dtype, name=f"hidden_{index}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.output_dim, dtype=self.dtype, name="out")(x)
