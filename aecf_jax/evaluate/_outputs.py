"""What a model predicts from every subset of its modalities, a few subsets at a time: everything else reads this."""

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from aecf_jax.data import Dataset
from aecf_jax.evaluate._forward import BATCH_SIZE, Model, blocks, checked, programs

_CHUNK = 16
"""Subsets per call: enough to spread the cost of encoding, few enough to hold all their outputs in memory."""


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
    model: Model, dataset: Dataset, *, sizes: Collection[int] | None = None, batch_size: int = BATCH_SIZE
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
    size = min(_CHUNK, len(chosen))
    forward = programs(model.config).subsets
    for start in range(0, len(chosen), size):
        some = chosen[start : start + size]
        seen = np.zeros((size, len(names)), bool)
        for index, subset in enumerate(some):
            seen[index] = [name in subset for name in names]
        parts = [
            tuple(np.asarray(part)[: len(some), :count] for part in forward(model.variables, features, shown, seen))
            for count, features, shown in blocks(dataset, dataset.present, batch_size)
        ]
        output, entropy = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        seen = seen[: len(some)]
        counted = np.all(dataset.present[None] | ~seen[:, None], axis=-1)
        yield SubsetOutputs(tuple(some), seen, output, entropy, counted)
