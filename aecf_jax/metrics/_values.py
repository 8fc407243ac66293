"""Metrics of regression as sums over a data set."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics._sums import AnyArray, Numbers, Sum, count, counted_rows, merged, ratio, sum_of_squares


@struct.dataclass
class ValueSums:
    """Sums from which every metric of regression follows, each per target.

    Attributes:
        rows: rows counted.
        squared: summed squared errors.
        absolute: summed absolute errors.
        target: summed targets.
        target_square: summed squares of the targets, unrounded, so that their variance survives a large mean.

    >>> import jax.numpy as jnp
    >>> sums = ValueSums.empty(1).update(jnp.array([[1.0], [2.0]]), jnp.array([[1.0], [4.0]]))
    >>> sums.compute()["mse"]
    2.0
    """

    rows: Int[AnyArray, ""]
    squared: Sum
    absolute: Sum
    target: Sum
    target_square: Sum

    @classmethod
    def empty(cls, targets: int) -> "ValueSums":
        """Returns the sums over no rows.

        Args:
            targets: number of values that a row has.
        """
        squared, absolute, target, target_square = (Sum.zeros(targets) for _ in range(4))
        return cls(jnp.zeros((), jnp.int32), squared, absolute, target, target_square)

    def update(
        self,
        predictions: Float[AnyArray, "batch targets"],
        targets: Float[AnyArray, "batch targets"],
        valid: Bool[AnyArray, "batch"] | None = None,
    ) -> "ValueSums":
        """Returns the sums with a batch added.

        Args:
            predictions: predicted values.
            targets: true values.
            valid: False for rows of padding, whatever they hold; None: all rows count.

        Raises:
            InputError: if the shapes differ.
        """
        rule = f"have the shape of the predictions, {predictions.shape}"
        require(predictions.shape == targets.shape, "targets", rule, targets.shape)
        rows = counted_rows(valid, predictions.shape[0])
        predictions = jnp.where(rows[:, None], jnp.asarray(predictions).astype(jnp.float32), 0.0)
        targets = jnp.where(rows[:, None], jnp.asarray(targets).astype(jnp.float32), 0.0)
        error = predictions - targets
        batch = ValueSums(
            rows=count(rows),
            squared=Sum.of(jnp.square(error)),
            absolute=Sum.of(jnp.abs(error)),
            target=Sum.of(targets),
            target_square=sum_of_squares(targets),
        )
        return merged(self, batch)

    def merge(self, other: "ValueSums") -> "ValueSums":
        """Returns the sums over the rows of both."""
        return merged(self, other)

    def compute(self) -> dict[str, float]:
        """Returns the metrics, in float64 on the host; NaN where no row was counted.

        Keys: `mse`, `mae`, `rmse` over all rows and targets; `r2`, 1 - squared error / squared deviation of all targets
        from their one grand mean; `r2_per_target`, the mean over targets of the same with each target's own mean. A
        target that does not vary has no R².

        Source: the PyTorch generation's `AECFMetrics` for the first four; scikit-learn's `r2_score` for the last.
        """
        rows = np.asarray(self.rows, np.float64)
        total, square = self.target.value, self.target_square.value
        found = value_metrics(
            rows, self.squared.value, self.absolute.value,
            own=spread(square, total, rows),
            grand=spread(square.sum(), total.sum(), rows * total.size),
        )  # fmt: skip
        return {name: float(value) for name, value in found.items()}


def value_metrics(
    rows: Shaped[AnyArray, "*many"],
    squared: Float[np.ndarray, "*many targets"],
    absolute: Float[np.ndarray, "*many targets"],
    *,
    own: Float[np.ndarray, "*many targets"],
    grand: Float[np.ndarray, "*many"],
) -> dict[str, Float[np.ndarray, "*many"]]:
    """Returns the metrics of regression from sums over rows, of every one of several, which are what leading axes hold.

    Args:
        rows: number of rows.
        squared: summed squared errors of each target.
        absolute: summed absolute errors of each target.
        own: summed squared deviations of each target from its own mean; 0 where it does not vary.
        grand: summed squared deviations of all targets from their one mean; 0 where they do not vary.
    """
    cells = np.asarray(rows) * squared.shape[-1]
    mse, varies = ratio(squared.sum(-1), cells), own > 0
    explained = np.where(varies, 1 - ratio(squared, own), 0.0)
    return {
        "mse": mse,
        "mae": ratio(absolute.sum(-1), cells),
        "rmse": np.asarray(np.sqrt(mse)),
        "r2": np.asarray(1 - ratio(squared.sum(-1), grand)),
        "r2_per_target": ratio(explained.sum(-1), varies.sum(-1)),
    }


def spread(square: Numbers, total: Numbers, number: Numbers) -> Float[np.ndarray, "..."]:
    """Returns the summed squared deviations from the mean; 0 where they are all rounding.

    Args:
        square: summed squares.
        total: sum.
        number: how many they are over.
    """
    square = np.asarray(square)
    found = square - np.square(np.asarray(total)) / np.maximum(number, 1.0)
    # Two float32 numbers hold 48 bits of the squares: what is below that is nothing.
    return np.where(found > 1e-13 * square, found, 0.0)
