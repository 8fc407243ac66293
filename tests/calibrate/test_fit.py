"""The fits against what SciPy and scikit-learn find, against known truths, and where there is little to fit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import minimize, minimize_scalar
from sklearn.isotonic import IsotonicRegression

from aecf_jax.calibrate import fit_calibration
from aecf_jax.calibrate._fit import fitted
from aecf_jax.calibrate._isotonic import pooled
from aecf_jax.calibrate._maps import Affine, cross_entropy, mapped, probabilities
from aecf_jax.calibrate._rows import CalibrationRows, calibration_rows
from aecf_jax.calibrate._temperature import fit_temperature
from aecf_jax.calibrate._vector import fit_vector
from aecf_jax.data import make_drops
from aecf_jax.errors import InputError
from aecf_jax.metrics import evaluate_predictions
from tests.calibrate.rows import MODALITIES, PATTERNS, TRUE_TEMPERATURES, overconfident_rows, small_model, small_splits

IDENTITY = Affine(np.ones(1), np.zeros(1))
KINDS = ("classes", "labels")


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_is_the_one_scipy_finds(kind):
    rows = overconfident_rows(50, kind=kind)
    found = fit_temperature(rows.logits, rows.target, kind, IDENTITY)

    def loss(scale):
        return cross_entropy(rows.logits * scale, rows.target, kind).mean()

    best = minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-10})
    # SciPy compares losses, which are flat to the square root of a float's precision.
    np.testing.assert_allclose(found.scale[0], best.x, rtol=1e-6)
    assert loss(found.scale[0]) <= best.fun


@pytest.mark.parametrize("kind", KINDS)
def test_vector_scaling_is_the_one_scipy_finds(kind):
    rows = overconfident_rows(50, kind=kind)
    found = fit_vector(rows.logits, rows.target, kind, IDENTITY)

    def loss(theta):
        return cross_entropy(rows.logits * theta[:3] + theta[3:], rows.target, kind).mean()

    best = minimize(loss, np.array([1.0, 1, 1, 0, 0, 0]), options={"gtol": 1e-9})
    bias = best.x[3:] - (best.x[3:].mean() if kind == "classes" else 0)
    np.testing.assert_allclose(np.r_[found.scale, found.bias], np.r_[best.x[:3], bias], atol=1e-4)
    assert loss(np.r_[found.scale, found.bias]) <= best.fun


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=40))
def test_pooled_blocks_are_scikit_learns(points):
    x, y = np.array(points, np.float64).T
    middle, mean, count = pooled(x, y)
    expected = IsotonicRegression().fit(x, y).predict(x)
    # Points in order of x belong to the blocks in order; each has its block's mean.
    step = np.empty(len(x))
    step[np.argsort(x, kind="stable")] = np.repeat(mean, count.astype(int))
    np.testing.assert_allclose(step, expected, atol=1e-12)
    assert (np.diff(middle) > 0).all()
    assert (np.diff(mean) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_true_temperatures_of_many_rows_are_found(kind):
    found = fitted(overconfident_rows(2000, kind=kind), MODALITIES).temperatures()
    for name, true in zip(("image", "text", "image + text"), TRUE_TEMPERATURES, strict=True):
        assert found[name] == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("method", ["temperature", "vector", "isotonic"])
@pytest.mark.parametrize("kind", KINDS)
def test_calibration_by_pattern_beats_one_for_all_on_new_rows(method, kind):
    rows, new = overconfident_rows(300, kind=kind), overconfident_rows(300, kind=kind, seed=1)
    loss = {
        by: cross_entropy(
            fitted(rows, MODALITIES, method=method, by=by)(new.logits, new.visible), new.target, kind
        ).mean()
        for by in ("pattern", "size", "all")
    }
    assert loss["pattern"] < loss["all"] < cross_entropy(new.logits, new.target, kind).mean()
    assert loss["size"] < loss["all"] + 0.01


def test_shrinking_goes_from_the_own_fit_to_the_parents():
    rows = overconfident_rows(30)
    own = fit_temperature(rows.logits[:30], rows.target[:30], "classes", IDENTITY).scale[0]
    scales = [fitted(rows, MODALITIES, prior_rows=s).maps[0].scale[0] for s in (1e-9, 10.0, 100.0, 1e9)]
    whole = fitted(rows, MODALITIES, prior_rows=1.0).maps[-1].scale[0]
    assert scales[0] == pytest.approx(own, rel=1e-6)
    assert scales[-1] == pytest.approx(whole, rel=1e-6)
    assert sorted(scales) in (scales, scales[::-1])


def test_cross_validation_shrinks_what_does_not_differ_and_not_what_does():
    same = fitted(overconfident_rows(100, temperatures=(1.5, 1.5, 1.5)), MODALITIES)
    other = fitted(overconfident_rows(300), MODALITIES)
    assert same.prior_rows >= 100 > other.prior_rows


def test_parent_is_the_nearest_superset_or_all_rows():
    rows = overconfident_rows(40)
    few = rows.take(np.r_[0:2, 80:120])
    by = {parent: fitted(few, MODALITIES, parent=parent, prior_rows=1e9) for parent in ("superset", "all")}
    # Of a strength that silences its own rows, `image` has the temperature of its parent; so has `image + text` of all.
    for found in by.values():
        assert found.maps[0].scale[0] == pytest.approx(found.maps[-1].scale[0], rel=1e-5)
    weak = {parent: fitted(few, MODALITIES, parent=parent, prior_rows=5.0) for parent in ("superset", "all")}
    assert weak["superset"].maps[1] == weak["all"].maps[1]
    assert weak["superset"].maps[0] != weak["all"].maps[0]


@pytest.mark.parametrize("method", ["temperature", "vector", "isotonic"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["one row", "one class", "saturated", "all right", "constant"])
def test_little_to_fit_gives_finite_numbers(method, kind, case):
    rows = overconfident_rows(4, kind=kind, classes=1 if case == "one class" else 3)
    if case == "one row":
        rows = rows.take(np.array([0]))
    elif case == "saturated":
        rows = rows._replace(logits=rows.logits * 1e30)
    elif case == "all right":
        rows = rows._replace(target=(rows.logits == rows.logits.max(axis=1, keepdims=True)).astype(float))
    elif case == "constant":
        rows = rows._replace(logits=np.zeros_like(rows.logits))
    calibration = fitted(rows, MODALITIES, method=method)
    found = calibration(rows.logits, rows.visible)
    assert np.isfinite(found).all()
    assert np.isfinite(probabilities(found, kind)).all()
    if case == "one class" and kind == "classes" and method == "temperature":
        assert calibration.maps[0].scale[0] == 1


@pytest.mark.parametrize("labels", [False, True])
def test_fit_of_a_model_lowers_its_nll_on_validation_rows(labels):
    model, splits = small_model(multilabel=labels), small_splits(labels=labels)
    rows = calibration_rows(model, splits)
    calibration = fit_calibration(model, splits)
    assert calibration == fit_calibration(model, splits.validation)
    before, after = (
        evaluate_predictions(z, rows.target if labels else rows.target.argmax(axis=1), "classification")["nll"]
        for z in (rows.logits, calibration(rows.logits, rows.visible))
    )
    assert after < before
    counted = splits.validation.present
    assert calibration.rows.tolist()[:2] == counted.sum(axis=0).tolist()
    assert calibration.rows.tolist()[2] == counted.all(axis=1).sum()
    assert calibration.about["drops"] == "every subset of each row's modalities"


def test_a_drop_table_says_what_each_row_shows():
    model, splits = small_model(), small_splits()
    drops = make_drops(splits.validation, "mcar", rate=0.5, seed=3)
    calibration = fit_calibration(model, splits, drops=drops)
    assert calibration.rows[-1] == drops.visible.any(axis=1).sum()
    assert calibration.about["drops_hash"] == drops.hash


def test_many_subsets_are_drawn_from_a_table(monkeypatch):
    monkeypatch.setattr("aecf_jax.calibrate._rows._MOST_SUBSETS", 2)
    model, splits = small_model(), small_splits()
    rows = calibration_rows(model, splits, seed=5)
    assert rows.about["drops"] == "mcar"
    assert rows.about["drops_hash"] == make_drops(splits.validation, "mcar", rate=0.5, seed=5).hash
    assert len(np.unique(rows.source)) == len(rows.source)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"method": "temperatur"},
            "`method` must be one of temperature, vector, isotonic; got temperatur.",
        ),
        ({"by": "patterns"}, "`by` must be one of pattern, size, all; got patterns. Did you mean `pattern`?"),
        ({"parent": "none"}, "`parent` must be one of all, superset; got none."),
        ({"prior_rows": 0.0}, "`prior_rows` must be positive; got 0.0."),
    ],
)
@pytest.mark.usefixtures("untyped_caller")
def test_bad_options_are_refused(options, text):
    with pytest.raises(InputError) as caught:
        fit_calibration(small_model(), small_splits(), **options)
    assert str(caught.value).startswith(text)


def test_what_cannot_be_calibrated_is_refused():
    splits = small_splits(labels=True)
    with pytest.raises(InputError, match="`task_type` must be classification, to be calibrated; got regression"):
        fit_calibration(small_model(task_type="regression"), splits)
    with pytest.raises(InputError, match="`label` must have 4 labels, as the model has; got 3"):
        fit_calibration(small_model(num_classes=4, multilabel=True), splits)


def test_map_of_one_entry_leaves_the_others_alone():
    rows = overconfident_rows(50)
    calibration = fitted(rows, MODALITIES)
    for index, pattern in enumerate(PATTERNS):
        own = (rows.visible == pattern).all(axis=1)
        expected = mapped(calibration.maps[index], rows.logits[own], "classes")
        np.testing.assert_array_equal(calibration(rows.logits, rows.visible)[own], expected)
    assert isinstance(rows, CalibrationRows)
