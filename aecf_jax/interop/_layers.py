"""The parts of a gated model in a table of tensors: stacks of linear layers, whatever their generation calls them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from aecf_jax.errors import require

_GATE = re.compile(r"(?:.*\.)?gate\.(?:gate_network|net)\.(\d+)\.(weight|bias)")
_TEMPERATURE = re.compile(r"(?:.*\.)?gate\.(log_temperature|log_T|temperature)")
_HEAD = re.compile(r"(?:.*\.)?(?:output_head|output_adapter)\.\w+?(?:\.(\d+))?\.(weight|bias)")
_ENCODER = re.compile(r"(?:.*\.)?encoders\.([^.]+)\.(?:\w+?)(?:\.(\d+))?\.(weight|bias)")
_PART = re.compile(r"(?:.*\.)?(?:gate|output_head|output_adapter|encoders)\..*")


class Layer(NamedTuple):
    """One linear layer, in PyTorch's layout."""

    weight: np.ndarray
    bias: np.ndarray


class Parts(NamedTuple):
    """A gated model's tensors by what they are.

    Attributes:
        gate: layers of the gate, empty if there is none.
        log_temperature: what is trained of the gate's temperature.
        temperature: the gate's temperature, where it is not trained.
        head: layers of the head, empty if there is none.
        encoders: layers of every modality's encoder, of those that have any.
        others: names that belong to no part of the model.
        legacy: whether the names are those of the dict-configured generation.
    """

    gate: list[Layer]
    log_temperature: np.ndarray | None
    temperature: np.ndarray | None
    head: list[Layer]
    encoders: dict[str, list[Layer]]
    others: list[str]
    legacy: bool


def model_parts(state: Mapping[str, np.ndarray]) -> Parts:
    """Returns the parts of a gated model.

    Args:
        state: tensors by name.

    Raises:
        InputError: for a tensor of the gate, the head or an encoder that has no place here: the model would be another.
    """
    stacks: dict[tuple[str, str], dict[int, dict[str, np.ndarray]]] = {}
    temperatures: dict[str, np.ndarray] = {}
    others: list[str] = []
    for name, tensor in state.items():
        if found := _GATE.fullmatch(name):
            stacks.setdefault(("gate", ""), {}).setdefault(int(found[1]), {})[found[2]] = tensor
        elif found := _HEAD.fullmatch(name):
            stacks.setdefault(("head", ""), {}).setdefault(int(found[1] or 0), {})[found[2]] = tensor
        elif found := _ENCODER.fullmatch(name):
            stacks.setdefault(("encoder", found[1]), {}).setdefault(int(found[2] or 0), {})[found[3]] = tensor
        elif found := _TEMPERATURE.fullmatch(name):
            temperatures["log_temperature" if found[1].startswith("log") else "temperature"] = tensor
        else:
            known = not _PART.fullmatch(name)
            require(known, "checkpoint", "be of a model that has a counterpart here", f"the unknown tensor {name}")
            others.append(name)
    layers = {key: _stack(key, stack) for key, stack in stacks.items()}
    return Parts(
        gate=layers.get(("gate", ""), []),
        log_temperature=temperatures.get("log_temperature"),
        temperature=temperatures.get("temperature"),
        head=layers.get(("head", ""), []),
        encoders={name: stack for (part, name), stack in layers.items() if part == "encoder"},
        others=others,
        legacy=any("output_adapter." in name or "gate.net." in name or "log_T" in name for name in state),
    )


def _stack(key: tuple[str, str], stack: dict[int, dict[str, np.ndarray]]) -> list[Layer]:
    """Returns the layers of one part in their order, after checking that each follows from the one before."""
    layers: list[Layer] = []
    name = " of ".join(part for part in key if part)
    for at, tensors in sorted(stack.items()):
        weight = tensors.get("weight", np.zeros(0))
        require(weight.ndim == 2, f"layer {at} of the {name}", "be linear, with a matrix", weight.shape)
        bias = tensors.get("bias", np.zeros(weight.shape[0], np.float32))
        require(
            bias.shape == weight.shape[:1], f"bias {at} of the {name}", f"have {weight.shape[0]} numbers", bias.shape
        )
        if layers:
            before = layers[-1].weight.shape[0]
            require(weight.shape[1] == before, f"layer {at} of the {name}", f"take {before} numbers", weight.shape[1])
        layers.append(Layer(weight, bias))
    return layers
