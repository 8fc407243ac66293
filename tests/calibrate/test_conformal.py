"""Conformal sets: their thresholds by hand, their coverage over many simulated data sets, and their file."""

import json
import math

import numpy as np
import pytest

from aecf_jax.calibrate import Conformal, conformal_coverage, expected_coverage, fit_conformal
from aecf_jax.calibrate._conformal import conformal_quantile, conformed
from aecf_jax.calibrate._coverage import pattern_coverage
from aecf_jax.calibrate._scores import scores_of, true_columns
from aecf_jax.errors import InputError
from tests.calibrate.rows import MODALITIES, PATTERNS, overconfident_rows, small_model, small_splits

CASES = [("classes", "lac"), ("classes", "aps"), ("labels", "lac")]


def test_quantile_is_the_finite_sample_one():
    scores = np.arange(10.0)[::-1]
    # ceil(11 * 0.9) = 10, the largest of ten; ceil(11 * 0.5) = 6.
    assert conformal_quantile(scores, 0.9) == 9
    assert conformal_quantile(scores, 0.5) == 5
    assert conformal_quantile(scores[:8], 0.9) == math.inf
    assert conformal_quantile(scores[:9], 0.9) == 9  # (9 + 1) * 0.9 is 9 in spite of rounding


def test_scores_by_hand():
    logits = np.log([[0.5, 0.2, 0.3]])
    half = np.array([0.5])
    np.testing.assert_allclose(scores_of(logits, "classes", "lac", half), [[0.5, 0.8, 0.7]])
    np.testing.assert_allclose(scores_of(logits, "classes", "aps", half), [[0.25, 0.9, 0.65]])
    np.testing.assert_allclose(scores_of(np.log([[1.0, 3.0]]), "labels", "lac", half), [[0.5, 0.5, 0.75, 0.25]])


@pytest.mark.parametrize(("kind", "score"), CASES)
@pytest.mark.parametrize("by", ["pattern", "all"])
def test_sets_hold_the_truth_as_often_as_promised(kind, score, by):
    # Each repetition draws calibration rows and new rows: the mean coverage lies between c and c + 1 / (n + 1).
    repetitions, count = 60, 39
    held = np.zeros((repetitions, 3))
    for which in range(repetitions):
        rows = overconfident_rows(2 * count, kind=kind, seed=which)
        first = np.tile(np.arange(2 * count) < count, 3)
        conformal = conformed(rows.take(np.flatnonzero(first)), MODALITIES, score=score, by=by, seed=which)
        new = rows.take(np.flatnonzero(~first))
        inside = conformal(new.logits, new.visible)
        true = true_columns(new.target, kind)
        held[which] = (inside.reshape(true.shape) | ~true).all(axis=1).reshape(3, -1).mean(axis=1)
    spread = 4 * held.std(axis=0) / math.sqrt(repetitions)
    if by == "all":
        assert 0.9 - spread.max() < held.mean() < 0.9 + 1 / 40 + spread.max()
    else:
        assert (held.mean(axis=0) > 0.9 - spread).all()
        assert (held.mean(axis=0) < 0.9 + 1 / 40 + spread).all()


def test_by_pattern_holds_where_one_threshold_for_all_does_not():
    rows, new = overconfident_rows(2000, seed=1), overconfident_rows(2000, seed=2)
    found = {
        by: pattern_coverage(conformed(rows, MODALITIES, by=by), new.logits, new.target, new.visible)
        for by in ("pattern", "all")
    }
    assert all(row.least <= row.coverage <= row.most for row in found["pattern"])
    assert any(not row.low <= 0.9 <= row.high for row in found["all"])
    assert [row.pattern for row in found["all"]] == ["image", "text", "image + text"]


def test_a_row_counts_once_in_a_threshold():
    rows = overconfident_rows(20)
    conformal = conformed(rows, MODALITIES, by="all")
    assert conformal.rows.tolist() == [20]
    assert conformed(rows, MODALITIES, by="size").rows.tolist() == [20, 20, 20]


