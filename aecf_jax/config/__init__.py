"""Settings as frozen dataclasses: standard library alone, so that a configuration loads without JAX."""

from aecf_jax.config._aecf import AECFConfig as AECFConfig
from aecf_jax.config._aecf import EncoderType as EncoderType
from aecf_jax.config._aecf import MaskingStrategy as MaskingStrategy
from aecf_jax.config._aecf import TaskType as TaskType
from aecf_jax.config._aecf import read_mapping as read_mapping
from aecf_jax.config._create import create_default_config as create_default_config
from aecf_jax.config._create import validate_config_compatibility as validate_config_compatibility
from aecf_jax.config._data import DataConfig as DataConfig
from aecf_jax.config._scale import DeviceConfig as DeviceConfig
from aecf_jax.config._scale import StreamConfig as StreamConfig
from aecf_jax.config._workload import Workload as Workload
