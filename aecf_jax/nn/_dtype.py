"""The type that modules compute in."""

from typing import Any

import jax.numpy as jnp

from aecf_jax.config import AECFConfig


def compute_dtype(config: AECFConfig) -> Any:
    """Returns the type that modules compute in; parameters and what they return are float32."""
    return jnp.bfloat16 if config.mixed_precision else jnp.float32
