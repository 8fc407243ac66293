"""Checkpoints of the three PyTorch generations give the same outputs here, and nothing of them is lost in silence."""

import itertools
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.interop import import_checkpoint
from aecf_jax.torchfile import read_torch_file
from tests.torchfile.writer import Raw, Tensor, save

RNG = np.random.default_rng(0)
GATED = [
    "model_classification", "model_regression3", "model_embedding", "model_embedding_proj", "model_gate_disabled",
    "model_sigmoid_gate", "model_unnormalized", "legacy_two", "legacy_three",
]  # fmt: skip


def linear(rows, columns):
    return RNG.normal(0, 0.5, (rows, columns)).astype(np.float32), RNG.normal(0, 0.5, rows).astype(np.float32)


def stack(prefix, widths, step=3):
    """The tensors of linear layers in a sequence that counts what stands between them."""
    state = {}
    for at, (columns, rows) in enumerate(itertools.pairwise(widths)):
        state[f"{prefix}.{step * at}.weight"], state[f"{prefix}.{step * at}.bias"] = linear(rows, columns)
    return state


def head(prefix, rows, columns):
    weight, bias = linear(rows, columns)
    return {f"{prefix}.weight": weight, f"{prefix}.bias": bias}


def refactored(names=("a", "b"), width=4, classes=3, hidden=(5,), *, task="classification", **settings):
    state = {"model.gate.log_temperature": np.array(0.9, np.float32)}
    state |= stack("model.gate.gate_network", (len(names) * width, *hidden, len(names)))
    state |= head("model.output_head.head", classes, width)
    saved = {"modalities": list(names), "feat_dim": width, "num_classes": classes, "task_type": task}
    return {"state_dict": state, "hyper_parameters": saved | settings, "epoch": 2, "global_step": 9}


def expected(state, features, gate="model.gate.gate_network", out="model.output_head.head", temperature=None):
    """The PyTorch model's mathematics, in float64."""
    state = {name: np.asarray(value, np.float64) for name, value in state.items()}
    x = [np.asarray(f, np.float64) / np.linalg.norm(f, axis=1, keepdims=True) for f in features.values()]

    def run(prefix, h):
        weights = [name for name in state if name.startswith(prefix) and name.endswith("weight")]
        for at, name in enumerate(weights):
            h = h @ state[name].T + state.get(name.replace("weight", "bias"), 0.0)
            h = np.maximum(h, 0) if at < len(weights) - 1 else h
        return h

    logits = run(gate, np.concatenate(x, axis=1))
    if temperature is None:
        temperature = max(np.exp(next(v for n, v in state.items() if "log_" in n)), 1.5)
    weights = np.exp(logits / temperature)
    weights /= weights.sum(1, keepdims=True)
    return run(out, sum(w[:, None] * f for w, f in zip(weights.T, x, strict=True))), weights


def rows(names, width):
    return {name: RNG.normal(size=(5, width)).astype(np.float32) for name in names}


def check(imported, content, names, width, **where):
    features = rows(names, width)
    output, weights = imported.model(features)
    wanted = expected(content["state_dict"], features, **where)
    # float32 sums of a few products, beside the requirement of 1e-5.
    np.testing.assert_allclose(output, wanted[0], atol=1e-5)
    np.testing.assert_allclose(weights, wanted[1], atol=1e-5)


@pytest.mark.parametrize("name", GATED)
def test_golden_models(golden, golden_dir, name):
    arrays, imported = golden(name), import_checkpoint(golden_dir / f"{name}.ckpt")
    features = {key.removeprefix("feature:"): value for key, value in arrays.items() if key.startswith("feature:")}
    output, weights = imported.model(features)
    # The requirement; measured: 1.2e-7.
    np.testing.assert_allclose(output, arrays["output"], atol=1e-5)
    np.testing.assert_allclose(weights, arrays.get("weights", np.full_like(weights, 0.5)), atol=1e-5)
    assert imported.generation == ("dict-configured" if name.startswith("legacy") else "refactored")


