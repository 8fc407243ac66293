"""Saving and restoring a run: one small class in front of Orbax, and the checks that Orbax does not make."""

from aecf_jax.checkpoint._checkpoints import Checkpoints as Checkpoints
from aecf_jax.checkpoint._checkpoints import Restored as Restored
from aecf_jax.checkpoint._fingerprint import Leaf as Leaf
from aecf_jax.checkpoint._fingerprint import leaf_table as leaf_table
from aecf_jax.checkpoint._fingerprint import row_table as row_table
