"""Predictions for all rows of a data set, block by block, by one compiled program per configuration."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, let_go
from aecf_jax.errors import require
from aecf_jax.nn import AECF
from aecf_jax.train import along_data, assembled, fetched, mesh_of, own_columns, program_config, shards
from aecf_jax.types import FusionOutput

BATCH_SIZE = 1024
"""Rows per block. The last block is padded, so that a row's prediction does not depend on how many rows there are."""

SUBSET_BATCH_SIZE = 256
"""Rows per block where all subsets are evaluated: what their predictions share stays in the processor's cache."""

_PROGRAMS_KEPT = 16


@runtime_checkable
class Model(Protocol):
    """What is evaluated: a configuration and the variables that belong to it."""

    @property
    def config(self) -> AECFConfig: ...

    @property
    def variables(self) -> Mapping[str, Any]: ...


class Programs:
    """The two compiled programs that evaluate one configuration, and how often either was traced.

    Attributes:
        traces: how many programs were compiled so far.
        full: (variables, features, present) -> `FusionOutput`.
        subsets: (variables, features, present, seen (subsets, modality)) -> outputs (subsets, batch, classes) and
            the weights' entropy (subsets, batch).
    """

    def __init__(self, config: AECFConfig) -> None:
        self.traces = 0
        module = AECF(config)

        def full(variables: Mapping[str, Any], features: dict[str, Any], present: Array) -> FusionOutput:
            self.traces += 1
            return module.apply(variables, features, present)  # pyright: ignore[reportReturnType]

        def subsets(variables: Mapping[str, Any], features: dict[str, Any], present: Array, seen: Array) -> Any:
            self.traces += 1
            # Encoding is most of the work and the same for every subset: fusing hides again what is not seen.
            encoded = module.apply(variables, features, present, method="encode")
            shared = module.apply(variables, encoded, views=len(seen), method="share")

            def output(one: Array) -> tuple[Array, Array]:
                fused: Any = module.apply(variables, shared, present & one[None, :], method="fuse_shared")
                return fused.output, fused.entropy

            return jax.lax.map(output, seen)

        self.full = jax.jit(full)
        self.subsets = jax.jit(subsets)


def programs(config: AECFConfig) -> Programs:
    """Returns the compiled programs of a configuration, the same ones for all runs that share programs."""
    return _programs(program_config(config))


@functools.lru_cache(maxsize=_PROGRAMS_KEPT)
def _programs(config: AECFConfig) -> Programs:
    """Returns new programs, once for each configuration."""
    return Programs(config)


def compiled_programs(config: AECFConfig) -> int:
    """Returns how many programs this process has compiled to evaluate a configuration.

    `predict` needs one and `evaluate_subsets` one, for any data and all subsets, while the batch size is the same.

    Args:
        config: the model's configuration.
    """
    return programs(config).traces


def predict(
    model: Model,
    dataset: Dataset,
    *,
    present: Bool[np.ndarray, "*rows modality"] | None = None,
    batch_size: int = BATCH_SIZE,
) -> FusionOutput:
    """Returns the model's output for all rows of a data set, as NumPy arrays; nothing is random.

    Rows are read in blocks, so that memory-mapped features are never loaded whole.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with the model's modalities, in any order; other modalities are ignored.
        present: what the model may see, of shape (modality,) or (rows, modality) in the model's order of modalities;
            what the data itself lacks stays absent. None: all that the data has.
        batch_size: rows per block.

    Raises:
        InputError: if a modality is missing or has another width than the model's.
    """
    dataset = checked(model.config, dataset, batch_size)
    seen = dataset.present
    if present is not None:
        present = np.asarray(present, bool)
        fits = present.shape in (seen.shape, seen.shape[1:])
        require(fits, "present", f"have shape {seen.shape} or {seen.shape[1:]}", present.shape)
        seen = seen & present
    forward, mesh = programs(model.config).full, mesh_of(model.variables)
    parts: list[FusionOutput] = []
    for count, features, shown in blocks(dataset, seen, batch_size, mesh):
        out = fetched(forward(model.variables, features, shown))
        parts.append(jax.tree.map(lambda leaf, rows=count: leaf[:rows], out))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def checked(config: AECFConfig, dataset: Dataset, batch_size: int) -> Dataset:
    """Returns the data with the model's modalities, in the model's order.

    Args:
        config: the model's configuration.
        dataset: rows to evaluate.
        batch_size: rows per block.

    Raises:
        InputError: if the data lacks a modality, or has another width than the model.
    """
    require(batch_size >= 1, "batch_size", "be positive", batch_size)
    dataset = dataset.select(config.modalities)
    for name, width, found in zip(config.modalities, config.widths, dataset.widths, strict=True):
        require(found == width, name, f"be {width} wide, as the model has it", found)
    return dataset


def blocks(
    dataset: Dataset, present: Bool[np.ndarray, "rows modality"], batch_size: int, mesh: Mesh | None = None
) -> Iterator[tuple[int, dict[str, Any], Any]]:
    """Yields, block by block, how many rows are real, and features and presence padded to the batch size.

    On several devices they are cut along `data`, and each process reads its own rows alone.

    Args:
        dataset: rows with the model's modalities.
        present: what the model may see of them.
        batch_size: rows per block, rounded up to a multiple of the devices along `data`.
        mesh: the devices that the model lies on; None: one.
    """
    size = -(-batch_size // shards(mesh)) * shards(mesh)
    for start in range(0, len(dataset), size):
        features = {name: _placed(array, start, size, mesh) for name, array in dataset.features.items()}
        yield min(size, len(dataset) - start), features, _placed(present, start, size, mesh)


def _placed(array: np.ndarray, start: int, size: int, mesh: Mesh | None) -> Any:
    """Returns a padded block of rows; on a mesh, cut along `data`."""
    shape = (size, *array.shape[1:])
    sharding = None if mesh is None else along_data(mesh)
    own = slice(0, size) if sharding is None else own_columns(shape, sharding, 0)
    rows = _padded(array[start + own.start : start + own.stop], own.stop - own.start)
    let_go(array)
    return rows if sharding is None else assembled(rows, shape, sharding, 0)


def _padded(block: np.ndarray, size: int) -> np.ndarray:
    """Returns a block of rows with zeros (False) added up to a size."""
    return np.concatenate([block, np.zeros((size - len(block), *block.shape[1:]), block.dtype)])
