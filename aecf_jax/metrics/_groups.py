"""Rows of several data sets laid end to end, so that one pass of NumPy serves all of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.metrics._sums import Sum

_SAMPLE = 4


@dataclass(frozen=True)
class Groups:
    """Which data set each of many rows belongs to; a data set may have none.

    Attributes:
        size: rows of each data set.
        number: the data set of each row, ascending.
    """

    size: Int[np.ndarray, "many"]
    number: Int[np.ndarray, "rows"]

    @classmethod
    def of(cls, size: Int[np.ndarray, "many"]) -> "Groups":
        """Returns data sets of given sizes, one after the other."""
        return cls(size, np.repeat(np.arange(len(size)), size))

    def sum(self, terms: Float[np.ndarray, "*axes rows"]) -> Sum:
        """Returns each data set's sum along the last axis, `(many, *axes)`, in float64, which leaves nothing to carry.

        Sums are pairwise within a data set, and so do not depend on what other data sets there are.
        """
        total = self._sum(terms, np.float64)
        return Sum(high=total, low=np.zeros_like(total))

    def count(self, chosen: Bool[np.ndarray, "*axes rows"]) -> Int[np.ndarray, "many *axes"]:
        """Returns how many are True along the last axis, of each data set."""
        return self._sum(chosen, np.int64)

    def table(self, cell: Int[np.ndarray, "rows"], cells: int) -> Int[np.ndarray, "many cells"]:
        """Returns how many rows of each data set are in each cell.

        Args:
            cell: the cell of each row.
            cells: how many there are.
        """
        found = np.bincount(self.number * cells + cell, minlength=len(self.size) * cells)
        return found.reshape(len(self.size), cells)

    @cached_property
    def sample(self) -> Int[np.ndarray, "many sample"]:
        """A few rows of each data set; of one that has none, another's, and none if there is no row at all."""
        size = self.size[:, None]
        row = np.cumsum(self.size)[:, None] - size + size * np.arange(_SAMPLE) // _SAMPLE
        return np.minimum(row, len(self.number) - 1)[:, : len(self.number)]

    @cached_property
    def _filled(self) -> tuple[Bool[np.ndarray, "many"], Int[np.ndarray, "filled"]]:
        """Which data sets have rows, and where these begin."""
        filled = self.size > 0
        return filled, (np.cumsum(self.size) - self.size)[filled]

    def _sum(self, terms: np.ndarray, kind: type) -> np.ndarray:
        """Each data set's sum along the last axis."""
        filled, starts = self._filled
        total = np.zeros((*terms.shape[:-1], len(self.size)), kind)
        if starts.size:
            total[..., filled] = np.add.reduceat(terms, starts, axis=-1, dtype=kind)
        return total.transpose(-1, *range(terms.ndim - 1))
