"""Reliability diagrams: with what probability events were predicted and how often they came true, bin by bin."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.errors import nearest, require
from aecf_jax.metrics import _host
from aecf_jax.metrics._evaluate import as_classes, as_float64, as_labels
from aecf_jax.metrics._sums import AnyArray, ratio

BinKind = Literal["equal_width", "equal_mass"]

_KINDS = get_args(BinKind)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of one or more curves; an empty bin has NaN for its means.

    Attributes:
        count: predictions in each bin, `(curves, bins)`.
        confidence: their mean probability.
        frequency: the share of them that came true.
        edges: bounds of the bins, `(curves, bins + 1)`: bin b holds (edge b, edge b + 1], the first 0 too.
    """

    count: Int[np.ndarray, "curves bins"]
    confidence: Float[np.ndarray, "curves bins"]
    frequency: Float[np.ndarray, "curves bins"]
    edges: Float[np.ndarray, "curves edges"]


class Curves(NamedTuple):
    """Events predicted with a probability, one curve a line.

    Attributes:
        probs: predicted probabilities.
        hits: whether the event came true.
    """

    probs: Float[np.ndarray, "curves rows"]
    hits: Bool[np.ndarray, "curves rows"]


def reliability(
    output: Shaped[AnyArray, "rows classes"],
    targets: Shaped[AnyArray, "rows ..."],
    *,
    bins: int = 15,
    kind: BinKind = "equal_width",
    each: bool = False,
) -> Reliability:
    """Returns the reliability diagram of classes or labels.

    Bins of equal mass are cut at the quantiles k / bins of the probabilities (the smallest that this share does not
    exceed); equal probabilities stay together, in the lower bin, so that the order of rows does not matter.

    Args:
        output: logits of classes or labels.
        targets: integer classes `(rows,)`, or labels 0 and 1 in the shape of the output.
        bins: number of bins.
        kind: equal_width or equal_mass.
        each: one curve for each class or label, of its own probability. If not, one curve: of the most probable class,
            or of all labels' predictions together.

    Raises:
        InputError: if the targets do not fit the output.

    >>> import numpy as np
    >>> found = reliability(np.log([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 1, 0]), bins=2)
    >>> found.count.tolist(), found.confidence.round(2).tolist(), found.frequency.round(2).tolist()
    ([[0, 3]], [[nan, 0.7]], [[nan, 0.67]])
    """
    require(kind in _KINDS, "kind", f"be one of {', '.join(_KINDS)}", kind, nearest(kind, _KINDS))
    require(bins > 0, "bins", "be positive", bins)
    top, curves = curves_of(output, targets)
    if not each:
        curves = top
    place, edges = places(curves.probs, bins, kind)
    count = table(place, bins, None)
    return Reliability(
        count=count.astype(np.int64),
        confidence=ratio(table(place, bins, curves.probs), count),
        frequency=ratio(table(place, bins, curves.hits), count),
        edges=edges,
    )


@_host.quiet
def curves_of(output: Shaped[AnyArray, "rows classes"], targets: Shaped[AnyArray, "rows ..."]) -> tuple[Curves, Curves]:
    """Returns one curve of all rows (the most probable class, or all labels together), and one of each class or label.

    Args:
        output: logits.
        targets: classes or labels.

    Raises:
        InputError: if the targets do not fit the output.
    """
    output, targets = np.asarray(output), np.asarray(targets)
    require(output.ndim == 2, "output", "have the shape (rows, classes)", output.shape)
    logits = np.ascontiguousarray(as_float64(output).T)
    if targets.ndim > 1:
        each = Curves(1.0 / (1.0 + np.exp(-logits)), as_labels(targets, output.shape).T)
        return Curves(each.probs.reshape(1, -1), each.hits.reshape(1, -1)), each
    require(len(output) == len(targets), "targets", f"have {len(output)} rows, as the output has", len(targets))
    index = as_classes(targets, output.shape[1])
    right = (logits.argmax(axis=0) == index) & ~np.isnan(logits).any(axis=0)
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    probs = powers / powers.sum(axis=0, keepdims=True)
    truth = np.arange(len(probs))[:, None] == index[None, :]
    return Curves(probs.max(axis=0, keepdims=True), right[None]), Curves(probs, truth)


def places(
    probs: Float[np.ndarray, "curves rows"], bins: int, kind: BinKind
) -> tuple[Int[np.ndarray, "curves rows"], Float[np.ndarray, "curves edges"]]:
    """Returns the bin of each prediction and the bounds of the bins.

    Args:
        probs: predicted probabilities.
        bins: number of bins.
        kind: equal_width or equal_mass.
    """
    curves, rows = probs.shape
    inner = np.broadcast_to(_host.bin_edges(bins), (curves, bins - 1))
    if kind == "equal_mass" and rows:
        # The k-th cut is at the smallest probability that at least k / bins of them do not exceed.
        cut = -(-np.arange(1, bins) * rows // bins) - 1
        inner = np.sort(probs, axis=1)[:, cut]
    place = np.stack([np.searchsorted(edges, line, side="left") for edges, line in zip(inner, probs, strict=True)])
    ends = np.zeros((curves, 1))
    return place, np.concatenate([ends, inner, ends + 1], axis=1)


def table(
    place: Int[np.ndarray, "curves rows"], bins: int, weights: Shaped[np.ndarray, "curves rows"] | None
) -> Float[np.ndarray, "curves bins"]:
    """Returns the sum of weights in each bin of each curve; without weights, the number of predictions.

    Args:
        place: the bin of each prediction.
        bins: number of bins.
        weights: what to add.
    """
    cell = np.arange(len(place))[:, None] * bins + place
    flat = None if weights is None else weights.reshape(-1).astype(np.float64)
    return np.bincount(cell.reshape(-1), flat, minlength=len(place) * bins).reshape(-1, bins).astype(np.float64)
