"""Metrics of independent labels as sums and counts over a data set."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import nn
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics._bins import BinSums
from aecf_jax.metrics._scores import prediction_scores
from aecf_jax.metrics._sums import AnyArray, Sum, count, counted_rows, merged, ratio
from aecf_jax.ops import log_sigmoids


@struct.dataclass
class LabelSums:
    """Sums and counts from which every metric of independent labels follows, except average precision.

    A label is predicted where its logit is above 0. A NaN counts as the wrong prediction, and shows as NaN in whatever
    averages probabilities.

    Attributes:
        rows: rows counted.
        exact: rows with every label right.
        first: rows whose largest logit is at the first label that holds (at label 0, where none holds).
        top: rows whose largest logit is at a label that holds.
        hits: rows of each label that were predicted to have it.
        predicted: rows predicted to have each label.
        actual: rows that have each label.
        nll: summed binary cross-entropy over rows and labels, in nats.
        brier: summed squared error of the probabilities over rows and labels.
        bins: bins of every label's probability, `(classes, bins)`.

    >>> import jax.numpy as jnp
    >>> sums = LabelSums.empty(2).update(jnp.array([[1.0, -1.0], [1.0, 1.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]]))
    >>> sums.compute()["hamming_loss"]
    0.25
    """

    rows: Int[AnyArray, "*many"]
    exact: Int[AnyArray, "*many"]
    first: Int[AnyArray, "*many"]
    top: Int[AnyArray, "*many"]
    hits: Int[AnyArray, "*many classes"]
    predicted: Int[AnyArray, "*many classes"]
    actual: Int[AnyArray, "*many classes"]
    nll: Sum
    brier: Sum
    bins: BinSums

    @classmethod
    def empty(cls, classes: int, bins: int = 15) -> "LabelSums":
        """Returns the sums over no rows.

        Args:
            classes: number of labels.
            bins: number of equal-width reliability bins.
        """
        zero, zeros = jnp.zeros((), jnp.int32), jnp.zeros(classes, jnp.int32)
        return cls(
            rows=zero, exact=zero, first=zero, top=zero, hits=zeros, predicted=zeros, actual=zeros,
            nll=Sum.zeros(), brier=Sum.zeros(), bins=BinSums.empty(classes, bins),
        )  # fmt: skip

    def update(
        self,
        logits: Float[AnyArray, "batch classes"],
        targets: Shaped[AnyArray, "batch classes"],
        valid: Bool[AnyArray, "batch"] | None = None,
    ) -> "LabelSums":
        """Returns the sums with a batch added.

        Args:
            logits: log-odds of the labels.
            targets: 1 where the label holds, 0 where it does not.
            valid: False for rows of padding, whatever they hold; None: all rows count.

        Raises:
            InputError: if the shapes differ.
        """
        require(
            logits.shape == targets.shape, "targets", f"have the shape of the logits, {logits.shape}", targets.shape
        )
        rows = counted_rows(valid, logits.shape[0])
        logits = jnp.where(rows[:, None], jnp.asarray(logits).astype(jnp.float32), 0.0)
        truth = rows[:, None] & (jnp.asarray(targets) > 0.5)
        guess = jnp.where(jnp.isnan(logits), ~truth, logits > 0)
        probs = nn.sigmoid(logits)
        cost = -jnp.where(truth, *log_sigmoids(logits))
        best = jnp.argmax(logits, axis=-1)
        sound = rows & ~jnp.any(jnp.isnan(logits), axis=-1)
        top = jnp.take_along_axis(truth, best[:, None], axis=-1)[:, 0]
        batch = LabelSums(
            rows=count(rows),
            exact=count(rows & jnp.all(guess == truth, axis=-1)),
            first=count(sound & (best == jnp.argmax(truth, axis=-1))),
            top=count(sound & top),
            hits=count(guess & truth),
            predicted=count(guess),
            actual=count(truth),
            nll=Sum.of(jnp.where(rows, jnp.sum(cost, axis=-1), 0.0)),
            brier=Sum.of(jnp.where(rows, jnp.sum(jnp.square(probs - truth), axis=-1), 0.0)),
            bins=BinSums.of(probs, truth, rows, self.bins.count.shape[-1]),
        )
        return merged(self, batch)

    def merge(self, other: "LabelSums") -> "LabelSums":
        """Returns the sums over the rows of both."""
        return merged(self, other)

    def compute(self) -> dict[str, float]:
        """Returns the metrics, in float64 on the host; NaN where no row was counted.

        Keys: those of `each`.
        """
        return {name: float(value) for name, value in self.each().items()}

    def each(self) -> dict[str, Float[np.ndarray, "..."]]:
        """Returns the metrics of every one of several sums, which are what leading axes hold.

        Keys: `exact_match` (share of rows with every label right), `hamming_loss` (share of wrong labels), `accuracy`
        (share of rows whose largest logit is at the first label that holds), `top1_accuracy` (at any label that
        holds), `precision`, `recall`, `f1_macro`, `f1_micro`, `nll` (nats a label), `brier` (a label), `ece` (mean over
        labels), `mce` (largest gap over labels and bins).

        Source: the PyTorch generation's `AECFMetrics` for the first three, `precision` and `recall`.
        """
        cells = np.asarray(self.rows, np.float64) * self.actual.shape[-1]
        hits, predicted, actual = (np.asarray(x, np.float64) for x in (self.hits, self.predicted, self.actual))
        wrong = np.sum(predicted + actual - 2 * hits, axis=-1)
        return {
            "exact_match": ratio(self.exact, self.rows),
            "hamming_loss": ratio(wrong, cells),
            "accuracy": ratio(self.first, self.rows),
            "top1_accuracy": ratio(self.top, self.rows),
            **prediction_scores(self.hits, self.predicted, self.actual),
            "nll": ratio(self.nll.value, cells),
            "brier": ratio(self.brier.value, cells),
            "ece": np.mean(self.bins.calibration_error(), axis=-1),
            "mce": self.bins.largest_gap(),
        }
