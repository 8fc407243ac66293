"""What a model's figure is over its seeds, and whether two models' differ: seeds and rows both vary.

A network's figure = its model's mean + what its seed adds + what the test rows happen to be. A model is a recipe that
can be trained again: a claim on it must count both. A network trained once has no seeds to count: a claim on it speaks
of these weights alone. The figures' scatter over seeds and over resampled rows is all that is used, so that the same
procedure serves a mean over rows (accuracy) and what is none (calibration error, average precision).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from aecf_jax.stats import Estimate, t_bound, t_pvalue


class Drawn(NamedTuple):
    """One figure of the networks of one model.

    Attributes:
        value: on the rows as they are, of every seed.
        draws: on resampled rows, the same resamples for all networks.
    """

    value: Float64[np.ndarray, "seeds"]
    draws: Float64[np.ndarray, "seeds draws"]


class Contrast(NamedTuple):
    """A mean, or a difference of means, with its uncertainty.

    Attributes:
        estimate: the figure and its interval.
        p: two-sided p-value of 0.
        freedom: degrees of freedom of Student's distribution; 0 where nothing varies.
        seeds: whether the variance between seeds is in it; otherwise it speaks of these networks alone.
    """

    estimate: Estimate
    p: float
    freedom: float
    seeds: bool


def contrast(one: Drawn, other: Drawn | None = None, *, rows: int, level: float = 0.95) -> Contrast:
    """Returns the mean of one model, or its difference from another, by Student's distribution.

    With S the variance of the seeds' mean (of two models: the sum), R the bootstrap variance over rows of the estimate,
    and E what is in both, because seeds err on different rows: variance = S + max(R - E, 0). Degrees of freedom by
    Welch and Satterthwaite; between models of equally many seeds the variances of the seeds are pooled, as in the
    classical test, and a model of one seed is lent the other's.

    Args:
        one: a model's figure.
        other: the model that is compared with it.
        rows: rows that were resampled.
        level: confidence of the interval.

    Source: Satterthwaite 1946; rows and seeds as crossed random factors, Raaijmakers et al. 1999.
    """
    value, variance, freedom, seeds = moments(one, other, rows=rows)
    p = p_of_moments(value, variance, freedom)
    half = math.nan if math.isnan(p) else t_bound(level, freedom) * math.sqrt(variance) if freedom else 0.0
    return Contrast(Estimate(value, value - half, value + half), p, freedom, seeds)


def p_of_moments(value: float, variance: float, freedom: float) -> float:
    """Returns the p-value of 0; where nothing varies, 1 if it is 0 and else 0; NaN where a number is.

    Args:
        value: a mean or a difference.
        variance: its variance.
        freedom: degrees of freedom of that; 0 where nothing varies.
    """
    if not math.isfinite(value) or not math.isfinite(variance):
        return math.nan
    return t_pvalue(value / math.sqrt(variance), freedom) if freedom else float(value == 0)


def moments(one: Drawn, other: Drawn | None, *, rows: int) -> tuple[float, float, float, bool]:
    """Returns the mean or the difference, its variance, the degrees of freedom, and whether seeds are in it.

    Args:
        one: a metric of a model's networks and its resamples.
        other: the same of a model that it is compared with; None: none.
        rows: how many rows were resampled.
    """
    models = [one] if other is None else [one, other]
    signs = (1.0, -1.0)
    value = float(sum(sign * model.value.mean() for sign, model in zip(signs, models, strict=False)))
    moved = sum(sign * model.draws.mean(axis=0) for sign, model in zip(signs, models, strict=False))
    of_seeds, freedom, shared = _seeds(models)
    rest = max(_variance(np.asarray(moved)) - shared, 0.0)
    if not math.isfinite(of_seeds + rest) or of_seeds + rest == 0:
        return value, of_seeds + rest, 0.0, freedom > 0
    terms = (of_seeds**2 / freedom if freedom else 0.0) + rest**2 / max(rows - 1, 1)
    return value, of_seeds + rest, (of_seeds + rest) ** 2 / terms, freedom > 0


def _seeds(models: Sequence[Drawn]) -> tuple[float, float, float]:
    """Returns the variance of the mean (the difference) over seeds, its degrees of freedom, and its part from rows."""
    counts = np.array([len(model.value) for model in models], float)
    several = [model for model in models if len(model.value) > 1]
    if not several:
        return 0.0, 0.0, 0.0
    free = np.array([len(model.value) - 1 for model in several], float)
    between = np.array([np.var(model.value, ddof=1) for model in several])
    within = np.array([_own_rows(model) for model in several])
    if len(several) < len(models) or len(set(counts)) == 1:
        between, within = (np.full(len(models), np.average(part, weights=free)) for part in (between, within))
        return float(np.sum(between / counts)), float(free.sum()), float(np.sum(within / counts))
    parts = between / counts
    # Where no seed differs from another, any number of degrees of freedom gives the same variance of 0.
    freedom = float(parts.sum() ** 2 / np.sum(parts**2 / free)) if parts.any() else float(free.sum())
    return float(parts.sum()), freedom, float(np.sum(within / counts))


def _own_rows(model: Drawn) -> float:
    """Returns the variance over resampled rows of what each seed has beside the mean of all, for a single seed."""
    seeds = len(model.value)
    own = model.draws - model.draws.mean(axis=0, keepdims=True)
    return float(np.mean([_variance(one) for one in own])) * seeds / (seeds - 1)


def _variance(draws: Float64[np.ndarray, "draws"]) -> float:
    """Returns the variance over the draws that are defined; NaN where none is."""
    defined = draws[np.isfinite(draws)]
    return float(np.var(defined)) if len(defined) else math.nan
