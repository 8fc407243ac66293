"""Rows of several data sets laid end to end, so that one pass of NumPy serves all of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.metrics._sums import Sum


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

    def table(
        self, cell: Int[np.ndarray, "some"], cells: int, rows: Int[np.ndarray, "some"] | None = None
    ) -> Int[np.ndarray, "many cells"]:
        """Returns how many rows of each data set are in each cell.

        Args:
            cell: the cell of each row.
            cells: how many there are.
            rows: which rows they are; None: all, in order.
        """
        number = self.number if rows is None else self.number[rows]
        found = np.bincount(number * cells + cell, minlength=len(self.size) * cells)
        return found.reshape(len(self.size), cells)

    def _sum(self, terms: np.ndarray, kind: type) -> np.ndarray:
        """Each data set's sum along the last axis."""
        filled = self.size > 0
        total = np.zeros((len(self.size), *terms.shape[:-1]), kind)
        if filled.any():
            starts = (np.cumsum(self.size) - self.size)[filled]
            total[filled] = np.moveaxis(np.add.reduceat(terms, starts, axis=-1, dtype=kind), -1, 0)
        return total
