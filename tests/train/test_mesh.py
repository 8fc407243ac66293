"""Several devices: one all-reduce a step, the results of one device, no second compilation."""

import functools
import re

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from aecf_jax.config import AECFConfig, DeviceConfig
from aecf_jax.errors import InputError
from aecf_jax.nn import init_variables
from aecf_jax.train import (
    TrainChunk,
    along_data,
    assembled,
    epoch_order,
    everywhere,
    fetched,
    init_state,
    loss_and_components,
    make_mesh,
    mesh_of,
    own_columns,
    placed,
    root_key,
    shards,
    step_keys,
    tree_shardings,
)
from tests.train.small import BATCH, ROOT, ROWS, STEPS, small_batch, small_config, small_variables

LENGTH = 3
CONFIG = small_config(fusion="gated", gate_hidden_dims=(32,))


def mesh_named(text):
    if len(jax.devices()) < 8:
        pytest.skip("needs eight simulated devices")
    return make_mesh(DeviceConfig(mesh=text).axes)


def started(config, mesh):
    variables = small_variables(config)
    state = init_state(variables["params"], TrainChunk(config, STEPS).optimizer, config)
    # Copied: equal seeds may share buffers, and a chunk gives its state away.
    state = jax.device_get(state)
    return (
        placed(state, tree_shardings(state, mesh)),
        placed(variables["constants"], everywhere(mesh)),
        root_key(0, mesh),
    )


def collectives(program):
    kinds = "all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all"
    return re.findall(rf"^\s*\S+ = .*?\b({kinds})(?:-start)?\(", program.compile().as_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def alone():
    """One chunk on one device: what its steps said."""
    chunk, variables = TrainChunk(CONFIG, STEPS), small_variables(CONFIG)
    state = init_state(variables["params"], chunk.optimizer)
    order = epoch_order(ROOT, 0, rows=ROWS, steps=STEPS, batch_size=BATCH)
    return chunk(state, variables["constants"], small_batch(), order, 0, ROOT, length=LENGTH)[1]


@pytest.mark.parametrize("text", ["data=8", "data=4,model=2"])
def test_devices_do_what_one_does_and_compile_once(alone, text):
    mesh = mesh_named(text)
    chunk = TrainChunk(CONFIG, STEPS, mesh=mesh)
    state, constants, root = started(CONFIG, mesh)
    data = placed(small_batch(), everywhere(mesh))
    order = epoch_order(ROOT, 0, rows=ROWS, steps=STEPS, batch_size=BATCH)
    order = placed(order, along_data(mesh, 1))
    if text == "data=8":
        # The gradients, the loss and all that a step says of itself, summed in one go.
        lowered = chunk.program.scan.lower(state, constants, data, order, 0, root, chunk._numbers, length=LENGTH)
        assert collectives(lowered) == ["all-reduce"]
    wanted = tree_shardings(state, mesh)
    state, info = chunk(state, constants, data, order, 0, root, length=LENGTH)
    for name, value in alone.components.items():
        np.testing.assert_allclose(info.components[name], value, rtol=1e-6, atol=1e-6)
    assert all(leaf.sharding == one for leaf, one in zip(*map(jax.tree.leaves, (state, wanted)), strict=True))
    compiled = chunk.program.scan._cache_size()
    chunk(state, constants, data, order, LENGTH, root, length=LENGTH)
    assert chunk.program.scan._cache_size() == compiled
    assert chunk.traces == 1


def test_the_default_fusion_and_its_losses_need_one_all_reduce():
    own = AECFConfig()
    names = ("fusion", "unimodal_coeff", "confidence_coeff", "consistency_coeff", "average_epochs", "entropy_reg",
             "l2_logits_coeff", "ece_penalty_coeff")  # fmt: skip
    config, mesh = small_config(**{name: getattr(own, name) for name in names}), mesh_named("data=8")
    chunk = TrainChunk(config, STEPS, mesh=mesh)
    state, constants, root = started(config, mesh)
    data = placed(small_batch(), everywhere(mesh))
    order = placed(epoch_order(ROOT, 0, rows=ROWS, steps=STEPS, batch_size=BATCH), along_data(mesh, 1))
    lowered = chunk.program.scan.lower(state, constants, data, order, 0, root, chunk._numbers, length=LENGTH)
    assert collectives(lowered) == ["all-reduce"]


@pytest.mark.parametrize("text", ["data=8", "data=4,model=2"])
def test_gradients_are_those_of_one_device(text):
    mesh, batch = mesh_named(text), jax.tree.map(lambda leaf: leaf[:BATCH], small_batch())
    objective = functools.partial(loss_and_components, config=CONFIG, steps_per_epoch=STEPS, step=jax.numpy.int32(3))
    differentiated = jax.grad(objective, has_aux=True)
    gradient = jax.jit(lambda *given, root: differentiated(*given, keys=step_keys(root, jax.numpy.int32(3))))
    variables = small_variables(CONFIG)
    one, _ = gradient(variables["params"], variables["constants"], batch, root=ROOT)
    state, constants, root = started(CONFIG, mesh)
    several, _ = gradient(state.params, constants, placed(batch, along_data(mesh)), root=root)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(several), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-5 * float(np.abs(left).max()))


