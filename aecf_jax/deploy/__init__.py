"""The trained model taken anywhere: bundles that run without this library, PyTorch state dicts, and serving."""

from aecf_jax.deploy._torch import torch_state as torch_state
