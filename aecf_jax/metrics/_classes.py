"""Metrics of exclusive classes as sums and counts over a data set."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import nn
from jaxtyping import Array, Bool, Float, Int

from aecf_jax.metrics._bins import BinSums
from aecf_jax.metrics._scores import prediction_scores
from aecf_jax.metrics._sums import AnyArray, Sum, count, counted_rows, merged, ratio

_TOP = 5


@struct.dataclass
class ClassSums:
    """Sums and counts from which every metric of exclusive classes follows, for any split into batches.

    Among equal logits the first class counts as the larger. A row with a NaN is right in nothing, and shows as NaN in
    whatever averages probabilities.

    Attributes:
        rows: rows counted.
        correct: rows whose largest logit is the true class's.
        correct_top5: rows whose true class is among the five largest.
        hits: correct rows of each class.
        predicted: rows predicted as each class.
        actual: rows of each class.
        nll: summed -log p of the true class, in nats.
        brier: summed squared distance of the probabilities from the truth.
        confidence: summed largest probability.
        top: bins of the largest probability, `(1, bins)`.
        classwise: bins of every class's probability, `(classes, bins)`.

    >>> import jax.numpy as jnp
    >>> sums = ClassSums.empty(3).update(jnp.eye(3), jnp.array([0, 1, 1]))
    >>> round(sums.compute()["accuracy"], 4)
    0.6667
    """

    rows: Int[AnyArray, "*many"]
    correct: Int[AnyArray, "*many"]
    correct_top5: Int[AnyArray, "*many"]
    hits: Int[AnyArray, "*many classes"]
    predicted: Int[AnyArray, "*many classes"]
    actual: Int[AnyArray, "*many classes"]
    nll: Sum
    brier: Sum
    confidence: Sum
    top: BinSums
    classwise: BinSums

    @classmethod
    def empty(cls, classes: int, bins: int = 15) -> "ClassSums":
        """Returns the sums over no rows.

        Args:
            classes: number of classes.
            bins: number of equal-width reliability bins.
        """
        zero, zeros = jnp.zeros((), jnp.int32), jnp.zeros(classes, jnp.int32)
        return cls(
            rows=zero, correct=zero, correct_top5=zero, hits=zeros, predicted=zeros, actual=zeros,
            nll=Sum.zeros(), brier=Sum.zeros(), confidence=Sum.zeros(),
            top=BinSums.empty(1, bins), classwise=BinSums.empty(classes, bins),
        )  # fmt: skip

    def update(
        self,
        logits: Float[AnyArray, "batch classes"],
        targets: Int[AnyArray, "batch"],
        valid: Bool[AnyArray, "batch"] | None = None,
    ) -> "ClassSums":
        """Returns the sums with a batch added.

        Args:
            logits: unnormalized log-probabilities.
            targets: index of the true class; one out of range shows as NaN in the negative log-likelihood.
            valid: False for rows of padding, whatever they hold; None: all rows count.
        """
        rows = counted_rows(valid, logits.shape[0])
        logits = jnp.where(rows[:, None], jnp.asarray(logits).astype(jnp.float32), 0.0)
        targets = jnp.where(rows, jnp.asarray(targets), 0)
        classes, bins = logits.shape[1], self.top.count.shape[-1]
        truth = targets[:, None] == jnp.arange(classes)[None, :]
        rank = _rank(logits, targets, truth)
        guess = jnp.argmax(logits, axis=-1)[:, None] == jnp.arange(classes)[None, :]
        log_probs, probs = nn.log_softmax(logits, axis=-1), nn.softmax(logits, axis=-1)
        top = jnp.max(probs, axis=-1)
        right = rank == 0
        batch = ClassSums(
            rows=count(rows),
            correct=count(rows & right),
            correct_top5=count(rows & (rank < (_TOP if classes >= _TOP else 1))),
            hits=count(truth & (rows & right)[:, None]),
            predicted=count(guess & rows[:, None]),
            actual=count(truth & rows[:, None]),
            nll=Sum.of(jnp.where(rows, -_of_target(log_probs, targets), 0.0)),
            brier=Sum.of(jnp.where(rows, jnp.sum(jnp.square(probs - truth), axis=-1), 0.0)),
            confidence=Sum.of(jnp.where(rows, top, 0.0)),
            top=BinSums.of(top[:, None], right[:, None], rows, bins),
            classwise=BinSums.of(probs, truth, rows, bins),
        )
        return merged(self, batch)

    def merge(self, other: "ClassSums") -> "ClassSums":
        """Returns the sums over the rows of both."""
        return merged(self, other)

    def compute(self) -> dict[str, float]:
        """Returns the metrics, in float64 on the host; NaN where no row was counted.

        Keys: those of `each`.
        """
        return {name: float(value) for name, value in self.each().items()}

    def each(self) -> dict[str, Float[np.ndarray, "..."]]:
        """Returns the metrics of every one of several sums, which are what leading axes hold.

        Keys: `accuracy`, `top5_accuracy` (accuracy, if there are fewer than five classes), `confidence` (mean largest
        probability), `precision`, `recall`, `f1_macro`, `f1_micro`, `nll` (nats), `brier` (sum over classes, in
        [0, 2]), `ece` and `mce` (of the largest probability), `classwise_ece` (mean over classes).
        """
        return {
            "accuracy": ratio(self.correct, self.rows),
            "top5_accuracy": ratio(self.correct_top5, self.rows),
            "confidence": ratio(self.confidence.value, self.rows),
            **prediction_scores(self.hits, self.predicted, self.actual),
            "nll": ratio(self.nll.value, self.rows),
            "brier": ratio(self.brier.value, self.rows),
            "ece": self.top.calibration_error()[..., 0],
            "mce": self.top.largest_gap(),
            "classwise_ece": np.mean(self.classwise.calibration_error(), axis=-1),
        }


def _rank(
    logits: Float[Array, "batch classes"], targets: Int[Array, "batch"], truth: Bool[Array, "batch classes"]
) -> Int[Array, "batch"]:
    """Returns how many classes stand before the true one; all of them, if a logit is NaN or there is no such class."""
    own = jnp.max(jnp.where(truth, logits, -jnp.inf), axis=-1, keepdims=True)
    earlier = jnp.arange(logits.shape[1])[None, :] < targets[:, None]
    before = jnp.sum((logits > own) | ((logits == own) & earlier), axis=-1)
    sound = jnp.any(truth, axis=-1) & ~jnp.any(jnp.isnan(logits), axis=-1)
    return jnp.where(sound, before, logits.shape[1] + _TOP)


def _of_target(log_probs: Float[Array, "batch classes"], targets: Int[Array, "batch"]) -> Float[Array, "batch"]:
    """Returns each row's log-probability of its class; NaN if there is no such class."""
    index = jnp.where(targets < 0, log_probs.shape[1], targets)[:, None]
    return jnp.take_along_axis(log_probs, index, axis=-1, mode="fill", fill_value=jnp.nan)[:, 0]
