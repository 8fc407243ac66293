"""The verdict on a gate: models made by hand, whose gates choose rightly, always the same, or in vain."""

import json
import math

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.errors import InputError
from aecf_jax.evaluate import gate_diagnosis, has_gate, predict
from aecf_jax.evaluate._gate import COLLAPSED, MARGIN, _verdict
from aecf_jax.evaluate._row_scores import row_scores
from aecf_jax.model import AECF_CLIP
from aecf_jax.stats import Estimate

NAMES, ROWS, CLASSES = ("a", "b", "c"), 90, 3
FEW = {"draws": 200}


def made(*, trust=0.0, bias=(0.0, 0.0, 0.0), **changes):
    """A model whose weights rise with `trust` times the mark in the last feature, and `bias`."""
    config = AECFConfig(**(
        {"modalities": NAMES, "fusion": "gated",
         "input_dims": (4, 4, 4), "num_classes": CLASSES, "encoder": "identity", "embed_dim": 4,
         "gate_hidden_dims": (3,), "head_hidden_dims": (), "gate_init_temp": 1.0, "gate_min_temp": 1.0,
         "standardize": False} | changes
    ))  # fmt: skip
    variables = dict(AECF_CLIP(config).variables)

    def by_hand(path, leaf):
        name, new = jax.tree_util.keystr(path), np.zeros(leaf.shape, np.float32)
        if "head" in name and "kernel" in name:
            new[:CLASSES] = 4 * np.eye(CLASSES)
        elif "gate" in name and new.shape == (12, 3):
            new[[3, 7, 11], range(3)] = trust
        elif "gate" in name and new.shape == (3, 3):
            new[:] = np.eye(3)
        elif "gate" in name and "bias" in name and "hidden" not in name:
            new[:] = bias
        return new

    variables["params"] = jax.tree_util.tree_map_with_path(by_hand, variables["params"])
    return AECF_CLIP(config, variables=variables)


def marked(*, kind="classes", missing=False, seed=0):
    """Rows where one modality, which bears a mark, shows the class, and the others show another."""
    rng = np.random.default_rng(seed)
    label, right = rng.integers(0, CLASSES, ROWS), rng.integers(0, 3, ROWS)
    features = {}
    for column, name in enumerate(NAMES):
        shown = np.where(right == column, label, rng.integers(0, CLASSES, ROWS))
        features[name] = np.concatenate([np.eye(CLASSES)[shown], (right == column)[:, None]], 1).astype(np.float32)
    present = np.ones((ROWS, 3), bool)
    if missing:
        present = rng.random((ROWS, 3)) < 0.7
        present[present.sum(1) == 0, 0] = True
    targets = {"classes": label, "labels": np.eye(CLASSES)[label].astype(np.float32),
               "values": 4 * np.eye(CLASSES)[label].astype(np.float32)}[kind]  # fmt: skip
    return Dataset(features, targets, present, label_kind=kind, num_classes=CLASSES)


TASKS = {"classes": {}, "labels": {"multilabel": True}, "values": {"task_type": "regression"}}


@pytest.mark.parametrize("kind", TASKS)
def test_a_gate_that_chooses_the_right_modality_is_used(kind):
    found = gate_diagnosis(made(trust=6.0, **TASKS[kind]), marked(kind=kind), **FEW)
    assert found.verdict == "the gate is used"
    for cost in (found.mean, found.shuffled):
        assert 0 < cost.loss.low <= cost.loss.value <= cost.loss.high
        if kind == "values":
            assert math.isnan(cost.accuracy.value)
        elif kind == "classes":
            assert cost.accuracy.high < 0
    assert found.collapsed is None
    assert len(found.dominance) == (0 if kind == "values" else CLASSES)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("missing", [False, True])
def test_a_constant_gate_is_not_used(missing):
    found = gate_diagnosis(made(bias=(1.0, 0.0, 0.0)), marked(missing=missing), **FEW)
    assert found.verdict == "the gate is not used"
    # What is left is rounding of the mean of equal float32 weights.
    assert found.mean.loss == pytest.approx((0, 0, 0), abs=1e-6)
    assert found.shuffled.loss == pytest.approx((0, 0, 0), abs=1e-6)


