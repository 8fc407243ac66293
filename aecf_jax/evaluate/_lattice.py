"""Whether more modalities make a model surer and better: over all pairs S ⊂ T of the lattice of subsets, row by row."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import SUBSET_BATCH_SIZE, Model
from aecf_jax.evaluate._outputs import subset_outputs
from aecf_jax.evaluate._row_scores import Calibrated, row_scores
from aecf_jax.evaluate._subsets import MAX_SUBSETS, subset_count
from aecf_jax.stats import DRAWS, Estimate, percentile_interval, resample_counts

TOLERANCE = 1e-6
"""A smaller fall or rise counts as none: rounding of float32 logits moves a probability by about as much."""

_ROWS = 1024


class PairRates(NamedTuple):
    """How often a modality more makes a model less sure, or worse.

    Attributes:
        pairs: pairs of subsets.
        compared: pairs times rows that have all of the larger subset.
        violating: share of these where the confidence falls when modalities are added; NaN for values.
        counter_intuitive: share of these where the row's loss rises.
    """

    pairs: int
    compared: int
    violating: Estimate
    counter_intuitive: Estimate


class Monotonicity(NamedTuple):
    """Rates over the lattice of subsets, with bootstrap intervals over rows.

    Attributes:
        rows: rows of the data.
        nested: over all pairs of non-empty subsets S ⊂ T, S ≠ T.
        covering: over those where T has one modality more than S.
    """

    rows: int
    nested: PairRates
    covering: PairRates

    def to_dict(self) -> dict[str, Any]:
        """Returns the rates as JSON can hold them, NaN as None."""
        return {"rows": self.rows, "nested": _plain(self.nested), "covering": _plain(self.covering)}


class PairCounts(NamedTuple):
    """Counts of each row: pairs that it has all of, those where confidence falls, those where loss rises."""

    compared: Float64[np.ndarray, "rows"]
    falls: Float64[np.ndarray, "rows"]
    rises: Float64[np.ndarray, "rows"]


def monotonicity(
    model: Model,
    dataset: Dataset,
    *,
    calibration: Calibrated | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
    batch_size: int = SUBSET_BATCH_SIZE,
) -> Monotonicity:
    """Returns how often confidence falls, and loss rises, when modalities are added.

    Exact over all pairs: 602 of 6 modalities, 57,002 of 10. A row takes part in those whose larger subset it has.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with labels and the model's modalities.
        calibration: (logits, visible) -> calibrated logits; None: as the model gives them.
        draws: resamples of the rows for the intervals.
        seed: of these.
        level: confidence of the intervals.
        batch_size: rows per block.

    Raises:
        InputError: for an embedding, data without labels, or too many modalities.
    """
    names = tuple(model.config.modalities)
    count = subset_count(len(names))
    require(count <= MAX_SUBSETS, "modalities", f"have at most {MAX_SUBSETS} subsets, to compare each",
            f"{len(names)} modalities, which have {count}")  # fmt: skip
    require(dataset.label_kind != "none", "label", "be given to compare subsets", "data without labels")
    present = dataset.select(names).present
    confidence, loss = (np.empty((count, len(dataset)), np.float32) for _ in range(2))
    seen = np.zeros((count, len(names)), bool)
    done = 0
    for chunk in subset_outputs(model, dataset, batch_size=batch_size):
        for one, output in zip(chunk.seen, chunk.output, strict=True):
            output = output if calibration is None else calibration(output, present & one)
            scores = row_scores(output, dataset.label, model.config.task_type)
            seen[done], confidence[done], loss[done] = one, scores.confidence, scores.loss
            done += 1
    nested, covering = (pair_counts(confidence, loss, seen, present, covering=only) for only in (False, True))
    weights = resample_counts(len(dataset), draws, seed=seed)
    return Monotonicity(
        len(dataset),
        _rates(nested, 3 ** len(names) - 2 ** (len(names) + 1) + 1, weights, level),
        _rates(covering, len(names) * (2 ** (len(names) - 1) - 1), weights, level),
    )


def pair_counts(
    confidence: Float32[np.ndarray, "subsets rows"],
    loss: Float32[np.ndarray, "subsets rows"],
    seen: Bool[np.ndarray, "subsets modality"],
    present: Bool[np.ndarray, "rows modality"],
    *,
    covering: bool = False,
) -> PairCounts:
    """Returns the counts of each row over all pairs S ⊂ T, S ≠ T; NaN where a number of the row that counts is NaN.

    Args:
        confidence: of every row from every subset.
        loss: the same.
        seen: the subsets.
        present: what each row has.
        covering: only pairs where T has one modality more than S.
    """
    compared, falls, rises = (np.zeros(len(present)) for _ in range(3))
    for larger, smaller in _lattice(seen, covering=covering):
        has = ~(seen[larger] & ~present).any(axis=1)
        compared += len(smaller) * has
        for start in range(0, len(present), _ROWS):
            rows = slice(start, start + _ROWS)
            for values, sign, found in ((confidence, 1, falls), (loss, -1, rises)):
                drop = sign * (values[smaller, rows] - values[larger, rows][None])
                bad = np.count_nonzero(drop > TOLERANCE, axis=0) + np.where(np.isnan(drop).any(axis=0), np.nan, 0.0)
                found[rows] += np.where(has[rows], bad, 0.0)
    return PairCounts(compared, falls, rises)


def _lattice(seen: Bool[np.ndarray, "subsets modality"], *, covering: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each subset that has smaller ones, with their indices."""
    sizes = seen.sum(axis=1)
    for larger, one in enumerate(seen):
        smaller = ~(seen & ~one).any(axis=1) & (sizes == sizes[larger] - 1 if covering else sizes < sizes[larger])
        if smaller.any():
            yield larger, np.flatnonzero(smaller)


def _rates(counts: PairCounts, pairs: int, weights: Int[np.ndarray, "draws rows"], level: float) -> PairRates:
    """Returns the rates with their intervals."""
    once = np.ones((1, len(counts.compared)))

    def rate(number: Float[np.ndarray, "rows"]) -> Estimate:
        with np.errstate(invalid="ignore"):
            (value,), drawn = (drawn @ number / (drawn @ counts.compared) for drawn in (once, weights))
        low, high = percentile_interval(drawn, level)
        return Estimate(float(value), float(low), float(high))

    return PairRates(pairs, int(counts.compared.sum()), rate(counts.falls), rate(counts.rises))


def _plain(rates: PairRates) -> dict[str, Any]:
    """Returns rates as JSON can hold them."""
    estimates = {"violating": rates.violating, "counter_intuitive": rates.counter_intuitive}
    return {"pairs": rates.pairs, "compared": rates.compared, **{n: plain(e) for n, e in estimates.items()}}


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Returns an estimate as JSON can hold it: NaN is None."""
    return {name: None if math.isnan(value) else value for name, value in estimate._asdict().items()}
