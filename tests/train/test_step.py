"""Steps and chunks: what is minimized, that scanning is the loop, that runs repeat, that nothing recompiles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.losses import AECFLoss
from aecf_jax.train import (
    TrainChunk,
    compiler_options,
    epoch_order,
    init_state,
    loss_and_components,
    make_optimizer,
    make_train_chunk,
    numbers,
    program_config,
    step_keys,
    train_step,
    training_views,
    validation_step,
    with_numbers,
)
from tests.train.small import BATCH, ROOT, ROWS, STEPS, small_batch, small_config, small_variables

STEP = jnp.asarray(12, jnp.int32)


def _keys(step=STEP):
    return step_keys(ROOT, step)


def _order(epoch: int):
    return epoch_order(ROOT, epoch, rows=ROWS, steps=STEPS, batch_size=BATCH)


_loss = jax.jit(loss_and_components, static_argnames=("config", "steps_per_epoch"))


def _info(config, step=STEP):
    variables = small_variables(config)
    return _loss(
        variables["params"], variables["constants"], small_batch(), config=config, steps_per_epoch=STEPS, step=step,
        keys=_keys(step),
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames="config")
def _views(config):
    progress = STEP / STEPS / config.epochs
    return training_views(small_variables(config), small_batch(), config=config, progress=progress, keys=_keys())


def _equal(left, right) -> bool:
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def _start(chunk: TrainChunk, config):
    variables = small_variables(config)
    return init_state(variables["params"], chunk.optimizer), variables["constants"]


def test_pair_is_the_mean_of_both_views_and_consistency_once():
    config = small_config(consistency_coeff=2.0, consistency_ramp_epochs=0, ece_penalty_coeff=0.5)
    batch = small_batch()
    total, info = _info(config)
    epoch = STEP / STEPS
    views = _views(config)
    loss_fn = AECFLoss(config)
    _, full = loss_fn(views.full.output, batch.label, views.full.weights, epoch, present=batch.present)
    _, part = loss_fn(
        views.trained.output, batch.label, views.trained.weights, epoch, present=views.visible,
        full_logits=views.full.output,
    )  # fmt: skip
    # Sums of a few float32 numbers in another order.
    close = functools.partial(pytest.approx, rel=1e-5)
    for name in ("primary_loss", "entropy_loss", "ece_loss", "l2_loss"):
        assert float(info.components[name]) == close(float(full[name] + part[name]) / 2)
    assert float(info.components["consistency_loss"]) == close(float(part["consistency_loss"]))
    assert float(part["consistency_loss"]) > 0
    assert float(total) == float(info.components["total_loss"])
    assert float(total) == close(sum(float(v) for k, v in info.components.items() if k != "total_loss"))


def test_without_pair_only_the_hidden_view_is_trained():
    config = small_config(pair_training=False, consistency_coeff=0.0, mask_gate_input=False)
    batch, (_, info) = small_batch(), _info(config)
    views = _views(config)
    _, part = AECFLoss(config)(
        views.trained.output, batch.label, views.trained.weights, STEP / STEPS, present=views.visible
    )
    for name, value in part.items():
        # The same arithmetic, compiled in another program.
        assert float(info.components[name]) == pytest.approx(float(value), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("term", ["consistency_coeff", "consistency_loss_coeff"])
def test_a_consistency_term_counts_once_with_and_without_pair(term):
    settings = {"consistency_coeff": 0.0, "consistency_ramp_epochs": 0} | {term: 1.0}
    settings |= {"encoder_dropout": 0.0, "gate_dropout": 0.0, "head_dropout": 0.0}
    infos = [_info(small_config(pair_training=pair, **settings))[1] for pair in (True, False)]
    values = [float(info.components["consistency_loss"]) for info in infos]
    assert values[0] > 0
    # Without dropout the full view is the same in both; compiled in two programs.
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_components_have_the_same_keys_at_every_step():
    config = small_config()
    assert set(_info(config)[1].components) == set(_info(config, jnp.asarray(0, jnp.int32))[1].components)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask_gate_input": False, "pair_training": False, "masking_strategy": "entropy_min", "consistency_coeff": 0.0},
        {"consistency_loss_coeff": 0.5, "gate_disabled": True},
        {"mixed_precision": True, "masking_strategy": "weighted_random"},
    ],
)
def test_training_lowers_the_loss(changes):
    config = small_config(**changes)
    chunk = TrainChunk(config, STEPS)  # Of its own: the shared one may have seen other rows.
    state, constants = _start(chunk, config)
    losses = []
    for epoch in range(config.epochs):
        state, info = chunk(state, constants, small_batch(), _order(epoch), 0, ROOT, length=STEPS)
        losses.append(float(jnp.mean(info.components["primary_loss"])))
    assert losses[-1] < 0.8 * losses[0]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))
    assert chunk.traces == 1


def test_scan_is_the_loop_bit_for_bit_and_cut_anywhere():
    config = small_config()
    chunk = make_train_chunk(config, STEPS)
    state, constants = _start(chunk, config)
    data, order = small_batch(), _order(0)
    whole, info = chunk(state, constants, data, order, 0, ROOT, length=STEPS)
    assert info.components["total_loss"].shape == (STEPS,)

    @functools.partial(jax.jit, compiler_options=compiler_options(config))
    def step(state, batch, values):
        traced = with_numbers(program_config(config), values)
        return train_step(
            state, constants, batch, config=traced, steps_per_epoch=STEPS, optimizer=make_optimizer(traced, STEPS),
            keys=step_keys(ROOT, state.step),
        )  # fmt: skip

    looped = _start(chunk, config)[0]
    for index in range(STEPS):
        batch = jax.tree.map(lambda a, i=index: a[order[i]], data)
        looped, one = step(looped, batch, numbers(config))
        assert float(one.components["total_loss"]) == float(info.components["total_loss"][index])
    assert _equal(whole, looped)

    cut = _start(chunk, config)[0]
    cut, _ = chunk(cut, constants, data, order, 0, ROOT, length=3)
    cut, _ = chunk(cut, constants, data, order, 3, ROOT, length=3)
    assert _equal(whole, cut)
    assert int(whole.step) == STEPS


def test_one_program_serves_all_epochs_patterns_and_seeds():
    config = small_config()
    chunk = TrainChunk(config, STEPS)
    state, constants = _start(chunk, config)
    for epoch, seed in ((0, 0), (1, 1), (5, 2)):
        data = small_batch(seed=seed)
        state, _ = chunk(state, constants, data, _order(epoch), 0, jax.random.key(seed), length=STEPS)
    assert chunk.traces == 1
    shared = [make_train_chunk(one, STEPS).program for one in (config, config.update(seed=17, learning_rate=0.3))]
    assert shared[0] is shared[1]


# Every number is another, and every term of the loss acts.
NUMBERS = {
    "learning_rate": 3e-3, "gate_learning_rate": 5e-3, "weight_decay": 0.2, "gradient_clip_val": 0.3,
    "encoder_dropout": 0.2, "head_dropout": 0.3, "gate_dropout": 0.4, "masking_prob": 0.8, "masking_tau": 0.7,
    "masking_ramp": 0.9, "entropy_max_coeff": 0.3, "ece_penalty_coeff": 0.5, "l2_logits_coeff": 0.01,
    "consistency_coeff": 0.7, "consistency_loss_coeff": 0.6, "unimodal_coeff": 0.4, "confidence_coeff": 0.9,
    "label_smoothing": 0.2,
}  # fmt: skip


def test_numbers_are_arguments_of_one_program():
    config = small_config(masking_strategy="entropy_min", **NUMBERS)
    chunk, data = TrainChunk(config, STEPS), small_batch()
    other = TrainChunk(config.update(**{name: 0.5 * value for name, value in NUMBERS.items()}), STEPS, chunk.program)
    losses = {}
    for one in (chunk, other):
        state, constants = _start(one, config)
        state = state.replace(step=jnp.copy(STEP))
        _, info = one(state, constants, data, _order(2), 0, ROOT, length=STEPS)
        losses[one] = {name: float(value[0]) for name, value in info.components.items()}
    assert chunk.traces == 1
    assert all(losses[chunk][name] != losses[other][name] for name in losses[chunk])
    # The same step with every number known when it is compiled.
    rows = jax.tree.map(lambda array: array[_order(2)[0]], data)
    variables = small_variables(config)
    _, known = _loss(
        variables["params"],
        variables["constants"],
        rows,
        config=config,
        steps_per_epoch=STEPS,
        step=STEP,
        keys=_keys(),
    )
    for name, value in known.components.items():
        assert losses[chunk][name] == pytest.approx(float(value), rel=1e-6, abs=1e-7)


def test_what_is_off_is_another_program():
    config = small_config()
    for name in ("head_dropout", "masking_prob", "consistency_coeff", "masking_ramp"):
        assert program_config(config.update(**{name: 0.0})) != program_config(config)
    assert program_config(
        config.update(**{name: value for name, value in NUMBERS.items() if getattr(config, name)})
    ) == program_config(config)


def test_state_is_donated():
    config = small_config()
    chunk = make_train_chunk(config, STEPS)
    state, constants = _start(chunk, config)
    chunk(state, constants, small_batch(), _order(0), 0, ROOT, length=STEPS)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_order_is_a_permutation_of_seed_and_epoch():
    first = np.asarray(_order(0))
    assert first.shape == (STEPS, BATCH)
    assert len(set(first.ravel().tolist())) == STEPS * BATCH
    assert 0 <= first.min() <= first.max() < ROWS
    np.testing.assert_array_equal(first, _order(0))
    assert (first != np.asarray(_order(1))).any()
    other = epoch_order(jax.random.key(1), 0, rows=ROWS, steps=STEPS, batch_size=BATCH)
    assert (first != np.asarray(other)).any()


def test_many_seeds_train_at_once():
    config = small_config()
    optimizer = make_optimizer(config, STEPS)
    variables = small_variables(config)
    batch = jax.tree.map(lambda array: array[:BATCH], small_batch())

    @jax.jit
    def loss(root):
        state = init_state(variables["params"], optimizer)
        state, info = train_step(
            state, variables["constants"], batch, config=config, steps_per_epoch=STEPS, optimizer=optimizer,
            keys=step_keys(root, state.step),
        )  # fmt: skip
        return info.components["total_loss"]

    keys = jax.random.split(jax.random.key(3), 3)
    together = jax.jit(jax.vmap(loss))(keys)
    for index in range(3):
        # Batched products may be summed in another order.
        assert float(together[index]) == pytest.approx(float(loss(keys[index])), rel=1e-5)


def test_step_does_the_same_on_eight_devices():
    """Data parallel over the batch: the loss is that of one device."""
    config = small_config()
    if len(jax.devices()) < BATCH:
        pytest.skip("needs eight simulated devices")
    optimizer = make_optimizer(config, STEPS)
    variables = small_variables(config)
    batch = jax.tree.map(lambda array: array[:BATCH], small_batch())
    step = jax.jit(functools.partial(train_step, config=config, steps_per_epoch=STEPS, optimizer=optimizer))
    _, one = step(init_state(variables["params"], optimizer), variables["constants"], batch, keys=_keys())
    mesh = jax.make_mesh((BATCH,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.device_put(batch, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data")))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    state, constants, keys = jax.device_put(
        (init_state(variables["params"], optimizer), variables["constants"], step_keys(ROOT, STEP)), everywhere
    )
    _, eight = step(state, constants, split, keys=keys)
    # Sums over the batch are taken in another order.
    for name, value in one.components.items():
        assert float(eight.components[name]) == pytest.approx(float(value), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"task_type": "regression"}, jnp.ones((ROWS, 4))),
        ({"task_type": "classification"}, jnp.ones((ROWS, 4))),
        ({"task_type": "embedding"}, jnp.ones((ROWS, 4))),
        ({"task_type": "embedding"}, jnp.zeros(ROWS, jnp.int32)),
    ],
)
def test_every_task_has_a_finite_gradient(changes, label):
    config = small_config(**changes)
    variables = small_variables(config)
    objective = functools.partial(loss_and_components, config=config, steps_per_epoch=STEPS)
    gradients, _ = jax.jit(jax.grad(objective, has_aux=True))(
        variables["params"],
        variables["constants"],
        small_batch().replace(label=label),
        step=STEP,
        keys=_keys(),
    )
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradients))


def test_validation_has_no_randomness_and_sees_what_is_hidden():
    config = small_config()
    variables, batch = small_variables(config), small_batch()
    alone = batch.present & (jnp.cumsum(batch.present, axis=-1) == 1)
    info = validation_step(variables, batch, alone, config=config)
    again = validation_step(variables, batch, batch.present, config=config)
    assert float(info.full_loss) == float(again.full_loss) == float(again.hidden_loss)
    assert float(info.hidden_loss) != float(info.full_loss)
    _, expected = AECFLoss(config)(info.full.output, batch.label)
    # The same arithmetic outside the compiled program.
    assert float(info.full_loss) == pytest.approx(float(expected["primary_loss"]), rel=1e-5)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
def test_poison_in_what_is_absent_changes_no_bit_of_loss_components_or_gradients(poison):
    config, batch = small_config(consistency_loss_coeff=0.5, ece_penalty_coeff=0.5), small_batch()
    variables = small_variables(config)
    features = {
        name: jnp.where(batch.present[:, index, None], array, poison)
        for index, (name, array) in enumerate(batch.features.items())
    }
    assert not bool(batch.present.all())
    objective = functools.partial(loss_and_components, config=config, steps_per_epoch=STEPS, step=STEP)
    step = jax.jit(jax.value_and_grad(objective, has_aux=True))
    clean = step(variables["params"], variables["constants"], batch, keys=_keys())
    dirty = step(variables["params"], variables["constants"], batch.replace(features=features), keys=_keys())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    assert _equal(clean, dirty)
