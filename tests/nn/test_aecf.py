"""The whole model: what is absent is never seen, one program serves all patterns, nothing present gives the prior."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.nn import AECF, init_variables, prior_output, with_constants

CONFIG = AECFConfig(
    modalities=("image", "a text", "lab"), input_dims=(16, 5, 3), num_classes=4, embed_dim=8,
    encoder_hidden_dims=(8,), gate_hidden_dims=(8,), head_hidden_dims=(8,),
)  # fmt: skip
PATTERNS = jnp.array(list(itertools.product((True, False), repeat=3)))
VARIANTS = [
    {}, {"gate_use_softmax": False}, {"gate_disabled": True}, {"encoder": "identity"}, {"encoder": "linear"},
    {"standardize": False, "feature_normalization": True}, {"task_type": "regression"}, {"mixed_precision": True},
]  # fmt: skip


def features():
    keys = jax.random.split(jax.random.key(3), 3)
    return {name: jax.random.normal(key, (8, width)) for name, key, width in
            zip(CONFIG.modalities, keys, CONFIG.widths, strict=True)}  # fmt: skip


def poisoned(clean, value):
    return {name: jnp.where(PATTERNS[:, i, None], clean[name], value) for i, name in enumerate(CONFIG.modalities)}


def fitted(config):
    """Variables whose constants are not the neutral ones, and whose biases are not 0, as after training."""
    made = init_variables(config, key=jax.random.key(0))
    variables = {**made, "params": jax.tree.map(lambda leaf: leaf + 0.1, made["params"])}
    mean = {name: np.full(width, 0.5) for name, width in zip(config.modalities, config.widths, strict=True)}
    scale = {name: np.full(width, 2.0) for name, width in zip(config.modalities, config.widths, strict=True)}
    return with_constants(variables, config, mean=mean, scale=scale, prior=np.arange(4.0))


def loss_and_gradients(config, variables, inputs):
    """A scalar that depends on everything, with its gradients by parameters and by features, dropout on."""

    def loss(params, x):
        result = AECF(config).apply(
            {**variables, "params": params}, x, PATTERNS, train=True, rngs={"dropout": jax.random.key(5)}
        )
        return jnp.sum(jnp.square(result.output)) + jnp.sum(result.entropy) + jnp.sum(result.fused), result

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(variables["params"], inputs)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_poison_in_absent_places_changes_no_bit_of_outputs_loss_or_gradients(variant):
    config = CONFIG.update(**variant)
    variables = fitted(config)
    want = loss_and_gradients(config, variables, poisoned(features(), 0.0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(want))
    for value in (np.nan, np.inf, -np.inf, 1e30):
        got = loss_and_gradients(config, variables, poisoned(features(), value))
        jax.tree.map(np.testing.assert_array_equal, got, want)


def test_one_compilation_serves_all_patterns():
    traces = []
    variables = fitted(CONFIG)

    @jax.jit
    def forward(x, present):
        traces.append(present)
        return AECF(CONFIG).apply(variables, x, present).output

    for pattern in PATTERNS:
        forward(features(), jnp.broadcast_to(pattern, (8, 3)))
    forward(features(), PATTERNS)
    assert len(traces) == 1


def test_a_mixed_batch_equals_one_pattern_at_a_time():
    variables = fitted(CONFIG)
    mixed = AECF(CONFIG).apply(variables, features(), PATTERNS)
    for row, pattern in enumerate(PATTERNS):
        alone = AECF(CONFIG).apply(variables, features(), jnp.broadcast_to(pattern, (8, 3)))
        np.testing.assert_array_equal(mixed.output[row], alone.output[row])


def test_absent_weights_are_exactly_zero_and_present_ones_sum_to_one():
    result = AECF(CONFIG).apply(fitted(CONFIG), features(), PATTERNS)
    assert (np.asarray(result.weights)[~np.asarray(PATTERNS)] == 0).all()
    # Three float32 roundings.
    np.testing.assert_allclose(result.weights.sum(-1), PATTERNS.any(-1), atol=1e-6)


def test_nothing_present_gives_the_prior():
    result = AECF(CONFIG).apply(fitted(CONFIG), features(), PATTERNS)
    nothing = int(np.flatnonzero(~np.asarray(PATTERNS).any(-1))[0])
    np.testing.assert_array_equal(result.output[nothing], np.arange(4.0))
    assert float(result.entropy[nothing]) == 0


def test_embeddings_of_absent_modalities_are_exactly_zero():
    encoded = np.asarray(AECF(CONFIG).apply(fitted(CONFIG), features(), PATTERNS, method="encode"))
    assert (encoded[~np.asarray(PATTERNS)] == 0).all()
    assert (encoded[np.asarray(PATTERNS)] != 0).any()


def test_hiding_a_modality_changes_the_output_and_what_the_gate_says():
    variables = fitted(CONFIG)
    everything = AECF(CONFIG).apply(variables, features(), jnp.ones((8, 3), bool))
    without = AECF(CONFIG).apply(variables, features(), jnp.ones((8, 3), bool).at[:, 0].set(False))
    assert (everything.output != without.output).all()
    ratio = everything.weights[:, 1] / everything.weights[:, 2]
    assert (ratio != without.weights[:, 1] / without.weights[:, 2]).any()


def test_fault_a_missing_modality_is_no_error_and_equals_one_marked_absent():
    variables = fitted(CONFIG)
    given = {name: x for name, x in features().items() if name != "a text"}
    left_out = AECF(CONFIG).apply(variables, given)
    marked = AECF(CONFIG).apply(variables, features(), jnp.ones((8, 3), bool).at[:, 1].set(False))
    jax.tree.map(np.testing.assert_array_equal, left_out, marked)


def test_a_disabled_gate_weighs_what_is_present_equally():
    config = CONFIG.update(fusion="gated", gate_disabled=True)
    variables = init_variables(config, key=jax.random.key(0))
    assert list(variables["params"]["fusion"]) == ["head"]
    weights = AECF(config).apply(variables, features(), PATTERNS).weights
    want = np.asarray(PATTERNS) / np.maximum(np.asarray(PATTERNS).sum(-1, keepdims=True), 1)
    # One float32 division.
    np.testing.assert_allclose(weights, want, rtol=1e-6)


def test_standardization_uses_the_constants():
    config = CONFIG.update(fusion="gated", encoder="identity", gate_disabled=True, head_hidden_dims=(), embed_dim=0)
    config = config.update(modalities=("x",), input_dims=(4,), feat_dim=4)
    variables = init_variables(config, key=jax.random.key(0))
    mean, scale = {"x": np.full(4, 3.0)}, {"x": np.full(4, 2.0)}
    known = with_constants(variables, config, mean=mean, scale=scale, prior=np.zeros(4))
    # A difference and a quotient of small integers: exact.
    np.testing.assert_array_equal(AECF(config).apply(known, {"x": jnp.full((2, 4), 7.0)}).fused, 2.0)


def test_bfloat16_computes_close_to_float32_and_keeps_float32_parameters():
    variables = fitted(CONFIG)
    fast = AECF(CONFIG.update(mixed_precision=True)).apply(variables, features(), PATTERNS)
    exact = AECF(CONFIG).apply(variables, features(), PATTERNS)
    assert fast.output.dtype == jnp.float32
    assert (fast.output != exact.output).any()
    # bfloat16 has 8 bits: each of six layers is off by up to 2**-8 of values near 1.
    np.testing.assert_allclose(fast.output, exact.output, atol=6 * 2**-6)
    made = init_variables(CONFIG.update(mixed_precision=True), key=jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(made["params"])} == {jnp.dtype("float32")}


def test_constants_of_a_wrong_shape_are_refused():
    variables = init_variables(CONFIG, key=jax.random.key(0))
    good = {name: np.ones(width) for name, width in zip(CONFIG.modalities, CONFIG.widths, strict=True)}
    for bad, words in [
        ({"mean": {}}, "`mean of image` must be given"),
        ({"mean": good | {"lab": np.ones(4)}}, "`mean of lab` must have shape"),
        ({"scale": good | {"lab": np.zeros(3)}}, "`scale of lab` must be positive"),
        ({"prior": np.zeros(5)}, "`prior` must have shape"),
    ]:
        with pytest.raises(InputError, match=words):
            with_constants(variables, CONFIG, **({"mean": good, "scale": good, "prior": np.zeros(4)} | bad))


def test_the_prior_is_the_best_constant():
    classes = prior_output(np.array([0, 0, 1, 3]), CONFIG)
    # Laplace's rule: (count + 1) / (4 + 4), float32.
    np.testing.assert_allclose(np.exp(classes), [3 / 8, 2 / 8, 1 / 8, 2 / 8], rtol=1e-6)
    labels = prior_output(np.array([[1.0, 0, 0, 1], [1, 0, 1, 0]]), CONFIG)
    np.testing.assert_allclose(1 / (1 + np.exp(-labels)), [3 / 4, 1 / 4, 2 / 4, 2 / 4], rtol=1e-6)
    values = prior_output(np.array([[1.0, 2, 3, 4], [3, 2, 1, 0]]), CONFIG.update(task_type="regression"))
    np.testing.assert_array_equal(values, [2, 2, 2, 2])
    assert (prior_output(np.array([1, 2]), CONFIG.update(task_type="embedding")) == 0).all()
