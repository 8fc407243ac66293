"""Metrics of the gate's weights as sums over a data set."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int

from aecf_jax.metrics._sums import AnyArray, Sum, count, counted_rows, merged, ratio, sum_of_squares
from aecf_jax.ops import gate_entropy


@struct.dataclass
class WeightSums:
    """Sums from which every metric of the gate's weights follows.

    Attributes:
        rows: rows counted.
        entropy: summed entropy, in nats.
        weight: summed weights of each modality.
        weight_square: summed squares of the weights of each modality.

    >>> import jax.numpy as jnp
    >>> sums = WeightSums.empty(2).update(jnp.array([[0.5, 0.5], [0.5, 0.5]]))
    >>> sums.compute()["effective_modalities"]
    2.0
    """

    rows: Int[AnyArray, ""]
    entropy: Sum
    weight: Sum
    weight_square: Sum

    @classmethod
    def empty(cls, modalities: int) -> "WeightSums":
        """Returns the sums over no rows.

        Args:
            modalities: number of modalities.
        """
        weight, weight_square = (Sum.zeros(modalities) for _ in range(2))
        return cls(jnp.zeros((), jnp.int32), Sum.zeros(), weight, weight_square)

    def update(
        self,
        weights: Float[AnyArray, "batch modality"],
        valid: Bool[AnyArray, "batch"] | None = None,
    ) -> "WeightSums":
        """Returns the sums with a batch added.

        Args:
            weights: the gate's weights, summing to 1.
            valid: False for rows of padding, and for rows with nothing present, which have no weights to speak of.
        """
        rows = counted_rows(valid, weights.shape[0])
        weights = jnp.where(rows[:, None], jnp.asarray(weights).astype(jnp.float32), 0.0)
        batch = WeightSums(
            rows=count(rows),
            entropy=Sum.of(gate_entropy(weights)),
            weight=Sum.of(weights),
            weight_square=sum_of_squares(weights),
        )
        return merged(self, batch)

    def merge(self, other: "WeightSums") -> "WeightSums":
        """Returns the sums over the rows of both."""
        return merged(self, other)

    def compute(self) -> dict[str, float]:
        """Returns the metrics, in float64 on the host; NaN where no row was counted.

        Keys: `entropy` (mean, in nats), `effective_modalities` (1 / mean of the sum of squared weights: 1 where one
        modality has it all, M where all are equal), and for each modality i `weight_mod_i` (mean) and
        `weight_std_mod_i` (unbiased standard deviation over rows; NaN for one row).

        Source: the PyTorch generation's `AECFMetrics.compute_modality_metrics`.
        """
        rows = float(self.rows)
        total, square = self.weight.value, self.weight_square.value
        spread = np.maximum(square - np.square(total) / max(rows, 1.0), 0.0)
        mean, std = ratio(total, rows), np.sqrt(ratio(spread, rows - 1.0))
        out = {
            "entropy": float(ratio(self.entropy.value, rows)),
            "effective_modalities": float(ratio(rows, square.sum())),
        }
        for i, (of_mean, of_std) in enumerate(zip(mean, std, strict=True)):
            out |= {f"weight_mod_{i}": float(of_mean), f"weight_std_mod_{i}": float(of_std)}
        return out
