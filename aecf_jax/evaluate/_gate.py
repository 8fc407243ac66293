"""Whether a gate is used: what it does on the rows, and what predictions lose when it is replaced.

A gate whose weights vary need not matter. So it is replaced: by its mean, and by weights that it gave to other rows.
Both keep to rows of one pattern of presence, within which the only thing left to choose weights by is what the
modalities hold.
"""

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import BATCH_SIZE, Model, blocks, checked, predict
from aecf_jax.evaluate._lattice import plain
from aecf_jax.evaluate._row_scores import Calibrated, row_scores
from aecf_jax.nn import AECF
from aecf_jax.stats import DRAWS, Estimate, paired_bootstrap

COLLAPSED = 0.95
"""The alarm's bound on a modality's mean weight where it is not alone. In a weighted mean the others then move the
prediction by a twentieth at most, whatever they hold: the model has become one of a single modality."""

MARGIN = 0.01
"""A rise of the loss by less than this share of it is none. Between seeds of one model the loss differs by more: by
2 to 7 % of it with all modalities in `experiments/avmnist.py` and `experiments/digits.py`."""

_SHUFFLES = 8
"""Shuffles that are averaged, so that the luck of one adds little to the interval."""

Verdict = Literal["the gate is used", "the gate is not used", "no evidence either way", "the model has no gate"]


class Replacement(NamedTuple):
    """What replacing the gate's weights costs: replaced - as they are, with intervals over rows.

    Attributes:
        loss: rise of the negative log-likelihood (of values: of the squared error).
        accuracy: change of the share predicted right; NaN for values.
    """

    loss: Estimate
    accuracy: Estimate


class GateDiagnosis(NamedTuple):
    """What a gate does.

    Attributes:
        verdict: see docs/comparison.md; what stands below is None or empty where there is no gate.
        rows: rows with two or more modalities, over which all this is.
        loss: of the model as it is, over these rows.
        entropy: mean entropy of the weights in nats.
        largest_entropy: mean of ln(number present): the entropy of equal weights.
        mean_weights: modality -> mean weight in the rows that have it.
        collapsed: the modality that has `COLLAPSED` of the weight or more; None: no alarm.
        mean: replacing the weights by their mean over rows where the same is present.
        shuffled: replacing them by those of other rows where the same is present.
        dominance: class -> modality -> share of the class's rows in which it has the largest weight; for values empty.
    """

    verdict: Verdict
    rows: int
    loss: float | None = None
    entropy: float | None = None
    largest_entropy: float | None = None
    mean_weights: Mapping[str, float] = MappingProxyType({})
    collapsed: str | None = None
    mean: Replacement | None = None
    shuffled: Replacement | None = None
    dominance: Mapping[int, Mapping[str, float]] = MappingProxyType({})

    def to_dict(self) -> dict[str, Any]:
        """Returns the diagnosis as JSON can hold it, NaN as None."""
        costs = {
            name: None if cost is None else {what: plain(estimate) for what, estimate in cost._asdict().items()}
            for name, cost in (("mean", self.mean), ("shuffled", self.shuffled))
        }
        shares = {"mean_weights": _finite(self.mean_weights),
                  "dominance": {str(label): _finite(shares) for label, shares in self.dominance.items()}}  # fmt: skip
        return {**self._asdict(), **costs, **shares}


def gate_diagnosis(
    model: Model,
    dataset: Dataset,
    *,
    calibration: Calibrated | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
    batch_size: int = BATCH_SIZE,
) -> GateDiagnosis:
    """Returns what the gate does, and whether predictions need it.

    "Used": under both replacements the loss rises, by its interval. "Not used": under both it rises by less than
    `MARGIN` of itself, by its interval. Otherwise there is no evidence either way.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with labels and the model's modalities; rows with fewer than two leave a gate no choice.
        calibration: (logits, visible) -> calibrated logits; None: as the model gives them.
        draws: resamples of the rows for the intervals.
        seed: of these, and of the shuffles.
        level: confidence of the intervals.
        batch_size: rows per block.

    Raises:
        InputError: for an embedding, data without labels, or no row with two modalities.
    """
    dataset = checked(model.config, dataset, batch_size)
    several = dataset.present.sum(axis=1) > 1
    if not has_gate(model):
        return GateDiagnosis("the model has no gate", int(several.sum()))
    require(dataset.label_kind != "none", "label", "be given to judge a gate", "data without labels")
    require(bool(several.any()), dataset.name, "have a row with two modalities, to weigh", "none")
    rows, task = dataset.take(several), model.config.task_type
    weights = np.asarray(predict(model, rows, batch_size=batch_size).weights)

    def scores(given: Float32[np.ndarray, "rows modality"]) -> tuple[np.ndarray, np.ndarray]:
        output = _mixed(model, rows, given, batch_size)
        output = output if calibration is None else calibration(output, rows.present)
        found = row_scores(output, rows.label, task)
        return found.loss, found.correct

    as_is = scores(weights)
    patterns = np.unique(rows.present, axis=0, return_inverse=True)[1].reshape(-1)
    generator = np.random.default_rng(seed)
    shuffles = [scores(weights[_shuffled(patterns, generator)]) for _ in range(_SHUFFLES)]

    def cost(replaced: tuple[np.ndarray, np.ndarray]) -> Replacement:
        return Replacement(*(paired_bootstrap(new, old, draws=draws, seed=seed, level=level)
                             for new, old in zip(replaced, as_is, strict=True)))  # fmt: skip

    mean = cost(scores(_pattern_means(weights, patterns)))
    shuffled = cost((np.mean([s[0] for s in shuffles], axis=0), np.mean([s[1] for s in shuffles], axis=0)))
    loss = float(as_is[0].mean())
    shares = _mean_weights(weights, rows)
    return GateDiagnosis(
        _verdict(mean.loss, shuffled.loss, loss), len(rows), loss, _entropy(weights),
        float(np.log(rows.present.sum(axis=1)).mean()), shares, _collapsed_on(shares),
        mean, shuffled, _dominance(weights, rows),
    )  # fmt: skip


