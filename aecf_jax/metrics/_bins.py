"""Reliability bins: how often what was predicted with about some probability came true."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from aecf_jax.metrics._sums import AnyArray, Sum, count, ratio, sum_of_fractions


@struct.dataclass
class BinSums:
    """Counts and summed probabilities in equal-width bins ((b - 1) / bins, b / bins], the first with 0 too.

    Attributes:
        count: predictions in each bin, `(..., classes, bins)`.
        hits: those that came true.
        confidence: their summed probabilities.
    """

    count: Int[AnyArray, "*many classes bins"]
    hits: Int[AnyArray, "*many classes bins"]
    confidence: Sum

    @classmethod
    def empty(cls, classes: int, bins: int = 15) -> "BinSums":
        """Returns bins without a prediction.

        Args:
            classes: how many rows of bins.
            bins: number of equal-width bins.
        """
        zeros = jnp.zeros((classes, bins), jnp.int32)
        return cls(count=zeros, hits=zeros, confidence=Sum.zeros(classes, bins))

    @classmethod
    def of(
        cls,
        probs: Float[Array, "batch classes"],
        hits: Bool[Array, "batch classes"],
        rows: Bool[Array, "batch"],
        bins: int,
    ) -> "BinSums":
        """Returns the bins of one batch.

        Args:
            probs: predicted probabilities; finite also where the row does not count.
            hits: whether what was predicted came true.
            rows: which rows count.
            bins: number of equal-width bins.
        """
        # Constants from NumPy: a compiler may divide by multiplying with a rounded reciprocal, which moves edges.
        edges = jnp.asarray(np.arange(1, bins) / bins, jnp.float32)
        # A NaN is above no edge: it falls in the first bin, whose sum shows it, where a search would lose it.
        index = jnp.sum(probs[:, :, None] > edges[None, None, :], axis=-1)
        chosen = (index[:, :, None] == jnp.arange(bins)[None, None, :]) & rows[:, None, None]
        return cls(
            count=count(chosen), hits=count(chosen & hits[:, :, None]), confidence=sum_of_fractions(probs, chosen)
        )

    def calibration_error(self) -> Float[np.ndarray, "*many classes"]:
        """Returns the expected calibration error of each class, sum_b (n_b / n) |confidence_b - frequency_b|.

        Source: Guo et al. 2017, eq. 3.
        """
        return ratio(self._gaps().sum(-1), np.asarray(self.count).sum(-1))

    def largest_gap(self) -> Float[np.ndarray, "*many"]:
        """Returns the maximum calibration error: the largest |confidence_b - frequency_b| over classes and bins.

        Source: Guo et al. 2017, eq. 4.
        """
        filled = np.asarray(self.count) > 0
        gaps = np.where(filled, ratio(self._gaps(), self.count), -np.inf).max((-2, -1))
        return np.where(filled.any((-2, -1)), gaps, np.nan)

    def _gaps(self) -> Float[np.ndarray, "*many classes bins"]:
        """Returns |summed probability - hits| of each bin, in float64."""
        return np.abs(self.confidence.value - np.asarray(self.hits, np.float64))
