"""Encoders, gate, heads and masker as building blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from aecf_jax.errors import InputError, InputTypeError
from aecf_jax.nn import (
    AdaptiveGate,
    CurriculumMasker,
    EncoderFactory,
    OutputHeadFactory,
    validate_feature_dict,
    validate_tensor_input,
)
from aecf_jax.nn._dense import Dense
from aecf_jax.nn._dropout import ACTIVATIONS, Dropout

X = jax.random.normal(jax.random.key(0), (8, 16))


def run(module, *args, **kwargs):
    return module.apply(module.init(jax.random.key(1), *args), *args, **kwargs)


@pytest.mark.parametrize("encoder_type", ["identity", "linear", "mlp"])
@pytest.mark.parametrize("width", [16, 4])
def test_encoders_reach_the_width_asked_for(encoder_type, width):
    assert run(EncoderFactory.create_encoder(encoder_type, "image", 16, width), X).shape == (8, width)


def test_an_identity_encoder_of_equal_widths_has_no_parameters_and_changes_nothing():
    encoder = EncoderFactory.create_encoder("identity", "image", 16, 16)
    variables = encoder.init(jax.random.key(0), X)
    assert not jax.tree.leaves(variables)
    np.testing.assert_array_equal(encoder.apply(variables, X), X)


def test_a_linear_encoder_is_an_affine_map_and_its_relu_acts():
    plain = EncoderFactory.create_encoder("linear", "image", 16, 4)
    variables = plain.init(jax.random.key(0), X)
    proj = variables["params"]["proj"]
    # One float32 product of 16 terms.
    np.testing.assert_allclose(plain.apply(variables, X), X @ proj["kernel"] + proj["bias"][None], atol=1e-5)
    rectified = EncoderFactory.create_encoder("linear", "image", 16, 4, use_activation=True).apply(variables, X)
    np.testing.assert_array_equal(rectified, jnp.maximum(plain.apply(variables, X), 0))


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_activations_of_the_mlp_differ(activation):
    encoder = EncoderFactory.create_encoder("mlp", "image", 16, 4, hidden_dims=(8,), activation=activation)
    others = [EncoderFactory.create_encoder("mlp", "image", 16, 4, hidden_dims=(8,), activation=a)
              for a in ("relu", "gelu", "tanh") if a != activation]  # fmt: skip
    variables = encoder.init(jax.random.key(0), X)
    for other in others:
        assert (encoder.apply(variables, X) != other.apply(variables, X)).any()


@pytest.mark.parametrize("encoder_type", ["linear", "mlp"])
def test_dropout_acts_in_training_alone(encoder_type):
    encoder = EncoderFactory.create_encoder(encoder_type, "image", 16, 4, dropout=0.5)
    variables = encoder.init(jax.random.key(0), X)
    dropped = encoder.apply(variables, X, train=True, rngs={"dropout": jax.random.key(0)})
    assert (dropped != encoder.apply(variables, X)).any()


def test_gate_hidden_dims_take_effect():
    params = AdaptiveGate(16, 2, hidden_dims=(12, 7)).init(jax.random.key(0), X)["params"]
    shapes = jax.tree.map(jnp.shape, params["mlp"])
    assert shapes["hidden_0"]["kernel"] == (16, 12)
    assert shapes["hidden_1"]["kernel"] == (12, 7)
    assert shapes["out"]["kernel"] == (7, 2)


def test_the_gate_without_presence_sees_everything():
    gate = AdaptiveGate(input_dim=16, num_modalities=2, hidden_dims=8)
    variables = gate.init(jax.random.key(0), X)
    whole = gate.apply(variables, X, jnp.ones((8, 2), bool))
    np.testing.assert_array_equal(gate.apply(variables, X).weights, whole.weights)
    # Two float32 roundings.
    np.testing.assert_allclose(whole.weights.sum(-1), 1, atol=1e-6)


def test_the_temperature_flattens_and_has_a_floor():
    def entropy(**temperature):
        gate = AdaptiveGate(16, 2, hidden_dims=8, **temperature)
        return float(gate.apply(gate.init(jax.random.key(0), X), X).entropy.mean())

    assert entropy(init_temp=9.0) > entropy(init_temp=2.0)
    cold = AdaptiveGate(16, 2, hidden_dims=8, init_temp=2.0, min_temp=2.0)
    variables = cold.init(jax.random.key(0), X)
    colder = {"params": {**variables["params"], "log_temperature": jnp.float32(-5.0)}}
    np.testing.assert_array_equal(cold.apply(colder, X).weights, cold.apply(variables, X).weights)
    fixed = AdaptiveGate(16, 2, hidden_dims=8, learnable_temp=False)
    assert "log_temperature" not in fixed.init(jax.random.key(0), X)["params"]


def test_a_parameter_that_is_there_is_not_made_again_and_has_its_shape():
    made = []

    def start(key, shape, dtype):
        made.append(dtype)
        return jnp.ones(shape, dtype)

    layer = Dense(4, kernel_init=start)
    variables = layer.init(jax.random.key(0), X)
    layer.apply(variables, X)
    assert made == [jnp.float32]
    with pytest.raises(ScopeParamShapeError, match=r"kernel.*\(15, 4\).*\(16, 4\)"):
        layer.apply(variables, X[:, 1:])
    with pytest.raises(ScopeParamNotFoundError, match="bias"):
        layer.apply({"params": {"kernel": variables["params"]["kernel"]}}, X)


@pytest.mark.parametrize(("task", "widths"), [("classification", (5,)), ("regression", (8, 5)), ("embedding", (5,))])
def test_heads_have_pytorchs_layers_by_default(task, widths):
    params = OutputHeadFactory.create_head(task, 16, 5).init(jax.random.key(0), X)["params"]["mlp"]
    assert sorted(layer["kernel"].shape[1] for layer in params.values()) == sorted(widths)


def test_an_embedding_head_of_equal_widths_is_the_identity_and_can_normalize():
    np.testing.assert_array_equal(run(OutputHeadFactory.create_head("embedding", 16, 16), X), X)
    unit = run(OutputHeadFactory.create_head("embedding", 16, 16, normalize=True), X)
    # Norm of 16 float32 numbers.
    np.testing.assert_allclose(jnp.linalg.norm(unit, axis=-1), 1, atol=1e-6)


def test_factories_refuse_what_they_do_not_know():
    with pytest.raises(InputError, match="Did you mean `linear`"):
        EncoderFactory.create_encoder("linaer", "image", 4, 4)
    with pytest.raises(InputError, match="`input_dim of image` must be positive"):
        EncoderFactory.create_encoder("linear", "image", 0, 4)
    with pytest.raises(InputError, match="Did you mean `dropout`"):
        EncoderFactory.create_encoder("linear", "image", 4, 4, dropuot=0.5)
    with pytest.raises(InputError, match="Did you mean `regression`"):
        OutputHeadFactory.create_head("regresion", 4, 4)
    with pytest.raises(InputError, match="`activation` must be one of"):
        run(EncoderFactory.create_encoder("mlp", "image", 16, 4, activation="swish"), X)


@pytest.mark.parametrize("settings", [{"strategy": "rand"}, {"prob_missing": 1.5}, {"tau": 0.0}, {"rescue": "all"}])
def test_the_masker_refuses_settings_outside_their_range(settings):
    with pytest.raises(InputError):
        CurriculumMasker(**settings)


def test_the_masker_shows_everything_present_without_a_key():
    present = jnp.array([[True, False]] * 4)
    masker = CurriculumMasker(strategy="random", prob_missing=1.0)
    np.testing.assert_array_equal(masker(jnp.ones((4, 2)) / 2, present), present)
    hidden = masker(jnp.ones((4, 2)) / 2, key=jax.random.key(0))
    np.testing.assert_array_equal(hidden.sum(-1), 1)


@pytest.mark.usefixtures("untyped_caller")
def test_doors_name_what_is_wrong():
    with pytest.raises(InputTypeError, match="`x` must be an array"):
        validate_tensor_input([1.0], "x", 1)
    with pytest.raises(InputError, match=r"`x` must have 2 axes; got shape \(3,\)"):
        validate_tensor_input(np.zeros(3), "x", 2)
    with pytest.raises(InputError, match="`x` must be of type float32"):
        validate_tensor_input(np.zeros(3), "x", 1, dtype=np.float32)
    features = {"image": np.zeros((2, 8)), "text": np.zeros((3, 8))}
    with pytest.raises(InputError, match="equally many rows"):
        validate_feature_dict(features, ["image", "text"], 8)
    with pytest.raises(InputError, match="`image` must be 4 wide"):
        validate_feature_dict(features, ["image", "text"], 4)
    with pytest.raises(InputError, match="Did you mean `text`"):
        validate_feature_dict({"text": np.zeros((2, 8)), "texts": np.zeros((2, 8))}, ["text"], 8)
    with pytest.raises(InputTypeError, match="dictionary"):
        validate_feature_dict([1], ["text"], 8)  # pyright: ignore[reportArgumentType]


def test_a_gate_refuses_inputs_that_do_not_fit():
    gate = AdaptiveGate(input_dim=16, num_modalities=2)
    with pytest.raises(InputError, match="size 16 along axis 1"):
        gate.init(jax.random.key(0), X[:, :3])
    with pytest.raises(InputError, match="`present` must have size 2 along axis 1"):
        gate.init(jax.random.key(0), X, jnp.ones((8, 3), bool))
    for settings in ({"init_temp": 0.0}, {"min_temp": 9.0}, {"num_modalities": 0}):
        with pytest.raises(InputError):
            AdaptiveGate(**({"input_dim": 16, "num_modalities": 2} | settings))


def test_modules_are_linen_modules():
    assert isinstance(EncoderFactory.create_encoder("identity", "image", 4, 4), nn.Module)


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_what_dropout_leaves_is_activated_and_scaled(activation):
    x = jax.random.normal(jax.random.key(0), (64, 32))
    layer = Dropout(0.25, activation)
    expected = x if activation is None else ACTIVATIONS[activation](x)
    np.testing.assert_array_equal(layer.apply({}, x, train=False), expected)
    found = np.asarray(layer.apply({}, x, train=True, rngs={"dropout": jax.random.key(1)}))
    left = found != 0
    assert abs(left.mean() - 0.75 * (np.asarray(expected) != 0).mean()) < 0.05
    np.testing.assert_allclose(found[left], np.asarray(expected)[left] / 0.75, rtol=1e-6)
