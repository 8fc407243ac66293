"""Each part of the method acts: turned up in a small run, it moves what it is meant to move.

All parts have a coefficient above 0 in all runs, all but one of them next to nothing, so that one program serves all.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.losses import class_divergence
from aecf_jax.nn import AECF
from aecf_jax.ops import gate_entropy
from aecf_jax.train import epoch_order, init_state, loss_and_components, make_train_chunk, step_keys
from tests.train.small import BATCH, ROOT, ROWS, STEPS, small_batch, small_config, small_variables

PARTS = ("entropy_max_coeff", "consistency_coeff", "confidence_coeff", "unimodal_coeff", "subset_calibration_coeff")
QUIET = 1e-9
ALONE = jnp.eye(3, dtype=bool)


def config_of(fusion="gated", **changes):
    quiet = dict.fromkeys((*PARTS, "masking_step"), QUIET)
    quiet |= {"masking_strategy": "exponentiated_gradient", "entropy_instance": "predictive"}
    return small_config(
        **{"fusion": fusion, "consistency_ramp_epochs": 0, "entropy_warmup_epochs": 0, "multilabel": False,
           "masking_ramp": 0.0, **quiet, **changes}
    )  # fmt: skip


@functools.cache
def trained(seed=0, **changes):
    """A model after eight epochs of six steps, and what its last state was."""
    config = config_of(**changes)
    chunk, variables = make_train_chunk(config, STEPS), small_variables(config)
    state = init_state(variables["params"], chunk.optimizer, config)
    root = jax.random.key(seed)
    for epoch in range(8):
        order = epoch_order(root, epoch, rows=ROWS, steps=STEPS, batch_size=BATCH)
        state, info = chunk(state, variables["constants"], small_batch(), order, 0, root, length=STEPS)
    return config, {**variables, "params": state.params}, state, info


@functools.partial(jax.jit, static_argnames="fusion")
def _predicted(variables, fusion):
    """What a model says of everything present, and of each modality alone."""
    batch, model = small_batch(), AECF(config_of(fusion))
    patterns = jnp.concatenate([batch.present[None], batch.present[None] & ALONE[:, None, :]])
    return jax.vmap(lambda seen: model.apply(variables, batch.features, seen))(patterns)


def measured(figure, fusion="gated", **changes):
    """What a part is about, of trained models on their training rows: the mean over four seeds of the draws."""
    return float(np.mean([_measured(figure, seed, fusion, **changes) for seed in range(4)]))


def _measured(figure, seed, fusion, **changes):
    """The same of one seed."""
    _, variables, _, _ = trained(seed, fusion=fusion, **changes)
    output, batch = _predicted(variables, fusion), small_batch()
    full, alone = output.output[0], output.output[1:]
    seen = batch.present.T
    cost = -jnp.take_along_axis(jax.nn.log_softmax(alone), batch.label[None, :, None], axis=-1)[..., 0]
    return {
        "entropy": float(jnp.mean(gate_entropy(output.weights[0]))),
        "divergence": float(np.mean([class_divergence(full[seen[m]], alone[m][seen[m]]) for m in range(3)])),
        "alone": float(jnp.sum(jnp.where(seen, cost, 0.0)) / jnp.sum(seen)),
    }[figure]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "figure", "rises"),
    [
        ({"entropy_max_coeff": 3.0}, "entropy", True),
        ({"consistency_coeff": 3.0}, "divergence", False),
        ({"unimodal_coeff": 3.0}, "alone", False),
    ],
)
def test_a_part_moves_what_it_is_about(part, figure, rises):
    without, having = measured(figure), measured(figure, **part)
    # By a tenth at least: rounding cannot do that.
    assert having > 1.1 * without if rises else having < 0.9 * without


@pytest.mark.parametrize("part", ["confidence_loss", "subset_calibration_loss"])
def test_a_step_down_a_part_lowers_it(part):
    """What a few steps make of these two is chance, more than it is their doing."""
    variables, odds = trained()[1], trained()[2].odds
    found, slopes = _hinges(variables["params"], variables["constants"], odds)
    size = sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(slopes[part]))
    assert size > 0
    # So far that a plane would fall by a hundredth: they have kinks.
    rate = 0.01 * float(found[part]) / size
    lower = jax.tree.map(lambda leaf, slope: leaf - rate * slope, variables["params"], slopes[part])
    assert float(_hinges(lower, variables["constants"], odds)[0][part]) < 0.995 * float(found[part])


@jax.jit
def _hinges(params, constants, odds):
    """Two parts of the loss of the same rows and draws, and their gradients."""
    config = config_of(confidence_coeff=1.0, subset_calibration_coeff=1.0)

    def parts(params):
        _, info = loss_and_components(
            params, constants, small_batch(), config=config, steps_per_epoch=STEPS, step=jnp.asarray(20),
            keys=step_keys(ROOT, jnp.asarray(20)), odds=odds,
        )  # fmt: skip
        return {name: info.components[name] for name in ("confidence_loss", "subset_calibration_loss")}

    return parts(params), jax.jacrev(parts)(params)


def test_entropy_reward_acts_on_fusions_of_experts():
    """Their weights are shares of the evidence, which predictions do not read."""
    without, having = (measured("entropy", "aecf", entropy_max_coeff=c) for c in (QUIET, 3.0))
    assert having > 1.02 * without


def test_hiding_lowers_what_single_modalities_cost():
    assert measured("alone", masking_prob=0.9) < 0.95 * measured("alone", masking_prob=QUIET)


def test_hardest_draws_cost_more_than_one_draw():
    hardest = trained(masking_strategy="hardest", masking_draws=4)[3].components["primary_loss"]
    assert float(jnp.mean(hardest)) > 1.1 * float(jnp.mean(trained()[3].components["primary_loss"]))


def test_exponentiated_gradient_hides_most_what_is_missed_most():
    config, _, state, info = trained(masking_step=1.0)
    assert info.hardship.shape == (STEPS, 3)
    # Centred, in float32, after each of eighteen steps.
    assert abs(float(jnp.sum(state.odds))) < 1e-5
    assert np.abs(np.asarray(state.odds)).max() > 0.05
    still = trained()[2].odds
    assert np.abs(np.asarray(still)).max() < 1e-6
    plain = config.update(masking_strategy="random")
    assert init_state({}, make_train_chunk(config, STEPS).optimizer, plain).odds is None
