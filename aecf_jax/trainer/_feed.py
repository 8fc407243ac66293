"""How rows come to the steps: all of them on the device, or chunk by chunk, the next one read while one is trained."""

from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, chunk_rows, gathered
from aecf_jax.rng import seed_key
from aecf_jax.train import (
    StepInfo,
    TrainChunk,
    TrainState,
    along_data,
    assembled,
    epoch_order,
    make_train_chunk,
    own_columns,
    placed,
    root_key,
)
from aecf_jax.trainer._plan import Plan
from aecf_jax.types import Batch

Advanced = tuple[TrainState, StepInfo]


class Feed(Protocol):
    """What takes some steps of a plan."""

    def advance(self, tree: dict[str, Any], step: int, length: int) -> Advanced:
        """Returns the state after `length` more steps, and what each says of itself; the state is used up."""
        ...

    def close(self) -> None:
        """Ends what reads ahead."""
        ...


class Order(NamedTuple):
    """Which rows are in which batch, a function of the seed and the step alone.

    Attributes:
        seed: the run's.
        rows: training rows.
        plan: of the steps.
        block: rows that are read together, mixed within each chunk of the plan; None: a permutation of all rows.
    """

    seed: int
    rows: int
    plan: Plan
    block: int | None = None

    def epoch(self, epoch: int) -> Int[Array, "steps batch"]:
        """Returns the rows of every batch of an epoch, on the device.

        Args:
            epoch: which.
        """
        plan = self.plan
        if self.block is None:
            root = seed_key(self.seed)
            return epoch_order(root, epoch, rows=self.rows, steps=plan.steps_per_epoch, batch_size=plan.batch_size)
        starts = (0, *plan.bounds[:-1])
        chunks = [self.chunk(epoch * plan.steps_per_epoch + start, bound - start)
                  for start, bound in zip(starts, plan.bounds, strict=True)]  # fmt: skip
        return jnp.asarray(np.concatenate(chunks), jnp.int32)

    def chunk(self, step: int, length: int) -> Int[np.ndarray, "length batch"]:
        """Returns the rows of the next batches; none of them is in another chunk of the plan.

        Args:
            step: steps done.
            length: how many batches.
        """
        epoch, position = divmod(step, self.plan.steps_per_epoch)
        if self.block is None:
            return _whole_epoch(self, epoch)[position : position + length]
        size, at = self.plan.batch_size, bisect_right(self.plan.bounds, position)
        start, stop = (0, *self.plan.bounds)[at], self.plan.bounds[at]
        chunk = slice(start * size, stop * size)
        rows = chunk_rows(self.seed, epoch, chunk, rows=self.rows, block=self.block)
        return rows.reshape(-1, size)[position - start : position - start + length]


@lru_cache(maxsize=2)
def _whole_epoch(order: Order, epoch: int) -> np.ndarray:
    """Returns the rows of every batch of an epoch, on the host."""
    return np.asarray(order.epoch(epoch))


def make_feed(
    dataset: Dataset, batch: Batch | None, order: Order, config: AECFConfig, mesh: Mesh | None
) -> "Resident | Streamed":
    """Returns what takes the steps of a run.

    Args:
        dataset: the training rows.
        batch: the same on the device; None: they come chunk by chunk.
        order: of the batches.
        config: all settings.
        mesh: the devices; None: one.
    """
    chunk = make_train_chunk(config, order.plan.steps_per_epoch, mesh)
    return Streamed(dataset, order, chunk, mesh) if batch is None else Resident(batch, order, chunk, mesh)


class Resident:
    """All rows on the device, whole on each where there are several: an epoch needs the order of its rows alone.

    Args:
        batch: the rows, on the device.
        order: of the batches.
        chunk: the compiled steps.
        mesh: the devices; None: one.
    """

    def __init__(self, batch: Batch, order: Order, chunk: TrainChunk, mesh: Mesh | None) -> None:
        self._batch, self._order, self._chunk, self._mesh = batch, order, chunk, mesh
        self._root = root_key(order.seed, mesh)
        self._epoch: tuple[int, Any] = (-1, None)

    def advance(self, tree: dict[str, Any], step: int, length: int) -> Advanced:
        """Returns the state after `length` more steps, and what each says of itself; the state is used up.

        Args:
            tree: state and constants.
            step: steps done.
            length: how many more.
        """
        epoch, position = divmod(step, self._order.plan.steps_per_epoch)
        if self._epoch[0] != epoch:
            order = self._order.epoch(epoch)
            self._epoch = (epoch, order if self._mesh is None else placed(order, along_data(self._mesh, 1)))
        return self._chunk(
            tree["state"], tree["constants"], self._batch, self._epoch[1], position, self._root, length=length
        )

    def close(self) -> None:
        """Does nothing."""


class Streamed:
    """Rows read from where they are, by a thread that is one chunk ahead; each process reads its own alone.

    Args:
        dataset: the rows.
        order: of the batches.
        chunk: the compiled steps.
        mesh: the devices; None: one.
    """

    def __init__(self, dataset: Dataset, order: Order, chunk: TrainChunk, mesh: Mesh | None) -> None:
        self._dataset, self._order, self._chunk, self._mesh = dataset, order, chunk, mesh
        self._root = root_key(order.seed, mesh)
        self._reader = ThreadPoolExecutor(1, "aecf_jax-reader")
        self._ahead: tuple[int, Future[Batch]] | None = None

    def advance(self, tree: dict[str, Any], step: int, length: int) -> Advanced:
        """Returns the state after `length` more steps, and what each says of itself; the state is used up.

        Args:
            tree: state and constants.
            step: steps done.
            length: how many more.
        """
        plan, ahead = self._order.plan, self._ahead
        expected = ahead is not None and ahead[0] == step
        reading = ahead[1] if ahead is not None and expected else self._reader.submit(self._read, step, length)
        batches, following = reading.result(), step + length
        self._ahead = None
        if following < plan.total_steps:
            self._ahead = (following, self._reader.submit(self._read, following, plan.chunk_length(following)))
        return self._chunk.stream(tree["state"], tree["constants"], batches, self._root)

    def close(self) -> None:
        """Ends the thread; what it still reads is dropped."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._ahead = None

    def _read(self, step: int, length: int) -> Batch:
        """Returns the next batches, with an axis of steps before that of the rows."""
        rows = self._order.chunk(step, length)
        data = Batch(dict(self._dataset.features), self._dataset.label, self._dataset.present)  # pyright: ignore[reportArgumentType]
        if self._mesh is None:
            # Copied, not used as it lies: JAX lets go of what is not its own only some chunks later.
            return jax.tree.map(lambda array: jnp.asarray(_taken(array, rows)), data)
        sharding = along_data(self._mesh, 1)
        own = rows[:, own_columns(rows.shape, sharding, 1)]

        def part(array: np.ndarray) -> jax.Array:
            return assembled(_taken(array, own), (*rows.shape, *array.shape[1:]), sharding, 1)

        return jax.tree.map(part, data)


def _taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns rows by the shape of their numbers."""
    return gathered(array, rows.ravel()).reshape(*rows.shape, *array.shape[1:])
