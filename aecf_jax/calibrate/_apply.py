"""A calibration as a pure function of arrays, for jit, for a model's own program, and for export."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from aecf_jax.calibrate._entries import entry_index
from aecf_jax.calibrate._maps import MOST_ODDS

_Array = Array | np.ndarray


def calibrated(
    arrays: Mapping[str, Shaped[_Array, "..."]],
    logits: Float[_Array, "batch classes"],
    visible: Bool[_Array, "batch modality"],
) -> Float[Array, "batch classes"]:
    """Returns calibrated logits, as the `Calibration` does whose `arrays()` are given.

    Args:
        arrays: from `Calibration.arrays`.
        logits: the model's.
        visible: which modalities the model saw.
    """
    arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
    logits, visible = jnp.asarray(logits), jnp.asarray(visible)
    index = entry_index((arrays["patterns"], arrays["sizes"]), visible, jnp)
    if "scale" in arrays:
        return logits * arrays["scale"][index] + arrays["bias"][index]
    classes = logits.shape[1]
    lines = arrays["knots"].shape[1]
    # One column of labels has one line as well; of one class the probability is 1 whatever its logit.
    exclusive = lines == 1 and classes > 1
    odds = _class_odds(logits) if exclusive else logits
    odds = jnp.clip(odds, -MOST_ODDS, MOST_ODDS)
    knots, values = arrays["knots"][index], arrays["values"][index]
    if exclusive:
        found = jax.vmap(jnp.interp)(odds, knots[:, 0], values[:, 0])
    else:
        found = jax.vmap(jax.vmap(jnp.interp))(odds, knots, values)
    return -jnp.logaddexp(0.0, -found) if exclusive else found


def _class_odds(logits: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
    """Returns the log-odds of each class against all others together; see `_maps.log_odds`."""
    top = jax.nn.one_hot(jnp.argmax(logits, axis=1), logits.shape[1], dtype=bool)
    total = jax.nn.logsumexp(logits, axis=1, keepdims=True)
    rest = total + jnp.log1p(-jnp.where(top, 0.0, jnp.exp(logits - total)))
    without = jax.nn.logsumexp(jnp.where(top, -jnp.inf, logits), axis=1, keepdims=True)
    return logits - jnp.where(top, without, rest)
