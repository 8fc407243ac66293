"""Every metric of a data set when its rows are drawn anew: what a bootstrap needs, without a second evaluation.

A metric follows from sums over rows. The sums of each row alone are computed once; how often each row was drawn times
these sums, a product of matrices, is the sums of all draws. Average precision is a ranking, which is sorted once.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics import _embeddings, _host
from aecf_jax.metrics._classes import ClassSums
from aecf_jax.metrics._evaluate import as_classes, as_float64, as_labels, evaluate_predictions
from aecf_jax.metrics._groups import Groups
from aecf_jax.metrics._labels import LabelSums
from aecf_jax.metrics._resampled_ranking import resampled_ranking
from aecf_jax.metrics._sums import AnyArray, Sum, ratio
from aecf_jax.metrics._values import spread, value_metrics

_BLOCK = 2**22
"""Numbers in the sums of a block of rows or of draws: 32 MB in float64."""

_Counts = Int[np.ndarray, "draws rows"]
_Metrics = dict[str, Float[np.ndarray, "draws"]]
_Sums = TypeVar("_Sums", ClassSums, LabelSums)


@_host.quiet
def resampled_metrics(
    output: Shaped[AnyArray, "rows ..."],
    targets: Shaped[AnyArray, "rows ..."],
    task_type: str,
    counts: Int[np.ndarray, "draws rows"],
    *,
    n_bins: int = 15,
) -> dict[str, Float[np.ndarray, "draws"]]:
    """Returns the metrics of `evaluate_predictions` for every draw, in which a row stands as often as `counts` says.

    The keys are those of `evaluate_predictions` without weights. Bins are the fixed ones of equal width. Embeddings
    against classes are evaluated draw by draw, which takes as long as that.

    Args:
        output: logits, values or embeddings, `(rows, classes)`.
        targets: as for `evaluate_predictions`.
        task_type: classification, regression or embedding.
        counts: how often each row stands in each draw, such as `stats.resample_counts` returns.
        n_bins: number of equal-width reliability bins.

    Raises:
        InputError: if shapes, the type of the targets or their values do not fit, or a count is negative.

    >>> import numpy as np
    >>> counts = np.array([[1, 1, 1, 1], [0, 0, 2, 2]])
    >>> resampled_metrics(np.eye(4), np.array([0, 1, 2, 2]), "classification", counts)["accuracy"].tolist()
    [0.75, 0.5]
    """
    output, targets, counts = np.asarray(output), np.asarray(targets), np.asarray(counts)
    # No row is enough to refuse what does not fit.
    names = evaluate_predictions(output[:0], targets[:0], task_type, n_bins=n_bins)
    require(len(output) == len(targets), "targets", f"have {len(output)} rows, as the output has", len(targets))
    require(counts.ndim == 2 and counts.shape[1] == len(output), "counts",
            f"have the shape (draws, {len(output)})", counts.shape)  # fmt: skip
    least = int(counts.min(initial=0))
    require(least >= 0, "counts", "be 0 or more", least)
    if task_type == "classification":
        found = (_classes if targets.ndim == 1 else _labels)(output, targets, counts, n_bins)
    elif task_type == "regression":
        found = _values(output, targets, counts)
    else:
        found = _embedding(output, targets, counts)
    return {name: found[name] for name in names}


def _classes(output: np.ndarray, targets: np.ndarray, counts: _Counts, bins: int) -> _Metrics:
    """Returns the metrics of exclusive classes."""
    index = as_classes(targets, output.shape[1])

    def of_rows(rows: slice) -> ClassSums:
        logits = as_float64(output[rows])
        return _host.host_classes(logits, index[rows], _each_alone(logits), bins)

    return _from_sums(of_rows, counts, 3 * output.shape[1] * bins)


def _labels(output: np.ndarray, targets: np.ndarray, counts: _Counts, bins: int) -> _Metrics:
    """Returns the metrics of independent labels."""
    truth = as_labels(targets, output.shape)

    def of_rows(rows: slice) -> LabelSums:
        logits = as_float64(output[rows])
        return _host.host_labels(logits, truth[rows], _each_alone(logits), bins)

    return _from_sums(of_rows, counts, 3 * output.shape[1] * bins) | resampled_ranking(
        as_float64(output), truth, counts
    )


def _values(output: np.ndarray, targets: np.ndarray, counts: _Counts) -> _Metrics:
    """Returns the metrics of regression, deviations taken from the mean of all rows so that little cancels."""
    predictions, values = (_flat(as_float64(x)) for x in (output, targets))
    error, rows, width = predictions - values, counts.sum(axis=1), values.shape[1]
    own, grand = values, values
    if len(values):
        own, grand = values - values.mean(axis=0, keepdims=True), values - values.mean()
    columns = [np.square(error), np.abs(error), own, np.square(own)]
    sums = [grand.sum(axis=1, keepdims=True), np.square(grand).sum(axis=1, keepdims=True)]
    total = _drawn(counts, np.concatenate([*columns, *sums], axis=1))
    squared, absolute, mean, square = (total[:, i * width : (i + 1) * width] for i in range(4))
    return value_metrics(
        rows, squared, absolute,
        own=spread(square, mean, rows[:, None]), grand=spread(total[:, -1], total[:, -2], rows * width),
    )  # fmt: skip


def _embedding(output: np.ndarray, targets: np.ndarray, counts: _Counts) -> _Metrics:
    """Returns the metrics of embeddings, against target embeddings or classes."""
    if targets.ndim > 1:
        cosine = _embeddings.cosines(as_float64(output), as_float64(targets))
        return {"cosine_similarity": ratio(_drawn(counts, cosine[:, None])[:, 0], counts.sum(axis=1))}
    rows = np.arange(len(output))
    each = [evaluate_predictions(output[some], targets[some], "embedding") for some in (
        np.repeat(rows, draw) for draw in counts)]  # fmt: skip
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def _from_sums(of_rows: Callable[[slice], _Sums], counts: _Counts, cells: int) -> _Metrics:
    """Returns the metrics of every draw from the sums of each row, a block of draws and of rows at a time."""
    size = max(1, _BLOCK // cells)
    parts: list[_Metrics] = []
    for draw in range(0, max(1, len(counts)), size):
        some = counts[draw : draw + size]
        blocks = [slice(row, row + size) for row in range(0, max(1, counts.shape[1]), size)]
        total = _weighed(some[:, blocks[0]], of_rows(blocks[0]))
        for rows in blocks[1:]:
            total = jax.tree.map(np.add, total, _weighed(some[:, rows], of_rows(rows)))
        parts.append(total.each())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _each_alone(logits: np.ndarray) -> Groups:
    """Returns groups of one row each."""
    return Groups.of(np.ones(len(logits), np.int64))


def _weighed(counts: _Counts, sums: _Sums) -> _Sums:
    """Returns the sums of every draw from those of each row."""

    def drawn(leaf: Sum | np.ndarray) -> Sum | np.ndarray:
        values = np.asarray(leaf.value if isinstance(leaf, Sum) else leaf)
        total = _drawn(counts, _flat(values)).reshape(len(counts), *values.shape[1:])
        return Sum(total, np.zeros_like(total)) if isinstance(leaf, Sum) else total.astype(np.int64)

    return jax.tree.map(drawn, sums, is_leaf=lambda leaf: isinstance(leaf, Sum))


def _drawn(counts: _Counts, terms: Shaped[np.ndarray, "rows terms"]) -> Float[np.ndarray, "draws terms"]:
    """Returns the sums over the rows of every draw; a row that was not drawn leaves no trace, whatever it holds."""
    sound = np.isfinite(terms)
    total = counts.astype(np.float64) @ np.where(sound, terms, 0.0)
    for row in np.flatnonzero(~sound.all(axis=1)):
        total[counts[:, row] > 0] += np.where(sound[row], 0.0, terms[row])[None]
    return total


def _flat(values: np.ndarray) -> np.ndarray:
    """Returns an array with one axis beside that of the rows."""
    return values.reshape(len(values), math.prod(values.shape[1:]))
