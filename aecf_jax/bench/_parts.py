"""The parts that `aecf-jax bench` measures: training, prediction, evaluation, metrics and reading data."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aecf_jax.bench._measure import Figure, Way, measured
from aecf_jax.bench._programs import compile_cost
from aecf_jax.bench._rows import random_rows
from aecf_jax.config import AECFConfig, Workload
from aecf_jax.data import Dataset, fit_standardization, gathered
from aecf_jax.evaluate import evaluate_subsets, predict, subset_count
from aecf_jax.metrics import average_precision, average_precision_on_host, evaluate_predictions
from aecf_jax.model import AECF_CLIP
from aecf_jax.nn import AECF, init_variables
from aecf_jax.rng import seed_key
from aecf_jax.train import TrainChunk, epoch_order, init_state, numbers
from aecf_jax.trainer import on_device

_STEPS = 16
_ROWS = 4096
_CALLS = 20


class TrainingSteps:
    """Steps of training on rows that lie on the device: a call does some, in one dispatch, and waits for them.

    Args:
        config: all settings.
        data: the rows.
        steps: of a call.
        order: the rows of each step's batch; None: drawn.
    """

    def __init__(self, config: AECFConfig, data: Dataset, steps: int, order: np.ndarray | None = None) -> None:
        self.steps, self._config, self._epoch = steps, config, max(1, len(data) // config.batch_size)
        self.chunk = TrainChunk(config, self._epoch)
        self.variables = init_variables(config, key=seed_key(config.seed))
        self._state = init_state(jax.tree.map(jnp.copy, self.variables["params"]), self.chunk.optimizer, config)
        self._data = on_device(data)
        self._root = seed_key(config.seed)
        drawn = epoch_order(self._root, 0, rows=len(data), steps=self._epoch, batch_size=config.batch_size)
        self._order = drawn if order is None else jnp.asarray(order, jnp.int32)

    def __call__(self) -> np.ndarray:
        """Returns the losses."""
        self._state, info = self.chunk(self._state, self.variables["constants"], self._data, self._order, 0, self._root,
                                       length=self.steps)  # fmt: skip
        return np.asarray(info.components["total_loss"])

    def lowered(self) -> Any:
        """Returns one step as a program of its own, traced anew."""
        scan = TrainChunk(self._config, self._epoch).program.scan
        return scan.lower(self._state, self.variables["constants"], self._data, self._order, 0, self._root,
                          numbers(self._config), length=1)  # fmt: skip


def training(work: Workload, *, repeats: int) -> list[Figure]:
    """Returns what steps of training cost, in float32 and with products in bfloat16.

    Args:
        work: the sizes.
        repeats: turns that count.
    """
    data = random_rows(work)
    epoch = work.rows // work.batch
    # On an accelerator a dispatch of a few steps would measure the dispatch.
    steps = min(epoch, _STEPS) if jax.default_backend() == "cpu" else epoch
    ways: dict[str, Way] = {}
    for name, half in (("float32", False), ("bfloat16", True)):
        trained = TrainingSteps(work.config(mixed_precision=half), data, steps)
        cost = compile_cost(trained.lowered)
        ways[f"{name}, batch {work.batch}"] = Way(
            trained, work.batch * steps, operations=cost.operations * steps, dtype=jnp.dtype(name), cost=cost
        )
    return measured("train", ways, repeats=repeats)


def inference(work: Workload, *, repeats: int) -> list[Figure]:
    """Returns what predictions cost for one row, a few and many; NumPy in and out.

    Args:
        work: the sizes.
        repeats: turns that count.
    """
    config = work.config()
    module, variables = AECF(config), init_variables(config, key=seed_key(0))
    ways: dict[str, Way] = {}
    for batch in (1, 64, _ROWS):
        rows = dict(random_rows(work, batch).features)
        calls = max(1, _CALLS * 64 // batch // 64) if batch > 64 else _CALLS
        cost = compile_cost(lambda rows=rows: _apply(module).lower(variables, rows))
        apply = _apply(module)
        ways[f"batch {batch}"] = Way(
            lambda rows=rows, calls=calls, apply=apply: [
                np.asarray(apply(variables, rows).block_until_ready()) for _ in range(calls)
            ],
            batch * calls, operations=cost.operations * calls, cost=cost,
        )  # fmt: skip
    return measured("infer", ways, repeats=repeats)


def _apply(module: AECF) -> Any:
    """Returns the prediction as a compiled function, traced anew."""
    return jax.jit(lambda variables, rows: module.apply(variables, rows).output)  # pyright: ignore[reportAttributeAccessIssue]


def evaluation(work: Workload, *, repeats: int) -> list[Figure]:
    """Returns what predictions of all rows cost, and the metrics of every subset of the modalities.

    Args:
        work: the sizes.
        repeats: turns that count.
    """
    model, data = AECF_CLIP(work.config()), random_rows(work, min(work.rows, _ROWS))
    count = subset_count(work.num_modalities)
    ways = {
        "predict": Way(lambda: predict(model, data), len(data)),
        f"{count} subsets, with metrics": Way(lambda: evaluate_subsets(model, data), len(data) * count),
    }
    return measured("evaluate", ways, repeats=repeats)


def metrics(work: Workload, *, repeats: int) -> list[Figure]:
    """Returns what metrics of 5,000 rows cost, or of all if they are fewer.

    Args:
        work: the sizes.
        repeats: turns that count.
    """
    rows = min(work.rows, 5_000)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((rows, work.labels), np.float32)
    label = (rng.random((rows, work.labels)) < 0.05).astype(np.float32)
    placed, truth = jnp.asarray(logits), jnp.asarray(label)
    inside = jax.jit(average_precision)
    ways = {
        "average precision, host": Way(lambda: average_precision_on_host(logits, label), rows),
        "average precision, jit": Way(lambda: np.asarray(inside(placed, truth)), rows),
        "all metrics": Way(lambda: evaluate_predictions(logits, label, "classification"), rows),
    }
    return measured("metrics", ways, repeats=repeats)


def reading(work: Workload, *, repeats: int) -> list[Figure]:
    """Returns what it costs to read shuffled batches from a memory-mapped file, to put them on the device, and more.

    Args:
        work: the sizes.
        repeats: turns that count.
    """
    data = random_rows(work)
    epoch = work.rows // work.batch
    name, array = next(iter(data.features.items()))
    rows = np.random.default_rng(0).permutation(work.rows)[: min(work.rows, 16 * work.batch)]
    megabytes = len(rows) * work.width * array.itemsize / 1e6
    key = seed_key(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.npy"
        np.save(path, array)
        mapped = np.load(path, mmap_mode="r")
        chosen = array[rows]
        ways = {
            "shuffled rows of a file": Way(lambda: gathered(mapped, rows), megabytes, "MB"),
            "to the device": Way(lambda: jax.block_until_ready(jnp.array(chosen)), megabytes, "MB"),
            "mean and scale": Way(lambda: fit_standardization(data), work.rows),
            "order of an epoch": Way(
                lambda: jax.block_until_ready(epoch_order(key, 0, rows=work.rows, steps=epoch, batch_size=work.batch)),
                work.rows,
            ),
        }
        return measured("data", ways, repeats=repeats)


PARTS: Mapping[str, Callable[..., list[Figure]]] = {
    "train": training, "infer": inference, "evaluate": evaluation, "metrics": metrics, "data": reading,
}  # fmt: skip
"""Name of a part -> what measures it."""
