"""What a model knows of its training rows beside its parameters: their mean and scale, and the prior prediction."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.types import Scalar

Variables = Mapping[str, Any]


def with_constants(
    variables: Variables,
    config: AECFConfig,
    *,
    mean: Mapping[str, np.ndarray],
    scale: Mapping[str, np.ndarray],
    prior: np.ndarray,
) -> dict[str, Any]:
    """Returns a model's variables with its constants replaced; parameters are left alone.

    Args:
        variables: of an `AECF` module.
        config: its configuration.
        mean: by modality, `(width,)`, over the training rows in which it is present.
        scale: by modality, `(width,)`, positive; what features are divided by.
        prior: `(classes,)`, what is predicted where nothing is present.

    Raises:
        InputError: if a modality is missing, a shape is wrong, or a scale is not positive.
    """
    for name, width in zip(config.modalities, config.widths, strict=True):
        for what, table in (("mean", mean), ("scale", scale)):
            require(name in table, f"{what} of {name}", "be given", list(table))
            require(np.shape(table[name]) == (width,), f"{what} of {name}", f"have shape ({width},)",
                    np.shape(table[name]))  # fmt: skip
        require(bool(np.all(np.asarray(scale[name]) > 0)), f"scale of {name}", "be positive", "a value that is not")
    require(np.shape(prior) == (config.num_classes,), "prior", f"have shape ({config.num_classes},)", np.shape(prior))
    constants = {
        "mean": {name: jnp.asarray(mean[name], jnp.float32) for name in config.modalities},
        "scale": {name: jnp.asarray(scale[name], jnp.float32) for name in config.modalities},
        "prior": jnp.asarray(prior, jnp.float32),
    }
    if config.tempered:
        constants["temperature"] = jnp.ones((), jnp.float32)
    if config.adaptively_tempered:
        constants["growth"] = jnp.zeros((), jnp.float32)
    return {**variables, "constants": constants}


def with_temperature(variables: Variables, temperature: Scalar, growth: Scalar | None = None) -> dict[str, Any]:
    """Returns a model's variables with another temperature.

    Args:
        variables: of an `AECF` module.
        temperature: what evidence is divided by, that of size 1 where it depends on the size; positive.
        growth: its exponent in the size; None for a model whose temperature does not depend on it.
    """
    fitted = {"temperature": temperature} if growth is None else {"temperature": temperature, "growth": growth}
    constants = {**variables["constants"], **{name: jnp.asarray(value, jnp.float32) for name, value in fitted.items()}}
    return {**variables, "constants": constants}


def evidence_size(evidence: Float[Array, "batch classes"], *, labels: bool) -> Float[Array, "batch"]:
    """Returns how much evidence there is, at least 1.

    Of exclusive classes it is 1 + the largest evidence above their mean, whatever the runner-up has: where modalities
    contradict each other, much evidence makes a small margin. Of labels it is 1 + the mean absolute evidence.

    Args:
        evidence: logits less the prior.
        labels: whether classes are independent labels.

    >>> evidence_size(jnp.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), labels=False).tolist()
    [3.0, 1.0]
    """
    if labels:
        return 1.0 + jnp.mean(jnp.abs(evidence), axis=-1)
    return 1.0 + jnp.max(evidence, axis=-1) - jnp.mean(evidence, axis=-1)


def prior_output(label: np.ndarray, config: AECFConfig) -> np.ndarray:
    """Returns the best constant prediction, `(classes,)`: log frequencies, log odds, or the mean of the targets.

    Counts have Laplace's one added, so that a class never seen is unlikely, not impossible.

    Args:
        label: the training rows' classes `(rows,)`, or labels, values or embeddings `(rows, classes)`.
        config: says which of these.

    >>> import numpy as np
    >>> [round(float(p), 3) for p in np.exp(prior_output(np.array([0, 0, 1]), AECFConfig(num_classes=2)))]
    [0.6, 0.4]
    """
    rows = len(label)
    if config.task_type == "classification" and np.issubdtype(label.dtype, np.integer):
        counts = np.bincount(label, minlength=config.num_classes) + 1.0
        return np.log(counts / counts.sum()).astype(np.float32)
    if config.task_type == "classification":
        positive = label.sum(axis=0, dtype=np.float64) + 1.0
        return np.log(positive / (rows + 2.0 - positive)).astype(np.float32)
    if np.issubdtype(label.dtype, np.integer):
        # Class labels of an embedding task name no point of the embedding space.
        return np.zeros(config.num_classes, np.float32)
    return label.mean(axis=0, dtype=np.float64).astype(np.float32)
