"""The bootstrap over rows: one table of how often each row is drawn serves every metric, model and subset alike.

Sharing the draws is what makes differences precise: two models are compared on the same resampled rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from aecf_jax.errors import require

DRAWS = 1000
"""Draws of a bootstrap: the bounds of a 95 % interval then scatter by about 5 % of its length."""


class Estimate(NamedTuple):
    """A figure and the interval that it stands in.

    Attributes:
        value: the figure.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float


def resample_counts(rows: int, draws: int = DRAWS, *, seed: int) -> Int[np.ndarray, "draws rows"]:
    """Returns how often each row is taken when `rows` rows are drawn with replacement; every draw sums to `rows`.

    Args:
        rows: number of rows.
        draws: number of resamples.
        seed: the same seed gives the same counts.

    Raises:
        InputError: if a number is negative, or there is no draw.

    Source: Efron 1979.

    >>> resample_counts(4, 2, seed=0).sum(axis=1).tolist()
    [4, 4]
    """
    require(rows >= 0, "rows", "be 0 or more", rows)
    require(draws > 0, "draws", "be positive", draws)
    generator = np.random.default_rng(seed)
    counts = np.zeros((draws, rows), np.int32)
    # Counting drawn indices takes a tenth of the time of multinomial variates, and gives the same distribution.
    for draw in counts if rows else ():
        draw += np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.int32)
    return counts


def percentile_interval(
    values: Float[np.ndarray, "..."], level: float = 0.95, axis: int = 0
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Returns the lower and the upper bound that leave out (1 - level) / 2 of the draws at either end.

    A draw in which a metric is not defined (NaN) has no part; where no draw defines it, the bounds are NaN.

    Args:
        values: a statistic in every draw.
        level: confidence of the interval.
        axis: which axis the draws are along.

    Raises:
        InputError: if the level is not in (0, 1).

    Source: Efron 1981; quantiles are interpolated linearly, as by `numpy.quantile`.

    >>> import numpy as np
    >>> low, high = percentile_interval(np.arange(1001.0), level=0.9)
    >>> round(float(low), 6), round(float(high), 6)
    (50.0, 950.0)
    """
    check_level(level)
    # NaN is sorted last.
    ordered = np.sort(np.moveaxis(np.asarray(values, np.float64), axis, 0), axis=0)
    last = np.asarray(np.sum(~np.isnan(ordered), axis=0) - 1)
    low, high = (_at(ordered, np.asarray(share * last), last) for share in ((1 - level) / 2, (1 + level) / 2))
    return low, high


def paired_bootstrap(
    one: Any,
    other: Any,
    *,
    statistic: Callable[[Any, Int[np.ndarray, "draws rows"]], Float[np.ndarray, "draws"]] | None = None,
    rows: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Returns the difference `one` - `other` of a statistic on the same rows, with its percentile interval.

    Args:
        one: what `statistic` takes; without one, a value per row, whose mean is the statistic.
        other: the same of what is compared with it, row by row of the same data.
        statistic: (values, counts) -> the statistic in every draw, such as a metric of `metrics.resampled_metrics`.
        rows: number of rows; None: the length of `one`.
        draws: number of resamples.
        seed: the same seed gives the same draws.
        level: confidence of the interval.

    Raises:
        InputError: if there is no row, or the two differ in length.

    >>> import numpy as np
    >>> right = np.array([1.0, 1.0, 1.0, 0.0])
    >>> paired_bootstrap(right, np.zeros(4))
    Estimate(value=0.75, low=0.25, high=1.0)
    """
    measure = _mean if statistic is None else statistic
    number = len(one) if rows is None else rows
    require(number > 0, "rows", "be positive", number)
    if statistic is None:
        require(np.shape(one) == np.shape(other) == (number,), "other", f"have {number} values", np.shape(other))
    once = np.ones((1, number), np.int32)
    counts = resample_counts(number, draws, seed=seed)
    value = measure(one, once) - measure(other, once)
    low, high = percentile_interval(measure(one, counts) - measure(other, counts), level)
    return Estimate(float(value[0]), float(low), float(high))


def check_level(level: float) -> None:
    """Raises unless a confidence lies between 0 and 1."""
    require(0 < level < 1, "level", "be above 0 and below 1", level)


def _mean(values: object, counts: Int[np.ndarray, "draws rows"]) -> Float[np.ndarray, "draws"]:
    """Returns the mean over the rows of every draw."""
    return counts @ np.asarray(values, np.float64) / counts.shape[1]


def _at(
    ordered: Float[np.ndarray, "draws ..."], position: Float[np.ndarray, "..."], last: Int[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Returns values at fractional positions, between the two neighbours; NaN where there is none."""
    below = np.asarray(np.floor(position)).astype(int)
    shares = position - below
    low, high = (
        np.take_along_axis(ordered, np.clip(index, 0, len(ordered) - 1)[None], axis=0)[0]
        for index in (below, np.asarray(np.minimum(below + 1, last)))
    )
    # Between infinities of one sign, and at a value itself, there is nothing to interpolate.
    with np.errstate(invalid="ignore"):
        between = np.where((low == high) | (shares == 0), low, (1 - shares) * low + shares * high)
    return np.where(last >= 0, between, np.nan)
