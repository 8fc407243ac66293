"""What is computed once for all subsets gives what each subset gives alone."""

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.evaluate import compiled_programs, evaluate_subsets, predict, subset_outputs, subsets
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.model import AECF_CLIP
from aecf_jax.nn import AECF, init_variables

ROWS = 40


def make_config(modalities, **changes):
    names = tuple(f"m{index}" for index in range(modalities))
    fields = {"modalities": names, "input_dims": tuple(3 + index for index in range(modalities)), "num_classes": 4}
    small = {
        "fusion": "gated",
        "embed_dim": 8,
        "encoder_hidden_dims": (8,),
        "gate_hidden_dims": (12,),
        "head_hidden_dims": (10,),
    }
    return AECFConfig(**(fields | small | changes))


def shaken(config):
    """Variables with no bias at 0, as after training."""
    shapes = jax.eval_shape(lambda: init_variables(config, key=jax.random.key(0)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(np.float32), shapes["params"])
    return {
        "params": params,
        "constants": jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes["constants"]),
    }


def make_rows(config, missing=0.2):
    rng = np.random.default_rng(1)
    features = {
        m: rng.normal(size=(ROWS, w)).astype(np.float32) for m, w in zip(config.modalities, config.widths, strict=True)
    }
    present = rng.random((ROWS, len(features))) >= missing
    return Dataset(features, rng.integers(0, 4, ROWS), present, num_classes=4)


def probabilities(logits):
    e = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("modalities", [2, 4, 6])
def test_all_subsets_together_are_each_evaluated_alone(modalities):
    config = make_config(modalities)
    model, rows = AECF_CLIP(config, variables=shaken(config)), make_rows(config)
    table = evaluate_subsets(model, rows, batch_size=ROWS)
    assert compiled_programs(config) == 1
    (outputs,) = subset_outputs(model, rows, batch_size=ROWS)
    assert len(table) == len(outputs.subsets) == 2**modalities - 1
    for index, (subset, row) in enumerate(zip(subsets(config.modalities), table.rows, strict=True)):
        seen = np.array([name in subset for name in config.modalities])
        counted = rows.present[:, seen].all(axis=1)
        alone = predict(model, rows, present=seen, batch_size=ROWS)
        np.testing.assert_allclose(probabilities(outputs.output[index]), probabilities(alone.output), rtol=0, atol=1e-6)
        np.testing.assert_allclose(outputs.entropy[index], alone.entropy, rtol=0, atol=1e-6)
        expected = evaluate_predictions(alone.output[counted], rows.label[counted], "classification")
        expected["entropy"] = float(np.mean(alone.entropy[counted], dtype=np.float64))
        assert row.modalities == subset
        assert row.rows == counted.sum()
        printed = [{name: f"{value:.4f}" for name, value in one.items()} for one in (row.metrics, expected)]
        assert printed[0] == printed[1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gate_disabled": True},
        {"head_hidden_dims": ()},
        {"gate_use_softmax": False, "gate_hidden_dims": (6, 5), "head_hidden_dims": (7, 6)},
        {"task_type": "embedding", "num_classes": 8, "head_hidden_dims": ()},
        {"mixed_precision": True},
    ],
    ids=str,
)
def test_products_that_are_shared_change_nothing(changes):
    config = make_config(3, **changes)
    module, variables = AECF(config), shaken(config)
    rng = np.random.default_rng(2)
    encoded = rng.normal(size=(ROWS, 3, 8)).astype(np.float32)
    present = rng.random((ROWS, 3)) < 0.6
    present[0] = False

    def shared(variables, encoded, views):
        return module.apply(variables, encoded, views=views, method="share")

    @jax.jit
    def outputs(variables, encoded, present):
        several = (shared(variables, encoded, views) for views in (1, 7))
        return [module.apply(variables, one, present, method="fuse_shared") for one in several]

    one, many = outputs(variables, encoded, present)
    for name in ("output", "weights", "entropy", "fused"):
        np.testing.assert_allclose(getattr(many, name), getattr(one, name), rtol=1e-5, atol=1e-6)
    products = jax.eval_shape(lambda *arrays: shared(*arrays, 7), variables, encoded)
    assert (products.gate is None) == (config.gate_disabled or config.mixed_precision)
    assert (products.head is None) == (config.task_type == "embedding" or config.mixed_precision)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_the_default_fusion_says_the_same_to_one_view_and_to_many(half):
    """In bfloat16 too, where the sum of rounded products would not be the rounded product of the sum."""
    config = make_config(3, fusion="aecf", unimodal_coeff=1.0, mixed_precision=half)
    module, variables = AECF(config), shaken(config)
    rng = np.random.default_rng(2)
    encoded = rng.normal(size=(ROWS, 3, 8)).astype(np.float32)
    present = rng.random((ROWS, 3)) < 0.6

    @jax.jit
    def outputs(variables, encoded, present):
        several = (module.apply(variables, encoded, views=views, method="share") for views in (1, 7))
        return [module.apply(variables, one, present, method="fuse_shared").output for one in several]

    one, many = outputs(variables, encoded, present)
    # Float32 sums in another order.
    np.testing.assert_allclose(many, one, rtol=1e-5, atol=2e-6)
