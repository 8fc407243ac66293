"""The loop in which pure steps meet disk, clock, log and signals."""

from aecf_jax.trainer._load import load_model as load_model
from aecf_jax.trainer._trainer import AECFTrainer as AECFTrainer
