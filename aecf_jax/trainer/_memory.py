"""What a run must remember besides its arrays: sums since the last validation, the best score, its patience."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.train import StepInfo


@dataclass
class Memory:
    """JSON values only, saved with every checkpoint, so that a resumed run logs and stops as an uninterrupted one.

    Attributes:
        sums: of every training metric since the last validation.
        count: steps since then.
        improved_score: the validation loss from which `early_stopping_min_delta` is counted.
        waited: validations since it improved.
        logged: the metrics that were logged last.
    """

    sums: dict[str, float] = field(default_factory=dict[str, float])
    count: int = 0
    improved_score: float = math.inf
    waited: int = 0
    logged: dict[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> "Memory":
        """Returns the memory that `to_dict` described.

        Args:
            saved: its dictionary.
        """
        return cls(**saved)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary."""
        return dataclasses.asdict(self)

    def add_steps(self, info: StepInfo) -> None:
        """Adds the metrics of some steps.

        Args:
            info: one entry a step, on the host.
        """
        values = {f"train_{name}": value for name, value in info.components.items()}
        values |= {"train_gradient_norm": info.gradient_norm, "train_entropy": info.entropy}
        for name, value in (values | {"train_visible": info.visible}).items():
            self.sums[name] = self.sums.get(name, 0.0) + float(np.sum(np.asarray(value, np.float64)))
        self.count += len(info.gradient_norm)

    def take_means(self) -> dict[str, float]:
        """Returns the mean of every training metric since the last call, and starts anew."""
        means = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def judge(self, score: float, config: AECFConfig) -> None:
        """Takes note of a validation loss.

        Args:
            score: the loss; one that is not finite is no improvement.
            config: the least fall that counts.
        """
        improved = math.isfinite(score) and score < self.improved_score - config.early_stopping_min_delta
        self.waited = 0 if improved else self.waited + 1
        self.improved_score = score if improved else self.improved_score

    def out_of_patience(self, config: AECFConfig) -> bool:
        """Returns whether to stop early.

        Args:
            config: the patience; 0 is endless.
        """
        return 0 < config.early_stopping_patience <= self.waited
