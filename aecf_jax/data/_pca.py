"""Principal components, fitted on some rows and applied to others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DECIMALS = 4
"""Computed features are rounded, since the last bits of linear algebra depend on the machine and its threads."""


class Components(NamedTuple):
    """A linear map to the leading principal components.

    Attributes:
        mean: `(width,)`.
        axes: `(width, components)`, orthonormal columns; the largest entry of each is positive.
    """

    mean: Float[np.ndarray, "width"]
    axes: Float[np.ndarray, "width components"]


def fit_components(
    train: Float[np.ndarray, "rows width"], *, variance: float = 1.0, most: int | None = None
) -> Components:
    """Returns the fewest leading principal components that hold a share of the variance.

    Args:
        train: rows to fit on, which must be training rows.
        variance: the share, in (0, 1].
        most: how many components at most; None: as many as the share takes.

    >>> import numpy as np
    >>> fitted = fit_components(np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), variance=0.5)
    >>> fitted.axes.ravel().round(6).tolist()
    [1.0, 0.0]
    """
    mean = train.mean(axis=0, dtype=np.float64)
    centred = train - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    share = np.cumsum(values) / values.sum()
    # A share of 1 may be missed by rounding: then all components hold it.
    count = min(int(np.searchsorted(share, variance)) + 1, len(values), most or len(values))
    axes = vectors[:, :count]
    largest = np.abs(axes).argmax(axis=0)
    return Components(mean, axes * np.sign(axes[largest, np.arange(count)]))


def projected(rows: Float[np.ndarray, "rows width"], components: Components) -> Float[np.ndarray, "rows components"]:
    """Returns rows in the coordinates of principal components, float32, rounded to `DECIMALS`.

    Args:
        rows: any rows.
        components: fitted on training rows.
    """
    return np.round((rows - components.mean) @ components.axes, DECIMALS).astype(np.float32)
