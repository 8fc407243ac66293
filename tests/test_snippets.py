"""The lines that PyTorch users know, under this package's name: they run, and mean what they say."""

import jax
import numpy as np
import pytest

from aecf_jax import (
    AECF_CLIP,
    AdaptiveGate,
    AECFConfig,
    AECFLoss,
    AECFMetrics,
    AECFTrainer,
    CurriculumMasker,
    EncoderFactory,
    MetricsAccumulator,
    OutputHeadFactory,
    create_aecf_model,
    test_model_forward,
    validate_feature_dict,
    validate_tensor_input,
)

RNG = np.random.default_rng(0)
FEATURES = {name: RNG.normal(size=(8, 512)).astype(np.float32) for name in ("image", "text")}


def test_components_run_on_arrays():
    encoder = EncoderFactory.create_encoder("linear", "image", 512, 512)
    gate = AdaptiveGate(input_dim=1024, num_modalities=2)
    masker = CurriculumMasker(strategy="entropy_min", prob_missing=0.3)
    head = OutputHeadFactory.create_head("classification", 512, 80)
    x = jax.numpy.asarray(FEATURES["image"])
    validate_tensor_input(x, "x", 2)
    validate_feature_dict(FEATURES, ["image", "text"], 512)
    both = jax.numpy.concatenate([jax.numpy.asarray(FEATURES[m]) for m in ("image", "text")], axis=-1)
    encoded, _ = encoder.init_with_output(jax.random.key(0), x)
    (weights, entropy), _ = gate.init_with_output(jax.random.key(0), both)
    logits, _ = head.init_with_output(jax.random.key(0), encoded)
    mask = masker(weights, key=jax.random.key(0))
    assert (encoded.shape, weights.shape, entropy.shape, logits.shape) == ((8, 512), (8, 2), (8,), (8, 80))
    assert mask.shape == (8, 2)
    assert mask.any(-1).all()


def test_loss_and_metrics_have_their_keys():
    config = AECFConfig(
        learning_rate=1e-4, gate_learning_rate=1e-3, modalities=["image", "text"], task_type="classification"
    )
    logits = jax.random.normal(jax.random.key(0), (8, 80))
    targets = (jax.random.uniform(jax.random.key(1), (8, 80)) < 0.1).astype(jax.numpy.float32)
    weights = jax.nn.softmax(jax.random.normal(jax.random.key(2), (8, 2)))
    total_loss, components = AECFLoss(config)(logits, targets, weights, epoch=10)
    assert {"primary_loss", "entropy_loss", "ece_loss", "l2_loss", "total_loss"} <= set(components)
    parts = sum(float(value) for name, value in components.items() if name != "total_loss")
    # Sums of five float32 numbers near 1.
    assert float(total_loss) == pytest.approx(parts, abs=1e-5)
    assert float(total_loss) == float(components["total_loss"])
    metrics = AECFMetrics.compute_classification_metrics(logits, targets)
    assert {"map", "exact_match", "hamming_loss", "accuracy", "precision", "recall"} <= set(metrics)
    modality_metrics = AECFMetrics.compute_modality_metrics(weights)
    assert {"entropy", "effective_modalities", "weight_mod_0", "weight_std_mod_1"} <= set(modality_metrics)
    # Two float32 means that are the same number computed in another order.
    assert float(modality_metrics["weight_mod_0"]) == pytest.approx(float(weights[:, 0].mean()), abs=1e-6)


def test_models_predict_with_and_without_a_modality():
    model = create_aecf_model(modalities=["image", "text"], num_classes=80)
    assert test_model_forward(model, batch_size=4)["success"]
    logits, weights = model(FEATURES)
    assert (logits.shape, weights.shape) == ((8, 80), (8, 2))
    present = np.tile([True, False], (8, 1))
    np.testing.assert_array_equal(model(FEATURES, present=present)[0], model({"image": FEATURES["image"]})[0])


def test_fault_gate_hidden_dims_and_entropy_max_coeff_take_effect():
    """In PyTorch the model reads gate_hidden_dim and the loss entropy_max_lambda, and both of these are ignored."""
    config = AECFConfig(
        modalities=["image", "text", "audio"], task_type="regression", num_classes=1, feat_dim=768,
        gate_hidden_dims=[1024, 512], learning_rate=5e-4, entropy_max_coeff=0.2, masking_strategy="entropy_min",
        fusion="gated", entropy_reg=True,
    )  # fmt: skip
    gate = AECF_CLIP(config).variables["params"]["fusion"]["gate"]["mlp"]
    assert gate["hidden_0"]["kernel"].shape[1] == 1024
    assert gate["hidden_1"]["kernel"].shape == (1024, 512)
    logits, targets = jax.numpy.zeros((8, 1)), jax.numpy.zeros((8, 1))
    weights = jax.numpy.full((8, 3), 1 / 3)

    def entropy_loss(coefficient):
        _, components = AECFLoss(config.update(entropy_max_coeff=coefficient))(logits, targets, weights, epoch=10)
        return float(components["entropy_loss"])

    # A float32 product.
    assert entropy_loss(0.2) == pytest.approx(2 * entropy_loss(0.1), rel=1e-6)
    assert entropy_loss(0.2) < 0


def test_the_trainer_fits_any_iterable_of_dictionaries(tmp_path):
    config = AECFConfig(
        modalities=["image", "text"], feat_dim=512, num_classes=3, epochs=1, batch_size=8, embed_dim=8,
        encoder_hidden_dims=(8,), gate_hidden_dims=(8,), head_hidden_dims=(8,),
    )  # fmt: skip
    label = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    loader = [{**FEATURES, "label": label}] * 2
    trainer = AECFTrainer(
        config=config, logger_type="tensorboard", logger_config={"version": "experiment_1"}, run_dir=tmp_path
    )
    results = trainer.fit(loader, loader)
    assert results["global_step"] == 2
    assert results["current_epoch"] == 1
    assert list(tmp_path.glob("logs/**/experiment_1/events.out.tfevents.*"))
    assert 0 <= trainer.test(loader)["test_accuracy"] <= 1


def test_the_accumulator_updates_computes_and_resets():
    accumulator = MetricsAccumulator()
    assert accumulator.compute() == {}
    accumulator.update({"loss": 1.0}, count=1)
    accumulator.update({"loss": 4.0}, count=2)
    assert accumulator.compute() == {"loss": 3.0}
    accumulator.reset()
    assert accumulator.compute() == {}
