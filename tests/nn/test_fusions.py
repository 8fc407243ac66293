"""Every fusion: nothing absent is seen, hiding acts, every loss keeps gradients finite at extremes, one program."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.losses import AECFLoss
from aecf_jax.nn import AECF, FUSIONS, init_variables, with_temperature

CONFIG = AECFConfig(
    modalities=("image", "a text", "lab"), input_dims=(6, 5, 3), num_classes=4, embed_dim=8, standardize=False,
    encoder_hidden_dims=(8,), gate_hidden_dims=(8,), head_hidden_dims=(8,), multilabel=False,
)  # fmt: skip
PATTERNS = jnp.array(list(itertools.product((True, False), repeat=3)))
EVERYTHING = jnp.ones((8, 3), bool)
TASKS = {"classes": {}, "labels": {"multilabel": True}, "values": {"task_type": "regression"}}
TERMS = {
    task: {"ece_penalty_coeff": 1.0, "consistency_coeff": 1.0, "consistency_loss_coeff": 1.0, "unimodal_coeff": 1.0,
           "confidence_coeff": 1.0, "subset_calibration_coeff": 1.0,
           "entropy_instance": "none" if task == "values" else "output"}
    for task in TASKS
}  # fmt: skip
LABELS = {"classes": jnp.arange(8) % 4, "labels": jnp.arange(32.0).reshape(8, 4) % 2, "values": jnp.ones((8, 4))}
SIBLINGS = (
    "gated",
    "concat_zeros",
    "late_logits",
)  # The first in test_aecf; the others are concat and poe but for a line.
CASES = [
    *((fusion, "classes") for fusion in FUSIONS if fusion not in SIBLINGS),
    ("late", "labels"), ("evidential", "labels"), ("aecf", "values"),
]  # fmt: skip


class Fused:
    """One fusion's program: (parameters, features, present) -> ((loss, output), gradients by the first two)."""

    def __init__(self, fusion, task):
        self.task, self.config = task, CONFIG.update(fusion=fusion, **TASKS[task])
        rng = np.random.default_rng(0)
        # Shapes alone: a program that makes parameters takes as long to compile as the one that is tested.
        made = jax.eval_shape(lambda: init_variables(self.config, key=KEY))
        self.params = jax.tree.map(
            lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), jnp.float32), made["params"]
        )
        self.constants = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), made["constants"])
        self.prior = jnp.arange(4.0) / 4
        self.traces = 0
        graded = jax.value_and_grad(self.loss, argnums=(0, 1), has_aux=True)
        self.program = jax.jit(graded, compiler_options=FAST)

    def loss(self, params, features, present):
        self.traces += 1
        constants = self.constants | {"prior": self.prior}
        result = AECF(self.config).apply(
            {"params": params, "constants": constants}, features, present, train=True, rngs={"dropout": KEY}
        )
        experts = 0.0 if result.experts is None else jnp.where(present[..., None], result.experts, 0.0)
        trained = AECFLoss(self.config.update(**TERMS[self.task]))(
            result.output, LABELS[self.task], result.weights, 3.0, present=present, experts=result.experts,
            full_logits=jnp.roll(result.output, 1, axis=0), alone_logits=jnp.stack([result.output] * 3),
        )  # fmt: skip
        return jnp.sum(result.output) + jnp.sum(result.fused) + jnp.sum(experts) + trained[0], result

    def __call__(self, features=None, present=PATTERNS, scale=1.0):
        params = jax.tree.map(lambda leaf: scale * leaf, self.params)
        return self.program(params, clean() if features is None else features, present)


KEY = jax.random.key(7)  # A draw of dropout that leaves every row something of every modality.
# Programs that run once: compiling is what they cost.
FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@functools.cache
def make_fused(fusion, task):
    """The same one for all tests."""
    return Fused(fusion, task)


def clean(scale=1.0):
    keys = jax.random.split(jax.random.key(3), 3)
    return {name: scale * jax.random.normal(key, (8, width)) for name, key, width in
            zip(CONFIG.modalities, keys, CONFIG.widths, strict=True)}  # fmt: skip


def poisoned(value):
    return {name: jnp.where(PATTERNS[:, i, None], x, value) for i, (name, x) in enumerate(clean().items())}


@pytest.mark.parametrize(("fusion", "task"), CASES)
def test_fusions_see_what_is_present_and_nothing_else(fusion, task):
    fused = make_fused(fusion, task)
    want = fused(poisoned(0.0))
    (_, result), _ = want
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(want))
    for value in (np.nan, np.inf, -np.inf, 1e30):
        jax.tree.map(np.testing.assert_array_equal, fused(poisoned(value)), want)

    nothing = int(np.flatnonzero(~np.asarray(PATTERNS).any(-1))[0])
    np.testing.assert_array_equal(result.output[nothing], fused.prior)
    assert (np.asarray(result.weights)[~np.asarray(PATTERNS)] == 0).all()
    # Three float32 roundings.
    np.testing.assert_allclose(result.weights.sum(-1), PATTERNS.any(-1), atol=1e-6)

    # Equal logits, all 0; and saturated ones, of the order of 1e4 and more.
    for extreme in (fused(scale=0.0), fused(clean(1e4))):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(extreme))
    assert np.abs(fused(clean(1e4))[0][1].output).max() > 100 or fusion in ("transformer", "evidential")

    whole = fused(clean(), EVERYTHING)[0][1].output
    hidden = [fused(clean(), EVERYTHING.at[:, i].set(False))[0][1].output for i in range(3)]
    changed = np.stack([(whole != other).any(-1) for other in hidden])
    # The surest expert is one: hiding another changes nothing.
    assert (changed.sum(0) == 1).all() if fusion == "unimodal" else changed.all()
    assert fused.traces == 1


