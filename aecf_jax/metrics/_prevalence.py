"""The row beside every table: what it is worth to predict the training part's frequencies, whatever the input.

It is calibrated and knows nothing, so that a table of calibration errors alone ranks it first.
"""

import numpy as np
from jaxtyping import Float, Shaped

from aecf_jax.errors import require
from aecf_jax.metrics import _host
from aecf_jax.metrics._calibration import calibration_metrics
from aecf_jax.metrics._evaluate import as_classes, as_float64, as_labels, evaluate_predictions
from aecf_jax.metrics._sums import AnyArray


def prevalence_output(
    train_targets: Shaped[AnyArray, "train ..."],
    rows: int,
    task_type: str = "classification",
    *,
    classes: int | None = None,
) -> Float[np.ndarray, "rows classes"]:
    """Returns logits whose probabilities are the frequencies of the training part; of values, their means.

    Logarithms of frequencies, or log-odds: infinite for what never or always occurs.

    Args:
        train_targets: integer classes, labels 0 and 1, values, or embeddings.
        rows: how many rows to return, all equal.
        task_type: classification, regression or embedding.
        classes: number of classes; None: the largest class plus 1.

    Raises:
        InputError: if there is no training row, or a class out of range.

    >>> import numpy as np
    >>> prevalence_output(np.array([0, 0, 1, 0]), 1).round(4).tolist()
    [[-0.2877, -1.3863]]
    """
    targets = np.asarray(train_targets)
    require(targets.ndim > 0 and len(targets) > 0, "train_targets", "have a row", targets.shape)
    if task_type != "classification":
        return np.tile(np.atleast_1d(as_float64(targets).mean(axis=0)), (rows, 1))
    with np.errstate(divide="ignore"):
        if targets.ndim > 1:
            share = as_labels(targets, targets.shape).mean(axis=0)
            return np.tile(np.log(share) - np.log1p(-share), (rows, 1))
        number = int(targets.max()) + 1 if classes is None else classes
        share = np.bincount(as_classes(targets, number), minlength=number) / len(targets)
        return np.tile(np.log(share), (rows, 1))


@_host.quiet
def prevalence_metrics(
    train_targets: Shaped[AnyArray, "train ..."],
    targets: Shaped[AnyArray, "rows ..."],
    task_type: str = "classification",
    *,
    classes: int | None = None,
    bins: int = 15,
) -> dict[str, float]:
    """Returns the metrics of predicting the training part's frequencies, or means, for every row.

    The keys are those of `evaluate_predictions`, for classification with those of `calibration_metrics`.

    Args:
        train_targets: integer classes, labels or values of the training part.
        targets: the same of the part that is evaluated.
        task_type: classification, regression or embedding.
        classes: number of classes; None: the largest of either part plus 1.
        bins: number of bins of a calibration curve.

    Raises:
        InputError: if there is no training row, or the two do not fit.

    >>> import numpy as np
    >>> found = prevalence_metrics(np.array([0, 0, 1, 0]), np.array([0, 0, 0, 1]))
    >>> found["accuracy"], round(found["ece"], 12)
    (0.75, 0.0)
    """
    train, targets = np.asarray(train_targets), np.asarray(targets)
    if task_type == "embedding":
        require(targets.ndim > 1, "targets", "be embeddings, whose mean is predicted", "classes")
    if task_type == "classification" and classes is None and targets.ndim == 1:
        classes = int(max(part.max(initial=0) for part in (train, targets))) + 1
    output = prevalence_output(train, len(targets), task_type, classes=classes)
    found = evaluate_predictions(output, targets, task_type, n_bins=bins)
    return found | calibration_metrics(output, targets, bins=bins) if task_type == "classification" else found
