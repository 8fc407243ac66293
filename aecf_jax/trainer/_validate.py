"""Validation: the loss by which checkpoints are chosen, and the metrics of the whole validation part."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, in_memory
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.rng import seed_key
from aecf_jax.train import (
    along_data,
    assembled,
    everywhere,
    fetched,
    hidden_pattern,
    own_columns,
    shards,
    tempered,
    validation_step,
)
from aecf_jax.types import Batch

_BLOCK = 1024
_HEADLINES = ("accuracy", "map", "r2", "cosine_similarity", "centroid_accuracy")


class Validation:
    """The validation rows, in blocks, with the pattern that is hidden from them.

    `val_loss`, by which checkpoints are chosen, is the mean of the task's loss with everything present and with a
    pattern hidden that is drawn once from the seed, each modality with probability `masking_prob`: a model that is
    chosen with everything present alone is not the one that does best where something is missing.

    Args:
        dataset: the rows.
        config: all settings.
        streamed: whether every validation reads the rows anew, instead of keeping them on the device.
        mesh: the devices; None: one.
    """

    def __init__(
        self, dataset: Dataset, config: AECFConfig, *, streamed: bool = False, mesh: Mesh | None = None
    ) -> None:
        self._config, self._dataset, self._mesh = config, dataset, mesh
        root = seed_key(config.seed)
        self._visible = np.asarray(hidden_pattern(dataset.present, config=config, root=root))
        self._rows = list(_pieces(len(dataset), shards(mesh)))
        self._blocks = None if streamed else [self._block(rows) for rows in self._rows]

    def tempered(self, variables: Any) -> dict[str, Any]:
        """Returns the model's variables with the temperature that fits these rows, whole and with the pattern hidden.

        Args:
            variables: the model's.
        """
        return tempered(variables, self._read_blocks(), config=self._config)

    def metrics(self, variables: Any) -> dict[str, float]:
        """Returns `val_loss`, its two halves, and every metric of the whole part with everything present.

        Args:
            variables: the model's.
        """
        infos = self._infos(variables)
        rows = np.array([piece.stop - piece.start for piece in self._rows], np.float64)
        full, hidden = (
            float(np.average([float(loss) for loss in losses], weights=rows))
            for losses in ([info.full_loss for info in infos], [info.hidden_loss for info in infos])
        )
        output, weights, entropy = (
            np.concatenate([getattr(info.full, name) for info in infos]) for name in ("output", "weights", "entropy")
        )
        metrics = evaluate_predictions(
            output, self._dataset.label, self._config.task_type, weights=weights, entropy=entropy,
            present=self._dataset.present,
        )  # fmt: skip
        losses = {"val_loss": 0.5 * (full + hidden), "val_full_loss": full, "val_hidden_loss": hidden}
        return losses | {f"val_{name}": value for name, value in metrics.items()}

    def _infos(self, variables: Any) -> list[Any]:
        """Returns what validation computes of each block, on the host."""
        if self._blocks is not None:
            return fetched([validation_step(variables, *block, config=self._config) for block in self._blocks])
        return [fetched(validation_step(variables, *block, config=self._config)) for block in self._read_blocks()]

    def _read_blocks(self) -> Iterable[tuple[Batch, Array]]:
        """Returns the blocks that are on the device, or reads them one after another."""
        return map(self._block, self._rows) if self._blocks is None else self._blocks

    def _block(self, rows: slice) -> tuple[Batch, Array]:
        """Returns some rows on the device, and what is visible of them."""
        data = Batch(dict(self._dataset.features), self._dataset.label, self._dataset.present)  # pyright: ignore[reportArgumentType]
        return jax.tree.map(lambda array: self._placed(array, rows), (data, self._visible))

    def _placed(self, array: np.ndarray, rows: slice) -> Array:
        """Returns some rows of an array on the devices: cut along `data` where there are enough."""
        mesh, count = self._mesh, rows.stop - rows.start
        shape = (count, *array.shape[1:])
        sharding = None if mesh is None else everywhere(mesh) if count % shards(mesh) else along_data(mesh)
        own = slice(0, count) if sharding is None else own_columns(shape, sharding, 0)
        read = in_memory(array[rows.start + own.start : rows.start + own.stop])
        return jax.device_put(read) if sharding is None else assembled(read, shape, sharding, 0)

    def headline(self, metrics: dict[str, float]) -> dict[str, float]:
        """Returns the few metrics that a progress bar has room for.

        Args:
            metrics: what `metrics` returned.
        """
        names = ["val_loss", *(f"val_{name}" for name in _HEADLINES)]
        return {name: metrics[name] for name in names if name in metrics}


def _pieces(rows: int, parts: int) -> Iterable[slice]:
    """Yields blocks of rows that can be cut into equal parts, and last, perhaps, one that cannot."""
    size = -(-_BLOCK // parts) * parts
    whole = rows - rows % parts
    for start in range(0, whole, size):
        yield slice(start, min(start + size, whole))
    if whole < rows:
        yield slice(whole, rows)