def test_a_gate_whose_choice_helps_nobody_is_not_used_however_much_it_varies():
    data = marked()
    # Every modality holds the same: weights change nothing but the mark, which the head does not read.
    same = {name: np.concatenate([data.features["a"][:, :3], data.features[name][:, 3:]], 1) for name in NAMES}
    found = gate_diagnosis(made(trust=6.0), Dataset(same, data.label, data.present), **FEW)
    assert found.verdict == "the gate is not used"
    assert found.entropy < 0.1
    assert found.collapsed is None


@pytest.mark.parametrize(
    ("mean", "shuffled", "verdict"),
    [
        ((0.1, 0.05, 0.2), (0.1, 0.01, 0.2), "the gate is used"),
        ((0.1, 0.05, 0.2), (0.1, -0.01, 0.2), "no evidence either way"),
        ((0.0, -0.1, 0.1), (0.1, 0.05, 0.2), "no evidence either way"),
        ((-0.1, -0.2, 0.009), (0.005, 0.001, 0.01), "the gate is not used"),
        ((math.nan,) * 3, (math.nan,) * 3, "no evidence either way"),
    ],
)
def test_verdicts_by_intervals(mean, shuffled, verdict):
    assert MARGIN == 0.01
    assert _verdict(Estimate(*mean), Estimate(*shuffled), 1.0) == verdict


def test_a_collapsed_gate_raises_the_alarm():
    found = gate_diagnosis(made(bias=(0.0, 5.0, 0.0)), marked(missing=True), **FEW)
    assert found.collapsed == "b"
    assert found.mean_weights["b"] > COLLAPSED
    assert found.dominance[0]["b"] > 0.5
    assert gate_diagnosis(made(bias=(0.0, 2.0, 0.0)), marked(missing=True), **FEW).collapsed is None


def test_shares_and_entropies_are_those_of_the_weights():
    model, data = made(trust=2.0), marked(missing=True)
    several = data.present.sum(1) > 1
    weights = predict(model, data).weights[several].astype(np.float64)
    found = gate_diagnosis(model, data, **FEW)
    present, label = data.present[several], data.label[several]
    assert found.rows == several.sum()
    assert found.largest_entropy == pytest.approx(np.log(present.sum(1)).mean())
    entropies = [-sum(w * math.log(w) for w in row if w > 0) for row in weights]
    assert found.entropy == pytest.approx(np.mean(entropies), abs=1e-6)  # float32 weights
    assert 0 < found.entropy < found.largest_entropy
    for column, name in enumerate(NAMES):
        assert found.mean_weights[name] == pytest.approx(weights[present[:, column], column].mean())
        for k in range(CLASSES):
            expected = np.mean(weights[label == k].argmax(1) == column)
            assert found.dominance[k][name] == pytest.approx(expected)
    loss = row_scores(predict(model, data).output, data.label, "classification").loss[several].mean()
    assert found.loss == pytest.approx(loss, rel=1e-5)  # two float32 programs


def test_blocks_and_calibration_are_as_one_pass():
    model, data = made(trust=3.0), marked(missing=True)
    whole = gate_diagnosis(model, data, calibration=lambda logits, visible: logits / 2, **FEW)
    parts = gate_diagnosis(model, data, calibration=lambda logits, visible: logits / 2, batch_size=32, **FEW)
    assert parts.mean.loss == pytest.approx(whole.mean.loss)
    assert whole.loss != pytest.approx(gate_diagnosis(model, data, **FEW).loss, rel=0.01)


@pytest.mark.parametrize("changes", [{"gate_disabled": True}, {"fusion": "attention", "attention_heads": 1}])
def test_a_model_without_a_gate_is_told(changes):
    model = made(**changes)
    assert not has_gate(model)
    found = gate_diagnosis(model, marked())
    assert (found.verdict, found.rows, found.mean) == ("the model has no gate", ROWS, None)
    assert found.to_dict()["mean_weights"] == {}


def test_what_cannot_be_judged_is_refused():
    data = marked()
    alone = Dataset(data.features, data.label, np.tile([True, False, False], (ROWS, 1)))
    with pytest.raises(InputError, match="must have a row with two modalities"):
        gate_diagnosis(made(), alone)
    with pytest.raises(InputError, match="`label` must be given"):
        gate_diagnosis(made(), Dataset(data.features, np.zeros((ROWS, 0), np.float32), data.present, label_kind="none"))