@pytest.mark.parametrize(("name", "heads"), [("pool_one_head", None), ("pool_four_heads", 4)])
def test_golden_pools(golden, golden_dir, name, heads):
    arrays = golden(name)
    names = [f"m{at}" for at in range(arrays["x"].shape[1])]
    imported = import_checkpoint(golden_dir / f"{name}.pt", modalities=names, attention_heads=heads)
    features = {modality: arrays["x"][:, at] for at, modality in enumerate(names)}
    for present, suffix in ((None, ""), (~arrays["key_padding_mask"], "_padded")):
        output, weights = imported.model(features, present)
        np.testing.assert_allclose(output, arrays[f"output{suffix}"][:, 0], atol=1e-5)
        np.testing.assert_allclose(weights, arrays[f"attention_weights{suffix}"][:, 0], atol=1e-5)
    assert any(note.startswith("attention_heads") for note in imported.notes) == (heads is None)


def test_other_names_widths_and_hidden_layers(tmp_path):
    names = ("lidar", "radar", "text")
    content = refactored(names, 6, 2, (7, 4), learning_rate=0.5, gate_min_temp=1.5)
    imported = import_checkpoint(save(tmp_path / "a.ckpt", content))
    check(imported, content, names, 6)
    config = imported.model.config
    assert (config.gate_hidden_dims, config.learning_rate, config.modalities) == ((7, 4), 0.5, names)
    assert (imported.step, imported.epoch) == (9, 2)


def test_a_bare_state_dict_of_a_compiled_and_parallel_model(tmp_path):
    content = refactored()
    state = {f"module._orig_mod.{name}": Tensor(value, parameter=True) for name, value in content["state_dict"].items()}
    imported = import_checkpoint(save(tmp_path / "a.pt", state), modalities=("a", "b"))
    check(imported, content, ("a", "b"), 4)
    assert import_checkpoint(tmp_path / "a.pt").model.config.modalities == ("image", "text")


def test_bfloat16_tensors(tmp_path):
    content = refactored()
    content["state_dict"] = {n: np.asarray(jnp.asarray(v, jnp.bfloat16)) for n, v in content["state_dict"].items()}
    check(import_checkpoint(save(tmp_path / "a.ckpt", content)), content, ("a", "b"), 4)


def test_a_temperature_that_is_not_trained(tmp_path):
    content = refactored()
    del content["state_dict"]["model.gate.log_temperature"]
    content["state_dict"]["model.gate.temperature"] = np.array(0.8, np.float32)
    check(import_checkpoint(save(tmp_path / "a.ckpt", content)), content, ("a", "b"), 4, temperature=0.8)


def test_encoders_of_their_own(tmp_path):
    for step, (weight, kind) in enumerate([((4, 9), "identity"), ((4, 4), "linear")]):
        content = refactored()
        for name in "ab":
            content["state_dict"] |= head(f"model.encoders.{name}.proj", *weight)
        config = import_checkpoint(save(tmp_path / f"{step}.ckpt", content)).model.config
        assert (config.encoder, config.widths) == (kind, (weight[1],) * 2)
    content = refactored()
    for name, width in (("a", 7), ("b", 5)):
        content["state_dict"] |= stack(f"model.encoders.{name}.network", (width, 8, 4))
    imported = import_checkpoint(save(tmp_path / "mlp.ckpt", content))
    assert (imported.model.config.encoder, imported.model.config.encoder_hidden_dims) == ("mlp", (8,))
    state, features = content["state_dict"], {**rows("a", 7), **rows("b", 5)}
    unit = {name: value / np.linalg.norm(value, axis=1, keepdims=True) for name, value in features.items()}
    hidden = {n: np.maximum(v @ state[f"model.encoders.{n}.network.0.weight"].T
                            + state[f"model.encoders.{n}.network.0.bias"], 0) for n, v in unit.items()}  # fmt: skip
    encoded = [hidden[n] @ state[f"model.encoders.{n}.network.3.weight"].T + state[f"model.encoders.{n}.network.3.bias"]
               for n in "ab"]  # fmt: skip
    (output, weights) = imported.model(features)
    fused = sum(np.asarray(weights)[:, [at]] * x for at, x in enumerate(encoded))
    wanted = fused @ state["model.output_head.head.weight"].T + state["model.output_head.head.bias"]
    np.testing.assert_allclose(output, wanted, atol=1e-5)


