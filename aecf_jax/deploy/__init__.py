"""The trained model taken anywhere: bundles that run without this library, PyTorch state dicts, and serving."""

from aecf_jax.deploy._bundle import is_bundle as is_bundle
from aecf_jax.deploy._bundle import read_bundle as read_bundle
from aecf_jax.deploy._bundle import refresh_bundle as refresh_bundle
from aecf_jax.deploy._bundle import require_free as require_free
from aecf_jax.deploy._bundle import write_bundle as write_bundle
from aecf_jax.deploy._predictor import BATCH_SIZES as BATCH_SIZES
from aecf_jax.deploy._predictor import Prediction as Prediction
from aecf_jax.deploy._predictor import Predictor as Predictor
from aecf_jax.deploy._torch import torch_state as torch_state
