"""What metrics are called on the page, which of them a table shows, and how each is estimated."""

LABELS = {
    "accuracy": "accuracy", "map": "mAP", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "nll": "NLL", "brier": "Brier",
    "entropy": "gate entropy", "ece": "ECE", "ece_equal_mass": "ECE, equal mass", "ece_debiased": "ECE, debiased",
    "rms": "RMS", "brier_reliability": "Brier: reliability", "brier_resolution": "Brier: resolution",
    "classwise_ece": "classwise ECE", "mce": "MCE", "f1_macro": "macro F1",
    "cosine_similarity": "cosine", "centroid_accuracy": "centroid accuracy",
}  # fmt: skip
"""Metric -> its heading; others go by their own names."""

SHOWN = {
    "classes": ("accuracy", "nll", "brier", "ece", "entropy"),
    "labels": ("map", "nll", "brier", "ece", "entropy"),
    "values": ("rmse", "mae", "r2", "entropy"),
    "embedding": ("cosine_similarity", "centroid_accuracy", "entropy"),
}
"""What is predicted -> the metrics of the table of subsets, the headline first."""

PROBABLE = ("classes", "labels")
"""What is predicted with probabilities, which calibration is about."""


def label(metric: str) -> str:
    """Returns the heading of a metric.

    >>> label("nll"), label("my_metric")
    ('NLL', 'my metric')
    """
    return LABELS.get(metric, metric.replace("_", " "))


def plus(modalities: tuple[str, ...] | list[str]) -> str:
    """Returns a subset of the modalities as text.

    >>> plus(["image", "text"])
    'image + text'
    """
    return " + ".join(modalities)


def listed(words: list[str], most: int = 4) -> str:
    """Returns names as a sentence has them, the last ones counted if there are many.

    Args:
        words: the names.
        most: how many are written out.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=2)
    ('a, b and c', 'a, b and 1 more')
    """
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"
