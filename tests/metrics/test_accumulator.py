"""Metrics over batches that come one by one: exact over all rows, or means weighted by rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.metrics import MetricsAccumulator, evaluate_predictions

ROWS, CLASSES = 20, 5
DRAWS = np.random.default_rng(4)
LOGITS = DRAWS.normal(size=(ROWS, CLASSES)).astype(np.float32)
LABEL = DRAWS.integers(0, 2, (ROWS, CLASSES)).astype(np.float32)
CLASS = DRAWS.integers(0, CLASSES, ROWS)
WEIGHTS = DRAWS.dirichlet([1, 1], ROWS).astype(np.float32)
CUTS = [slice(0, 7), slice(7, 8), slice(8, ROWS)]


@pytest.mark.parametrize("targets", [CLASS, LABEL], ids=["classes", "labels"])
def test_batches_give_the_metrics_of_the_data_set_to_the_last_digit(targets):
    accumulator = MetricsAccumulator()
    for cut in CUTS:
        accumulator.update(jnp.asarray(LOGITS[cut]), jnp.asarray(targets[cut]), jnp.asarray(WEIGHTS[cut]))
    assert accumulator.compute() == evaluate_predictions(LOGITS, targets, "classification", weights=WEIGHTS)


def test_fault_metrics_are_not_means_over_batches():
    accumulator = MetricsAccumulator()
    for cut in CUTS:
        accumulator.update(LOGITS[cut], LABEL[cut])
    found = accumulator.compute()
    batches = [evaluate_predictions(LOGITS[cut], LABEL[cut], "classification") for cut in CUTS]
    for name in ("map", "precision", "ece"):
        assert abs(found[name] - np.nanmean([batch[name] for batch in batches])) > 1e-3


def test_means_are_weighted_by_rows():
    accumulator = MetricsAccumulator()
    accumulator.update({"loss": jnp.asarray(1.0), "rare": 4}, count=6)
    accumulator.update({"loss": np.float32(4.0)}, 2)
    # (6 * 1 + 2 * 4) / 8; a name counts the rows it came with.
    assert accumulator.compute() == {"loss": 1.75, "rare": 4.0}
    accumulator.reset()
    accumulator.update({"loss": 1.0})
    accumulator.update({"loss": 2.0})
    assert accumulator.compute() == {"loss": 1.5}


def test_means_stand_beside_metrics_and_give_way_to_them():
    accumulator = MetricsAccumulator()
    accumulator.update(LOGITS, CLASS)
    accumulator.update({"loss": 2.0, "accuracy": 77.0}, count=ROWS)
    assert accumulator.compute() == {"loss": 2.0} | evaluate_predictions(LOGITS, CLASS, "classification")


def test_empty_before_the_first_batch_and_after_reset():
    accumulator = MetricsAccumulator()
    assert accumulator.compute() == {}
    accumulator.update(LOGITS, CLASS)
    accumulator.update({"loss": 1.0})
    assert accumulator.compute()
    accumulator.reset()
    assert accumulator.compute() == {}


def test_task_bins_and_present_are_passed_on():
    values = LOGITS + 1
    regression = MetricsAccumulator("regression")
    regression.update(LOGITS, values)
    assert regression.compute() == evaluate_predictions(LOGITS, values, "regression")
    present = np.asarray([[True, True], [False, False]] * (ROWS // 2))
    binned = MetricsAccumulator(n_bins=3)
    binned.update(LOGITS, CLASS, WEIGHTS, present)
    want = evaluate_predictions(LOGITS, CLASS, "classification", weights=WEIGHTS, present=present, n_bins=3)
    assert binned.compute() == want
    assert want["weight_mod_0"] == np.mean(WEIGHTS[::2, 0], dtype=np.float64)


def test_what_update_is_given_may_change_afterwards():
    buffer = LOGITS.copy()
    accumulator = MetricsAccumulator()
    accumulator.update(buffer, CLASS)
    buffer[:] = 0
    assert accumulator.compute() == evaluate_predictions(LOGITS, CLASS, "classification")


@pytest.mark.usefixtures("untyped_caller")
def test_wrong_batches_are_refused():
    accumulator = MetricsAccumulator()
    with pytest.raises(InputError, match="targets"):
        accumulator.update(LOGITS)
    with pytest.raises(InputError, match="count"):
        accumulator.update({"loss": 1.0}, count=0)
    with pytest.raises(InputError, match="loss"):
        accumulator.update({"loss": np.ones(2)})
    with pytest.raises(InputError, match="loss"):
        accumulator.update({"loss": "low"})
    with pytest.raises(InputError, match="weights"):
        accumulator.update(LOGITS, CLASS, WEIGHTS[:3])
    accumulator.update(LOGITS, CLASS, WEIGHTS)
    with pytest.raises(InputError, match="batch"):
        accumulator.update(LOGITS, CLASS)
