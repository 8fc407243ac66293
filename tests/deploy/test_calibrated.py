"""Calibrated models: what a bundle and a predictor give is what the calibration on the host gives."""

import json
import shutil

import numpy as np
import pytest

from aecf_jax.calibrate import Calibration, fit_calibration
from aecf_jax.data import Dataset
from aecf_jax.deploy import Predictor, read_bundle, refresh_bundle, write_bundle
from aecf_jax.errors import InputError
from aecf_jax.evaluate import predict
from tests.deploy.models import all_patterns, tiny_model, unchecked


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    features, present = all_patterns()
    rows = Dataset(features, rng.integers(0, 3, len(present)), present, part="validation")
    return fit_calibration(tiny_model(), rows, method="vector")


@pytest.fixture(scope="module")
def bundle(calibration, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "bundle"
    model = tiny_model()
    with unchecked():
        write_bundle(model.config, model.variables, folder, calibration=calibration)
    return folder


def expected(model, calibration):
    """Probabilities from calibrated logits, in float64."""
    features, present = all_patterns()
    rows = Dataset(features, np.zeros((len(present), 0), np.float32), np.ones_like(present), label_kind="none")
    logits = predict(model, rows, present=present, batch_size=len(present)).output
    odds = np.exp(calibration(np.asarray(logits, np.float64), present))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.usefixtures("untyped_caller")
def test_bundle_and_predictor_give_what_the_host_does_for_every_pattern(bundle, calibration):
    features, present = all_patterns()
    want = expected(tiny_model(), calibration)
    plain = Predictor.from_model(tiny_model(), batch_sizes=[len(present)])(features, present).output
    assert np.abs(plain - want).max() > 0.01, "the calibration changes nothing"
    for predictor in (
        Predictor.from_bundle(bundle, batch_sizes=[len(present)]),
        Predictor.from_model(tiny_model(), calibration, batch_sizes=[len(present)]),
    ):
        np.testing.assert_allclose(predictor(features, present).output, want, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("untyped_caller")
def test_calibration_is_in_the_bundle_verified_and_survives_a_refresh(bundle, calibration, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert read_bundle(copy).calibration == calibration
    (copy / "model.stablehlo").unlink()
    refresh_bundle(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    (copy / "calibration.json").write_text("{}")
    with pytest.raises(InputError, match=r"another content in .*calibration\.json"):
        read_bundle(copy)
    (copy / "calibration.json").unlink()
    with pytest.raises(InputError, match=r"`bundle` must hold a calibration\.json"):
        refresh_bundle(copy)


def test_a_calibration_of_other_modalities_is_refused(calibration):
    other = Calibration.from_dict(
        json.loads(json.dumps(calibration.to_dict()).replace('"image"', '"picture"'))
    )  # fmt: skip
    with pytest.raises(InputError, match=r"`calibration` must be of \['image', 'text', 'sound'\]; got \['picture'"):
        Predictor.from_model(tiny_model(), other)
