"""A model's parameters under the names of the refactored PyTorch model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.nn import TORCH_TEMPERATURE, leaf_at, require_torch_model, torch_layout, torch_names


def torch_state(config: AECFConfig, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the state dict that PyTorch's model would have, as NumPy arrays.

    PyTorch's model knows no missing modalities, so that the prior, which is predicted where nothing is present, has no
    place in it.

    Args:
        config: the model's.
        variables: its parameters and constants.

    Raises:
        InputError: naming the setting that PyTorch's model has no part for.
    """
    require_torch_model(config)
    state = {name: torch_layout(leaf_at(variables["params"], path), path) for name, path in torch_names(config).items()}
    if not config.gate_disabled and not config.gate_learnable_temp:
        state = {TORCH_TEMPERATURE: np.asarray(config.gate_init_temp, np.float32), **state}
    return state
