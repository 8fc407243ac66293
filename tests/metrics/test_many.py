"""Several predictions evaluated together are worth what each is alone, to the last digit."""

import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.metrics import _evaluate as module
from aecf_jax.metrics import evaluate_many, evaluate_predictions
from aecf_jax.metrics._host import bin_edges, bin_index

MANY, ROWS, CLASSES = 5, 40, 6


def make_targets(kind, rng):
    return {
        "classes": rng.integers(0, CLASSES, ROWS),
        "labels": rng.random((ROWS, CLASSES)) < 0.3,
        "values": rng.normal(size=(ROWS, CLASSES)),
        "embedding": rng.normal(size=(ROWS, CLASSES)),
        "groups": rng.integers(0, CLASSES, ROWS),
    }[kind]


TASKS = {
    "classes": "classification",
    "labels": "classification",
    "values": "regression",
    "embedding": "embedding",
    "groups": "embedding",
}


@pytest.mark.parametrize("block", [1, 2 * ROWS * CLASSES, 2**18])
@pytest.mark.parametrize("kind", TASKS)
def test_together_as_alone(kind, block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(MANY, ROWS, CLASSES)).astype(np.float32), make_targets(kind, rng)
    counted = rng.random((MANY, ROWS)) < 0.7
    counted[1] = False
    counted[3] = True
    outputs[3, 7, 2] = np.nan
    found = evaluate_many(outputs, targets, TASKS[kind], counted=counted)
    for index in range(MANY):
        alone = evaluate_predictions(outputs[index][counted[index]], targets[counted[index]], TASKS[kind])
        assert {name: float(value[index]) for name, value in found.items()} == pytest.approx(
            alone, rel=0, abs=0, nan_ok=True
        )
    assert all(np.isnan(value[1]) for value in found.values())


def test_rows_count_for_all_where_nothing_else_is_said():
    rng = np.random.default_rng(1)
    outputs, targets = rng.normal(size=(MANY, ROWS, CLASSES)), make_targets("classes", rng)
    found = evaluate_many(outputs, targets, "classification")
    again = evaluate_many(outputs, targets, "classification", counted=np.ones((MANY, ROWS), bool))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert len({float(value) for value in found["nll"]}) == MANY


@pytest.mark.usefixtures("untyped_caller")
def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="`targets` must have 40 rows"):
        evaluate_many(np.zeros((2, ROWS, 3)), np.zeros(3, int), "classification")


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 10, 15, 49, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_are_those_of_a_search(bins, dtype):
    edges = bin_edges(bins, dtype)
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1), np.arange(bins + 1) / bins])
    values = np.concatenate([near, np.random.default_rng(0).random(500), [0.0, 1.0, np.nextafter(1, 2), 5e-324]])
    np.testing.assert_array_equal(bin_index(values, edges), np.searchsorted(edges, values))