def has_gate(model: Model) -> bool:
    """Returns whether a model has a gate: a part that weighs its modalities by what they hold."""
    parameters: Mapping[str, Any] = model.variables["params"]
    return "gate" in parameters.get("fusion", {})


def _verdict(mean: Estimate, shuffled: Estimate, loss: float) -> Verdict:
    """Returns what both costs say; a cost that matters to nobody is none, however sure it is."""
    if max(mean.high, shuffled.high) <= MARGIN * abs(loss):
        return "the gate is not used"
    return "the gate is used" if min(mean.low, shuffled.low) > 0 else "no evidence either way"


def _mixed(
    model: Model, rows: Dataset, weights: Float32[np.ndarray, "rows modality"], batch_size: int
) -> Float32[np.ndarray, "rows classes"]:
    """Returns the predictions from given weights."""
    mix = _program(model.config.update(seed=0))
    parts: list[np.ndarray] = []
    for count, features, present in blocks(rows, rows.present, batch_size):
        start = len(parts) * batch_size
        given = np.zeros(present.shape, np.float32)
        given[:count] = weights[start : start + count]
        parts.append(np.asarray(mix(model.variables, features, present, given))[:count])
    return np.concatenate(parts)


@functools.lru_cache(maxsize=16)
def _program(config: AECFConfig) -> Callable[..., Any]:
    """Returns the compiled (variables, features, present, weights) -> output."""
    module = AECF(config)

    def mix(variables: Any, features: Any, present: Any, weights: Any) -> Any:
        encoded = module.apply(variables, features, present, method="encode")
        result: Any = module.apply(variables, encoded, weights, method="mix")
        return result.output

    return jax.jit(mix)


def _shuffled(patterns: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns row numbers, permuted among the rows of each pattern."""
    index = np.arange(len(patterns))
    for pattern in np.unique(patterns):
        own = np.flatnonzero(patterns == pattern)
        index[own] = generator.permutation(own)
    return index


def _pattern_means(weights: Float32[np.ndarray, "rows modality"], patterns: np.ndarray) -> np.ndarray:
    """Returns the mean weights of each row's pattern."""
    sums = np.zeros((patterns.max() + 1, weights.shape[1]))
    np.add.at(sums, patterns, weights)
    return (sums / np.bincount(patterns)[:, None])[patterns].astype(np.float32)


def _mean_weights(weights: Float32[np.ndarray, "rows modality"], rows: Dataset) -> dict[str, float]:
    """Returns each modality's mean weight in the rows that have it; NaN where none has."""
    return {name: _share(weights[:, column], rows.present[:, column]) for column, name in enumerate(rows.modalities)}


def _collapsed_on(shares: Mapping[str, float]) -> str | None:
    """Returns the modality that has `COLLAPSED` of the weight or more; None where none has."""
    largest = max(shares, key=lambda name: (not math.isnan(shares[name]), shares[name]))
    return largest if shares[largest] >= COLLAPSED else None


def _dominance(weights: Float32[np.ndarray, "rows modality"], rows: Dataset) -> dict[int, dict[str, float]]:
    """Returns, for each class or label, how often each modality has the largest weight; NaN where it has no row."""
    if rows.label_kind not in ("classes", "labels"):
        return {}
    largest = weights.argmax(axis=1)
    return {
        label: {name: _share(largest == column, member) for column, name in enumerate(rows.modalities)}
        for label, member in enumerate(_members(rows))
    }


def _members(rows: Dataset) -> list[Bool[np.ndarray, "rows"]]:
    """Returns which rows are of each class, or have each label."""
    labels = range(rows.num_classes)
    return [rows.label == k if rows.label_kind == "classes" else rows.label[:, k] > 0.5 for k in labels]


def _share(values: Float[np.ndarray, "rows"] | Bool[np.ndarray, "rows"], chosen: Bool[np.ndarray, "rows"]) -> float:
    """Returns the mean over the chosen rows; NaN of none."""
    return float(np.mean(values[chosen], dtype=np.float64)) if chosen.any() else math.nan


def _entropy(weights: Float32[np.ndarray, "rows modality"]) -> float:
    """Returns the mean entropy in nats."""
    exact: Float64[np.ndarray, "rows modality"] = weights.astype(np.float64)
    return float(-np.sum(exact * np.log(np.where(exact > 0, exact, 1.0)), axis=1).mean())


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Returns numbers with None for NaN."""
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}
