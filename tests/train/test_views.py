"""The views of a batch: what is hidden, from whom, and how often."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.bench import counted_programs
from aecf_jax.nn import AECF
from aecf_jax.train import Views, alone_logits, compiler_options, hidden_pattern, step_keys, training_views
from tests.train.small import ROOT, small_batch, small_config, small_variables

STEP = jnp.asarray(3, jnp.int32)
NO_DROPOUT = {"encoder_dropout": 0.0, "head_dropout": 0.0, "gate_dropout": 0.0}


def _keys(step=STEP):
    return step_keys(ROOT, step)


_training_views = jax.jit(training_views, static_argnames="config")


def _views(config, *, progress: float = 1.0, step=STEP) -> Views:
    return _training_views(
        small_variables(config),
        small_batch(),
        config=config,
        progress=jnp.asarray(progress),
        keys=_keys(step),
    )


def test_pair_has_both_views_and_hides_about_half():
    views = _views(small_config(masking_prob=0.5))
    batch = small_batch()
    assert views.full is not None
    assert bool(jnp.all(views.visible <= batch.present))
    assert bool(jnp.all(jnp.any(views.visible, axis=-1) == jnp.any(batch.present, axis=-1)))
    assert 0.3 < float(jnp.sum(views.visible) / jnp.sum(batch.present)) < 0.85


def test_what_is_hidden_is_hidden_from_the_gate():
    """The gate's weights over what is visible are those it gives where the hidden modality is missing."""
    config = small_config(**NO_DROPOUT)
    views, batch = _views(config), small_batch()
    missing = AECF(config).apply(small_variables(config), batch.features, views.visible)
    # The same arithmetic, once as a whole and once in two calls; float32 rounding alone may differ.
    np.testing.assert_allclose(views.trained.weights, missing.weights, atol=1e-6)
    np.testing.assert_allclose(views.trained.output, missing.output, atol=1e-5)
    assert not bool(jnp.any(jnp.where(views.visible, 0.0, views.trained.weights)))


@pytest.mark.parametrize("fusion", ["gated", "aecf", "attention"])
def test_what_is_hidden_changes_no_bit_of_the_hidden_view(fusion):
    config = small_config(fusion=fusion, multilabel=False, masking_strategy="uniform_size", unimodal_coeff=1.0)
    program = jax.jit(
        functools.partial(training_views, small_variables(config), config=config, progress=jnp.asarray(1.0)),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    batch = small_batch()
    before = program(batch, keys=_keys())
    moved = {name: jnp.where(before.visible[:, i, None], array, array + 3.0)
             for i, (name, array) in enumerate(batch.features.items())}  # fmt: skip
    after = program(batch.replace(features=moved), keys=_keys())
    one, other = (views.trained.replace(experts=None) for views in (before, after))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert bool(jnp.any(before.full.output != after.full.output))


def test_pytorch_way_multiplies_the_weights_of_the_full_view():
    config = small_config(**NO_DROPOUT, mask_gate_input=False)
    views = _views(config)
    assert views.full is not None
    left = jnp.where(views.visible, views.full.weights, 0.0)
    expected = left / jnp.sum(left, axis=-1, keepdims=True)
    # Float32 rounding of one division.
    np.testing.assert_allclose(views.trained.weights, expected, atol=1e-6)
    ours = _views(small_config(**NO_DROPOUT))
    assert float(jnp.max(jnp.abs(ours.trained.weights - views.trained.weights))) > 1e-3


@pytest.mark.parametrize("changes", [{"curriculum_mask": False}, {"masking_strategy": "none"}, {"masking_prob": 0.0}])
def test_no_curriculum_is_one_view_of_everything(changes):
    views = _views(small_config(**changes))
    assert views.full is None
    assert bool(jnp.all(views.visible == small_batch().present))


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, True),
        ({"pair_training": False, "consistency_coeff": 0.0}, False),
        ({"pair_training": False, "consistency_coeff": 0.0, "masking_strategy": "entropy_min"}, True),
        ({"pair_training": False, "consistency_coeff": 0.0, "mask_gate_input": False}, True),
        ({"pair_training": False, "consistency_coeff": 0.0, "consistency_loss_coeff": 0.1}, True),
        ({"pair_training": False, "consistency_coeff": 0.1}, True),
    ],
)
def test_full_view_is_computed_only_where_something_reads_it(changes, needed):
    assert (_views(small_config(**changes)).full is not None) == needed


