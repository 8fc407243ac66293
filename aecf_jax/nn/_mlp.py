"""The one stack of layers that encoders, gate and heads share."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from aecf_jax.nn._dense import Dense
from aecf_jax.nn._dropout import Dropout
from aecf_jax.ops import biased
from aecf_jax.types import Scalar

Initializer = Callable[..., Array]
_INIT = nn.initializers.lecun_normal()


class MLP(nn.Module):
    """Hidden layers with activation and dropout, then one linear layer.

    Attributes:
        hidden_dims: widths of the hidden layers; empty: one linear layer.
        output_dim: width of the output.
        activation: a name in `ACTIVATIONS`.
        dropout: probability that a hidden unit is zeroed in training.
        dtype: type that is computed in; parameters are float32.
        last_init: makes the last layer's kernel.
    """

    hidden_dims: tuple[int, ...]
    output_dim: int
    activation: str = "relu"
    dropout: Scalar = 0.0
    dtype: DTypeLike = jnp.float32
    last_init: Initializer = _INIT

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch width"], *, train: bool = False, multiplied: bool = False
    ) -> Float[Array, "*batch out"]:
        """Returns the output of the last layer.

        Args:
            x: input.
            train: whether dropout acts; then the apply call needs a "dropout" key.
            multiplied: whether `x` is the input times `first_kernel` already, without the bias.
        """
        for index, width in enumerate(self.hidden_dims):
            x = self._layer(f"hidden_{index}", width, x, multiplied=multiplied and index == 0)
            x = Dropout(self.dropout, self.activation)(x, train=train)
        return self._layer(
            "out", self.output_dim, x, multiplied=multiplied and not self.hidden_dims, init=self.last_init
        )

    def _layer(self, name: str, width: int, x: Array, *, multiplied: bool, init: Initializer = _INIT) -> Array:
        """One linear layer's output."""
        if multiplied:
            return biased(x, self.variables["params"][name]["bias"])
        return Dense(width, self.dtype, init, name=name)(x)


def first_kernel(params: Mapping[str, Any]) -> Float[Array, "width out"]:
    """Returns the kernel of the first layer of an `MLP`, by whose parts parts of the input may be multiplied.

    Args:
        params: the parameters of the `MLP`.
    """
    return params["hidden_0" if "hidden_0" in params else "out"]["kernel"]
