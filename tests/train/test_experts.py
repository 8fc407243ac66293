"""Fusions of separate experts train what each modality would become by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.train import init_state, make_train_chunk
from tests.train.small import BATCH, ROOT, ROWS, STEPS, small_batch, small_config, small_variables

SETTINGS = {"fusion": "poe", "gradient_clip_val": 0.1}


def _trained(names, batch):
    widths = {"a": 6, "b": 4, "c": 5}
    config = small_config(modalities=names, input_dims=tuple(widths[name] for name in names), **SETTINGS)
    chunk = make_train_chunk(config, STEPS)
    variables = small_variables(config)
    order = jnp.arange(STEPS * BATCH).reshape(STEPS, BATCH) % ROWS
    state = init_state(variables["params"], chunk.optimizer)
    state, info = chunk(state, variables["constants"], batch, order, 0, ROOT, length=STEPS)
    return state.params, info


@pytest.fixture(scope="module")
def together():
    """All three, and what their training said."""
    return _trained(("a", "b", "c"), small_batch())


def _own(params, name):
    return params[f"encoders_{name}"], params["fusion"][f"experts_{name}"]


def test_an_expert_is_what_a_model_of_its_modality_alone_becomes(together):
    batch = small_batch()
    only = batch.replace(features={"a": batch.features["a"]}, present=batch.present[:, :1])
    alone, _ = _trained(("a",), only)
    # The same float32 arithmetic in another program: AdamW may double a rounding where a gradient is nearly 0.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), _own(together[0], "a"), _own(alone, "a"))


def test_an_expert_does_not_depend_on_what_other_modalities_hold(together):
    batch = small_batch()
    features = {**batch.features, "b": 100 * batch.features["b"] + 1}
    other, _ = _trained(("a", "b", "c"), batch.replace(features=features, present=batch.present.at[:, 2].set(False)))
    jax.tree.map(np.testing.assert_array_equal, _own(together[0], "a"), _own(other, "a"))
    left, right = (jax.tree.leaves(_own(params, "b")) for params in (together[0], other))
    assert any((x != y).any() for x, y in zip(left, right, strict=True))


def test_separate_experts_have_one_loss_and_hide_nothing(together):
    info = together[1]
    np.testing.assert_array_equal(info.components["total_loss"], info.components["unimodal_loss"])
    np.testing.assert_array_equal(info.visible, 1)
    assert float(info.components["total_loss"][-1]) < float(info.components["total_loss"][0])
