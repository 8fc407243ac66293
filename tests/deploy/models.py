"""Tiny models of every kind of output, as trained ones are: no bias is 0, no constant neutral."""

import itertools
from contextlib import contextmanager

import jax
import jaxtyping
import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.deploy import write_bundle
from aecf_jax.evaluate import predict
from aecf_jax.model import AECF_CLIP

WIDTHS = {"image": 5, "text": 3, "sound": 4}
ROWS = 8
TINY = {"modalities": tuple(WIDTHS), "input_dims": tuple(WIDTHS.values()), "embed_dim": 4, "encoder_hidden_dims": (4,),
        "gate_hidden_dims": (4,), "head_hidden_dims": (4,), "num_classes": 3}  # fmt: skip
KINDS = {
    "classes": {"multilabel": False},
    "labels": {"multilabel": True, "feature_normalization": True, "gate_use_softmax": False},
    "values": {"task_type": "regression", "standardize": False},
}
PATTERNS = np.array(list(itertools.product([False, True], repeat=len(WIDTHS))))


def tiny_model(kind="classes", **changes):
    config = AECFConfig(**(TINY | KINDS[kind] | changes))
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + rng.uniform(0.1, 0.9, leaf.shape).astype(np.float32),
                         dict(AECF_CLIP(config).variables))  # fmt: skip
    return AECF_CLIP(config, variables=moved)


@contextmanager
def unchecked():
    """Switches the check of annotations off: it cannot compare the sizes of a batch of any size, only numbers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def written(folder, kind="classes", name="bundle"):
    """A model, and its bundle in a folder."""
    model = tiny_model(kind)
    with unchecked():
        write_bundle(model.config, model.variables, folder / name)
    return model, folder / name


def tiny_features(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(rows, width)).astype(np.float32) for name, width in WIDTHS.items()}


def poisoned(features, present):
    """The same features with NaN, infinities and huge numbers wherever nothing is present."""
    garbage = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32)
    return {
        name: np.where(present[:, [column]], array, np.resize(garbage, array.shape))
        for column, (name, array) in enumerate(features.items())
    }


def expected(model, features, present):
    """Probabilities or values, from what `evaluate` predicts, in float64."""
    rows = len(present)
    dataset = Dataset(features, np.zeros((rows, 0), np.float32), np.ones_like(present), label_kind="none")
    out = predict(model, dataset, present=present, batch_size=ROWS * len(PATTERNS))
    logits = np.asarray(out.output, np.float64)
    if model.config.task_type == "classification":
        odds = np.exp(logits)
        logits = odds / (1 + odds) if model.config.multilabel else odds / odds.sum(axis=1, keepdims=True)
    return {"output": logits, "weights": out.weights, "entropy": out.entropy}


def all_patterns():
    """Features and presence: the same rows under every pattern of presence."""
    features = {name: np.tile(array, (len(PATTERNS), 1)) for name, array in tiny_features().items()}
    return features, np.repeat(PATTERNS, ROWS, axis=0)
