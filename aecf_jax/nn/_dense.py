"""A linear layer."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from aecf_jax.nn._parameter import parameter
from aecf_jax.ops import biased, matmul


class Dense(nn.Module):
    """A product with a kernel, plus a bias; parameters and what is returned are float32.

    Attributes:
        width: of the output.
        dtype: type that is multiplied in; sums are float32.
        kernel_init: makes the kernel.

    Source: `flax.linen.Dense`, with its parameters. Differs: bfloat16 products are added up and returned in float32.
    """

    width: int
    dtype: DTypeLike = jnp.float32
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch out"]:
        """Returns the layer's output."""
        kernel = parameter(self, "kernel", self.kernel_init, (x.shape[-1], self.width))
        bias = parameter(self, "bias", nn.initializers.zeros_init(), (self.width,))
        product = matmul(x, kernel, dtype=self.dtype)
        return biased(product, bias)
