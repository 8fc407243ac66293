"""How figures are written: as many digits as say something, a dash where there is none."""

import math
from collections.abc import Sequence

DASH = "–"


def number(value: float | None, digits: int = 4) -> str:
    """Returns a figure with a fixed number of decimals, or a dash where it is not defined.

    Args:
        value: the figure.
        digits: after the point.

    >>> number(0.97222), number(None), number(float("nan")), number(-0.00001)
    ('0.9722', '–', '–', '0.0000')
    """
    if value is None or not math.isfinite(value):
        return DASH if value is None or math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Returns an interval in brackets, or a dash where it is not defined.

    Args:
        low: where it begins.
        high: where it ends.
        digits: after the point.

    >>> interval(0.1, 0.25), interval(None, None)
    ('[0.100, 0.250]', '–')
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return DASH
    return f"[{number(low, digits)}, {number(high, digits)}]"


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in percent.

    Args:
        share: from 0 to 1.
        digits: after the point.

    >>> percent(0.123), percent(None)
    ('12.3 %', '–')
    """
    return DASH if share is None or math.isnan(share) else f"{number(100 * share, digits)} %"


def counted(count: int, one: str, many: str = "") -> str:
    """Returns a count with its noun.

    Args:
        count: how many.
        one: the noun for 1.
        many: the noun for others; empty: with an s.

    >>> counted(1, "row"), counted(1500, "row")
    ('1 row', '1,500 rows')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def mean_spread(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and the sample standard deviation, 0 of one value; NaN among them makes both NaN.

    Args:
        values: at least one.

    >>> mean_spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, 0.0
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Returns round numbers within a range, at equal distances.

    Args:
        low: where the range begins.
        high: where it ends, above `low`.
        most: how many at most.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if (high - low) / (power * factor) < most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]
