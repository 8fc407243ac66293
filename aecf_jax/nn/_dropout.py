"""Dropout whose probability may be an argument of the compiled program."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from aecf_jax.ops import is_on
from aecf_jax.types import Scalar


class Dropout(nn.Module):
    """Zeroes units in training and scales the others up, so that the mean stays.

    Attributes:
        rate: probability that a unit is zeroed, below 1.

    Source: `flax.linen.Dropout`, with the same draws. Differs: the rate may be traced.
    """

    rate: Scalar

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"], *, train: bool) -> Float[Array, "*batch width"]:
        """Returns the units that are left.

        Args:
            x: units.
            train: whether anything is zeroed; then the apply call needs a "dropout" key.
        """
        if not train or not is_on(self.rate):
            return x
        keep = 1.0 - self.rate
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        # A product: XLA makes one of a quotient by a single number, and rounds otherwise where runs are side by side.
        # In the type of the units: a float32 argument would turn bfloat16 units into float32 ones.
        return jnp.where(kept, x * jnp.asarray(1.0 / keep, x.dtype), jnp.zeros_like(x))
