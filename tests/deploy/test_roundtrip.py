"""From PyTorch and back: what was imported is exported bit for bit, also after training on."""

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file

from aecf_jax.cli import main
from aecf_jax.deploy import Predictor, read_bundle, torch_state
from aecf_jax.interop import import_checkpoint
from aecf_jax.model import AECF_CLIP
from aecf_jax.torchfile import read_torch_file
from aecf_jax.trainer import load_model

REFACTORED = ("classification", "embedding", "embedding_proj", "gate_disabled", "regression3", "sigmoid_gate",
              "unnormalized")  # fmt: skip


@pytest.mark.parametrize("name", REFACTORED)
def test_import_and_export_give_the_same_tensors(golden_dir, name):
    path = golden_dir / f"model_{name}.ckpt"
    model = import_checkpoint(path).model
    ours, theirs = torch_state(model.config, model.variables), read_torch_file(path)["state_dict"]
    assert list(ours) == list(theirs)
    for tensor, array in theirs.items():
        assert ours[tensor].dtype == array.dtype
        np.testing.assert_array_equal(ours[tensor], array, err_msg=tensor)


@pytest.mark.usefixtures("untyped_caller")
def test_import_train_export_and_reload_predict_the_same(golden_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    features = {name: rng.normal(size=(40, 16)).astype(np.float32) for name in ("image", "text")}
    np.savez("data.npz", **features, label=np.arange(40) % 5)
    for command in (
        ["import", str(golden_dir / "model_classification.ckpt"), "--out", "imported"],
        ["train", "--init-from", "imported", "--data", "data.npz", "--epochs", "1", "--out", "trained", "--no-plots",
         "--logger", "none"],
        ["export", "trained", "--out", "bundle"],
        ["export", "trained", "--format", "torch", "--out", "model.safetensors"],
    ):  # fmt: skip
        assert main(command) == 0, capsys.readouterr().err
    trained = load_model("trained/checkpoints").model
    before = import_checkpoint(golden_dir / "model_classification.ckpt").model
    assert (np.asarray(trained(features)[0]) != before(features)[0]).any(), "it was not trained"
    bundle = read_bundle("bundle")
    reloaded = AECF_CLIP(bundle.config, variables=unflatten_dict(bundle.arrays, sep="/"))
    for one, other in zip(trained(features), reloaded(features), strict=True):
        np.testing.assert_array_equal(one, other)
    served = [predictor(features) for predictor in (Predictor.from_run("trained", batch_sizes=[64]),
                                                     Predictor.from_bundle("bundle", batch_sizes=[64]))]  # fmt: skip
    for one, other in zip(*served, strict=True):
        np.testing.assert_array_equal(one, other)
    state = load_file("model.safetensors")
    for name, array in torch_state(trained.config, trained.variables).items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
