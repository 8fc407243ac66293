"""Sums that stay exact: pairs of float32 that carry their own rounding error, since counts alone fit in 32 bits.

A float32 sum of a million numbers near 1 keeps 24 bits: its last additions are off by up to 0.03 each. The pair keeps
48: adding is Knuth's two-sum, whose error term is exact, so that merging is commutative to the bit and associative to
about 1e-14.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Bool, Float, Int

AnyArray = Array | np.ndarray
Numbers = Array | np.ndarray | np.generic | float | int
Sums = TypeVar("Sums")

_GRID = 4096
_UPPER_HALF = np.uint32(0xFFFFF000)


@struct.dataclass
class Sum:
    """A sum of numbers, with what float32 rounds off; its value is high + low.

    Attributes:
        high: the sum, rounded.
        low: what rounding left.

    >>> import jax.numpy as jnp
    >>> total = Sum.of(jnp.array([1e8, 1.0])) + Sum.of(jnp.array([-1e8]))
    >>> float(total.value)
    1.0
    """

    high: Float[AnyArray, "..."]
    low: Float[AnyArray, "..."]

    @classmethod
    def zeros(cls, *shape: int) -> "Sum":
        """Returns the sum of nothing.

        Args:
            *shape: shape of the numbers that will be added.
        """
        return cls(high=jnp.zeros(shape, jnp.float32), low=jnp.zeros(shape, jnp.float32))

    @classmethod
    def of(cls, terms: Float[Array, "batch ..."]) -> "Sum":
        """Returns the sum over the first axis: pairs, pairs of pairs, each addition with its error.

        Args:
            terms: numbers to add, one row each.
        """
        terms = terms.astype(jnp.float32)
        total = cls(high=terms, low=jnp.zeros_like(terms))
        while total.high.shape[0] > 1:
            half = total.high.shape[0] // 2
            odd = jax.tree.map(lambda x, half=half: x[2 * half :], total)
            pairs = jax.tree.map(lambda x, half=half: x[:half], total) + jax.tree.map(
                lambda x, half=half: x[half : 2 * half], total
            )
            total = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), pairs, odd)
        return jax.tree.map(lambda x: jnp.sum(x, axis=0), total)

    def __add__(self, other: "Sum") -> "Sum":
        high, error = _two_sum(jnp.asarray(self.high), jnp.asarray(other.high))
        return Sum(*_two_sum(high, error + (self.low + other.low)))

    @property
    def value(self) -> Float[np.ndarray, "..."]:
        """The sum in float64, on the host."""
        return np.asarray(np.asarray(self.high, np.float64) + np.asarray(self.low, np.float64))


def merged(one: Sums, other: Sums) -> Sums:
    """Returns the sums and counts of two parts of a data set together.

    Args:
        one: sums and counts of one part.
        other: the same of another.
    """
    return jax.tree.map(lambda x, y: x + y, one, other, is_leaf=lambda leaf: isinstance(leaf, Sum))


def sum_of_squares(terms: Float[Array, "batch ..."]) -> Sum:
    """Returns the sum over the first axis of the squares, not one of them rounded.

    A variance is a small difference of large sums, so that rounded squares would be all that is left of it. Halves of
    12 bits have products of 24, which float32 holds.

    Args:
        terms: numbers whose squares to add.
    """
    terms = terms.astype(jnp.float32)
    bits = lax.bitcast_convert_type(terms, jnp.uint32) & _UPPER_HALF
    upper = lax.bitcast_convert_type(bits, jnp.float32)
    lower = terms - upper
    return Sum.of(jnp.concatenate([upper * upper, 2 * upper * lower, lower * lower]))


def sum_of_fractions(fractions: Float[Array, "batch classes"], chosen: Bool[Array, "batch classes bins"]) -> Sum:
    """Returns for each class and bin the sum of the fractions chosen for it.

    A fraction is split into a multiple of 2**-12 and a rest below it. Up to 4,096 multiples add without rounding in
    any order, so that the compiler may fuse the choice into one reduction; the rests' rounding is below 1e-8 a row.

    Args:
        fractions: numbers in [0, 1].
        chosen: True where the fraction counts.
    """
    rows = fractions.shape[0]
    blocks = max(1, -(-rows // _GRID))
    size = -(-rows // blocks)
    pad = blocks * size - rows
    fractions = jnp.pad(fractions.astype(jnp.float32), ((0, pad), (0, 0))).reshape(blocks, size, fractions.shape[1], 1)
    chosen = jnp.pad(chosen, ((0, pad), (0, 0), (0, 0))).reshape(blocks, size, *chosen.shape[1:])
    coarse = jnp.floor(fractions * _GRID) / _GRID
    high = jnp.sum(jnp.where(chosen, coarse, 0.0), axis=1)
    low = jnp.sum(jnp.where(chosen, fractions - coarse, 0.0), axis=1)
    return Sum.of(high) + Sum.of(low)


def count(chosen: Bool[Array, "batch ..."]) -> Int[Array, "..."]:
    """Returns how many are True along the first axis, as int32: exact up to 2**31 rows."""
    return jnp.sum(chosen, axis=0, dtype=jnp.int32)


def counted_rows(valid: Bool[AnyArray, "batch"] | None, batch: int) -> Bool[Array, "batch"]:
    """Returns which rows count: those that `valid` names, or all.

    Args:
        valid: False for padding; None: no padding.
        batch: number of rows.
    """
    return jnp.ones(batch, dtype=bool) if valid is None else jnp.asarray(valid)


def ratio(numerator: Numbers, denominator: Numbers) -> Float[np.ndarray, "..."]:
    """Returns numerator / denominator in float64, NaN where nothing was counted.

    Args:
        numerator: a sum or a count.
        denominator: how many it is over.
    """
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _two_sum(one: Float[Array, "..."], other: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Returns the rounded sum and its exact error, by Knuth's branch-free algorithm."""
    total = one + other
    of_other = total - one
    error = (one - (total - of_other)) + (other - of_other)
    # The error of an infinite sum is infinity minus infinity; the sum itself is to be seen, not NaN.
    return total, jnp.where(jnp.isfinite(total), error, 0.0)