def test_given_batches_are_steps_bit_for_bit_and_compile_once():
    order = epoch_order(ROOT, 0, rows=ROWS, steps=STEPS, batch_size=BATCH)
    chunk, variables = TrainChunk(CONFIG, STEPS), small_variables(CONFIG)
    starts = [init_state(jax.tree.map(jax.numpy.copy, variables["params"]), chunk.optimizer) for _ in range(2)]
    batches = [jax.tree.map(lambda leaf, at=at: leaf[order[at : at + LENGTH]], small_batch()) for at in (0, LENGTH)]
    one, said = chunk(starts[0], variables["constants"], small_batch(), order, 0, ROOT, length=LENGTH)
    other, told = chunk.stream(starts[1], variables["constants"], batches[0], ROOT)
    pairs = zip(jax.tree.leaves((one, said)), jax.tree.leaves((other, told)), strict=True)
    assert all(np.array_equal(left, right) for left, right in pairs)
    chunk.stream(other, variables["constants"], batches[1], ROOT)
    assert chunk.traces == 2


def test_given_batches_on_eight_devices_need_one_all_reduce():
    mesh = mesh_named("data=8")
    chunk = TrainChunk(CONFIG, STEPS, mesh=mesh)
    state, constants, root = started(CONFIG, mesh)
    batches = jax.tree.map(lambda leaf: leaf[: 2 * BATCH].reshape(2, BATCH, *leaf.shape[1:]), small_batch())
    lowered = chunk.program.stream.lower(state, constants, placed(batches, along_data(mesh, 1)), root, chunk._numbers)
    assert collectives(lowered) == ["all-reduce"]


def specs(size=2, **changes):
    mesh = mesh_named(f"data=1,model={size}")
    config = small_config(**changes)
    params = jax.eval_shape(lambda: init_variables(config, key=ROOT))["params"]
    table = jax.tree_util.tree_leaves_with_path(tree_shardings({"params": params}, mesh))
    return {jax.tree_util.keystr(path)[10:]: leaf.spec for path, leaf in table if leaf.spec != P()}


def test_the_gate_is_cut_along_the_model():
    assert specs(fusion="gated", gate_hidden_dims=(32, 8)) == {
        "['fusion']['gate']['mlp']['hidden_0']['kernel']": P(None, "model"),
        "['fusion']['gate']['mlp']['hidden_0']['bias']": P("model"),
        "['fusion']['gate']['mlp']['hidden_1']['kernel']": P("model"),
    }


def test_a_head_over_all_modalities_is_cut_along_the_model():
    assert specs(fusion="concat", head_hidden_dims=(32,)) == {
        "['fusion']['head']['kernel']": P(None, "model"),
        "['fusion']['head']['present_kernel']": P(None, "model"),
        "['fusion']['head']['bias']": P("model"),
        "['fusion']['head']['rest']['out']['kernel']": P("model"),
    }


def test_moments_lie_where_their_parameters_do():
    mesh = mesh_named("data=4,model=2")
    state = jax.eval_shape(lambda: init_state(small_variables(CONFIG)["params"], TrainChunk(CONFIG, STEPS).optimizer))
    table = jax.tree_util.tree_leaves_with_path(tree_shardings(state, mesh))
    cut = [jax.tree_util.keystr(path) for path, leaf in table if leaf.spec != P()]
    # The parameters and both moments.
    assert len(cut) == 3 * 3
    assert all("gate" in path for path in cut)


@pytest.mark.parametrize(
    ("size", "changes", "said"),
    [
        (3, {"fusion": "gated"}, r"`mesh axis model` must divide the widest .*; got 3 for hidden widths 16\."),
        (2, {"fusion": "mean", "encoder": "linear", "head_hidden_dims": None},
         "got 2 for a model without hidden layers"),
    ],
)  # fmt: skip
def test_a_model_axis_that_cuts_nothing_is_refused(size, changes, said):
    with pytest.raises(InputError, match=said):
        specs(size, **changes)


def test_a_mesh_has_no_more_devices_than_there_are():
    assert make_mesh(None) is make_mesh({"data": 1}) is mesh_of(np.zeros(3)) is None
    assert shards(None) == 1
    with pytest.raises(InputError, match=rf"`mesh` must have at most {len(jax.devices())} devices.*got data=999"):
        make_mesh({"data": 999})


def test_rows_are_cut_and_come_back_whole():
    mesh, rows = mesh_named("data=4,model=2"), np.arange(24.0).reshape(2, 12)
    sharding = along_data(mesh, 1)
    assert own_columns(rows.shape, sharding, 1) == slice(0, 12)
    array = assembled(rows, rows.shape, sharding, 1)
    assert mesh_of({"a": array}) == mesh
    assert array.addressable_shards[0].data.shape == (2, 3)
    np.testing.assert_array_equal(fetched(array), rows)


def test_the_defaults_of_a_configuration_can_be_cut():
    mesh = mesh_named("data=4,model=2")
    config = AECFConfig()
    params = jax.eval_shape(lambda: init_variables(config, key=ROOT))["params"]
    assert any(leaf.spec != P() for leaf in jax.tree.leaves(tree_shardings({"params": params}, mesh)))
