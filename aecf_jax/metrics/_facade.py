"""The PyTorch generation's door to the metrics, under its names and with its keys."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from aecf_jax.errors import require
from aecf_jax.metrics import _host
from aecf_jax.metrics._evaluate import as_classes, as_float64, as_labels, evaluate_predictions, modality_metrics
from aecf_jax.metrics._sums import AnyArray

_SLACK = 1e-3


class AECFMetrics:
    """Metrics of predictions given all at once, as dictionaries with fixed keys.

    Source: `AECFMetrics` of the PyTorch generation, whose keys all remain. Differs: exact over whatever rows are given;
    `map` leaves out labels without positives; calibration of labels is a calibration error.

    >>> import numpy as np
    >>> AECFMetrics.compute_modality_metrics(np.array([[0.5, 0.5], [0.5, 0.5]]))["weight_mod_0"]
    0.5
    """

    @staticmethod
    def compute_classification_metrics(
        logits: Shaped[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."]
    ) -> dict[str, float]:
        """Returns the metrics of classes or labels.

        Keys for classes: `accuracy`, `top5_accuracy`, `confidence`, `precision`, `recall`, `f1_macro`, `f1_micro`,
        `nll`, `brier`, `ece`, `mce`, `classwise_ece`. For labels: `map`, `map_micro`, `exact_match`, `hamming_loss`,
        `accuracy`, `top1_accuracy`, `precision`, `recall`, `f1_macro`, `f1_micro`, `nll`, `brier`, `ece`, `mce`.

        Args:
            logits: logits of classes or labels.
            targets: integer classes `(batch,)`, or labels 0 and 1 in the shape of the logits.

        Raises:
            InputError: if the targets do not fit the logits.
        """
        return evaluate_predictions(logits, targets, "classification")

    @staticmethod
    def compute_regression_metrics(
        predictions: Shaped[AnyArray, "batch ..."], targets: Shaped[AnyArray, "batch ..."]
    ) -> dict[str, float]:
        """Returns the metrics of regression: `mse`, `mae`, `rmse`, `r2` (grand mean), `r2_per_target`.

        Args:
            predictions: predicted values.
            targets: true values, in the same shape.

        Raises:
            InputError: if the shapes differ.
        """
        return evaluate_predictions(predictions, targets, "regression")

    @staticmethod
    def compute_modality_metrics(
        weights: Shaped[AnyArray, "batch modality"], present: Shaped[AnyArray, "batch modality"] | None = None
    ) -> dict[str, float]:
        """Returns `entropy` (nats), `effective_modalities`, and `weight_mod_i`, `weight_std_mod_i` of every modality i.

        Args:
            weights: the gate's weights.
            present: True where a modality was observed; rows without any do not count. None: all rows count.
        """
        return modality_metrics(weights, present=present)

    @staticmethod
    def compute_calibration_metrics(
        probs: Shaped[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."], n_bins: int = 15
    ) -> dict[str, float]:
        """Returns `ece` and `mce`: of the largest probability for classes, over all labels' own for labels.

        Args:
            probs: probabilities of classes or labels. Bins are compared at their precision.
            targets: integer classes `(batch,)`, or labels 0 and 1 in the shape of the probabilities.
            n_bins: number of equal-width bins (low, high]; 0 is in the first.

        Raises:
            InputError: if the targets do not fit, or a probability is outside [0, 1].

        >>> import numpy as np
        >>> AECFMetrics.compute_calibration_metrics(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
        {'ece': 0.0, 'mce': 0.0}
        """
        raw, targets = np.asarray(probs), np.asarray(targets)
        require(raw.ndim == 2, "probs", "have the shape (rows, classes)", raw.shape)
        require(n_bins > 0, "n_bins", "be positive", n_bins)
        edges = _host.bin_edges(n_bins, raw.dtype if jnp.issubdtype(raw.dtype, jnp.floating) else np.float64)
        values = as_float64(raw)
        bad = np.argwhere(~((values >= -_SLACK) & (values <= 1 + _SLACK)))
        got = f"{values[tuple(bad[0])]} in row {bad[0][0]}" if bad.size else ""
        require(bad.size == 0, "probs", "be probabilities, in [0, 1]", got)
        if targets.ndim == 1:
            require(len(raw) == len(targets), "targets", f"have {len(raw)} rows, as probs has", len(targets))
            right = values.argmax(axis=1) == as_classes(targets, values.shape[1])
            bins = _host.host_bins(values.max(axis=1, keepdims=True), right[:, None], edges)
        else:
            bins = _host.host_bins(values, as_labels(targets, values.shape), edges)
        return {"ece": float(np.mean(bins.calibration_error())), "mce": float(bins.largest_gap())}
