"""The PyTorch generation's metrics, from recorded inputs and values."""

import jax
import numpy as np
import pytest

from aecf_jax.metrics import AECFMetrics, ClassSums, LabelSums, ValueSums, WeightSums

WRONG = {"multilabel:map"}
"""Counts a class without positives as 0."""


def recorded(arrays, kind):
    return {
        key.split(":")[1]: value.item()
        for key, value in arrays.items()
        if key.startswith(f"{kind}:") and key not in WRONG
    }


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def on_host(arrays):
    return {
        "multiclass": AECFMetrics.compute_classification_metrics(arrays["logits"], arrays["y_class"]),
        "multilabel": AECFMetrics.compute_classification_metrics(arrays["logits"], arrays["y_multi"]),
        "calibration": AECFMetrics.compute_calibration_metrics(softmax(arrays["logits"]), arrays["y_class"]),
        "regression": AECFMetrics.compute_regression_metrics(arrays["pred"], arrays["target"]),
        "modality": AECFMetrics.compute_modality_metrics(arrays["weights"]),
    }


def in_batches(arrays):
    """The same from the device's accumulators, in batches of 64 and a padded rest."""
    rows, padded = len(arrays["logits"]), 320
    valid = np.arange(padded) < rows
    pad = {key: np.pad(value, [(0, padded - rows)] + [(0, 0)] * (value.ndim - 1), constant_values=-1)
           for key, value in arrays.items() if ":" not in key}  # fmt: skip
    sums = {
        "multiclass": (ClassSums.empty(7), ("logits", "y_class")),
        "multilabel": (LabelSums.empty(7), ("logits", "y_multi")),
        "regression": (ValueSums.empty(2), ("pred", "target")),
        "modality": (WeightSums.empty(3), ("weights",)),
    }
    out = {}
    for kind, (state, names) in sums.items():
        update = jax.jit(type(state).update)
        for start in range(0, padded, 64):
            cut = slice(start, start + 64)
            state = update(state, *(pad[name][cut] for name in names), valid[cut])
        out[kind] = state.compute()
    return out | {"calibration": out["multiclass"]}


@pytest.mark.parametrize("ours", [on_host, in_batches])
def test_metrics(golden, ours):
    arrays = golden("metrics")
    found = ours(arrays)
    for kind, metrics in found.items():
        theirs = recorded(arrays, kind)
        assert theirs
        for name, value in theirs.items():
            # The requirement; measured: 1.1e-7 at most.
            assert metrics[name] == pytest.approx(value, abs=1e-5), (kind, name)


def test_every_recorded_metric_is_compared(golden):
    arrays = golden("metrics")
    kinds = {key.split(":")[0] for key in arrays if ":" in key}
    assert kinds == set(on_host(arrays))


def test_fault_map_counted_a_class_without_positives_as_0(golden):
    arrays = golden("metrics")
    assert arrays["y_multi"].sum(axis=0)[3] == 0
    ours = AECFMetrics.compute_classification_metrics(arrays["logits"], arrays["y_multi"])["map"]
    # Six of the seven classes have positives: the recorded mean over seven is 6/7 of ours, in float32.
    assert ours * 6 / 7 == pytest.approx(arrays["multilabel:map"].item(), rel=1e-5)
