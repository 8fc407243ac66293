"""Average precision from all scores: it is a property of the ranking, so that bins or batches would only guess it.

AP = sum over distinct scores s, from the largest down, of (recall(s) - recall(above s)) precision(s), where all rows
that share a score enter together: the mean of the positives' precision(s). NaN for a class without positives, which has
no recall.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics._sums import AnyArray, Sum, counted_rows


def average_precision(
    scores: Float[AnyArray, "batch classes"],
    targets: Shaped[AnyArray, "batch classes"],
    valid: Bool[AnyArray, "batch"] | None = None,
) -> Float[Array, "classes"]:
    """Returns the average precision of each class, under `jax.jit` too.

    Args:
        scores: the larger, the likelier; only their order matters. A NaN gives NaN.
        targets: 1 where the class holds, else 0.
        valid: False for rows of padding, whatever they hold; None: all rows count.

    Raises:
        InputError: if the shapes differ.

    Source: scikit-learn's `average_precision_score`, ties included. Differs: a class without positives gives NaN,
    not 0, so that a mean can leave it out.

    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[0.9, 0.5], [0.8, 0.5], [0.7, 0.5]])
    >>> found = average_precision(scores, jnp.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    >>> [round(float(value), 4) for value in found]
    [0.8333, 0.3333]
    """
    _check(scores, targets)
    rows = counted_rows(valid, scores.shape[0])
    scores = jnp.where(rows[:, None], jnp.asarray(scores), 0.0)
    truth = rows[:, None] & (jnp.asarray(targets) > 0.5)
    return jax.vmap(functools.partial(_of_class, padded=valid is not None), in_axes=(1, 1, None))(scores, truth, rows)


def _of_class(
    scores: Float[Array, "batch"], truth: Bool[Array, "batch"], rows: Bool[Array, "batch"], *, padded: bool
) -> Float[Array, ""]:
    """Returns the average precision of one class."""
    # Padding goes last, and weighs nothing should a score of -inf share its key.
    keys, truth, weight = _ranked(jnp.where(rows, -scores, jnp.inf), truth, rows)
    positives = jnp.cumsum(truth)
    seen = jnp.cumsum(weight) if padded else jnp.arange(1, len(keys) + 1)
    last = jnp.concatenate([keys[1:] != keys[:-1], jnp.ones(1, dtype=bool)])
    terms = Sum.of(truth * _of_the_next(positives / jnp.maximum(seen, 1), last))
    found = positives[-1]
    value = jnp.where(found > 0, (terms.high + terms.low) / jnp.maximum(found, 1), jnp.nan)
    return jnp.where(jnp.any(jnp.isnan(scores)), jnp.nan, value)


def _of_the_next(values: Float[Array, "batch"], known: Bool[Array, "batch"]) -> Float[Array, "batch"]:
    """Returns values, and where they are not known the next that is: the last one is.

    Each pass doubles how far it looks: few ties need one or two, where XLA:CPU scans in ten times as long as a pass.
    """

    def farther(reached: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        values, known, distance = reached

        def ahead(x: Array) -> Array:
            return lax.dynamic_slice_in_dim(jnp.concatenate([x, jnp.zeros_like(x)]), distance, len(x))

        return jnp.where(known, values, ahead(values)), known | ahead(known), 2 * distance

    one = jnp.ones((), jnp.int32)
    return lax.while_loop(lambda reached: ~jnp.all(reached[1]), farther, (values, known, one))[0]


def _ranked(keys: Shaped[Array, "batch"], truth: Bool[Array, "batch"], rows: Bool[Array, "batch"]) -> tuple[Array, ...]:
    """Returns keys, truth and rows in the order of the keys; equal keys stay equal, and may be other numbers."""

    def plain(keys: Array, truth: Array, rows: Array) -> tuple[Array, ...]:
        keys, truth, rows = lax.sort((keys, truth.astype(jnp.int32), rows.astype(jnp.int32)), num_keys=1)
        return (lax.bitcast_convert_type(keys, jnp.uint32) if keys.dtype == jnp.float32 else keys), truth, rows

    if keys.dtype != jnp.float32:
        return plain(keys, truth, rows)
    # -0 and 0 are the same score, and not the same bits.
    return lax.platform_dependent(jnp.where(keys == 0, 0.0, keys), truth, rows, cpu=_packed, default=plain)


def _packed(keys: Float[Array, "batch"], truth: Bool[Array, "batch"], rows: Bool[Array, "batch"]) -> tuple[Array, ...]:
    """The same by one sort of integers: XLA on a CPU takes five times as long for three arrays."""
    bits = lax.bitcast_convert_type(keys, jnp.uint32)
    negative = bits >> 31 == 1
    order = jnp.where(negative, ~bits, bits | jnp.uint32(1 << 31))
    code = truth.astype(jnp.uint32) * 2 + rows.astype(jnp.uint32)
    with jax.enable_x64(True):
        packed = lax.sort(order.astype(jnp.uint64) << 2 | code.astype(jnp.uint64))
        order, code = (packed >> 2).astype(jnp.uint32), (packed & 3).astype(jnp.uint32)
    return order, (code >> 1).astype(jnp.int32), (code & 1).astype(jnp.int32)


def average_precision_on_host(
    scores: Float[np.ndarray, "batch classes"], targets: Shaped[np.ndarray, "batch classes"]
) -> Float[np.ndarray, "classes"]:
    """Returns the same as `average_precision` in float64, by NumPy, without a compilation for every size.

    Args:
        scores: the larger, the likelier; only their order matters. A NaN gives NaN.
        targets: 1 where the class holds, else 0.

    Raises:
        InputError: if the shapes differ.

    >>> import numpy as np
    >>> average_precision_on_host(np.array([[0.9], [0.8], [0.7]]), np.array([[1], [0], [1]])).round(4).tolist()
    [0.8333]
    """
    _check(scores, targets)
    # Classes first: sorting runs along memory.
    columns = zip(np.ascontiguousarray(scores.T), np.ascontiguousarray(targets.T > 0.5), strict=True)
    return np.asarray([_of_column(score, truth) for score, truth in columns], np.float64)


def _of_column(scores: Float[np.ndarray, "batch"], truth: Bool[np.ndarray, "batch"]) -> float:
    """Returns the mean over positives of the precision at their own score, which is the average precision."""
    # Two sorts of values and two searches: a tenth of the cost of sorting indices.
    every, positive = np.sort(scores), np.sort(scores[truth])
    if len(positive) == 0 or np.isnan(every[-1]):  # NaN is sorted last.
        return float("nan")
    seen = len(every) - every.searchsorted(positive)
    found = len(positive) - positive.searchsorted(positive)
    return float((found / seen).sum() / len(positive))


def _check(scores: Shaped[AnyArray, "..."], targets: Shaped[AnyArray, "..."]) -> None:
    """Raises unless scores and targets have the same two axes."""
    rule = f"have the shape of the scores, {scores.shape}"
    require(scores.ndim == 2, "scores", "have the shape (rows, classes)", scores.shape)
    require(scores.shape == targets.shape, "targets", rule, targets.shape)
