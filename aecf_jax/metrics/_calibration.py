"""The calibration errors, one estimator per name, and the parts of the Brier score; `docs/metrics.md` is the table."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics import _host
from aecf_jax.metrics._evaluate import evaluate_predictions
from aecf_jax.metrics._reliability import BinKind, Curves, curves_of, places, table
from aecf_jax.metrics._sums import AnyArray, ratio

_erf: Callable[[np.ndarray], np.ndarray] = np.vectorize(math.erf, otypes=[np.float64])


@_host.quiet
def calibration_metrics(
    output: Shaped[AnyArray, "rows classes"], targets: Shaped[AnyArray, "rows ..."], *, bins: int = 15
) -> dict[str, float]:
    """Returns every calibration error of classes or labels in float64; without rows, NaN.

    Keys for both: `nll`, `brier`, `brier_reliability`, `brier_resolution`, `brier_uncertainty`, `brier_within`, `ece`,
    `ece_equal_mass`, `ece_debiased`, `mce`, `rms`, `rms_debiased`. For classes, these errors are of the most probable
    class, and the same of every class's own probability follow: `classwise_ece`, `classwise_ece_equal_mass`,
    `classwise_ece_debiased`, `classwise_mce`, `classwise_rms`, `classwise_rms_debiased`. For labels, all are of every
    label's own probability, and `mce_macro` follows. A class or label that never occurs counts like any other: what
    is predicted of it can be too high.

    Args:
        output: logits of classes or labels.
        targets: integer classes `(rows,)`, or labels 0 and 1 in the shape of the output.
        bins: number of bins of a curve.

    Raises:
        InputError: if the targets do not fit the output.

    >>> import numpy as np
    >>> found = calibration_metrics(np.log([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    >>> round(found["ece"], 12), round(found["brier_uncertainty"], 12)
    (0.0, 0.375)
    """
    require(bins > 0, "bins", "be positive", bins)
    top, each = curves_of(output, targets)
    known = evaluate_predictions(output, targets, "classification", n_bins=bins)
    labels = "classwise_ece" not in known
    parts = brier_parts(each, bins)
    # The score of classes is a sum over them, that of labels a mean.
    found = {name: known[name] for name in ("nll", "brier")}
    found |= {f"brier_{name}": float((np.mean if labels else np.sum)(part)) for name, part in parts.items()}
    errors = _errors(each if labels else top, bins)
    found |= errors | {"ece": known["ece"], "mce": known["mce"]}
    if labels:
        return found | {"mce_macro": errors["mce"]}
    classwise = {f"classwise_{name}": value for name, value in _errors(each, bins).items()}
    return found | classwise | {"classwise_ece": known["classwise_ece"]}


def brier_parts(curves: Curves, bins: int) -> dict[str, Float[np.ndarray, "curves"]]:
    """Returns the parts of each curve's mean squared error: it is reliability - resolution + uncertainty + within.

    Of bins of equal width. `within` is the variance of the probabilities in their bins less twice their covariance with
    the outcomes, without which the identity holds only where every bin holds equal probabilities.

    Args:
        curves: probabilities and outcomes.
        bins: number of bins.

    Source: Murphy 1973; Stephenson, Coelho and Jolliffe 2008 for `within`.
    """
    probs, hits = curves.probs, curves.hits.astype(np.float64)
    place, _ = places(probs, bins, "equal_width")
    rows, count = float(probs.shape[1]), table(place, bins, None)
    # Empty bins weigh nothing.
    confidence, frequency = (table(place, bins, values) / np.maximum(count, 1) for values in (probs, hits))
    base = ratio(hits.sum(axis=1), rows)
    away, beside = (x - np.take_along_axis(mean, place, 1) for x, mean in ((probs, confidence), (hits, frequency)))
    return {
        "reliability": ratio((count * np.square(confidence - frequency)).sum(axis=1), rows),
        "resolution": ratio((count * np.square(frequency - base[:, None])).sum(axis=1), rows),
        "uncertainty": base * (1 - base),
        "within": ratio((np.square(away) - 2 * away * beside).sum(axis=1), rows),
    }


def _errors(curves: Curves, bins: int) -> dict[str, float]:
    """Returns the errors of some curves together: means over curves, of which a square has its root taken last."""
    share, gap, _ = _gaps(curves, bins, "equal_width")
    # A mean over no row, or of a NaN, is NaN in whatever is made of it.
    sound = float(np.sum(share))
    width = np.mean(np.sum(share * gap, axis=1))
    largest = np.mean(np.max(np.where(share > 0, gap, 0.0), axis=1)) + 0 * sound
    share, gap, spread = _gaps(curves, bins, "equal_mass")
    count = share * curves.probs.shape[1]
    mass, square = (np.mean(np.sum(share * term, axis=1)) for term in (gap, np.square(gap)))
    # Of a single row nothing is known of the variance: such a bin counts as without error, unless it is NaN.
    unbiased = np.where(count > 1, np.square(gap) - spread / np.maximum(count - 1, 1), 0 * gap)
    debiased = 2 * gap - _folded_mean(gap, np.sqrt(spread / np.maximum(count, 1)))
    return {
        "ece": float(width),
        "ece_equal_mass": float(mass),
        "ece_debiased": _from_0(np.mean(np.sum(share * debiased, axis=1))),
        "mce": float(largest),
        "rms": math.sqrt(square),
        "rms_debiased": math.sqrt(_from_0(np.mean(np.sum(share * unbiased, axis=1)))),
    }


def _gaps(curves: Curves, bins: int, kind: BinKind) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of each bin its share of the rows, |confidence - frequency|, and the variance of an outcome in it."""
    place, _ = places(curves.probs, bins, kind)
    count = table(place, bins, None)
    confidence, frequency = (table(place, bins, values) / np.maximum(count, 1) for values in curves)
    return ratio(count, float(curves.probs.shape[1])), np.abs(confidence - frequency), frequency * (1 - frequency)


def _folded_mean(gap: Float[np.ndarray, "..."], scale: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Returns the mean of |gap + scale * z| for normal z: what the gap would be, were the frequencies drawn again."""
    ratio_ = gap / np.where(scale > 0, scale, 1.0)
    mean = scale * math.sqrt(2 / math.pi) * np.exp(-np.square(ratio_) / 2) + gap * _erf(ratio_ / math.sqrt(2))
    return np.where(scale > 0, mean, gap)


def _from_0(value: float) -> float:
    """Returns an error that a correction took below 0 as 0; NaN stays."""
    return 0.0 if value < 0 else float(value)
