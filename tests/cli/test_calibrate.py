"""`aecf-jax calibrate`, and what `evaluate` and `predict` make of it."""

import csv
import json

import numpy as np
import pytest

from aecf_jax.calibrate import Calibration, Conformal
from aecf_jax.cli import main
from aecf_jax.deploy import Predictor
from aecf_jax.errors import InputError
from tests.cli.conftest import CLASSES, ROWS, tiny_arrays


def succeed(capsys, *argv):
    code = main([str(word) for word in argv])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    return printed.out


def fail(capsys, *argv):
    assert main([str(word) for word in argv]) == 2
    return capsys.readouterr().err


def test_calibrate_saves_and_prints_what_it_fitted(work, capsys):
    printed = succeed(capsys, "calibrate", "run", "--coverage", "0.5")
    calibration = Calibration.load(work / "run" / "calibration.json")
    assert (calibration.method, calibration.by, calibration.kind) == ("temperature", "pattern", "classes")
    assert Conformal.load(work / "run" / "conformal.json").coverage == 0.5
    for text in (
        "validation part, 12 rows",
        "image + text",
        "NLL  calibrated",
        "temperatures: ",
        "aecf-jax evaluate run",
    ):
        assert text in printed
    # A second run changes nothing unless it is told to.
    before = (work / "run" / "calibration.json").read_bytes()
    assert "`RUN` must not be calibrated already; got run/calibration.json, run/conformal.json. Pass --force" in fail(
        capsys, "calibrate", "run"
    )
    assert (work / "run" / "calibration.json").read_bytes() == before
    succeed(capsys, "calibrate", "run", "--method", "isotonic", "--by", "all", "--sets", "none", "--force")
    assert Calibration.load(work / "run" / "calibration.json").method == "isotonic"
    assert Conformal.load(work / "run" / "conformal.json").coverage == 0.5


def test_evaluate_and_predict_use_it_and_say_so(work, save, capsys):
    plain = json.loads(succeed(capsys, "evaluate", "run", "--json"))
    succeed(capsys, "predict", "run", "--data", save(label=None), "--out", "plain.npz")
    succeed(capsys, "calibrate", "run")
    found = json.loads(succeed(capsys, "evaluate", "run", "--json"))
    assert (plain["calibrated"], found["calibrated"]) == (False, True)
    assert found["note"].startswith("Calibrated by run/calibration.json: temperature by pattern; --no-calibration")
    assert "digit" not in found["note"]
    old, new = plain["table"]["subsets"][0]["metrics"], found["table"]["subsets"][0]["metrics"]
    assert old["accuracy"] == new["accuracy"]
    assert old["nll"] != new["nll"]
    assert json.loads(succeed(capsys, "evaluate", "run", "--json", "--no-calibration")) == plain
    printed = succeed(capsys, "predict", "run", "--data", "new.npz", "--out", "p.npz", "--sets")
    assert "Calibrated by run/calibration.json" in printed
    with np.load("plain.npz") as before, np.load("p.npz") as after:
        calibration = Calibration.load("run/calibration.json")
        both = np.ones((ROWS, 2), bool)
        expected = calibration(np.log(before["probabilities"].astype(np.float64)), both)
        odds = np.exp(expected - expected.max(axis=1, keepdims=True))
        np.testing.assert_allclose(after["probabilities"], odds / odds.sum(axis=1, keepdims=True), atol=1e-6)
        np.testing.assert_array_equal(after["prediction"], before["prediction"])
        assert after["set"].shape == (ROWS, CLASSES)
        assert set(np.unique(after["set"])) <= {0, 1}
    succeed(capsys, "predict", "run", "--data", "new.npz", "--out", "p.csv", "--sets", "--no-calibration")
    with open("p.csv", newline="") as file:
        assert {"set_0", "set_1", "set_2"} <= set(next(csv.reader(file)))