def test_few_rows_promise_nothing_and_hold_everything():
    rows = overconfident_rows(5)
    conformal = conformed(rows, MODALITIES)
    assert np.isinf(conformal.thresholds).all()
    assert conformal(rows.logits, rows.visible).all()
    assert expected_coverage(5, 10, 0.9) == (1.0, 1.0)


def test_expected_coverage_is_what_simulation_gives():
    rng = np.random.default_rng(0)
    fitted, new = 50, 40
    scores = np.sort(rng.random((20000, fitted)), axis=1)
    held = (rng.random((20000, new)) <= scores[:, [math.ceil(51 * 0.9) - 1]]).mean(axis=1)
    low, high = expected_coverage(fitted, new, 0.9)
    assert 0.95 <= ((held >= low) & (held <= high)).mean() < 0.99
    assert low == pytest.approx(np.quantile(held, 0.025), abs=1 / new)
    assert high == pytest.approx(np.quantile(held, 0.975), abs=1 / new)


@pytest.mark.parametrize(("kind", "score"), CASES)
def test_the_file_gives_the_same_sets(kind, score, tmp_path):
    rows = overconfident_rows(40, kind=kind)
    conformal = conformed(rows.take(np.r_[0:3, 40:120]), MODALITIES, score=score, seed=3)
    conformal.save(tmp_path / "conformal.json")
    loaded = Conformal.load(tmp_path / "conformal.json")
    assert loaded == conformal
    assert conformal != 1
    assert loaded.names() == ["image", "text", "image + text", "all"]
    assert loaded.thresholds[0] == math.inf
    whole = conformal(rows.logits, rows.visible)
    np.testing.assert_array_equal(loaded(rows.logits, rows.visible), whole)
    np.testing.assert_array_equal(loaded(rows.logits[50:], rows.visible[50:], first=50), whole[50:])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(score="best"), "`score` must be one of lac, aps; got best."),
        (lambda m: m.update(seed=-1), "`seed` must be a whole number from 0; got -1."),
        (lambda m: m["entries"][0].pop("threshold"), "`entries` must have `threshold`"),
        (lambda m: m["entries"][0].update(threshold="big"), "`threshold` must be a number from 0; got big."),
    ],
)
def test_a_damaged_file_is_refused(change, text):
    mapping = json.loads(json.dumps(conformed(overconfident_rows(5), MODALITIES).to_dict()))
    change(mapping)
    with pytest.raises(InputError) as caught:
        Conformal.from_dict(mapping)
    assert text in str(caught.value)


@pytest.mark.parametrize("labels", [False, True])
def test_a_model_has_sets_with_coverage_for_every_pattern(labels):
    model, splits = small_model(multilabel=labels), small_splits(labels=labels)
    conformal = fit_conformal(model, splits, coverage=0.8)
    found = conformal_coverage(conformal, model, splits.test)
    present = splits.test.present
    assert [row.rows for row in found] == [*present.sum(axis=0), present.all(axis=1).sum()]
    for row in found:
        assert 0 <= row.low <= row.coverage <= row.high <= 1
        assert 0 <= row.size <= 3


@pytest.mark.usefixtures("untyped_caller")
def test_what_cannot_be_is_refused():
    labels = overconfident_rows(5, kind="labels")
    for options, text in (
        ({"score": "raps"}, "`score` must be one of lac, aps; got raps."),
        ({"score": "aps"}, "`score` must be lac for labels; got aps."),
        ({"coverage": 1.0}, "`coverage` must lie between 0 and 1; got 1.0."),
    ):
        with pytest.raises(InputError) as caught:
            conformed(labels, MODALITIES, **options)
        assert text in str(caught.value)
    conformal = conformed(labels, MODALITIES)
    with pytest.raises(InputError, match=r"`visible` must have the shape \(rows, modalities\), \(1, 2\)"):
        conformal(np.zeros((1, 3)), PATTERNS)
    with pytest.raises(InputError, match="`label` must be labels, as the sets are; got data with classes"):
        conformal_coverage(conformal, small_model(), small_splits().test)
