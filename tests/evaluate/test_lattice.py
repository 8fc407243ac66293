"""Pairs of subsets S ⊂ T: counted as a double loop over the definition counts them."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.errors import InputError
from aecf_jax.evaluate import monotonicity, predict
from aecf_jax.evaluate._lattice import pair_counts
from aecf_jax.evaluate._row_scores import row_scores
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.model import AECF_CLIP

NAMES = ("a", "b", "c")
ROWS = 11


def small_model(**changes):
    fields = {"modalities": NAMES, "input_dims": (3, 3, 3), "num_classes": 4, "embed_dim": 8}
    return AECF_CLIP(AECFConfig(**(fields | {"encoder_hidden_dims": (8,), "gate_hidden_dims": (8,)} | changes)))


def small_data(label=None, seed=0):
    rng = np.random.default_rng(seed)
    features = {name: 3 * rng.normal(size=(ROWS, 3)).astype(np.float32) for name in NAMES}
    label = rng.integers(0, 4, ROWS) if label is None else label(rng)
    present = rng.random((ROWS, 3)) < 0.7
    present[0] = True
    return Dataset(features, label, present, num_classes=4)


KINDS = {
    "classes": ({}, None),
    "labels": ({"multilabel": True}, lambda rng: (rng.random((ROWS, 4)) < 0.4).astype(np.float32)),
    "values": ({"task_type": "regression"}, lambda rng: rng.normal(size=(ROWS, 4)).astype(np.float32)),
}


def by_definition(model, data, *, covering):
    """(compared, falls, rises) by two loops over subsets and one over rows."""
    shown = [np.array(one, bool) for one in itertools.product([0, 1], repeat=3) if any(one)]
    scores = [row_scores(predict(model, data, present=one).output, data.label, model.config.task_type) for one in shown]
    compared = falls = rises = 0
    for (s, small), (t, large), row in itertools.product(
        zip(shown, scores, strict=True), zip(shown, scores, strict=True), range(ROWS)
    ):
        nested = (s <= t).all() and s.sum() < t.sum() and (data.present[row] >= t).all()
        if nested and (not covering or t.sum() - s.sum() == 1):
            compared += 1
            falls += large.confidence[row] < small.confidence[row]
            rises += large.loss[row] > small.loss[row]
    return compared, falls, rises


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_those_of_the_definition(kind):
    changes, label = KINDS[kind]
    model, data = small_model(**changes), small_data(label)
    found = monotonicity(model, data, draws=20)
    for rates, pairs, covering in ((found.nested, 12, False), (found.covering, 9, True)):
        compared, falls, rises = by_definition(model, data, covering=covering)
        assert (rates.pairs, rates.compared) == (pairs, compared)
        assert rates.counter_intuitive.value == rises / compared
        assert 0 < rises < compared
        if kind == "values":
            assert math.isnan(rates.violating.value)
        else:
            assert rates.violating.value == falls / compared
            assert rates.violating.low <= rates.violating.value <= rates.violating.high
    assert (json.dumps(found.to_dict(), allow_nan=False)).startswith(f'{{"rows": {ROWS}, "nested": {{"pairs": 12,')


def test_an_interval_is_that_of_the_rates_of_resampled_rows():
    model, data = small_model(), small_data()
    found = monotonicity(model, data, draws=4000).nested.violating
    rng = np.random.default_rng(1)
    single = [monotonicity(model, data.take([row]), draws=1).nested for row in range(ROWS)]
    falls, pairs = (
        np.array(x) for x in zip(*((r.violating.value * r.compared, r.compared) for r in single), strict=True)
    )
    drawn = rng.integers(0, ROWS, (4000, ROWS))
    expected = np.quantile(np.nansum(falls[drawn], 1) / pairs[drawn].sum(1), [0.025, 0.975])
    # Two bootstraps of 4,000 draws: bounds scatter by about a hundredth.
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.02)


@given(st.integers(0, 2**32 - 1))
def test_counts_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    seen = np.array([one for one in itertools.product([False, True], repeat=4) if any(one)])[rng.permutation(15)]
    confidence, loss = rng.integers(0, 4, (2, 15, 5)).astype(np.float32)
    present = rng.random((5, 4)) < 0.8
    found = pair_counts(confidence, loss, seen, present)
    expected = np.zeros((3, 5))
    for small, large in itertools.product(range(15), repeat=2):
        if (seen[small] <= seen[large]).all() and small != large:
            has = (present >= seen[large]).all(1)
            expected += [has, has & (confidence[large] < confidence[small]), has & (loss[large] > loss[small])]
    np.testing.assert_array_equal(found, expected)


def test_a_model_that_only_gains_has_rates_of_0_and_one_that_only_loses_of_1():
    seen = np.array([[1, 0], [0, 1], [1, 1]], bool)
    gains = np.array([[0.5, 0.5], [0.5, 0.6], [0.7, 0.6]], np.float32)
    present = np.ones((2, 2), bool)
    assert pair_counts(gains, -gains, seen, present).falls.sum() == 0
    loses = pair_counts(-np.array([[1, 1], [1, 1], [2, 2]], np.float32), gains, seen, present)
    assert (loses.falls == loses.compared).all()


def test_a_fall_within_rounding_is_none_and_nan_is_not_silent():
    seen, present = np.array([[1, 0], [0, 1], [1, 1]], bool), np.ones((1, 2), bool)
    close = np.array([[0.9], [0.9], [0.9 - 2e-7]], np.float32)
    assert pair_counts(close, close, seen, present).falls[0] == 0
    assert math.isnan(pair_counts(close, np.float32([[np.nan], [1], [1]]), seen, present).rises[0])


def test_calibration_is_applied_with_what_is_visible():
    model, data = small_model(), small_data()
    visible = []

    def calibration(logits, shown):
        visible.append(shown)
        # The fewer are seen, the surer: every pair violates.
        return np.eye(1, logits.shape[1]) / 10.0 ** shown.sum(1, keepdims=True)

    found = monotonicity(model, data, calibration=calibration, draws=5)
    assert found.nested.violating.value == 1
    assert len(visible) == 7
    assert all((shown <= data.present).all() for shown in visible)


def test_one_modality_has_no_pairs():
    config = {"modalities": ("a",), "input_dims": (3,)}
    found = monotonicity(small_model(**config), small_data().select(("a",)), draws=5)
    assert (found.nested.pairs, found.covering.pairs, found.nested.compared) == (0, 0, 0)
    assert found.to_dict()["nested"]["violating"] == {"value": None, "low": None, "high": None}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="must be classification or regression"):
        monotonicity(small_model(task_type="embedding"), small_data())
    data = small_data()
    unlabelled = Dataset(data.features, np.zeros((ROWS, 0), np.float32), data.present, label_kind="none")
    with pytest.raises(InputError, match="`label` must be given"):
        monotonicity(small_model(), unlabelled)


@pytest.mark.parametrize("kind", KINDS)
def test_means_of_row_scores_are_the_metrics(kind):
    changes, label = KINDS[kind]
    task = changes.get("task_type", "classification")
    truth = small_data(label).label
    output = np.random.default_rng(2).normal(size=(ROWS, 4)) * 3
    scores, metrics = row_scores(output, truth, task), evaluate_predictions(output, truth, task)
    if kind == "values":
        assert scores.loss.mean() == pytest.approx(metrics["rmse"] ** 2)
        return
    right = metrics["accuracy"] if kind == "classes" else 1 - metrics["hamming_loss"]
    assert scores.loss.mean() == pytest.approx(metrics["nll"])
    assert scores.brier.mean() == pytest.approx(metrics["brier"])
    assert scores.correct.mean() == pytest.approx(right)
