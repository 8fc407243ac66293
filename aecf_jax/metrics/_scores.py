"""Scores from counts, the same for classes and for labels: precision, recall, F1."""

import numpy as np
from jaxtyping import Float, Int

from aecf_jax.metrics._sums import AnyArray, ratio


def prediction_scores(
    hits: Int[AnyArray, "*many classes"],
    predicted: Int[AnyArray, "*many classes"],
    actual: Int[AnyArray, "*many classes"],
) -> dict[str, Float[np.ndarray, "*many"]]:
    """Returns macro `precision`, `recall` and `f1_macro`, and `f1_micro`.

    Macro is the mean over classes that occur in the truth or in the predictions; among these, a class that was never
    predicted has precision 0, and one that never occurs recall 0. NaN if no class occurs at all.

    Args:
        hits: rows of each class that were predicted as it.
        predicted: rows predicted as each class.
        actual: rows of each class.

    Source: scikit-learn's `precision_recall_fscore_support` with `zero_division=0`.
    """
    hits, predicted, actual = (np.asarray(counts, np.float64) for counts in (hits, predicted, actual))
    occurs = np.sum(predicted + actual > 0, axis=-1)

    def macro(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        return ratio(np.sum(numerator / np.maximum(denominator, 1), axis=-1), occurs)

    return {
        "precision": macro(hits, predicted),
        "recall": macro(hits, actual),
        "f1_macro": macro(2 * hits, predicted + actual),
        "f1_micro": ratio(2 * hits.sum(-1), (predicted + actual).sum(-1)),
    }
