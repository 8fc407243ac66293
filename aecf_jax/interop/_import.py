"""A PyTorch checkpoint of any of the three generations as a model here."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.interop._layers import Layer, Parts, model_parts
from aecf_jax.interop._settings import gated_config, pooled_config, used_encoders
from aecf_jax.interop._state import Found, read_checkpoint
from aecf_jax.model import AECF_CLIP
from aecf_jax.nn import init_variables, torch_layout, torch_names
from aecf_jax.rng import seed_key

_POOL = "in_proj_weight"
_UNNEEDED: Mapping[str, str] = {
    "pos_weight": "computed from label_frequencies where the loss needs it",
    "label_frequencies": "a setting here",
    "p_missing": "the state of the masks in training; masking_prob is the setting",
    "_eps": "a constant",
}
"""Tensors beside the model's parameters, by their last name, and why they are not needed."""


class Imported(NamedTuple):
    """A model as it was in PyTorch.

    Attributes:
        model: with its configuration and variables; where nothing is present it predicts 0, as there is no prior.
        generation: refactored, dict-configured or attention pool.
        step: optimizer steps done.
        epoch: epochs done.
        notes: what the file holds and the model here does not, one sentence each.
    """

    model: AECF_CLIP
    generation: str
    step: int
    epoch: int
    notes: tuple[str, ...]


def import_checkpoint(
    path: str | Path,
    *,
    modalities: Sequence[str] | None = None,
    multilabel: bool | None = None,
    attention_heads: int | None = None,
) -> Imported:
    """Returns the model of a PyTorch checkpoint, which then gives the same outputs; PyTorch is not needed.

    Args:
        path: a Lightning checkpoint, or a state dict, of the refactored or the dict-configured model, or the file of
            an attention pool with its query.
        modalities: names, in the model's order, where the file does not say them.
        multilabel: whether labels are independent, which no file says; None: read from the targets.
        attention_heads: of a pool, which no file says; None: 1, PyTorch's default.

    Raises:
        InputError: if the file cannot be read or holds anything but plain values and tensors; if the model has no
            counterpart here.
    """
    found = read_checkpoint(path)
    if any(name.endswith(_POOL) for name in found.state):
        return _imported_pool(found, modalities, attention_heads)
    require(attention_heads is None, "attention_heads", "be left out for a model with a gate", attention_heads)
    parts = model_parts(found.state)
    hint = "Its tensors are " + ", ".join(list(found.state)[:4]) + "."
    require(bool(parts.gate or parts.head), str(path), "be a checkpoint of an AECF model", "another model's", hint)
    config, notes = gated_config(parts, found.settings, modalities, multilabel)
    params = _parameters(config, _gated_tensors(config, parts))
    unused = [f"encoders.{name}: PyTorch's model never calls it, as the widths agree"
              for name in parts.encoders if name not in used_encoders(parts)]  # fmt: skip
    notes = [*found.notes, *notes, *unused, *map(_unneeded, parts.others)]
    generation = "dict-configured" if parts.legacy else "refactored"
    return _imported(config, params, generation, found, notes)


def _imported_pool(found: Found, modalities: Sequence[str] | None, heads: int | None) -> Imported:
    """Returns an attention pool as a model."""
    tensors = {name.rpartition("attention.")[2]: tensor for name, tensor in found.state.items()}
    names: Any = modalities or found.settings.get("modalities")
    hint = "Pass --modalities with a name for each, in their order."
    require(bool(names), "modalities", "be named for an attention pool, whose file does not say how many there are",
            "none", hint)  # fmt: skip
    width = tensors[_POOL].shape[-1]
    queries = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] == "fusion_query"]
    fits = len(queries) == 1 and queries[0].size == width
    rule = f"be in the file, {width} numbers wide"
    require(fits, "fusion_query", rule, ", ".join(str(query.shape) for query in queries) or "none")
    saved = found.settings.get("num_heads")
    notes = list(found.notes)
    if heads is None and saved is None:
        notes.append("attention_heads: not in the file, and no tensor tells it; 1 is assumed, PyTorch's default")
    config, more = pooled_config(width, int(heads or saved or 1), found.settings, [str(name) for name in names])
    at = ("fusion", "pool", "pool")
    zeros = np.zeros(3 * width, np.float32)
    held = {
        ("fusion", "pool", "fusion_query"): queries[0].reshape(1, 1, width),
        (*at, "in_kernel"): tensors[_POOL].T,
        (*at, "in_bias"): tensors.get("in_proj_bias", zeros),
        (*at, "out_kernel"): tensors["out_proj.weight"].T,
        (*at, "out_bias"): tensors.get("out_proj.bias", zeros[:width]),
    }
    known = (_POOL, "in_proj_bias", "out_proj.weight", "out_proj.bias")
    others = [name for name in tensors if name not in known and name.rpartition(".")[2] != "fusion_query"]
    notes = [*notes, *more, *map(_unneeded, others)]
    return _imported(config, _parameters(config, held), "attention pool", found, notes)


