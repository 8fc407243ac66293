"""The PyTorch generation's gates, maskers, schedule and configuration, from recorded inputs and outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.nn import AdaptiveGate
from aecf_jax.ops import sample_visible, warmup_cosine

GATES = {
    "gate_softmax_learnable": {},
    "gate_softmax_fixed": {"learnable_temp": False},
    "gate_sigmoid_learnable": {"use_softmax": False},
    "gate_two_hidden": {},
    "gate_temp_below_min": {},
}


def gate_parameters(arrays):
    """A state dictionary's linear layers under our names."""
    kernels = sorted(name for name in arrays if name.endswith("weight"))
    names = [f"hidden_{i}" for i in range(len(kernels) - 1)] + ["out"]
    mlp = {
        name: {"kernel": arrays[kernel].T, "bias": arrays[kernel.replace("weight", "bias")]}
        for name, kernel in zip(names, kernels, strict=True)
    }
    temperature = {"log_temperature": arrays["param:log_temperature"]} if "param:log_temperature" in arrays else {}
    return {"params": {"mlp": mlp, **temperature}}


@pytest.mark.parametrize("name", GATES)
def test_gate(golden, name):
    arrays = golden(name)
    hidden = tuple(arrays[k].shape[0] for k in sorted(arrays) if k.endswith("weight"))[:-1]
    modalities = arrays["weights"].shape[1]
    gate = AdaptiveGate(arrays["x"].shape[1], modalities, hidden_dims=hidden, **GATES[name])
    result = gate.apply(gate_parameters(arrays), jnp.asarray(arrays["x"]))
    # The requirement; measured: 6e-8 in the weights, 1.2e-7 in the entropy.
    np.testing.assert_allclose(result.weights, arrays["weights"], atol=1e-5)
    np.testing.assert_allclose(result.entropy, arrays["entropy"], atol=1e-5)


@pytest.mark.parametrize("strategy", ["none", "random", "weighted_random", "entropy_min", "entropy_max"])
def test_masker_frequencies(golden, strategy):
    arrays = golden(f"masker_{strategy}")
    weights, draws, theirs = jnp.asarray(arrays["weights"]), 40_000, int(arrays["draws"])
    prob, tau = float(arrays["prob_missing"]), float(arrays["tau"])

    def draw(key):
        present = jnp.ones(weights.shape, bool)
        return sample_visible(weights, present, key=key, strategy=strategy, prob=prob, tau=tau, rescue="every")

    visible = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), draws)))
    code = (visible * 2 ** np.arange(weights.shape[1])).sum(-1)
    subset_rate = np.stack([(code == c).mean(0) for c in range(2 ** weights.shape[1])], axis=-1)
    for ours, golden_rate in ((visible.mean(0), arrays["keep_rate"]), (subset_rate, arrays["subset_rate"])):
        # Five standard deviations of the difference of two frequencies, for 66 frequencies.
        spread = np.sqrt(golden_rate * (1 - golden_rate) * (1 / draws + 1 / theirs))
        assert (np.abs(ours - golden_rate) <= 5 * spread + 1e-9).all()


def test_fault_one_empty_row_no_longer_shows_a_modality_of_every_row():
    """In PyTorch one row that was hidden whole gives all rows of its batch a modality back."""
    weights, present = jnp.ones((4_000, 2)) / 2, jnp.ones((4_000, 2), bool)
    visible = sample_visible(weights, present, key=jax.random.key(0), strategy="random", prob=0.5, tau=0.4)
    # Both stay with probability 1/4; PyTorch shows both with 1/2. Five standard deviations of a frequency.
    assert abs(float(visible.all(-1).mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4_000)


def test_entropy_schedule(golden):
    for name, values in golden("entropy_schedule").items():
        free, warmup, total = (float("".join(c for c in part if c.isdigit())) for part in name.split("_"))
        ours = [float(warmup_cosine(e, free=free, warmup=warmup, total=total, peak=0.1)) for e in range(len(values))]
        # The requirement; measured: 9e-9, float32.
        np.testing.assert_allclose(ours, values, atol=1e-5)


def test_legacy_dictionary_becomes_the_same_fields_and_goes_back(golden):
    recorded = golden("config")
    config = AECFConfig.from_dict(recorded["legacy"])
    fields = config.to_dict()
    assert {name: fields[name] for name in recorded["fields"]} == recorded["fields"]
    assert config.to_legacy_dict() == recorded["back"]


def test_pytorch_defaults(golden):
    recorded = golden("config")["defaults"]
    fields = AECFConfig.from_dict({"lr": recorded["learning_rate"]}).to_dict()
    assert {name: fields[name] for name in recorded} == recorded
    faithful = AECFConfig.pytorch().to_dict()
    # Its consistency term is a constant 0, whatever its coefficients.
    stub = {"consistency_coeff": 0.0, "consistency_loss_coeff": 0.0}
    assert {name: faithful[name] for name in recorded} == recorded | stub
