"""Metrics from their definitions, one row at a time in Python floats: slow, plain, and not the library's way."""

import math


def probabilities(row):
    """Softmax of one row."""
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    total = math.fsum(powers)
    return [power / total for power in powers]


def cross_entropy(row, target):
    """-log of the softmax of one row at the target, also where that is 0 in floats."""
    top = max(row)
    return math.log(math.fsum(math.exp(x - top) for x in row)) - (row[target] - top)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def bin_gaps(probs, hits, bins, edge=lambda k, bins: k / bins):
    """(share of rows, |mean p - mean hit|) of every bin (low, high] that holds something; 0 is in the first."""
    out = []
    for k in range(bins):
        inside = [
            i
            for i, p in enumerate(probs)
            if (k == 0 or p > edge(k, bins)) and (k == bins - 1 or p <= edge(k + 1, bins))
        ]
        if inside:
            confidence = math.fsum(float(probs[i]) for i in inside) / len(inside)
            frequency = sum(float(hits[i]) for i in inside) / len(inside)
            out.append((len(inside) / len(probs), abs(confidence - frequency)))
    return out


def calibration(probs, hits, bins=15):
    """Expected and maximum calibration error."""
    gaps = bin_gaps(probs, hits, bins)
    return math.fsum(share * gap for share, gap in gaps), max(gap for _, gap in gaps)


def average_precision(scores, hits):
    """Threshold by threshold: the rise of recall times precision; NaN without positives."""
    positives = sum(bool(hit) for hit in hits)
    if not positives:
        return math.nan
    value, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [bool(hit) for score, hit in zip(scores, hits, strict=True) if score >= threshold]
        recall = sum(taken) / positives
        value += (recall - recall_before) * sum(taken) / len(taken)
        recall_before = recall
    return value


def class_metrics(logits, targets, bins=15):
    """Every metric of exclusive classes that has no equal in scikit-learn, and some that have."""
    probs = [probabilities(row) for row in logits]
    number, classes = len(logits), len(logits[0])
    order = [sorted(range(classes), key=lambda c, row=row: (-row[c], c)) for row in logits]
    right = [ranks[0] == target for ranks, target in zip(order, targets, strict=True)]
    in_top = [t in ranks[: 5 if classes >= 5 else 1] for ranks, t in zip(order, targets, strict=True)]
    costs = [cross_entropy(row, t) for row, t in zip(logits, targets, strict=True)]
    squares = [math.fsum((p - (c == t)) ** 2 for c, p in enumerate(row)) for row, t in zip(probs, targets, strict=True)]
    ece, mce = calibration([max(row) for row in probs], right, bins)
    each = [calibration([row[c] for row in probs], [t == c for t in targets], bins)[0] for c in range(classes)]
    return {
        "accuracy": sum(right) / number,
        "top5_accuracy": sum(in_top) / number,
        "confidence": math.fsum(max(row) for row in probs) / number,
        "nll": math.fsum(costs) / number,
        "brier": math.fsum(squares) / number,
        "ece": ece,
        "mce": mce,
        "classwise_ece": math.fsum(each) / classes,
    }


def label_metrics(logits, labels, bins=15):
    """Every metric of independent labels that has no equal in scikit-learn."""
    probs = [[sigmoid(x) for x in row] for row in logits]
    number, classes = len(logits), len(logits[0])
    guess = [[x > 0 for x in row] for row in logits]
    wrong = [[g != bool(y) for g, y in zip(a, b, strict=True)] for a, b in zip(guess, labels, strict=True)]
    best = [max(range(classes), key=lambda c, row=row: (row[c], -c)) for row in logits]
    first = [next((c for c in range(classes) if row[c]), 0) for row in labels]
    costs = [
        math.log1p(math.exp(-abs(x))) + max(-x if y else x, 0.0)
        for row, truth in zip(logits, labels, strict=True)
        for x, y in zip(row, truth, strict=True)
    ]
    squares = [(p - y) ** 2 for row, truth in zip(probs, labels, strict=True) for p, y in zip(row, truth, strict=True)]
    each = [calibration([row[c] for row in probs], [row[c] for row in labels], bins) for c in range(classes)]
    return {
        "exact_match": sum(not any(row) for row in wrong) / number,
        "hamming_loss": sum(map(sum, wrong)) / (number * classes),
        "accuracy": sum(a == b for a, b in zip(best, first, strict=True)) / number,
        "top1_accuracy": sum(bool(row[c]) for row, c in zip(labels, best, strict=True)) / number,
        "nll": math.fsum(costs) / (number * classes),
        "brier": math.fsum(squares) / (number * classes),
        "ece": math.fsum(ece for ece, _ in each) / classes,
        "mce": max(mce for _, mce in each),
    }


def cosine(one, other):
    """Cosine of two vectors; 0 where one has no direction."""
    norms = [math.sqrt(math.fsum(x * x for x in row)) for row in (one, other)]
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / math.prod(norms) if all(norms) else 0.0


def unit(row):
    """A vector of length 1 in the same direction; zeros stay zeros."""
    norm = math.sqrt(math.fsum(x * x for x in row))
    return [x / norm if norm else 0.0 for x in row]


def centroid(rows):
    """Sum of the directions of some rows."""
    return [math.fsum(column) for column in zip(*map(unit, rows), strict=True)]


def group_metrics(rows, targets):
    """Cosine to the centroid of the other rows of the class, and how often no other class's centroid is nearer."""
    own, nearest = [], []
    pairs = list(zip(rows, targets, strict=True))
    for i, (row, group) in enumerate(pairs):
        others = [r for j, (r, g) in enumerate(pairs) if g == group and j != i]
        if others:
            own.append(cosine(row, centroid(others)))
            rest = [cosine(row, centroid([r for r, t in pairs if t == g])) for g in set(targets) - {group}]
            nearest.append(all(own[-1] >= other for other in rest))
    number = len(own)
    return {
        "cosine_similarity": math.fsum(own) / number if number else math.nan,
        "centroid_accuracy": sum(nearest) / number if number else math.nan,
    }
