"""Calibration errors from their definitions, one prediction at a time in Python floats."""

import math
from statistics import NormalDist

from tests.metrics import brute


def equal_width_place(probs, bins):
    """Bin of every probability: the first whose upper edge it does not exceed."""
    return [next(k for k in range(bins) if k == bins - 1 or p <= (k + 1) / bins) for p in probs]


def equal_mass_place(probs, bins):
    """Bin of every probability: how many cuts it exceeds. Cut k: the smallest that k / bins of all do not exceed."""
    values, n = sorted(set(probs)), len(probs)
    cuts = [next(v for v in values if bins * sum(p <= v for p in probs) >= k * n) for k in range(1, bins)]
    return [sum(p > cut for cut in cuts) for p in probs]


def filled_bins(place, probs, hits):
    """(rows, mean probability, frequency) of every bin that holds something."""
    for k in sorted(set(place)):
        inside = [i for i, b in enumerate(place) if b == k]
        yield (
            len(inside),
            math.fsum(probs[i] for i in inside) / len(inside),
            sum(hits[i] for i in inside) / len(inside),
        )


def debiased_gap(count, confidence, frequency):
    """2 |gap| minus the mean of the folded normal distribution around it."""
    gap, scale = abs(confidence - frequency), math.sqrt(frequency * (1 - frequency) / count)
    if scale == 0:
        return gap
    mean = scale * math.sqrt(2 / math.pi) * math.exp(-((gap / scale) ** 2) / 2)
    return 2 * gap - mean - gap * (1 - 2 * NormalDist().cdf(-gap / scale))


def errors(curves, bins):
    """Every error of some curves [(probs, hits)], a mean over curves."""
    n = len(curves[0][0])
    wide = [list(filled_bins(equal_width_place(p, bins), p, h)) for p, h in curves]
    even = [list(filled_bins(equal_mass_place(p, bins), p, h)) for p, h in curves]

    def mean(each, term):
        return math.fsum(c / n * term(c, p, f) for curve in each for c, p, f in curve) / len(curves)

    def square_less_variance(count, confidence, frequency):
        if count == 1:
            return 0.0
        return (confidence - frequency) ** 2 - frequency * (1 - frequency) / (count - 1)

    return {
        "ece": mean(wide, lambda c, p, f: abs(p - f)),
        "ece_equal_mass": mean(even, lambda c, p, f: abs(p - f)),
        "ece_debiased": max(0.0, mean(even, debiased_gap)),
        "mce": sum(max(abs(p - f) for _, p, f in curve) for curve in wide) / len(curves),
        "rms": math.sqrt(mean(even, lambda c, p, f: (p - f) ** 2)),
        "rms_debiased": math.sqrt(max(0.0, mean(even, square_less_variance))),
    }


def brier_parts(probs, hits, bins):
    """Reliability, resolution, uncertainty and the part within bins, of one curve."""
    place, n = equal_width_place(probs, bins), len(probs)
    base = sum(hits) / n
    found = dict.fromkeys(("reliability", "resolution", "within"), 0.0)
    for k in set(place):
        inside = [i for i, b in enumerate(place) if b == k]
        p, f = (math.fsum(float(x[i]) for i in inside) / len(inside) for x in (probs, hits))
        found["reliability"] += len(inside) / n * (p - f) ** 2
        found["resolution"] += len(inside) / n * (f - base) ** 2
        variance = math.fsum((probs[i] - p) ** 2 for i in inside) / n
        covariance = math.fsum((probs[i] - p) * (hits[i] - f) for i in inside) / n
        found["within"] += variance - 2 * covariance
    return found | {"uncertainty": base * (1 - base)}


def class_metrics(logits, targets, bins):
    """Every calibration metric of exclusive classes."""
    probs, classes = [brute.probabilities(row) for row in logits], len(logits[0])
    best = [max(range(classes), key=lambda c, row=row: (row[c], -c)) for row in logits]
    top = [([max(row) for row in probs], [b == t for b, t in zip(best, targets, strict=True)])]
    each = [([row[c] for row in probs], [t == c for t in targets]) for c in range(classes)]
    parts = [brier_parts(p, h, bins) for p, h in each]
    found = {f"brier_{name}": math.fsum(part[name] for part in parts) for name in parts[0]}
    found |= errors(top, bins)
    return found | {f"classwise_{name}": value for name, value in errors(each, bins).items()}


def label_metrics(logits, labels, bins):
    """Every calibration metric of independent labels."""
    classes = len(logits[0])
    each = [([brute.sigmoid(row[c]) for row in logits], [bool(row[c]) for row in labels]) for c in range(classes)]
    parts = [brier_parts(p, h, bins) for p, h in each]
    found = {f"brier_{name}": math.fsum(part[name] for part in parts) / classes for name in parts[0]}
    found |= errors(each, bins)
    wide = [filled_bins(equal_width_place(p, bins), p, h) for p, h in each]
    return found | {"mce_macro": found["mce"], "mce": max(abs(p - f) for curve in wide for _, p, f in curve)}
