"""What each parameter is called in the state dict of the refactored PyTorch model: the one table, for both ways."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require

TORCH_TEMPERATURE = "model.gate.temperature"
"""The buffer that a gate has in place of `log_temperature` where its temperature is not trained."""

_FUSION = ("fusion",)  # Where in the parameters gate and head are.
_LAYERS_PER_HIDDEN = 3  # PyTorch's sequence counts Linear, ReLU and Dropout.


def torch_names(config: AECFConfig) -> dict[str, tuple[str, ...]]:
    """Returns, by the tensor's name in a PyTorch state dict, the path of the same parameter here, in PyTorch's order.

    A `kernel` here is the transposed `weight` there; everything else is the same array.

    Args:
        config: of a model that `require_torch_model` accepts.

    >>> config = AECFConfig.pytorch()
    >>> [name for name, path in torch_names(config).items() if path[-1] == "kernel"]
    ['model.gate.gate_network.0.weight', 'model.gate.gate_network.3.weight', 'model.output_head.head.weight']
    """
    names: dict[str, tuple[str, ...]] = {}
    if not config.gate_disabled:
        if config.gate_learnable_temp:
            names["model.gate.log_temperature"] = (*_FUSION, "gate", "log_temperature")
        names |= _mlp_names("model.gate.gate_network", (*_FUSION, "gate", "mlp"), len(config.gate_hidden_dims))
    if config.task_type == "embedding" and config.embed_width == config.num_classes:
        return names
    prefix, path = "model.output_head.head", (*_FUSION, "head", "mlp")
    own = config.head_hidden_dims
    hidden = len(_torch_head_hidden(config) if own is None else own)
    # PyTorch's heads of one layer are that layer, and no sequence of one.
    return names | (_mlp_names(prefix, path, hidden) if hidden else _layer_names(prefix, (*path, "out")))


def require_torch_model(config: AECFConfig) -> None:
    """Returns nothing; raises unless the refactored PyTorch model can have the same architecture.

    Args:
        config: of the model here.

    Raises:
        InputError: naming the first setting that PyTorch's model has no part for.
    """
    hint = "Its model has identity encoders of one width, a gate and a head; export a bundle instead."
    widths = set(config.widths)
    head, torch_head = config.head_hidden_dims, _torch_head_hidden(config)
    rules = (
        ("fusion", config.fusion == "gated", "be gated", config.fusion),
        ("encoder", config.encoder == "identity", "be identity", config.encoder),
        ("input_dims", widths == {config.embed_width}, f"be {config.embed_width} for every modality, as the embedding",
         list(config.widths)),
        ("standardize", not config.standardize, "be false", config.standardize),
        ("head_hidden_dims", head is None or tuple(head) == torch_head, f"be {list(torch_head)}", list(head or ())),
    )  # fmt: skip
    for name, holds, rule, got in rules:
        require(holds, name, f"{rule} in the refactored PyTorch model", got, hint)


def torch_layout(array: Any, path: tuple[str, ...]) -> np.ndarray:
    """Returns a parameter as PyTorch keeps it, or PyTorch's as it is kept here: matrices change their layout.

    Args:
        array: the parameter.
        path: where it is here, of which the last part is what it is.
    """
    return np.array(np.asarray(array).T if path[-1] == "kernel" else array, order="C")


def leaf_at(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Returns the array at a path in a tree of dictionaries.

    Args:
        tree: parameters.
        path: names from the root.
    """
    for name in path:
        tree = tree[name]
    return tree


def _torch_head_hidden(config: AECFConfig) -> tuple[int, ...]:
    """Returns the hidden widths of PyTorch's head of a task."""
    return (max(1, config.embed_width // 2),) if config.task_type == "regression" else ()


def _mlp_names(prefix: str, path: tuple[str, ...], hidden: int) -> dict[str, tuple[str, ...]]:
    """Returns the names of a stack of hidden layers and a last one."""
    layers = [*(f"hidden_{index}" for index in range(hidden)), "out"]
    named = [_layer_names(f"{prefix}.{_LAYERS_PER_HIDDEN * at}", (*path, layer)) for at, layer in enumerate(layers)]
    return {name: leaf for names in named for name, leaf in names.items()}


def _layer_names(prefix: str, path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Returns the names of one linear layer."""
    return {f"{prefix}.weight": (*path, "kernel"), f"{prefix}.bias": (*path, "bias")}
