"""Metrics of embeddings, of which only the direction counts."""

import numpy as np
from jaxtyping import Float, Int

from aecf_jax.metrics._sums import ratio


def pair_metrics(
    embeddings: Float[np.ndarray, "batch embed"], targets: Float[np.ndarray, "batch embed"]
) -> dict[str, float]:
    """Returns `cosine_similarity`: the mean cosine of each embedding and its target.

    Args:
        embeddings: predicted embeddings, in float64.
        targets: true embeddings, in float64.
    """
    cosine = cosines(embeddings, targets)
    return {"cosine_similarity": float(ratio(cosine.sum(), float(len(cosine))))}


def cosines(
    embeddings: Float[np.ndarray, "batch embed"], targets: Float[np.ndarray, "batch embed"]
) -> Float[np.ndarray, "batch"]:
    """Returns the cosine of each embedding and its target; 0 where one has no direction.

    Args:
        embeddings: predicted embeddings, in float64.
        targets: true embeddings, in float64.
    """
    return np.sum(_unit(embeddings) * _unit(targets), axis=1)


def group_metrics(embeddings: Float[np.ndarray, "batch embed"], targets: Int[np.ndarray, "batch"]) -> dict[str, float]:
    """Returns `cosine_similarity` and `centroid_accuracy` of classes of embeddings.

    The first is the mean cosine of a row and the centroid of the other rows of its class; the second the share of rows
    that are nearer to that centroid than to any other class's. Rows without another of their class do not count.

    Args:
        embeddings: predicted embeddings, in float64.
        targets: index of each row's class.
    """
    unit = _unit(embeddings)
    _, group = np.unique(targets, return_inverse=True)
    members = np.bincount(group)
    total = np.zeros((len(members), unit.shape[1]))
    np.add.at(total, group, unit)
    rows = np.arange(len(unit))
    cosine = unit @ _unit(total).T
    # A row is no evidence of where its own class lies.
    cosine[rows, group] = np.sum(unit * _unit(total[group] - unit), axis=1)
    counts = members[group] > 1
    own, best = cosine[rows, group][counts], cosine.max(axis=1, initial=-1.0)[counts]
    number = float(counts.sum())
    return {
        "cosine_similarity": float(ratio(own.sum(), number)),
        "centroid_accuracy": float(ratio((own >= best).sum(), number)),
    }


def _unit(rows: Float[np.ndarray, "batch embed"]) -> Float[np.ndarray, "batch embed"]:
    """Returns rows divided by their L2 norm; zeros stay zeros."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1.0)
