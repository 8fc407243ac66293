"""The object: what it does to each pattern, the same as a pure function, and its file."""

import json

import jax
import numpy as np
import pytest

from aecf_jax.calibrate import Calibration, calibrated
from aecf_jax.calibrate._entries import entries_of, entry_index
from aecf_jax.calibrate._fit import fitted
from aecf_jax.calibrate._maps import log_odds, probabilities
from aecf_jax.errors import InputError
from tests.calibrate.rows import MODALITIES, PATTERNS, overconfident_rows

METHODS = ("temperature", "vector", "isotonic")
STRENGTHS = {"root_rows": 1.0, "prior_rows": 10.0}


def fit(method, kind="classes", by="pattern", **options):
    return fitted(overconfident_rows(60, kind=kind), MODALITIES, method=method, by=by, **(STRENGTHS | options))


@pytest.mark.parametrize("kind", ["classes", "labels"])
@pytest.mark.parametrize("method", METHODS)
def test_object_function_and_file_agree(method, kind, tmp_path):
    calibration = fit(method, kind)
    calibration.save(tmp_path / "calibration.json")
    loaded = Calibration.load(tmp_path / "calibration.json")
    assert loaded == calibration
    rows = overconfident_rows(16, kind=kind, seed=1)
    logits = rows.logits.astype(np.float32)
    logits[0], logits[1] = 80 * np.sign(logits[0]), 0
    visible = rows.visible.copy()
    visible[2] = False
    host = loaded(logits, visible)
    assert host.dtype == np.float32
    pure = np.asarray(jax.jit(calibrated)(calibration.arrays(), logits, visible))
    # Of float32 logits a map is computed in float64 and in float32: a few units in the last place of a probability.
    found, expected = (probabilities(np.asarray(z, np.float64), kind) for z in (pure, host))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert np.isfinite(host).all()


def test_one_column_of_labels_is_a_label_and_not_a_class():
    rows = overconfident_rows(60, kind="labels", classes=1)
    calibration = fitted(rows, MODALITIES, method="isotonic", **STRENGTHS)
    logits = rows.logits.astype(np.float32)
    pure = np.asarray(calibrated(calibration.arrays(), logits, rows.visible))
    np.testing.assert_allclose(pure, calibration(logits, rows.visible), rtol=1e-5, atol=1e-5)


def test_log_odds_keep_their_digits_where_a_probability_is_nearly_one():
    odds = log_odds(np.array([[40.0, 0.0, 0.0], [1.0, 2.0, 3.0]]), "classes")
    likely = probabilities(np.array([[1.0, 2.0, 3.0]]), "classes")
    np.testing.assert_allclose(odds[0], [40 - np.log(2), -40, -40], rtol=1e-12)
    np.testing.assert_allclose(odds[1:], np.log(likely / (1 - likely)), rtol=1e-12)


def test_a_pattern_that_was_not_fitted_takes_its_nearest_superset():
    seen = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], bool)
    entries = entries_of(np.repeat(seen, 2, axis=0), "pattern")
    names = entries.names(("a", "b", "c", "d"))
    assert names == ["d", "a + b", "a + c", "a + b + d", "all"]
    for visible, expected in (
        ([1, 1, 0, 0], "a + b"),  # its own
        ([1, 0, 0, 0], "a + b"),  # of two as near, the first
        ([0, 0, 1, 0], "a + c"),
        ([1, 0, 0, 1], "a + b + d"),
        ([0, 1, 1, 0], "all"),  # in no fitted pattern
        ([1, 1, 1, 1], "all"),
        ([0, 0, 0, 0], "d"),
    ):
        assert names[entry_index(entries, np.array([visible], bool))[0]] == expected


def test_sizes_take_the_next_larger():
    entries = entries_of(np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool), "size")
    assert entries.names(tuple("abcd")) == ["1 of 4", "3 of 4", "all"]
    counts = np.tri(5, 4, -1, dtype=bool)
    assert entry_index(entries, counts).tolist() == [0, 0, 1, 1, 2]


def test_order_of_classes_is_kept_by_temperature_and_line():
    rows = overconfident_rows(60)
    for method in ("temperature", "isotonic"):
        found = fit(method)(rows.logits, rows.visible)
        best = rows.logits.argmax(axis=1)
        top = found[np.arange(len(best)), best]
        assert (top >= found.max(axis=1) - 1e-12).all()


