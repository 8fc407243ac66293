"""A model and rows small enough to train in a test; shapes are shared, so that programs compile once."""

import jax
import jax.numpy as jnp
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.nn import init_variables
from aecf_jax.rng import Stream, stream_key
from aecf_jax.types import Batch

ROWS, BATCH, STEPS = 50, 8, 6
ROOT = jax.random.key(0)


def small_config(**changes) -> AECFConfig:
    """Three modalities of different widths, four classes, six steps an epoch; a gate, and few terms of the loss."""
    settings = {
        "modalities": ("a", "b", "c"), "input_dims": (6, 4, 5), "num_classes": 4, "encoder_hidden_dims": (16,),
        "embed_dim": 16, "head_hidden_dims": (16,), "gate_hidden_dims": (16,), "batch_size": BATCH, "epochs": 6,
        "learning_rate": 1e-2, "gate_learning_rate": 1e-2, "fusion": "gated", "entropy_reg": True,
        "l2_logits_coeff": 1e-4, "unimodal_coeff": 0.0, "confidence_coeff": 0.0, "average_epochs": 0.0,
        "fit_temperature": False,
    }  # fmt: skip
    return AECFConfig(**(settings | changes))


def small_arrays(rows: int = ROWS, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows in which every modality says something of the class, and about one in four is missing."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 4, rows).astype(np.int32)
    centres = {name: np.random.default_rng(9).normal(size=(4, width)) for name, width in (("a", 6), ("b", 4), ("c", 5))}
    arrays = {
        name: (2 * centre[label] + random.normal(size=(rows, centre.shape[1]))).astype(np.float32)
        for name, centre in centres.items()
    }
    present = random.random((rows, 3)) > 0.25
    present[:, 0] |= ~present.any(axis=1)
    return arrays | {"label": label, "present": present}


def small_batch(rows: int = ROWS, *, seed: int = 0) -> Batch:
    """The same rows, on the device."""
    arrays = {name: jnp.asarray(array) for name, array in small_arrays(rows, seed=seed).items()}
    return Batch(
        features={name: arrays[name] for name in ("a", "b", "c")}, label=arrays["label"], present=arrays["present"]
    )


def small_variables(config: AECFConfig):
    return init_variables(config, key=stream_key(ROOT, Stream.INIT))
