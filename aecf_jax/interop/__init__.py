"""What PyTorch users bring: checkpoints of all three generations, and dictionaries that configure a model."""

from aecf_jax.interop._import import Imported as Imported
from aecf_jax.interop._import import import_checkpoint as import_checkpoint
from aecf_jax.interop._legacy import AECF_CLIP_Legacy as AECF_CLIP_Legacy
from aecf_jax.interop._run import write_run as write_run