def test_drop_tables_curves_exports_and_predictors_use_it(work, capsys):
    asked = ("evaluate", "run", "--drops", "mcar:0.5", "--json")
    plain = json.loads(succeed(capsys, *asked))
    succeed(capsys, "calibrate", "run")
    found = json.loads(succeed(capsys, *asked))
    assert (plain["calibrated"], found["calibrated"]) == (False, True)
    assert plain["curve"] != found["curve"]
    assert json.loads(succeed(capsys, *asked, "--no-calibration"))["curve"] == plain["curve"]
    assert "Calibrated by run/calibration.json" in succeed(capsys, "evaluate", "run", "--curve", "exact")
    assert [path.stem.endswith("-calibrated") for path in (work / "run" / "curves").glob("*.json")] == [True]
    path = work / "run" / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"about": {"step": 1}}))
    for use in (["export", "run", "--out", "bundle"], ["evaluate", "run", "--curve", "exact"]):
        assert "must be fitted on the checkpoint of step" in fail(capsys, *use)
    with pytest.raises(InputError, match="must be fitted on the checkpoint of step"):
        Predictor.from_run("run")


def test_labels_have_sets_of_values(work, capsys):
    rng = np.random.default_rng(0)
    arrays = tiny_arrays() | {"label": (rng.random((ROWS, 3)) < 0.5).astype(np.float32)}
    np.savez("labels.npz", **arrays)
    small = ["--epochs", "1", "--batch-size", "8", "--encoder-hidden-dims", "16", "--logger", "none", "--no-plots"]
    assert main(["train", "--data", "labels.npz", "--out", "of_labels", *small]) == 0
    capsys.readouterr()
    printed = succeed(capsys, "calibrate", "of_labels", "--method", "none")
    assert "the values of all labels of 90% of new rows" in printed
    assert not (work / "of_labels" / "calibration.json").exists()
    assert "`score` must be lac for labels" in fail(capsys, "calibrate", "of_labels", "--sets", "aps", "--force")
    succeed(capsys, "predict", "of_labels", "--data", "labels.npz", "--out", "p.npz", "--sets")
    with np.load("p.npz") as found:
        assert found["may_be_0"].shape == found["may_be_1"].shape == (ROWS, 3)


def test_bad_inputs_are_one_sentence(work, save, capsys):
    assert "`method and sets` must leave something to do" in fail(
        capsys, "calibrate", "run", "--method", "none", "--sets", "none"
    )
    assert "`sets` must find a conformal.json in run" in fail(
        capsys, "predict", "run", "--data", save(label=None), "--out", "p.csv", "--sets"
    )
    succeed(capsys, "calibrate", "run", "--sets", "none")
    path = work / "run" / "calibration.json"
    content = json.loads(path.read_text())
    for change, text in (
        ({"about": {"step": 1}}, "must be fitted on the checkpoint of step"),
        ({"modalities": ["image", "text", "sound"]}, "`entries` must stand by size"),
        ({"format": "x"}, "`format` must be aecf_jax calibration 1"),
    ):
        path.write_text(json.dumps(content | change))
        assert text in fail(capsys, "evaluate", "run")
        succeed(capsys, "evaluate", "run", "--no-calibration")
    renamed = json.loads(json.dumps(content).replace('"image"', '"photo"'))
    path.write_text(json.dumps(renamed))
    assert "must be for image, text; got photo, text." in fail(capsys, "evaluate", "run")


@pytest.mark.parametrize("leak", [True, False])
def test_test_rows_in_the_validation_part_are_refused(work, save, capsys, leak):
    path = work / "run" / "data.json"
    described = json.loads(path.read_text())
    arrays = tiny_arrays()
    split = np.repeat([0, 1, 2], [36, 12, 12])
    if leak:
        for name in ("image", "text"):
            arrays[name][36:48] = arrays[name][48:]
    name = save(**arrays, split=split)
    described["settings"]["data"] = str(work / name)
    path.write_text(json.dumps(described))
    # Other data than the run's are refused before anything is fitted on them.
    assert "`data` must be those of the run" in fail(capsys, "calibrate", "run")
    small = ["--epochs", "1", "--batch-size", "8", "--encoder-hidden-dims", "16", "--logger", "none", "--no-plots"]
    if leak:
        assert main(["train", "--data", name, "--out", "other", *small]) == 0
        capsys.readouterr()
        assert "`validation` must hold no rows of the test part; got 12 of 12 rows" in fail(
            capsys, "calibrate", "other"
        )
        assert not (work / "other" / "calibration.json").exists()
