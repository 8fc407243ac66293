"""Sums over shards: each device adds its own rows, and merged in any order they give one value."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from aecf_jax.metrics import AECFMetrics, ClassSums, LabelSums, ValueSums, WeightSums, evaluate_predictions

DEVICES, ROWS, CLASSES = 8, 64, 4

DRAWS = np.random.default_rng(0)
OUTPUT = (DRAWS.normal(size=(ROWS, CLASSES)) * 3).astype(np.float32)
KINDS = {
    "classes": (ClassSums.empty(CLASSES), OUTPUT, DRAWS.integers(0, CLASSES, ROWS).astype(np.int32)),
    "labels": (LabelSums.empty(CLASSES), OUTPUT, DRAWS.integers(0, 2, (ROWS, CLASSES)).astype(np.float32)),
    "values": (ValueSums.empty(CLASSES), OUTPUT, (OUTPUT + DRAWS.normal(size=OUTPUT.shape)).astype(np.float32)),
    "weights": (WeightSums.empty(CLASSES), DRAWS.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)),
}


def assert_same(got, want, tolerance):
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert got[name] == pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True), name


@pytest.mark.parametrize("kind", KINDS)
def test_shards_merged_in_any_order_are_the_whole(kind):
    empty, *arrays = KINDS[kind]
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,))
    valid = np.arange(ROWS) % 5 != 0
    given = jax.device_put((arrays, valid), NamedSharding(mesh, P("data")))

    # Each device's own sums, with an axis of devices before them.
    @jax.jit
    @functools.partial(jax.shard_map, mesh=mesh, in_specs=P("data"), out_specs=P("data"))
    def each(arrays, valid):
        return jax.tree.map(lambda x: x[None], empty.update(*arrays, valid))

    parts = [jax.tree.map(lambda x, i=i: x[i], jax.device_get(each(*given))) for i in range(DEVICES)]
    merge = jax.jit(type(empty).merge)
    found = []
    for order in (range(DEVICES), range(DEVICES)[::-1], np.random.default_rng(1).permutation(DEVICES)):
        found.append(functools.reduce(merge, [parts[i] for i in order], empty).compute())
    pairs = [merge(parts[i], parts[i + 1]) for i in range(0, DEVICES, 2)]
    found.append(merge(merge(pairs[0], pairs[1]), merge(pairs[2], pairs[3])).compute())
    for one in found[1:]:
        # Two-float sums hold 48 bits; a variance, and R² of it, are differences of them.
        assert_same(one, found[0], 1e-9 if kind in ("values", "weights") else 1e-12)
    rows = [array[valid] for array in arrays]
    task = "regression" if kind == "values" else "classification"
    host = AECFMetrics.compute_modality_metrics(*rows) if kind == "weights" else evaluate_predictions(*rows, task)
    # A row's own value is float32 on the device.
    assert_same(found[0], {name: host[name] for name in found[0]}, 1e-5)
