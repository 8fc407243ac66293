"""Random rows of the sizes that are measured."""

import numpy as np

from aecf_jax.config import Workload
from aecf_jax.data import Dataset, aligned


def random_rows(work: Workload, rows: int | None = None) -> Dataset:
    """Returns random features and labels, the same every time; each label is true in one row of twenty.

    Args:
        work: the sizes.
        rows: how many; None: all training rows.

    >>> random_rows(Workload(rows=8, batch=8, width=2), 3).features["m1"].shape
    (3, 2)
    """
    count, rng = work.rows if rows is None else rows, np.random.default_rng(0)
    shape = count, work.width
    features = {name: rng.standard_normal(dtype=np.float32, out=aligned(shape, np.float32)) for name in work.names}
    label = (rng.random((count, work.labels)) < 0.05).astype(np.float32)
    return Dataset(features, label, np.ones((count, work.num_modalities), bool), num_classes=work.labels)
