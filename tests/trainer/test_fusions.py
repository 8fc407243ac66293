"""A run with a fusion of experts, every term of the loss and a temperature: trained, stopped, resumed, used by all."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.calibrate import fit_calibration
from aecf_jax.data import Dataset
from aecf_jax.deploy import Predictor, read_bundle, write_bundle
from aecf_jax.deploy._program import exported_program, named_arrays
from aecf_jax.evaluate import evaluate_subsets, gate_diagnosis, monotonicity, predict, robustness_curve
from aecf_jax.nn import init_variables, with_temperature
from aecf_jax.train import hidden_pattern, tempered
from aecf_jax.trainer import AECFTrainer, load_model
from aecf_jax.trainer._inputs import on_device
from tests.deploy.models import unchecked
from tests.train.small import small_arrays, small_config
from tests.trainer.job import fit, signal_at

EVERYTHING = {"fusion": "aecf", "multilabel": False, "unimodal_coeff": 1.0, "confidence_coeff": 3.0,
              "masking_strategy": "exponentiated_gradient", "masking_step": 1.0, "subset_calibration_coeff": 0.5,
              "entropy_instance": "mutual_information", "masking_rates": (0.4, 0.5, 0.6),
              "fit_temperature": True, "average_epochs": 1.0, "epochs": 2}  # fmt: skip


def rows(part="test", seed=2):
    arrays = small_arrays(24, seed=seed)
    return Dataset({name: arrays[name] for name in "abc"}, arrays["label"], arrays["present"], part=part, num_classes=4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that nothing stopped: its folder and its model."""
    folder = tmp_path_factory.mktemp("aecf")
    trainer, _ = fit(folder, **EVERYTHING)
    return folder, trainer.model


def test_temperature_of_every_checkpoint_is_fitted_on_validation_rows_alone(run):
    """On all of them twice: with everything present, and with what validation hides."""
    for which in ("best", "last"):
        model = load_model(run[0] / "checkpoints", which=which).model
        config, checks = model.config, rows("validation", seed=1)
        pattern = hidden_pattern(jnp.asarray(checks.present), config=config, root=jax.random.key(config.seed))
        unfitted = with_temperature(model.variables, 7.0)
        want = float(tempered(unfitted, [(on_device(checks), pattern)], config=config)["constants"]["temperature"])
        # Sums of another program's float32 logits; a minimum is flat.
        assert float(model.variables["constants"]["temperature"]) == pytest.approx(want, rel=1e-3)
        assert abs(want - 1) > 0.01


def test_resumed_run_has_the_same_bits_and_temperature(run, tmp_path):
    # At the end of the chunk that begins here, which is not the run's last.
    with signal_at(6, signal.SIGTERM):
        _, stopped = fit(tmp_path, **EVERYTHING)
    assert stopped["stopped"] == "signal"
    steps = [load_model(folder / "checkpoints", which="last").step for folder in (tmp_path, run[0])]
    assert steps == [9, 12]
    fit(tmp_path, resume=True, **EVERYTHING)
    for which in ("best", "last"):
        one, other = (load_model(folder / "checkpoints", which=which) for folder in (run[0], tmp_path))
        assert one.step == other.step
        jax.tree.map(np.testing.assert_array_equal, one.model.variables, other.model.variables)


def test_experts_that_are_trained_separately_are_judged_by_what_they_predict_together(tmp_path):
    trainer, stopped = fit(tmp_path, fusion="poe", multilabel=False, epochs=2)
    config, checks = trainer.model.config, rows("validation", seed=1)
    pattern = hidden_pattern(jnp.asarray(checks.present), config=config, root=jax.random.key(config.seed))
    losses = []
    for seen in (checks.present, np.asarray(pattern)):
        output = predict(trainer.model, checks, present=seen).output.astype(np.float64)
        log_probability = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
        losses.append(-log_probability[np.arange(len(checks)), checks.label].mean())
    assert stopped["best_model_score"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_everything_that_takes_a_model_takes_it(run, tmp_path):
    model = run[1]
    assert len(evaluate_subsets(model, rows()).rows) == 7
    calibration = fit_calibration(model, rows("validation", seed=1))
    assert robustness_curve(model, rows(), rates=(0.0, 0.5), draws=20, calibration=calibration) is not None
    assert monotonicity(model, rows()) is not None
    assert gate_diagnosis(model, rows()).verdict == "the model has no gate"
    with unchecked():
        write_bundle(model.config, model.variables, tmp_path / "plain")
    arrays = read_bundle(tmp_path / "plain").arrays
    assert arrays["constants/temperature"] == model.variables["constants"]["temperature"]
    served = Predictor.from_bundle(tmp_path / "plain")
    data = rows()
    output = predict(model, data).output
    odds = np.exp(output - output.max(-1, keepdims=True))
    found = served(data.features, data.present)
    # Float32, in another program.
    np.testing.assert_allclose(found.output, odds / odds.sum(-1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("fusion", ["attention", "concat", "low_rank", "transformer", "late", "evidential"])
def test_every_kind_of_fusion_is_lowered_for_any_number_of_rows(fusion):
    config = small_config(fusion=fusion, multilabel=fusion == "evidential")
    shapes = jax.eval_shape(lambda: init_variables(config, key=jax.random.key(0)))
    with unchecked():
        assert exported_program(config, named_arrays(shapes))


@pytest.mark.parametrize("fusion", ["late", "aecf"])
def test_whether_labels_are_independent_is_read_from_the_rows(tmp_path, fusion):
    arrays = small_arrays(24)
    arrays["label"] = np.eye(4, dtype=np.float32)[arrays["label"]]
    changes = {"unimodal_coeff": 1.0} if fusion == "aecf" else {}
    trainer = AECFTrainer(small_config(fusion=fusion, epochs=1, **changes), run_dir=tmp_path)
    trainer.fit(arrays)
    assert trainer.model.config.multilabel is True