@pytest.mark.parametrize("fusion", ["concat", "low_rank", "transformer", "aecf", "evidential"])
def test_hiding_from_what_views_share_is_being_absent(fusion):
    """Training's hidden view and the table of subsets hide after encoding: the same as if it had never been there."""
    fused = make_fused(fusion, "classes")
    model, variables = AECF(fused.config), {"params": fused.params, "constants": fused.constants}

    @functools.partial(jax.jit, compiler_options=FAST)
    def both(features):
        shared = model.apply(variables, model.apply(variables, features, EVERYTHING, method="encode"), method="share")
        return model.apply(variables, shared, PATTERNS, method="fuse_shared"), model.apply(
            variables, features, PATTERNS
        )

    hidden, absent = both(clean())
    for name in ("output", "weights", "fused"):
        # Float32 sums of some tens of numbers.
        np.testing.assert_allclose(getattr(hidden, name), getattr(absent, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", ["late", "poe", "unimodal", "evidential", "aecf"])
def test_experts_are_what_the_fusion_says_of_one_modality_alone(fusion):
    fused = make_fused(fusion, "classes")
    (_, result), _ = fused(clean(), EVERYTHING)
    for index in range(3):
        (_, alone), _ = fused(clean(), EVERYTHING & (jnp.arange(3) == index)[None])
        expert, output = result.experts[:, index], alone.output
        if fusion == "aecf":  # Its joint correction adds to what one expert says.
            assert (expert != output).any()
            continue
        # Up to a constant, which classes do not know; float32.
        np.testing.assert_allclose(jax.nn.softmax(output), jax.nn.softmax(expert), rtol=1e-4, atol=1e-6)


def test_a_new_aecf_fusion_is_the_sum_of_its_experts():
    config = CONFIG.update(fusion="aecf")
    variables = init_variables(config, key=jax.random.key(0))
    result = AECF(config).apply(variables, clean(), EVERYTHING)
    # Float32 sums; its correction starts at 0.
    np.testing.assert_allclose(result.output, result.experts.sum(1), rtol=1e-5, atol=1e-6)


def test_a_temperature_divides_the_evidence_beyond_the_prior_in_evaluation_alone():
    config = CONFIG.update(fusion="mean", fit_temperature=True)
    variables = init_variables(config, key=jax.random.key(0))
    variables["constants"]["prior"] = jnp.arange(4.0)
    cooled = with_temperature(variables, 2.0)
    plain, output = (AECF(config).apply(given, clean(), PATTERNS).output for given in (variables, cooled))
    prior = jnp.arange(4.0)[None]
    np.testing.assert_array_equal(output[:7], prior + (plain[:7] - prior) / 2)
    np.testing.assert_array_equal(output[7:], prior)
    trained = AECF(config).apply(cooled, clean(), PATTERNS, train=True, rngs={"dropout": KEY}).output
    config = config.update(fit_temperature=False)
    untouched = AECF(config).apply(variables, clean(), PATTERNS, train=True, rngs={"dropout": KEY}).output
    np.testing.assert_array_equal(trained, untouched)


def test_only_a_model_with_a_temperature_has_that_constant():
    shapes = {changes: jax.eval_shape(lambda c=changes: init_variables(CONFIG.update(**dict(c)), key=KEY))["constants"]
              for changes in ((("fit_temperature", False),), (("fit_temperature", True),),
                              (("fit_temperature", True), ("task_type", "regression")))}  # fmt: skip
    assert ["temperature" in constants for constants in shapes.values()] == [False, True, False]
    assert list(shapes.values())[1]["temperature"].shape == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fusion": "poe", "task_type": "regression"}, "`task_type` must be classification where `fusion` is poe"),
        ({"fusion": "evidential", "task_type": "embedding"}, "`task_type` must be classification"),
        ({"fusion": "unimodal", "task_type": "regression"}, "`task_type` must be classification"),
        ({"fusion": "concat", "mask_gate_input": False}, "`mask_gate_input` must be true where `fusion` is concat"),
        ({"fusion": "gatd"}, "gated"),
        ({"evidence_power": 0.5}, "`evidence_power` must be at least 1"),
        ({"unimodal_coeff": -1.0}, "`unimodal_coeff` must be at least 0"),
        ({"confidence_coeff": float("nan")}, "`confidence_coeff` must be at least 0"),
    ],
)
def test_fault_settings_that_do_not_fit_a_fusion_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        CONFIG.update(**changes)


def test_a_transformer_does_not_look_at_what_is_absent():
    """Not even at its name: an absent modality is no token of zeros."""
    fused = make_fused("transformer", "classes")
    names = fused.params["fusion"]["names"]
    # Not by the same number everywhere: that the norm takes off again, but for rounding.
    names = names.at[3].add(jnp.arange(names.shape[1], dtype=jnp.float32))
    moved = {**fused.params, "fusion": {**fused.params["fusion"], "names": names}}
    before, after = (fused.program(params, clean(), PATTERNS)[0][1].output for params in (fused.params, moved))
    np.testing.assert_array_equal((before == after).all(-1), ~np.asarray(PATTERNS)[:, 2])
