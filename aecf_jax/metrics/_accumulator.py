"""Metrics over batches that come one by one, exact over all of their rows."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from aecf_jax.config import TaskType
from aecf_jax.errors import require
from aecf_jax.metrics._evaluate import evaluate_predictions
from aecf_jax.metrics._sums import AnyArray


class MetricsAccumulator:
    """Collects batches of predictions, or dictionaries of means, and gives their metrics over all rows.

    Predictions are kept on the host until `reset`, since average precision needs every score.

    Args:
        task_type: classification, regression or embedding.
        n_bins: number of equal-width reliability bins.

    Source: `MetricsAccumulator` of the PyTorch generation. Differs: given predictions, what it returns is exact over
    all rows; given dictionaries, their mean weighted by rows, not by batches.

    >>> accumulator = MetricsAccumulator()
    >>> accumulator.update({"loss": 1.0}, count=3)
    >>> accumulator.update({"loss": 2.0}, count=1)
    >>> accumulator.compute()
    {'loss': 1.25}
    """

    def __init__(self, task_type: TaskType = "classification", n_bins: int = 15) -> None:
        self._task_type: TaskType = task_type
        self._n_bins = n_bins
        self.reset()

    def reset(self) -> None:
        """Forgets every batch."""
        self._means: dict[str, tuple[float, float]] = {}
        self._batches: list[dict[str, np.ndarray]] = []

    def update(
        self,
        values: Mapping[str, object] | Shaped[AnyArray, "batch ..."],
        targets: Shaped[AnyArray, "batch ..."] | int | None = None,
        weights: Shaped[AnyArray, "batch modality"] | None = None,
        present: Shaped[AnyArray, "batch modality"] | None = None,
        *,
        count: int | None = None,
    ) -> None:
        """Adds a batch: `update(logits, targets, weights, present)`, or `update(means, count)`.

        Args:
            values: the model's output; or means by name, over the rows of a batch.
            targets: the targets; with means, the same as `count`.
            weights: the gate's weights; in all batches or in none.
            present: True where a modality was observed; in all batches or in none.
            count: with means, the number of rows that they are over, 1 if not said.

        Raises:
            InputError: if targets are missing, a value is no number, or batches differ in what they hold.
        """
        if isinstance(values, Mapping):
            rows = count if targets is None else targets
            self._add_means(values, 1 if rows is None else rows)
            return
        require(targets is not None and np.ndim(targets) > 0, "targets", "be given with the model's output", targets)
        given = {"output": values, "targets": targets, "weights": weights, "present": present}
        # Copies: loaders like to fill one buffer again and again.
        batch = {name: np.array(array) for name, array in given.items() if array is not None}
        for name, array in batch.items():
            require(len(array) == len(batch["output"]), name, "have as many rows as the output", len(array))
        if self._batches:
            first = self._batches[0]
            require(first.keys() == batch.keys(), "batch", f"hold {', '.join(first)}, as before", ", ".join(batch))
        self._batches.append(batch)

    def compute(self) -> dict[str, float]:
        """Returns the metrics over all rows so far, and the means; an empty dictionary before the first batch.

        Of a mean and a metric of one name, the metric is given: it is exact.
        """
        means = {name: total / rows for name, (total, rows) in self._means.items()}
        if not self._batches:
            return means
        joined = {name: np.concatenate([batch[name] for batch in self._batches]) for name in self._batches[0]}
        found = evaluate_predictions(
            joined["output"], joined["targets"], self._task_type, weights=joined.get("weights"),
            present=joined.get("present"), n_bins=self._n_bins,
        )  # fmt: skip
        return means | found

    def _add_means(self, means: Mapping[str, object], rows: object) -> None:
        """Adds a dictionary of means over some rows."""
        number = np.asarray(rows)
        require(number.ndim == 0 and bool(number > 0), "count", "be a positive number of rows", rows)
        for name, value in means.items():
            mean = np.asarray(value)
            require(mean.size == 1 and mean.dtype.kind not in "OSU", name, "be one number", value)
            total, seen = self._means.get(name, (0.0, 0.0))
            self._means[name] = (total + float(mean.reshape(())) * float(number), seen + float(number))
