"""Training that starts from another model's parameters: an earlier run's, or an imported one's."""

from typing import Any

import jax
import jax.numpy as jnp

from aecf_jax.checkpoint import leaf_table
from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.model import AECF_CLIP

_MEANING = (
    "modalities", "task_type", "fusion", "attention_heads", "evidence_power", "encoder", "standardize",
    "feature_normalization", "gate_disabled", "gate_use_softmax", "gate_learnable_temp", "num_classes", "input_dims",
    "embed_dim", "encoder_hidden_dims", "gate_hidden_dims", "head_hidden_dims",
)  # fmt: skip
"""Fields on which depends what the parameters mean, those first that are easiest to understand."""


def require_same_structure(found: AECFConfig, wanted: AECFConfig) -> None:
    """Returns nothing; raises unless parameters of one model have the same meaning in another.

    Args:
        found: the configuration of the model whose parameters are there.
        wanted: of the one that is to be trained.

    Raises:
        InputError: naming the first field that differs.
    """
    for name in _MEANING:
        ours, theirs = _resolved(wanted, name), _resolved(found, name)
        rule = f"be {theirs}, as in the model that training starts from"
        require(ours == theirs, name, rule, ours, "Its parameters would not fit.")


def started_from(model: AECF_CLIP, tree: dict[str, Any], config: AECFConfig) -> dict[str, Any]:
    """Returns what is saved of a new run, with another model's parameters, and its mean and scale.

    Args:
        model: the other one.
        tree: of the new run; its prior is kept.
        config: of the new run.

    Raises:
        InputError: if the structures differ; naming the field, or the parameter.
    """
    require_same_structure(model.config, config)
    params = model.variables["params"]
    found, wanted = leaf_table(params), leaf_table(tree["state"].params)
    for name, leaf in wanted.items():
        shape = found[name].shape if name in found else "no such parameter"
        require(shape == leaf.shape, name, f"have shape {leaf.shape}", shape, "The model to start from does not fit.")
    own = {name: model.variables["constants"][name] for name in ("mean", "scale")}
    # Copied: the training gives its buffers away.
    copied = {"params": _copied(params), "constants": {**tree["constants"], **_copied(own)}}
    state = tree["state"].replace(params=copied["params"])
    if state.average is not None:
        state = state.replace(average=_copied(params))
    return {"state": state, "constants": copied["constants"]}


def _resolved(config: AECFConfig, name: str) -> Any:
    """Returns a field's value, with the widths that other fields stand for."""
    if name == "input_dims":
        return config.widths
    if name == "embed_dim":
        return config.embed_width
    unused = (
        (name == "encoder_hidden_dims" and config.encoder != "mlp")
        or (name == "evidence_power" and config.fusion != "aecf")
        or (name.startswith("gate_") and name != "gate_disabled" and (config.gate_disabled or config.fusion != "gated"))
    )
    return None if unused else getattr(config, name)


def _copied(tree: Any) -> Any:
    """Returns copies of all arrays of a tree."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)
