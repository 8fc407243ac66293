"""Mean and scale of every modality's features, fitted on training rows and on nothing else."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from aecf_jax.data._checks import row_blocks
from aecf_jax.data._dataset import Dataset, Splits
from aecf_jax.data._leaks import refuse_leak
from aecf_jax.errors import require


class Standardization(NamedTuple):
    """By modality, what to subtract from its features and what to divide them by.

    Attributes:
        mean: `(width,)`.
        scale: `(width,)`, positive.
    """

    mean: dict[str, Float32[np.ndarray, "_"]]
    scale: dict[str, Float32[np.ndarray, "_"]]


def fit_standardization(train: Dataset | Splits) -> Standardization:
    """Returns the mean and the population standard deviation of every feature, over rows where its modality is present.

    A feature that does not vary has scale 1, a modality that is never present mean 0 and scale 1. Rows are read twice,
    in blocks, and summed in float64.

    Args:
        train: training rows, or all parts, of which the training part is taken; the validation and test parts are
            refused, and with all parts given, a training part that holds rows of the test part.

    Raises:
        InputError: if the rows are for validation or testing.

    >>> import numpy as np
    >>> rows = Dataset({"image": np.array([[1.0], [3.0]])}, np.array([0, 1]), np.ones((2, 1), bool))
    >>> fitted = fit_standardization(rows)
    >>> fitted.mean["image"].tolist(), fitted.scale["image"].tolist()
    ([2.0], [1.0])
    """
    if isinstance(train, Splits):
        refuse_leak(train.train, train.test)
        train = train.train
    require(train.part in ("train", "all"), "train", "be the training part: constants are fitted on nothing else",
            f"the {train.part} part")  # fmt: skip
    mean: dict[str, np.ndarray] = {}
    scale: dict[str, np.ndarray] = {}
    for column, (name, array) in enumerate(train.features.items()):
        mean[name], scale[name] = _mean_and_scale(array, train.present[:, column])
    return Standardization(mean, scale)


def _mean_and_scale(array: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns one modality's mean and scale."""
    count = max(1, int(present.sum()))
    total = np.zeros(array.shape[1])
    for where, rows in row_blocks(array):
        total += rows[present[where]].sum(axis=0, dtype=np.float64)
    mean = total / count
    squares = np.zeros(array.shape[1])
    for where, rows in row_blocks(array):
        squares += np.square(rows[present[where]] - mean).sum(axis=0)
    # Compared as float32, in which the least deviations are 0: nothing may be divided by it.
    deviation = np.sqrt(squares / count).astype(np.float32)
    return mean.astype(np.float32), np.where(deviation > 0, deviation, np.float32(1))
