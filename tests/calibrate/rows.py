"""Rows to calibrate on, made so that the right calibration is known."""

import functools

import numpy as np

from aecf_jax.calibrate._rows import CalibrationRows
from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, Splits
from aecf_jax.model import AECF_CLIP

MODALITIES = ("image", "text")
PATTERNS = np.array([[1, 0], [0, 1], [1, 1]], bool)
TRUE_TEMPERATURES = (2.0, 0.5, 1.25)


def overconfident_rows(count, *, kind="classes", temperatures=TRUE_TEMPERATURES, classes=3, seed=0):
    """`count` rows in each pattern, with targets drawn from the logits divided by the pattern's true temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (len(PATTERNS) * count, classes)).astype(np.float32).astype(np.float64)
    pattern = np.repeat(np.arange(len(PATTERNS)), count)
    honest = logits / np.asarray(temperatures)[pattern, None]
    if kind == "classes":
        target = np.eye(classes)[(honest + rng.gumbel(size=honest.shape)).argmax(axis=1)]
    else:
        target = (honest + rng.logistic(size=honest.shape) > 0).astype(np.float64)
    source = np.tile(np.arange(count), len(PATTERNS))
    return CalibrationRows(logits, target, PATTERNS[pattern], source, kind, {})


@functools.cache
def small_model(**changes):
    fields = {"modalities": MODALITIES, "input_dims": (4, 3), "num_classes": 3, "embed_dim": 8, "seed": 1}
    return AECF_CLIP(AECFConfig(**(fields | {"encoder_hidden_dims": (8,), "gate_hidden_dims": (8,)} | changes)))


def small_splits(*, rows=40, labels=False, seed=0):
    """Three parts of random rows, of which some lack a modality."""
    rng = np.random.default_rng(seed)
    parts = []
    for part in ("train", "validation", "test"):
        features = {name: rng.normal(size=(rows, width)) for name, width in zip(MODALITIES, (4, 3), strict=True)}
        present = rng.random((rows, 2)) < 0.8
        label = (rng.random((rows, 3)) < 0.4).astype(np.float32) if labels else rng.integers(0, 3, rows)
        parts.append(Dataset(features, label, present, part=part, num_classes=3))
    return Splits(*parts)
