"""How often conformal sets hold the truth, and how large they are, for every pattern of visible modalities."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from aecf_jax.calibrate._conformal import Conformal, conformal_rank
from aecf_jax.calibrate._entries import entries_of, entry_index
from aecf_jax.calibrate._scores import true_columns
from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate import BATCH_SIZE, Model, subset_outputs
from aecf_jax.stats import binomial_interval


class CoverageRow(NamedTuple):
    """The sets of one pattern.

    Attributes:
        pattern: its modalities.
        rows: how many rows were looked at.
        coverage: share of them whose set holds the truth: the class, or the values of all labels.
        low: lower end of the 95 % binomial interval of that share.
        high: its upper end.
        least: lower end of where that share lies in 95 of 100 cases if the sets keep their promise: wider than the
            binomial interval, since the threshold itself was found on few rows.
        most: its upper end.
        size: mean number of classes in a set, or of labels with both values in it.
    """

    pattern: str
    rows: int
    coverage: float
    low: float
    high: float
    least: float
    most: float
    size: float


def conformal_coverage(
    conformal: Conformal, model: Model, dataset: Dataset, *, batch_size: int = BATCH_SIZE
) -> list[CoverageRow]:
    """Returns the coverage of every subset of the modalities, each on the rows that have all of it.

    Args:
        conformal: the thresholds.
        model: anything with `config` and `variables`.
        dataset: rows with labels; for an honest figure other ones than the thresholds were found on.
        batch_size: rows per block.
    """
    require(dataset.label_kind == conformal.kind, "label", f"be {conformal.kind}, as the sets are",
            f"data with {dataset.label_kind}")  # fmt: skip
    labels = conformal.kind == "labels"
    target = dataset.label if labels else np.eye(model.config.num_classes)[dataset.label]
    found: list[CoverageRow] = []
    for chunk in subset_outputs(model, dataset, batch_size=batch_size):
        for seen, output, counted in zip(chunk.seen, chunk.output, chunk.counted, strict=True):
            if counted.any():
                visible = np.broadcast_to(seen, (int(counted.sum()), len(seen)))
                found += pattern_coverage(conformal, output[counted], target[counted], visible)
    return found


def pattern_coverage(
    conformal: Conformal,
    logits: Float[np.ndarray, "rows classes"],
    target: Float[np.ndarray, "rows classes"],
    visible: Bool[np.ndarray, "rows modality"],
) -> list[CoverageRow]:
    """Returns the coverage of each pattern among some rows.

    Args:
        conformal: the thresholds.
        logits: the model's.
        target: 1 for the true class or label, else 0.
        visible: what the model saw.
    """
    sets = conformal(logits, visible)
    true = true_columns(np.asarray(target, np.float64), conformal.kind)
    held = np.asarray((sets.reshape(true.shape) | ~true).all(axis=1))
    size = np.asarray(sets.sum(axis=1) if conformal.kind == "classes" else sets.all(axis=2).sum(axis=1))
    patterns = entries_of(visible, "pattern")
    index = entry_index(patterns, visible)
    used = conformal.rows[entry_index(conformal.entries, patterns.patterns)]
    rows: list[CoverageRow] = []
    for entry, name in enumerate(patterns.names(conformal.modalities)[:-1]):
        own = np.flatnonzero(index == entry)
        count, hits = len(own), int(held[own].sum())
        low, high = binomial_interval(hits, count)
        least, most = expected_coverage(int(used[entry]), count, conformal.coverage)
        rows.append(CoverageRow(name, count, hits / count, low, high, least, most, float(size[own].mean())))
    return rows


def expected_coverage(fitted: int, rows: int, coverage: float, *, level: float = 0.95) -> tuple[float, float]:
    """Returns between which shares the coverage of new rows lies, if they are exchangeable with the fitted ones.

    The number of new rows that are held is beta-binomial: the threshold, the l-th of n sorted scores, holds a share of
    Beta(l, n + 1 - l), and the new rows are binomial given that. Without a threshold all are held.

    Args:
        fitted: how many rows the threshold was found on.
        rows: how many new rows.
        coverage: what was promised.
        level: the probability of the interval, half of the rest on either side.

    Source: Vovk, "Conditional validity of inductive conformal predictors", 2012.
    """
    rank = conformal_rank(fitted, coverage)
    if rank > fitted:
        return 1.0, 1.0
    below = np.cumsum(np.exp(_log_beta_binomial(rows, rank, fitted + 1 - rank)))
    tail = (1 - level) / 2
    low, high = np.searchsorted(below, tail, side="right"), np.searchsorted(below, 1 - tail, side="left")
    return int(low) / rows, min(int(high), rows) / rows


def _log_beta_binomial(rows: int, a: int, b: int) -> np.ndarray:
    """Returns the log-probability of every number from 0 to `rows`."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, rows + a + b)))])
    k = np.arange(rows + 1)

    def log_beta(first: Any, second: Any) -> Any:
        return log_factorial[first - 1] + log_factorial[second - 1] - log_factorial[first + second - 1]

    choose = log_factorial[rows] - log_factorial[k] - log_factorial[rows - k]
    return choose + log_beta(k + a, rows - k + b) - log_beta(a, b)