def _gated_tensors(config: AECFConfig, parts: Parts) -> dict[tuple[str, ...], np.ndarray]:
    """Returns the parameters of a gated model by their path, through the names of the refactored generation."""
    state: dict[str, np.ndarray] = {}
    if parts.log_temperature is not None:
        state["model.gate.log_temperature"] = np.reshape(parts.log_temperature, ())
    state |= _named("model.gate.gate_network", parts.gate, alone=False)
    state |= _named("model.output_head.head", parts.head, alone=True)
    held = {path: torch_layout(state.pop(name), path) for name, path in torch_names(config).items() if name in state}
    require(not state, "checkpoint", "have no layer without a counterpart", ", ".join(state))
    for name, layers in used_encoders(parts).items():
        inner = ("mlp",) if config.encoder == "mlp" else ()
        labels = [*(f"hidden_{at}" for at in range(len(layers) - 1)), "out"] if inner else ["proj"]
        for label, layer in zip(labels, layers, strict=True):
            held[f"encoders_{name}", *inner, label, "kernel"] = layer.weight.T
            held[f"encoders_{name}", *inner, label, "bias"] = layer.bias
    return held


def _named(prefix: str, layers: list[Layer], *, alone: bool) -> dict[str, np.ndarray]:
    """Returns layers under the names of the refactored generation, which counts activations and dropout as layers."""
    single = alone and len(layers) == 1
    names = [prefix if single else f"{prefix}.{3 * at}" for at in range(len(layers))]
    weights = {f"{name}.weight": layer.weight for name, layer in zip(names, layers, strict=True)}
    return weights | {f"{name}.bias": layer.bias for name, layer in zip(names, layers, strict=True)}


def _parameters(config: AECFConfig, held: Mapping[tuple[str, ...], np.ndarray]) -> dict[str, Any]:
    """Returns the tree of parameters, after checking that every leaf is there, of its shape, and finite."""
    template = jax.eval_shape(partial(init_variables, config), key=seed_key(0))["params"]
    missing = dict(held)

    def leaf(path: Any, like: Any) -> np.ndarray:
        names = tuple(part.key for part in path)
        require(names in missing, "checkpoint", f"have the parameter {'.'.join(names)}", "none")
        array = np.asarray(missing.pop(names), np.float32)
        require(array.shape == like.shape, ".".join(names), f"have shape {like.shape}", array.shape)
        require(bool(np.isfinite(array).all()), ".".join(names), "be finite", "NaN or Inf in the checkpoint")
        return np.array(array)

    params = jax.tree_util.tree_map_with_path(leaf, template)
    unused = [".".join(path) for path in missing]
    require(not unused, "checkpoint", "have no tensor without a counterpart", ", ".join(unused))
    return params


def _imported(config: AECFConfig, params: Any, generation: str, found: Found, notes: Sequence[str]) -> Imported:
    """Returns a model with its parameters, and constants that change nothing."""
    template = jax.eval_shape(partial(init_variables, config), key=seed_key(0))["constants"]
    zeros = jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), template)
    constants = zeros | {"scale": jax.tree.map(jax.numpy.ones_like, zeros["scale"])}
    variables = {"params": jax.tree.map(jax.numpy.asarray, params), "constants": constants}
    return Imported(AECF_CLIP(config, variables=variables), generation, found.step, found.epoch, tuple(notes))


def _unneeded(name: str) -> str:
    """Returns what is said of a tensor that is no parameter."""
    return f"{name}: {_UNNEEDED.get(name.rpartition('.')[2], 'no parameter of the model, and not taken over')}"
