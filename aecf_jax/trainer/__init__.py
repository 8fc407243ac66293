"""The loop in which pure steps meet disk, clock, log and signals."""

from aecf_jax.trainer._inputs import as_dataset as as_dataset
from aecf_jax.trainer._inputs import fitted_constants as fitted_constants
from aecf_jax.trainer._inputs import on_device as on_device
from aecf_jax.trainer._inputs import told_labels as told_labels
from aecf_jax.trainer._load import abstract_tree as abstract_tree
from aecf_jax.trainer._load import checkpoint_tree as checkpoint_tree
from aecf_jax.trainer._load import load_model as load_model
from aecf_jax.trainer._memory import Memory as Memory
from aecf_jax.trainer._plan import Limits as Limits
from aecf_jax.trainer._plan import Plan as Plan
from aecf_jax.trainer._processes import agreed_text as agreed_text
from aecf_jax.trainer._processes import is_first as is_first
from aecf_jax.trainer._processes import join_processes as join_processes
from aecf_jax.trainer._start import require_same_structure as require_same_structure
from aecf_jax.trainer._trainer import AECFTrainer as AECFTrainer
from aecf_jax.trainer._validate import Validation as Validation
