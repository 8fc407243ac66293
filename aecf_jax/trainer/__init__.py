"""The loop in which pure steps meet disk, clock, log and signals."""

from aecf_jax.trainer._load import checkpoint_tree as checkpoint_tree
from aecf_jax.trainer._load import load_model as load_model
from aecf_jax.trainer._start import require_same_structure as require_same_structure
from aecf_jax.trainer._trainer import AECFTrainer as AECFTrainer