def test_numbers_of_the_file_are_exact_and_strict(tmp_path):
    calibration = fit("temperature")
    text = json.dumps(calibration.to_dict(), allow_nan=False)
    found = json.loads(text)
    assert found["entries"][0]["scale"] == calibration.maps[0].scale.tolist()
    assert [entry["modalities"] for entry in found["entries"]] == [
        ["image"],
        ["text"],
        ["image", "text"],
        ["image", "text"],
    ]
    assert list(calibration.temperatures()) == ["image", "text", "image + text", "all"]
    assert fit("vector").temperatures() == {}
    assert calibration != fit("temperature", prior_rows=20.0)
    assert calibration != "something else"


BROKEN = {
    "format": (lambda m: m.update(format="another"), "`format` must be aecf_jax calibration 1; got another."),
    "no kind": (lambda m: m.pop("kind"), "got no kind"),
    "kind": (lambda m: m.update(kind="values"), "`kind` must be one of classes, labels; got values."),
    "method": (lambda m: m.update(method="magic"), "`method` must be one of temperature, vector, isotonic; got magic."),
    "by": (lambda m: m.update(by="luck"), "`by` must be one of pattern, size, all; got luck."),
    "modalities": (lambda m: m.update(modalities=[1]), "`modalities` must be names"),
    "about": (lambda m: m.update(about=[]), "`about` must be a dictionary"),
    "entries": (lambda m: m.update(entries=[]), "`entries` must be a list of dictionaries"),
    "prior": (lambda m: m.update(prior_rows=-1), "`prior_rows` must be a number from 0; got -1."),
    "no rows": (lambda m: m["entries"][0].pop("rows"), "`entries` must have `rows`"),
    "rows": (lambda m: m["entries"][0].update(rows=-1), "`rows` must be a whole number from 0; got -1."),
    "name": (lambda m: m["entries"][0].update(modalities=["sound"]), "got sound"),
    "order": (lambda m: m["entries"].reverse(), "`entries` must stand by size"),
    "scale": (lambda m: m["entries"][0].update(scale=[0.0]), "`scale` must be one positive number"),
    "no scale": (lambda m: m["entries"][0].pop("scale"), "`scale` must be a list; got None."),
    "infinite": (lambda m: m["entries"][0].update(scale=[float("inf")]), "`scale` must be finite numbers"),
    "bias": (lambda m: m["entries"][0].update(bias=[0.0, 0.0]), "`bias` must be as long as scale; got 2."),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_file_is_refused(name):
    change, text = BROKEN[name]
    mapping = json.loads(json.dumps(fit("temperature").to_dict()))
    change(mapping)
    with pytest.raises(InputError) as caught:
        Calibration.from_dict(mapping)
    assert text in str(caught.value)


def test_a_damaged_line_is_refused():
    for change, text in (
        (lambda e: e.update(knots=e["knots"][:0]), "`values` must be as many lists as knots"),
        (lambda e: e["knots"][0].append(1.0), "`values` must be as long as knots"),
        (lambda e: e["knots"][0].reverse(), "`knots` must rise"),
    ):
        mapping = json.loads(json.dumps(fit("isotonic").to_dict()))
        change(mapping["entries"][0])
        with pytest.raises(InputError) as caught:
            Calibration.from_dict(mapping)
        assert text in str(caught.value)
    mapping = json.loads(json.dumps(fit("vector").to_dict()))
    mapping["entries"][0] |= {"scale": [1.0, 1.0], "bias": [0.0, 0.0]}
    with pytest.raises(InputError, match="maps of one shape"):
        Calibration.from_dict(mapping)


@pytest.mark.usefixtures("untyped_caller")
def test_shapes_that_do_not_fit_are_refused():
    calibration = fit("vector")
    with pytest.raises(InputError, match=r"`logits` must have the shape \(rows, 3\)"):
        calibration(np.zeros((2, 4)), PATTERNS[:2])
    with pytest.raises(InputError, match=r"`visible` must have the shape \(rows, modalities\), \(2, 2\)"):
        calibration(np.zeros((2, 3)), PATTERNS)
