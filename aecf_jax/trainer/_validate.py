"""Validation: the loss by which checkpoints are chosen, and the metrics of the whole validation part."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.nn import with_temperature
from aecf_jax.train import hidden_pattern, validation_step
from aecf_jax.trainer._temperature import fitted_temperature
from aecf_jax.types import Batch

_BLOCK = 1024
_HEADLINES = ("accuracy", "map", "r2", "cosine_similarity", "centroid_accuracy")


class Validation:
    """The validation rows, on the device in blocks, with the pattern that is hidden from them.

    `val_loss`, by which checkpoints are chosen, is the mean of the task's loss with everything present and with a
    pattern hidden that is drawn once from the seed, each modality with probability `masking_prob`: a model that is
    chosen with everything present alone is not the one that does best where something is missing.

    Args:
        dataset: the rows.
        batch: the same, on the device.
        config: all settings.
        root: the run's key.
    """

    def __init__(self, dataset: Dataset, batch: Batch, config: AECFConfig, root: Key[Array, ""]) -> None:
        self._config, self._label, self._present = config, dataset.label, dataset.present
        visible = hidden_pattern(batch.present, config=config, root=root)
        self._blocks: list[tuple[Batch, Array]] = []
        for start in range(0, len(dataset), _BLOCK):
            rows = slice(start, start + _BLOCK)
            self._blocks.append((jax.tree.map(lambda array, r=rows: array[r], batch), visible[rows]))

    def temperature(self, variables: Any) -> float:
        """Returns the temperature that fits these rows best, with everything present and with the pattern hidden.

        Args:
            variables: the model's.
        """
        infos = self._infos(with_temperature(variables, 1.0))
        logits = np.concatenate([info.full.output for info in infos] + [info.hidden_output for info in infos])
        label = np.concatenate([self._label, self._label])
        return fitted_temperature(logits, np.asarray(variables["constants"]["prior"]), label)

    def metrics(self, variables: Any) -> dict[str, float]:
        """Returns `val_loss`, its two halves, and every metric of the whole part with everything present.

        Args:
            variables: the model's.
        """
        infos = self._infos(variables)
        rows = np.array([len(visible) for _, visible in self._blocks], np.float64)
        full, hidden = (
            float(np.average([float(loss) for loss in losses], weights=rows))
            for losses in ([info.full_loss for info in infos], [info.hidden_loss for info in infos])
        )
        output, weights, entropy = (
            np.concatenate([getattr(info.full, name) for info in infos]) for name in ("output", "weights", "entropy")
        )
        metrics = evaluate_predictions(
            output, self._label, self._config.task_type, weights=weights, entropy=entropy, present=self._present
        )
        losses = {"val_loss": 0.5 * (full + hidden), "val_full_loss": full, "val_hidden_loss": hidden}
        return losses | {f"val_{name}": value for name, value in metrics.items()}

    def _infos(self, variables: Any) -> list[Any]:
        """Returns what validation computes of each block, on the host."""
        return jax.device_get([validation_step(variables, *block, config=self._config) for block in self._blocks])

    def headline(self, metrics: dict[str, float]) -> dict[str, float]:
        """Returns the few metrics that a progress bar has room for.

        Args:
            metrics: what `metrics` returned.
        """
        names = ["val_loss", *(f"val_{name}" for name in _HEADLINES)]
        return {name: metrics[name] for name in names if name in metrics}
