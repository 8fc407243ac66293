"""The model as an object."""

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.model import AECF_CLIP, create_aecf_model, test_model_forward

CONFIG = AECFConfig(modalities=("image", "text"), feat_dim=16, num_classes=4, embed_dim=8, encoder_hidden_dims=(8,),
                    gate_hidden_dims=(8,), head_hidden_dims=(8,))  # fmt: skip
FEATURES = {name: np.asarray(jax.random.normal(jax.random.key(i), (8, 16))) for i, name in enumerate(CONFIG.modalities)}


def test_calling_it_gives_outputs_and_weights():
    output, weights = AECF_CLIP(CONFIG)(FEATURES)
    assert output.shape == (8, 4)
    assert weights.shape == (8, 2)


def test_a_modality_left_out_is_a_modality_marked_absent():
    model = AECF_CLIP(CONFIG)
    present = np.tile([False, True], (8, 1))
    np.testing.assert_array_equal(model({"text": FEATURES["text"]})[0], model(FEATURES, present)[0])


def test_the_seed_decides_the_parameters():
    same = AECF_CLIP(CONFIG, seed=1)(FEATURES)[0]
    np.testing.assert_array_equal(same, AECF_CLIP(CONFIG.update(seed=1))(FEATURES)[0])
    assert (np.asarray(same) != AECF_CLIP(CONFIG, seed=2)(FEATURES)[0]).all()


def test_replacing_variables_leaves_the_model_alone():
    model = AECF_CLIP(CONFIG)
    before = np.asarray(model(FEATURES)[0])
    other = model.replace(AECF_CLIP(CONFIG, seed=5).variables)
    assert (np.asarray(other(FEATURES)[0]) != before).all()
    np.testing.assert_array_equal(model(FEATURES)[0], before)


def test_dropout_needs_a_key_and_acts():
    model = AECF_CLIP(CONFIG)
    with pytest.raises(InputError, match="`key` must be given in training"):
        model.forward(FEATURES, train=True)
    dropped = model.forward(FEATURES, train=True, key=jax.random.key(0)).output
    assert (np.asarray(dropped) != model(FEATURES)[0]).any()


def test_wrong_inputs_are_named():
    model = AECF_CLIP(CONFIG)
    for bad, words in [
        ({"image": FEATURES["image"][:, :3]}, "`image` must be 16 wide; got width 3"),
        ({"sound": FEATURES["image"]}, "`sound` must be one of the model's modalities"),
        ({"image": FEATURES["image"], "text": FEATURES["text"][:3]}, "equally many rows"),
        ({}, "at least one modality"),
    ]:
        with pytest.raises(InputError, match=words):
            model(bad)
    with pytest.raises(InputError, match="`present` must have size 8 along axis 0"):
        model(FEATURES, np.ones((3, 2), bool))


def test_info_counts_the_parameters():
    info = AECF_CLIP(CONFIG.update(fusion="gated")).get_model_info()
    layers = 2 * (16 * 8 + 8 + 8 * 8 + 8) + (16 * 8 + 8 + 8 * 2 + 2) + (8 * 8 + 8 + 8 * 4 + 4) + 1
    assert info["total_parameters"] == info["trainable_parameters"] == layers
    assert info["modalities"] == ["image", "text"]


def test_forward_check_finds_success_and_failure():
    model = create_aecf_model(modalities=["image", "text"], num_classes=4, feat_dim=16)
    result = test_model_forward(model, batch_size=4)
    assert result["success"]
    assert result["logits_shape"] == [4, 4]
    broken = jax.tree.map(lambda leaf: leaf * np.nan, dict(model.variables))
    assert test_model_forward(model.replace(broken)) | {"success": None} != test_model_forward(model)
    assert test_model_forward(model.replace(broken))["error"] == "output is not finite"


def test_forward_check_is_not_collected_as_a_test():
    assert test_model_forward.__test__ is False
