"""Calibration errors, diagrams and the parts of the Brier score: against definitions, scikit-learn and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import calibration_curve

from aecf_jax.errors import InputError
from aecf_jax.metrics import calibration_metrics, evaluate_predictions, reliability
from aecf_jax.metrics._calibration import brier_parts
from aecf_jax.metrics._reliability import Curves
from tests.metrics import brute_calibration as brute

ROWS, CLASSES = 9, 3
# Ties, probabilities of 0 and 1 (of logits 800 apart), and anything between.
LOGIT = st.one_of(st.integers(-2, 2).map(float), st.sampled_from([-800.0, 800.0]), st.floats(-5, 5, width=16))
LOGITS = hnp.arrays(np.float64, (ROWS, CLASSES), elements=LOGIT)
# All of one class, and labels that never or always occur, among them.
CLASS = st.one_of(st.just(np.zeros(ROWS, np.int64)), hnp.arrays(np.int64, ROWS, elements=st.integers(0, CLASSES - 1)))
LABEL = hnp.arrays(np.int64, (ROWS, CLASSES), elements=st.integers(0, 1), fill=st.just(0))
BINS = st.sampled_from([1, 2, 4, 15])
ROW_COUNT = st.sampled_from([1, 2, ROWS])

CLASS_KEYS = [
    "nll", "brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within", "ece",
    "ece_equal_mass", "ece_debiased", "mce", "rms", "rms_debiased", "classwise_ece", "classwise_ece_equal_mass",
    "classwise_ece_debiased", "classwise_mce", "classwise_rms", "classwise_rms_debiased",
]  # fmt: skip
LABEL_KEYS = [*CLASS_KEYS[:12], "mce_macro"]


def assert_same(got, want):
    for name, value in want.items():
        # float64 both; of a squared error that cancels to 1e-16, the root is 1e-8.
        assert got[name] == pytest.approx(value, rel=1e-9, abs=3e-8 if "rms_debiased" in name else 1e-12), name


@settings(max_examples=25)
@given(LOGITS, CLASS, BINS, ROW_COUNT)
def test_errors_of_classes_equal_their_definitions(logits, targets, bins, rows):
    logits, targets = logits[:rows], targets[:rows]
    got = calibration_metrics(logits, targets, bins=bins)
    assert_same(got, brute.class_metrics(logits.tolist(), targets.tolist(), bins))
    parts = got["brier_reliability"] - got["brier_resolution"] + got["brier_uncertainty"] + got["brier_within"]
    # An identity, whatever the bins; float64.
    assert parts == pytest.approx(got["brier"], abs=1e-12)


@settings(max_examples=25)
@given(LOGITS, LABEL, BINS, ROW_COUNT)
def test_errors_of_labels_equal_their_definitions(logits, labels, bins, rows):
    logits, labels = logits[:rows], labels[:rows]
    got = calibration_metrics(logits, labels, bins=bins)
    assert_same(got, brute.label_metrics(logits.tolist(), labels.tolist(), bins))
    parts = got["brier_reliability"] - got["brier_resolution"] + got["brier_uncertainty"] + got["brier_within"]
    # As above.
    assert parts == pytest.approx(got["brier"], abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1, ROWS])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_keys_are_fixed_and_shared_ones_are_those_of_the_evaluation(kind, rows):
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(rows, CLASSES)).astype(np.float32)
    targets = draws.integers(0, 2, rows if kind == "classes" else (rows, CLASSES))
    got, known = calibration_metrics(logits, targets), evaluate_predictions(logits, targets, "classification")
    assert list(got) == (CLASS_KEYS if kind == "classes" else LABEL_KEYS)
    assert all(type(value) is float for value in got.values())
    assert all(np.isnan(value) == (rows == 0) for value in got.values())
    for name in got.keys() & known.keys():
        np.testing.assert_equal(got[name], known[name])


@settings(max_examples=15)
@given(LOGITS, CLASS, st.permutations(range(ROWS)), st.sampled_from(["equal_width", "equal_mass"]))
def test_the_order_of_rows_does_not_matter(logits, targets, order, kind):
    one, other = (reliability(logits[o], targets[o], bins=4, kind=kind, each=True) for o in (np.arange(ROWS), order))
    np.testing.assert_array_equal(one.count, other.count)
    np.testing.assert_array_equal(one.edges, other.edges)
    # Sums in another order.
    np.testing.assert_allclose(one.confidence, other.confidence, rtol=1e-12)


def test_a_diagram_equals_scikit_learn_s_curve():
    draws = np.random.default_rng(1)
    logits = draws.normal(size=(500, CLASSES)) * 2
    labels = draws.random((500, CLASSES)) < 1 / (1 + np.exp(-logits))
    found = reliability(logits, labels, bins=10, each=True)
    for c in range(CLASSES):
        frequency, confidence = calibration_curve(labels[:, c], 1 / (1 + np.exp(-logits[:, c])), n_bins=10)
        filled = found.count[c] > 0
        # float64 both.
        np.testing.assert_allclose(found.frequency[c][filled], frequency, rtol=1e-12)
        np.testing.assert_allclose(found.confidence[c][filled], confidence, rtol=1e-12)
    pooled = reliability(logits, labels, bins=10)
    np.testing.assert_array_equal(pooled.count[0], found.count.sum(axis=0))
    np.testing.assert_allclose(found.edges, np.tile(np.arange(11) / 10, (CLASSES, 1)), rtol=1e-15)


def test_bins_of_equal_mass_hold_as_many_rows_each_and_ties_together():
    probs = np.asarray([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    logits = (np.log(probs) - np.log1p(-probs))[:, None]
    labels = np.asarray([[0], [1]] * 4)
    found = reliability(logits, labels, bins=4, kind="equal_mass", each=True)
    assert found.count.tolist() == [[2, 2, 2, 2]]
    # Inner bounds are probabilities of the data.
    np.testing.assert_allclose(found.edges, [[0, 0.2, 0.4, 0.6, 1]], rtol=1e-12)
    tied = reliability(np.zeros((8, 1)), labels, bins=4, kind="equal_mass", each=True)
    assert tied.count.tolist() == [[8, 0, 0, 0]]
    assert np.isnan(tied.frequency[0, 1:]).all()
    assert reliability(logits[:3], labels[:3], bins=15, kind="equal_mass").count.sum() == 3


def test_the_diagram_of_classes_is_of_the_most_probable_one():
    draws = np.random.default_rng(2)
    logits, targets = draws.normal(size=(200, CLASSES)), draws.integers(0, CLASSES, 200)
    found, known = reliability(logits, targets), evaluate_predictions(logits, targets, "classification")
    gap = np.abs(found.confidence - found.frequency)[found.count > 0]
    # The same sums, in another order.
    assert gap @ found.count[found.count > 0] / 200 == pytest.approx(known["ece"], rel=1e-12)
    assert gap.max() == pytest.approx(known["mce"], rel=1e-12)
    each = reliability(logits, targets, each=True)
    assert each.count.shape == (CLASSES, 15)
    assert (each.count * np.nan_to_num(each.frequency)).sum(axis=1) == pytest.approx(np.bincount(targets))


def test_where_every_bin_holds_equal_probabilities_nothing_is_left_within_it():
    draws = np.random.default_rng(3)
    probs = draws.choice([0.05, 0.3, 0.7, 0.95], 400)
    hits = draws.random(400) < probs
    parts = brier_parts(Curves(probs[None], hits[None]), 15)
    # Murphy's own form, over distinct forecasts.
    groups = [hits[probs == p] for p in np.unique(probs)]
    want = sum(len(g) * (g.mean() - hits.mean()) ** 2 for g in groups) / 400
    assert parts["within"][0] == pytest.approx(0, abs=1e-15)
    assert parts["resolution"][0] == pytest.approx(want, rel=1e-12)


def test_the_debiased_error_is_that_of_frequencies_drawn_anew():
    draws = np.random.default_rng(4)
    probs = draws.random(300)
    hits = draws.random(300) < probs
    logits = (np.log(probs) - np.log1p(-probs))[:, None]
    found = reliability(logits, hits[:, None], bins=10, kind="equal_mass")
    share, scale = found.count[0] / 300, np.sqrt(found.frequency[0] * (1 - found.frequency[0]) / found.count[0])
    again = found.frequency[0] + scale * draws.normal(size=(100_000, 10))
    plugin, simulated = (np.abs(f - found.confidence[0]) @ share for f in (found.frequency[0], again))
    # The mean of 100,000 draws that scatter by 0.015.
    got = calibration_metrics(logits, hits[:, None], bins=10)
    assert max(0, 2 * plugin - simulated.mean()) == pytest.approx(got["ece_debiased"], abs=3e-4)
    assert got["ece_debiased"] < got["ece_equal_mass"]


def test_debiased_errors_of_calibrated_predictions_are_nearer_to_0():
    draws = np.random.default_rng(5)
    found = []
    for _ in range(40):
        probs = draws.random((200, 1))
        found.append(calibration_metrics(np.log(probs) - np.log1p(-probs), draws.random((200, 1)) < probs))
    mean = {name: np.mean([one[name] for one in found]) for name in found[0]}
    # Measured: 0.050 of 0.085; 0.025 of 0.107.
    assert mean["ece_debiased"] < 0.7 * mean["ece_equal_mass"]
    assert mean["rms_debiased"] < 0.4 * mean["rms"]


def test_a_label_that_never_occurs_counts():
    logits, labels = np.asarray([[2.0, 2.0]] * 4), np.asarray([[1, 0]] * 4)
    probability = 1 / (1 + np.exp(-2.0))
    got = calibration_metrics(logits, labels)
    # The mean of two labels: one missed by 1 - p, the absent one by p.
    assert got["ece"] == pytest.approx(0.5, rel=1e-12)
    assert got["mce"] == pytest.approx(probability, rel=1e-12)
    assert got["mce_macro"] == pytest.approx(0.5, rel=1e-12)
    assert got["brier_uncertainty"] == 0


def test_a_nan_shows_in_every_metric_that_averages_probabilities():
    logits = np.zeros((ROWS, CLASSES))
    logits[4, 1] = np.nan
    for targets in (np.zeros(ROWS, int), np.zeros((ROWS, CLASSES), int)):
        got = calibration_metrics(logits, targets)
        of_outcomes = {"brier_uncertainty", "brier_resolution"}
        assert all(np.isnan(value) for name, value in got.items() if name not in of_outcomes)


@pytest.mark.usefixtures("untyped_caller")
def test_wrong_inputs_are_refused_in_one_sentence():
    logits = np.zeros((ROWS, CLASSES))
    with pytest.raises(InputError, match="Did you mean `equal_mass`"):
        reliability(logits, np.zeros(ROWS, int), kind="equal_mas")
    with pytest.raises(InputError, match="`bins` must be positive"):
        reliability(logits, np.zeros(ROWS, int), bins=0)
    with pytest.raises(InputError, match="`bins` must be positive"):
        calibration_metrics(logits, np.zeros(ROWS, int), bins=0)
    with pytest.raises(InputError, match="have 9 rows"):
        reliability(logits, np.zeros(3, int))
    with pytest.raises(InputError, match="rows, classes"):
        reliability(logits[0], np.zeros(3, int))