def test_what_is_not_taken_over_is_said(tmp_path):
    content = refactored(
        mixed_precision=True, consistency_coeff=0.1, label_frequencies=[0.2, 0.3, 0.5], colour="blue",
        masking_prob=7.0, trainer_kwargs={"accelerator": "gpu", "max_epochs": 3}, gate_hidden_dims=[1],
        entropy_max_lambda=0.3, entropy_max_coeff=0.1, log_dir="/old", gate_init_temp=1.0, feat_dim=5,
    )  # fmt: skip
    content["optimizer_states"] = [{"state": {0: {"exp_avg": np.zeros(2, np.float32)}}}]
    content["state_dict"]["loss_fn.pos_weight"] = np.ones(3, np.float32)
    content["state_dict"]["ema.decay"] = np.ones((), np.float32)
    imported = import_checkpoint(save(tmp_path / "a.ckpt", content))
    config, notes = imported.model.config, "\n".join(imported.notes)
    for name in ("mixed_precision", "consistency_coeff", "colour", "masking_prob", "accelerator", "log_dir", "ema",
                 "gate_hidden_dims", "gate_init_temp", "feat_dim", "optimizer_states", "pos_weight"):  # fmt: skip
        assert f"{name}" in notes, name
    assert (config.entropy_max_coeff, dict(config.trainer_kwargs), config.multilabel) == (0.3, {"max_epochs": 3}, True)
    check(imported, content, ("a", "b"), 4)


def test_settings_in_an_object_one_level_deeper(tmp_path):
    content = refactored(learning_rate=0.25)
    saved = b"caecf.config\nAECFConfig\n)\x81" + pickle.dumps(content["hyper_parameters"], protocol=2)[2:-1] + b"b"
    content["hyper_parameters"] = {"config": Raw(saved)}
    imported = import_checkpoint(save(tmp_path / "a.ckpt", content))
    assert imported.model.config.learning_rate == 0.25
    assert imported.model.config.modalities == ("a", "b")


def broken(**changes):
    content = refactored()
    content["state_dict"] |= changes
    content["state_dict"] = {name: value for name, value in content["state_dict"].items() if value is not None}
    return content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (broken(**{"model.gate.norm.weight": np.ones(5, np.float32)}), "the unknown tensor model.gate.norm.weight"),
        (broken(**{"model.gate.gate_network.0.weight": np.ones(5, np.float32)}), "be linear"),
        (broken(**{"model.gate.gate_network.3.weight": np.ones((2, 4), np.float32)}), "take 5 numbers"),
        (broken(**{"model.gate.gate_network.3.bias": np.ones(3, np.float32)}), "have 2 numbers"),
        (broken(**{"model.output_head.head.weight": np.ones((3, 5), np.float32)}), "of one width"),
        (broken(**{"model.output_head.head.weight": np.full((3, 4), np.nan, np.float32)}), "be finite"),
        (broken(**{"model.output_head.head.weight": None, "model.output_head.head.bias": None}), "have a head"),
        (broken(**head("model.encoders.c.proj", 4, 9)), "be of the modalities a, b"),
        (broken(**head("model.encoders.a.proj", 3, 9)), "4 wide"),
        (broken(**head("model.encoders.a.proj", 4, 4)), "for every modality"),
        (refactored(("a",)) | {"hyper_parameters": {"modalities": ["a", "b"]}}, "name 1 modalities"),
        (refactored(("a", "b", "c")) | {"hyper_parameters": {}}, "--modalities"),
        ({"state_dict": {"resnet.weight": np.ones((2, 2), np.float32)}}, "another model's"),
        ({"epoch": 3}, "hold tensors"),
        ([1], "hold a dictionary"),
        ({"pool": {"attention.in_proj_weight": np.ones((12, 4), np.float32)}}, "modalities"),
    ],
)
def test_a_model_without_a_counterpart_is_refused(tmp_path, content, why):
    with pytest.raises(InputError, match=why):
        import_checkpoint(save(tmp_path / "a.ckpt", content))


def test_the_projections_that_the_older_generation_never_calls(golden_dir):
    state = read_torch_file(golden_dir / "legacy_two.ckpt")["state_dict"]
    assert state["encoders.image.proj.weight"].shape == (512, 512)
    notes = import_checkpoint(golden_dir / "legacy_two.ckpt").notes
    assert sum("never calls it" in note for note in notes) == 2
