"""What a model predicts from every subset of its modalities, a few subsets at a time: everything else reads this."""

import math
from collections.abc import Collection, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from aecf_jax.data import Dataset
from aecf_jax.evaluate._forward import SUBSET_BATCH_SIZE, Model, blocks, checked, programs
from aecf_jax.train import fetched, mesh_of

_HELD = 2**25
"""Numbers of output that are held at a time, 128 MB: every further pass over the data encodes it again."""


class SubsetOutputs(NamedTuple):
    """Predictions from some subsets, for every row of a data set.

    Attributes:
        subsets: the names of each subset's modalities, in the model's order.
        seen: the same as booleans, `(subsets, modality)`.
        output: logits, values or embeddings, `(subsets, rows, classes)`.
        entropy: of the gate's weights in nats, `(subsets, rows)`.
        counted: whether the row has all of the subset, `(subsets, rows)`; the output of one that has not is made
            from what it has.
    """

    subsets: tuple[tuple[str, ...], ...]
    seen: Bool[np.ndarray, "subsets modality"]
    output: Float32[np.ndarray, "subsets rows classes"]
    entropy: Float32[np.ndarray, "subsets rows"]
    counted: Bool[np.ndarray, "subsets rows"]


def subsets(modalities: tuple[str, ...], sizes: Collection[int] | None = None) -> list[tuple[str, ...]]:
    """Returns every non-empty subset: singles first, the full set last, each in the order of the modalities.

    Args:
        modalities: their names.
        sizes: how many modalities a subset may have, beside one and all; None: any number.

    >>> subsets(("a", "b", "c"))
    [('a',), ('b',), ('c',), ('a', 'b'), ('a', 'c'), ('b', 'c'), ('a', 'b', 'c')]
    """
    count = len(modalities)
    wanted = range(1, count + 1) if sizes is None else sorted({1, count, *(set(sizes) & set(range(1, count + 1)))})
    return [chosen for size in wanted for chosen in combinations(modalities, size)]


def subset_outputs(
    model: Model, dataset: Dataset, *, sizes: Collection[int] | None = None, batch_size: int = SUBSET_BATCH_SIZE
) -> Iterator[SubsetOutputs]:
    """Yields the predictions from every non-empty subset, some subsets at a time, in the order of `subsets`.

    What is seen is an array, not a shape: all subsets run in one compiled program.

    Args:
        model: anything with `config` and `variables`.
        dataset: rows with the model's modalities.
        sizes: how many modalities a subset may have, beside one and all; None: any number.
        batch_size: rows per block.

    Raises:
        InputError: if the data does not fit the model.
    """
    names = tuple(model.config.modalities)
    dataset = checked(model.config, dataset, batch_size)
    chosen = subsets(names, sizes)
    held = max(1, _HELD // (len(dataset) * model.config.num_classes))
    # Chunks of equal size, since each size is a program of its own.
    size = math.ceil(len(chosen) / math.ceil(len(chosen) / held))
    for start in range(0, len(chosen), size):
        some = chosen[start : start + size]
        seen = np.zeros((size, len(names)), bool)
        seen[: len(some)] = [[name in subset for name in names] for subset in some]
        yield _outputs(model, dataset, tuple(some), seen, batch_size)


def _outputs(
    model: Model, dataset: Dataset, some: tuple[tuple[str, ...], ...], seen: np.ndarray, batch_size: int
) -> SubsetOutputs:
    """Returns the predictions from some subsets; further rows of `seen` are padding."""
    count, rows = len(some), len(dataset)
    output = np.empty((count, rows, model.config.num_classes), np.float32)
    entropy = np.empty((count, rows), np.float32)
    forward, start = programs(model.config).subsets, 0
    for real, features, shown in blocks(dataset, dataset.present, batch_size, mesh_of(model.variables)):
        one, other = fetched(forward(model.variables, features, shown, seen))
        output[:, start : start + real] = one[:count, :real]
        entropy[:, start : start + real] = other[:count, :real]
        start += real
    seen = seen[:count]
    # How many of a subset's modalities a row lacks, as a product of matrices.
    counted = seen.astype(np.float32) @ (~dataset.present.T).astype(np.float32) == 0
    return SubsetOutputs(some, seen, output, entropy, counted)
