"""One temperature for a model's evidence, fitted to held-out rows: the minimum of a convex function of one number."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jaxtyping import Array, Bool, Float, Shaped

from aecf_jax.config import AECFConfig
from aecf_jax.nn import AECF, with_temperature
from aecf_jax.train._mesh import fetched
from aecf_jax.train._programs import Numbers, numbers, program_config, with_numbers
from aecf_jax.types import Batch

_RANGE = (0.05, 20.0)
_HALVINGS = 30


def tempered(
    variables: Any, blocks: Iterable[tuple[Batch, Bool[Array, "_ modality"]]], *, config: AECFConfig
) -> dict[str, Any]:
    """Returns a model's variables with the temperature that makes held-out rows likeliest, in compiled programs.

    Args:
        variables: the model's parameters and constants.
        blocks: the rows, and what validation leaves visible of them.
        config: all settings.
    """
    program, values = program_config(config), numbers(config)
    found: list[Any] = []
    labels: list[Any] = []
    for batch, visible in blocks:
        logits, label = fetched((_both(variables, batch, visible, values, config=program), batch.label))
        found.append(logits)
        labels += [label, label]
    prior = fetched(variables["constants"]["prior"])
    return with_temperature(variables, _fit(np.concatenate(found), prior, np.concatenate(labels)))


@functools.partial(jax.jit, static_argnames="config")
def _both(variables: Any, batch: Batch, visible: Array, values: Numbers, *, config: AECFConfig) -> Array:
    """What configurations that differ in numbers alone share."""
    return both_views(variables, batch, visible, config=with_numbers(config, values))


def both_views(
    variables: Any, batch: Batch, visible: Bool[Array, "batch modality"], *, config: AECFConfig
) -> Float[Array, "doubled classes"]:
    """Returns the logits at temperature 1 with everything present, and after them those from what is visible.

    Args:
        variables: the model's parameters and constants.
        batch: rows.
        visible: what validation leaves visible.
        config: all settings.
    """
    model, neutral = AECF(config), with_temperature(variables, 1.0)
    encoded = model.apply(neutral, batch.features, batch.present, method="encode")
    shared = model.apply(neutral, encoded, method="share")
    views: Any = [model.apply(neutral, shared, seen, method="fuse_shared") for seen in (batch.present, visible)]
    return jnp.concatenate([view.output for view in views])


def fitted_temperature(
    logits: Float[Array | np.ndarray, "rows classes"],
    prior: Float[Array | np.ndarray, "classes"],
    label: Shaped[Array | np.ndarray, "rows ..."],
) -> Float[Array, ""]:
    """Returns the temperature T in [0.05, 20] that makes prior + (logits - prior) / T likeliest.

    The mean negative log-likelihood is convex in 1 / T: its minimum is where its slope changes sign, found by halving
    the range of log T thirty times.

    Args:
        logits: at temperature 1.
        prior: what is predicted from nothing.
        label: classes `(rows,)`, or labels of 0 and 1 `(rows, classes)`.

    Source: Guo et al. 2017, section 4.2. Differs: what is scaled is the evidence beyond the prior.
    """
    prior, label = jnp.asarray(prior)[None], jnp.asarray(label)
    evidence = jnp.asarray(logits) - prior

    def cost(log_scale: Array) -> Array:
        scaled = prior + jnp.exp(log_scale) * evidence
        if label.ndim == 2:
            return jnp.mean(jnp.logaddexp(0.0, jnp.where(label > 0.5, -scaled, scaled)))
        return -jnp.mean(jnp.take_along_axis(nn.log_softmax(scaled), label[:, None].astype(jnp.int32), axis=1))

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        falls = jax.grad(cost)(middle) < 0
        return jnp.where(falls, middle, low), jnp.where(falls, high, middle)

    ends = (jnp.log(jnp.float32(1 / _RANGE[1])), jnp.log(jnp.float32(1 / _RANGE[0])))
    low, high = lax.fori_loop(0, _HALVINGS, halve, ends)
    return jnp.exp(-0.5 * (low + high))


_fit = jax.jit(fitted_temperature)
