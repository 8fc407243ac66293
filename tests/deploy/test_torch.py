"""The way back: parameters under PyTorch's names, as PyTorch's own checkpoints have them."""

import re
import zipfile

import jax
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.deploy import torch_state
from aecf_jax.errors import InputError
from aecf_jax.nn import init_variables, torch_layout, torch_names

SMALL = {"feat_dim": 16, "gate_hidden_dims": (24,), "num_classes": 5}
CASES = {
    "model_classification": {},
    "model_embedding": {"task_type": "embedding", "num_classes": 16},
    "model_embedding_proj": {"task_type": "embedding", "num_classes": 6},
    "model_gate_disabled": {"gate_disabled": True},
    "model_regression3": {"modalities": ("image", "text", "audio"), "task_type": "regression", "num_classes": 2},
}


def torch_config(**changes):
    return AECFConfig.pytorch(**(SMALL | changes))


def state_of(config):
    return torch_state(config, init_variables(config, key=jax.random.key(0)))


@pytest.mark.parametrize("name", CASES)
def test_names_are_those_of_a_pytorch_checkpoint(golden_dir, name):
    with zipfile.ZipFile(golden_dir / f"{name}.ckpt") as archive:
        described = archive.read(f"{name}/data.pkl").decode("latin-1")
    theirs = set(re.findall(r"model\.[a-z_0-9.]+(?:weight|bias|temperature)", described))
    assert set(state_of(torch_config(**CASES[name]))) == theirs


@pytest.mark.parametrize("name", ["gate_softmax_learnable", "gate_softmax_fixed", "gate_two_hidden"])
def test_shapes_are_those_of_a_pytorch_gate(golden, name):
    theirs = {key.removeprefix("param:"): value for key, value in golden(name).items() if key.startswith("param:")}
    hidden = [array.shape[0] for key, array in theirs.items() if key.endswith("weight")]
    config = torch_config(
        modalities=tuple("abcd"[: hidden[-1]]), gate_hidden_dims=hidden[:-1], gate_learnable_temp="temperature" not in
        theirs,
    )  # fmt: skip
    ours = {key.removeprefix("model.gate."): value for key, value in state_of(config).items() if "gate" in key}
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
    assert {value.dtype for value in ours.values()} == {np.dtype(np.float32)}


def test_every_parameter_is_there_bit_for_bit():
    config = torch_config(task_type="regression", gate_hidden_dims=(12, 7))
    variables = init_variables(config, key=jax.random.key(0))
    state = torch_state(config, variables)
    leaves = {tuple(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(variables["params"])}
    assert sorted(torch_names(config).values()) == sorted(leaves)
    for name, path in torch_names(config).items():
        np.testing.assert_array_equal(torch_layout(state[name], path), leaves[path])
        assert state[name].flags.c_contiguous


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder": "mlp"}, "`encoder` must be identity in the refactored PyTorch model; got mlp"),
        ({"input_dims": (16, 8)}, "`input_dims` must be 16 for every modality"),
        ({"standardize": True}, "`standardize` must be false"),
        ({"head_hidden_dims": (4,)}, r"`head_hidden_dims` must be \[\] in .*; got \[4\]"),
        ({"task_type": "regression", "head_hidden_dims": ()}, r"`head_hidden_dims` must be \[8\]"),
    ],
)
def test_what_pytorch_has_no_part_for_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        state_of(torch_config(**changes))
