"""Intervals from distributions that are known: of a share, and of a mean over few seeds."""

import math
from typing import SupportsInt

import numpy as np
from jaxtyping import Float

from aecf_jax.errors import require
from aecf_jax.stats._beta import beta_cdf, beta_quantile
from aecf_jax.stats._bootstrap import Estimate, check_level


def binomial_interval(successes: SupportsInt, trials: SupportsInt, level: float = 0.95) -> tuple[float, float]:
    """Returns the lower and the upper bound of a probability that was observed as `successes` of `trials`.

    The interval contains the true probability at least as often as `level` says, whatever it is. It is (0, 1) for no
    trial.

    Args:
        successes: how often it happened.
        trials: how often it could have.
        level: confidence of the interval.

    Raises:
        InputError: if there are more successes than trials, or the level is not in (0, 1).

    Source: Clopper and Pearson 1934.

    >>> [round(bound, 4) for bound in binomial_interval(9, 10)]
    [0.555, 0.9975]
    """
    check_level(level)
    won, lost, tail = int(successes), int(trials) - int(successes), (1 - level) / 2
    require(won >= 0 and lost >= 0, "successes", f"be from 0 to the {trials} trials", successes)
    low = beta_quantile(tail, float(won), lost + 1.0) if won else 0.0
    high = 1 - beta_quantile(tail, float(lost), won + 1.0) if lost else 1.0
    return low, high


def mean_interval(values: Float[np.ndarray, "seeds"], level: float = 0.95) -> Estimate:
    """Returns the mean of a few independent values, such as a metric over seeds, with Student's t interval.

    Not a bootstrap: of three to ten values its intervals are far too short. The bounds of a single value are NaN.

    Args:
        values: one value a seed.
        level: confidence of the interval.

    Raises:
        InputError: if there is no value, or the level is not in (0, 1).

    >>> import numpy as np
    >>> [round(number, 4) for number in mean_interval(np.array([0.8, 0.9, 1.0]))]
    [0.9, 0.6516, 1.1484]
    """
    check_level(level)
    values = np.asarray(values, np.float64)
    require(values.size > 0, "values", "hold at least one value", values.shape)
    freedom, mean = len(values) - 1, float(np.mean(values))
    if not freedom:
        return Estimate(mean, math.nan, math.nan)
    half = t_bound(level, float(freedom)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


def t_bound(level: float, freedom: float) -> float:
    """Returns the t that Student's distribution exceeds in absolute value with probability 1 - level.

    Args:
        level: confidence, in (0, 1).
        freedom: degrees of freedom, positive.
    """
    # P(|T| > t) is I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t²).
    x = beta_quantile(1 - level, freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)


def t_pvalue(t: float, freedom: float) -> float:
    """Returns the probability that Student's distribution is at least as far from 0 as t.

    Args:
        t: the statistic; an infinite one has probability 0.
        freedom: degrees of freedom, positive.

    >>> round(t_pvalue(-2.0, 10.0), 4)
    0.0734
    """
    return beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5)
