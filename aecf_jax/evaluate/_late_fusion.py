"""The baseline that any fusion must beat: the mean of what each visible modality predicts alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.evaluate._forward import Model, predict

Predictor = Callable[[Dataset], Float[np.ndarray, "rows classes"]]
"""What predicts logits, log-odds or values for rows, from what is present in them."""


@dataclass(frozen=True)
class LateFusion:
    """Predicts the mean of the probabilities that each visible modality gives alone, as logits; made by `late_fusion`.

    Attributes:
        models: modality -> the model that predicts from it.
        prior: probability of each class or label where no modality is visible.
        labels: whether they are independent labels, rather than exclusive classes.
    """

    models: Mapping[str, Model]
    prior: Float[np.ndarray, "classes"]
    labels: bool

    def __call__(self, dataset: Dataset) -> Float[np.ndarray, "rows classes"]:
        """Returns logits (of labels: log-odds) for all rows."""
        present = dataset.select(tuple(self.models)).present
        total, total_not = (np.zeros((len(dataset), len(self.prior))) for _ in range(2))
        for column, (name, model) in enumerate(self.models.items()):
            yes, no = _probabilities(_alone(model, name, dataset), self.labels)
            seen = present[:, column, None]
            total += np.where(seen, yes, 0.0)
            total_not += np.where(seen, no, 0.0)
        none = ~present.any(axis=1, keepdims=True)
        yes, no = np.where(none, self.prior, total), np.where(none, 1 - self.prior, total_not)
        with np.errstate(divide="ignore"):
            return np.log(yes) - (np.log(no) if self.labels else 0.0)


def late_fusion(models: Mapping[str, Model], *, prior: Float[np.ndarray, "classes"] | None = None) -> LateFusion:
    """Returns a predictor that averages the probabilities of one model per modality, over what is visible.

    Args:
        models: modality -> a classifier of it; one of several modalities is asked with this one alone.
        prior: probability of each class or label where nothing is visible, for example its frequency in training;
            None: all classes as likely, or every label one half.

    Raises:
        InputError: if there is no model, one is no classifier, lacks its modality or has other classes.
    """
    require(len(models) > 0, "models", "hold a model for at least one modality", "none")
    first = next(iter(models.values())).config
    for name, model in models.items():
        config = model.config
        require(config.task_type == "classification", name, "be given a classifier", config.task_type)
        require(config.multilabel is not None, name, "be given a model whose `multilabel` is True or False", None)
        require(name in config.modalities, name, "be a modality of its model", ", ".join(config.modalities))
        same = (config.num_classes, config.multilabel) == (first.num_classes, first.multilabel)
        require(same, name, f"be given a model of {first.num_classes} classes, as the first", config.num_classes)
    default = np.full(first.num_classes, 0.5 if first.multilabel else 1 / first.num_classes)
    chances = default if prior is None else np.asarray(prior, np.float64)
    require(chances.shape == default.shape and bool(((chances >= 0) & (chances <= 1)).all()), "prior",
            f"be {first.num_classes} probabilities", chances)  # fmt: skip
    return LateFusion(dict(models), chances, first.multilabel is True)


def _alone(model: Model, name: str, dataset: Dataset) -> Float[np.ndarray, "rows classes"]:
    """Returns a model's logits from one modality alone; the model's others count as absent."""
    only: Bool[np.ndarray, "modality"] = np.array([own == name for own in model.config.modalities])
    return np.asarray(predict(model, dataset, present=only).output, np.float64)


def _probabilities(logits: Float[np.ndarray, "rows classes"], labels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probability of each class or label, and of its not being so, neither of them rounded off near 0."""
    if labels:
        return 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(logits))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = shifted / shifted.sum(axis=1, keepdims=True)
    return share, 1 - share
