"""How little a class, or a label's value, conforms to what the model predicts: the scores that sets are made by."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from aecf_jax.calibrate._maps import Kind, probabilities

Score = Literal["lac", "aps"]
SCORES = get_args(Score)


def scores_of(
    logits: Float[np.ndarray, "rows classes"], kind: Kind, score: Score, draws: Float[np.ndarray, "rows"]
) -> Float[np.ndarray, "rows columns"]:
    """Returns the score of every class, or of every label's values 0 and 1, `(rows, labels * 2)`; small ones conform.

    lac: one minus the probability. aps: the probability of all classes that are more likely, and a random share of
    the class's own; of equal ones the first counts as more likely.

    Args:
        logits: of the model.
        kind: classes or labels.
        score: lac, or aps for classes.
        draws: uniform numbers of [0, 1), for aps.

    Source: Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers", 2019; Romano, Sesia and Candès,
    "Classification with Valid and Adaptive Coverage", 2020.
    """
    likely = probabilities(np.asarray(logits, np.float64), kind)
    if kind == "labels":
        return np.stack([likely, 1 - likely], axis=2).reshape(len(likely), -1)
    if score == "lac":
        return 1 - likely
    order = np.argsort(-likely, axis=1, kind="stable")
    ranked = np.take_along_axis(likely, order, axis=1)
    above = np.cumsum(ranked, axis=1) - ranked
    found = np.empty_like(likely)
    np.put_along_axis(found, order, above + draws[:, None] * ranked, axis=1)
    return found


def true_score(
    scores: Float[np.ndarray, "rows columns"], target: Float[np.ndarray, "rows classes"], kind: Kind
) -> Float[np.ndarray, "rows"]:
    """Returns the score of what is true: of the class, or the largest over all labels of their true values.

    Args:
        scores: from `scores_of`.
        target: 1 for the true class or label, else 0.
        kind: classes or labels.
    """
    true = true_columns(target, kind)
    return np.where(true, scores, -np.inf).max(axis=1)


def true_columns(target: Float[np.ndarray, "rows classes"], kind: Kind) -> Bool[np.ndarray, "rows columns"]:
    """Returns which columns of the scores are true.

    Args:
        target: 1 for the true class or label, else 0.
        kind: classes or labels.
    """
    if kind == "classes":
        return target > 0.5
    return np.stack([target < 0.5, target > 0.5], axis=2).reshape(len(target), -1)