def test_rate_of_hiding_rises_with_progress():
    config = small_config(masking_prob=1.0, masking_ramp=0.5)
    shares = [float(jnp.mean(_views(config, progress=p).visible)) for p in (0.0, 0.25, 0.5, 1.0)]
    assert shares[0] == float(jnp.mean(small_batch().present))
    assert shares[0] > shares[1] > shares[2]
    # Hiding is certain from here on, so that one of each row is left.
    assert shares[2] == shares[3] == pytest.approx(1 / 3)


def test_rescue_of_every_row_hides_less():
    settings = {"masking_prob": 0.5, "masking_ramp": 0.0}
    empty, every = (_views(small_config(masking_rescue=rescue, **settings)).visible for rescue in ("empty", "every"))
    assert bool(jnp.all(empty <= every))
    assert int(every.sum()) > int(empty.sum())


def test_masks_and_dropout_depend_on_the_step_alone():
    config = small_config()
    again, other = _views(config), _views(config, step=STEP + 1)
    first = _views(config)
    np.testing.assert_array_equal(first.visible, again.visible)
    np.testing.assert_array_equal(first.trained.output, again.trained.output)
    assert bool(jnp.any(first.visible != other.visible))
    assert bool(jnp.any(first.shared.encoded != other.shared.encoded))


def test_views_share_the_encoding_but_not_the_dropout_after_it():
    config = small_config(encoder_dropout=0.0, gate_dropout=0.0, head_dropout=0.5, masking_prob=1e-9)
    views = _views(config)
    assert views.full is not None
    np.testing.assert_array_equal(views.full.weights, views.trained.weights)
    assert bool(jnp.any(views.full.output != views.trained.output))


def test_choice_of_what_is_hidden_has_no_gradient():
    config = small_config(masking_strategy="entropy_min", **NO_DROPOUT)
    variables = small_variables(config)

    def visible(params):
        views = training_views(
            variables | {"params": params},
            small_batch(),
            config=config,
            progress=jnp.asarray(1.0),
            keys=_keys(),
        )
        return jnp.sum(views.visible.astype(jnp.float32))

    assert all(not jnp.any(leaf) for leaf in jax.tree.leaves(jax.jit(jax.grad(visible))(variables["params"])))


def test_alone_logits_are_the_outputs_of_single_modalities():
    config = small_config(**NO_DROPOUT)
    variables, batch = small_variables(config), small_batch()
    views = _views(config)
    alone = alone_logits(variables, views.shared, batch.present, config=config, keys=_keys())
    assert alone.shape == (3, 50, 4)
    for index in range(3):
        only = batch.present & (jnp.arange(3) == index)[None, :]
        # Batched and single products may be summed in another order.
        np.testing.assert_allclose(alone[index], AECF(config).apply(variables, batch.features, only).output, atol=1e-5)


def test_poison_in_what_is_absent_changes_no_bit():
    config = small_config()
    variables, batch = small_variables(config), small_batch()
    poisoned = batch.replace(
        features={
            name: jnp.where(batch.present[:, i, None], array, jnp.nan)
            for i, (name, array) in enumerate(batch.features.items())
        }
    )
    settings = {"config": config, "progress": jnp.asarray(1.0)}
    clean, dirty = (_training_views(variables, rows, keys=_keys(), **settings) for rows in (batch, poisoned))
    for left, right in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True):
        np.testing.assert_array_equal(left, right)


def test_validation_pattern_is_fixed_and_leaves_something():
    present = small_batch().present
    config = small_config(masking_prob=0.5)
    pattern = hidden_pattern(present, config=config, root=ROOT)
    np.testing.assert_array_equal(pattern, hidden_pattern(present, config=config, root=ROOT))
    assert bool(jnp.all(pattern <= present))
    assert bool(jnp.all(jnp.any(pattern, axis=-1)))
    assert bool(jnp.any(pattern != present))
    assert bool(jnp.any(pattern != hidden_pattern(present, config=config, root=jax.random.key(1))))


def test_validation_pattern_is_one_program_for_all_probabilities():
    compiler_options()  # Asks XLA what it knows, by a program of its own.
    present = np.ones((23, 2), bool)  # As many rows as nowhere else.
    with counted_programs() as count:
        for prob in (0.25, 0.5):
            hidden_pattern(present, config=small_config(masking_prob=prob), root=ROOT)
        assert count() <= 1


@pytest.mark.parametrize("changes", [{"curriculum_mask": False}, {"masking_strategy": "none"}, {"masking_prob": 0.0}])
def test_validation_pattern_hides_nothing_where_training_does_not(changes):
    present = small_batch().present
    np.testing.assert_array_equal(hidden_pattern(present, config=small_config(**changes), root=ROOT), present)
