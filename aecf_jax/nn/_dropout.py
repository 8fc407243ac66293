"""Dropout whose probability may be an argument of the compiled program, and whose randomness is cheap."""

from flax import linen as nn
from jaxtyping import Array, Float

from aecf_jax.ops import dropout, is_on
from aecf_jax.types import Scalar


class Dropout(nn.Module):
    """Zeroes units in training and scales the others up, so that the mean stays.

    Attributes:
        rate: probability that a unit is zeroed, below 1.

    Source: `flax.linen.Dropout`. Differs: other draws, at a tenth of the cost; the rate may be traced.
    """

    rate: Scalar

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"], *, train: bool) -> Float[Array, "*batch width"]:
        """Returns the units that are left.

        Args:
            x: units.
            train: whether anything is zeroed; then the apply call needs a "dropout" key.
        """
        return dropout(x, self.rate, key=self.make_rng("dropout")) if train and is_on(self.rate) else x
