"""The beta distribution, whose quantiles are the exact bounds of binomial and t intervals.

SciPy has it, but the library does without SciPy; JAX has it in float32.
"""

import math

_TINY = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 100_000


def beta_cdf(x: float, a: float, b: float) -> float:
    """Returns the regularized incomplete beta function I_x(a, b), to about 1e-12 where a + b is below a million.

    Args:
        x: where, in [0, 1].
        a: first shape, positive.
        b: second shape, positive.

    Source: the continued fraction of DLMF 8.17.22, by Lentz's method.

    >>> round(beta_cdf(0.5, 2.0, 2.0), 12)
    0.5
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges fast below the mean; above it the mirrored one does.
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / (a * _fraction(x, a, b))


def beta_quantile(p: float, a: float, b: float) -> float:
    """Returns the x at which `beta_cdf` is p, by bisection to its last digits.

    Args:
        p: a probability.
        a: first shape, positive.
        b: second shape, positive.
    """
    low, high = 0.0, 1.0
    while high - low > max(_PRECISION * high, _TINY):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return high


def _fraction(x: float, a: float, b: float) -> float:
    """Returns 1 + d1 / (1 + d2 / (1 + ...)), the continued fraction in the denominator of I_x(a, b)."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_0(1 + numerator * d)
        c = _away_from_0(1 + numerator / c)
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _away_from_0(x: float) -> float:
    """Returns x, or a number too small to matter where x is 0 and would be divided by."""
    return x if abs(x) > _TINY else _TINY
