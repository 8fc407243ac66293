"""The temperature of a model's evidence, fitted to held-out rows: one number, or one that grows with the evidence."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jaxtyping import Array, Bool, Float, Shaped

from aecf_jax.config import AECFConfig
from aecf_jax.nn import AECF, evidence_size, with_temperature
from aecf_jax.ops import log_sigmoids
from aecf_jax.train._compiled import compiled
from aecf_jax.train._mesh import fetched
from aecf_jax.train._programs import Numbers, numbers, program_config, with_numbers
from aecf_jax.types import Batch

_RANGE = (0.05, 20.0)
_HALVINGS = 30
_STEEPEST = 1.0  # From there on more evidence would mean less.
_DEVIATION = 0.5  # Of the exponent, before anything is known.
_VIEWS = 2
_STEPS = 20
_FLAT = 1e-6  # Least curvature: a step from where all is as sure as can be is still finite.


class HeldOut(NamedTuple):
    """Predictions that a temperature is fitted to.

    Attributes:
        logits: at temperature 1, `(predictions, classes)`.
        label: classes `(predictions,)`, or labels of 0 and 1 `(predictions, classes)`.
    """

    logits: Float[Array | np.ndarray, "predictions classes"]
    label: Shaped[Array | np.ndarray, "predictions ..."]


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
    for batch, visible in blocks:
        found.append(fetched(_both(variables, batch, visible, values, config=program)))
    held_out = HeldOut(*map(np.concatenate, zip(*found, strict=True)))
    prior = fetched(variables["constants"]["prior"])
    return with_temperature(variables, *_fit(held_out, prior, adaptive=config.adaptively_tempered))


@compiled(static_argnames="config")
def _both(variables: Any, batch: Batch, visible: Array, values: Numbers, *, config: AECFConfig) -> HeldOut:
    """What configurations that differ in numbers alone share."""
    return both_views(variables, batch, visible, config=with_numbers(config, values))


def both_views(variables: Any, batch: Batch, visible: Bool[Array, "batch modality"], *, config: AECFConfig) -> HeldOut:
    """Returns the predictions with everything present, and after them those from what is visible.

    Args:
        variables: the model's parameters and constants.
        batch: rows.
        visible: what validation leaves visible.
        config: all settings.
    """
    model = AECF(config)
    neutral = with_temperature(variables, 1.0, 0.0 if config.adaptively_tempered else None)
    encoded = model.apply(neutral, batch.features, batch.present, method="encode")
    shared = model.apply(neutral, encoded, method="share")
    views: Any = [model.apply(neutral, shared, seen, method="fuse_shared") for seen in (batch.present, visible)]
    return HeldOut(jnp.concatenate([view.output for view in views]), jnp.concatenate([batch.label, batch.label]))


def fitted_temperatures(
    held_out: HeldOut, prior: Float[Array | np.ndarray, "classes"], *, adaptive: bool
) -> tuple[Float[Array, ""], ...]:
    """Returns what `with_temperature` takes: T alone, or where it grows with the evidence T and its exponent a.

    Args:
        held_out: predictions.
        prior: what is predicted from nothing.
        adaptive: whether the temperature may depend on the size of the evidence.
    """
    if adaptive:
        return fitted_adaptive_temperature(held_out.logits, prior, held_out.label)
    return (fitted_temperature(held_out.logits, prior, held_out.label),)


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
            return -jnp.mean(jnp.where(label > 0.5, *log_sigmoids(scaled)))
        return -jnp.mean(jnp.take_along_axis(nn.log_softmax(scaled), label[:, None].astype(jnp.int32), axis=1))

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        falls = jax.grad(cost)(middle) < 0
        return jnp.where(falls, middle, low), jnp.where(falls, high, middle)

    ends = (jnp.log(jnp.float32(1 / _RANGE[1])), jnp.log(jnp.float32(1 / _RANGE[0])))
    low, high = lax.fori_loop(0, _HALVINGS, halve, ends)
    return jnp.exp(-0.5 * (low + high))


def fitted_adaptive_temperature(
    logits: Float[Array | np.ndarray, "predictions classes"],
    prior: Float[Array | np.ndarray, "classes"],
    label: Shaped[Array | np.ndarray, "predictions ..."],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns T and a in [-1, 1] that make prior + (logits - prior) / (T s^a) likeliest, T s^a within [0.05, 20].

    s is the size of the evidence, `nn.evidence_size`; the range of T s^a holds at its geometric mean. Modalities that
    repeat each other's errors overstate most what they say together: then a is above 0, and large evidence counts less
    than in proportion. With few rows little can be told, and so a is thought to be normal around 0 with standard
    deviation 0.5, a row counting as one observation.

    Newton's method on a and the log temperature at that mean, in steps of at most 1. Of each row's curvature, which is
    that of the loss in the scale and the loss's slope, the slope counts where it is positive: confidently wrong rows
    would else send the first step far beyond.

    Args:
        logits: at temperature 1, of each row as often as there are views of it (two).
        prior: what is predicted from nothing.
        label: classes `(predictions,)`, or labels of 0 and 1 `(predictions, classes)`.

    Source: a temperature of its own for every prediction as in Balanya et al. 2022 (adaptive temperature scaling),
    there by the entropy. Differs: by the size of the evidence; entropy left likelihood as it was (docs/method.md).
    """
    prior, label = jnp.asarray(prior)[None], jnp.asarray(label)
    evidence = jnp.asarray(logits) - prior
    sizes = jnp.log(evidence_size(evidence, labels=label.ndim == 2))
    middle = jnp.mean(sizes)
    grows = sizes - middle
    design = jnp.stack([jnp.ones_like(grows), grows], axis=1)
    doubt = jnp.array([0.0, _VIEWS / (len(grows) * _DEVIATION**2)])
    least, most = jnp.array([jnp.log(_RANGE[0]), -_STEEPEST]), jnp.array([jnp.log(_RANGE[1]), _STEEPEST])

    def step(_: Any, found: Array) -> Array:
        scale = jnp.exp(-found[0] - found[1] * grows)[:, None]
        slope, bend = _slope_and_bend(prior + scale * evidence, scale * evidence, label)
        gradient = doubt * found - jnp.mean(slope[:, None] * design, axis=0)
        both = jnp.mean(bend * grows)
        alone = jnp.mean(bend[:, None] * design**2, axis=0) + doubt + _FLAT
        newton = (alone[::-1] * gradient - both * gradient[::-1]) / (alone[0] * alone[1] - both**2)
        # Where one is at an end of its range and would go on, the other moves alone.
        ends = jnp.where(newton > 0, found <= least, found >= most)
        newton = jnp.where(jnp.any(ends), gradient / alone, newton)
        return jnp.clip(found - jnp.clip(newton, -1.0, 1.0), least, most)

    log_temperature, growth = lax.fori_loop(0, _STEPS, step, jnp.zeros(2))
    return jnp.exp(log_temperature - growth * middle), growth


def _slope_and_bend(logits: Array, evidence: Array, label: Array) -> tuple[Array, Array]:
    """Returns, by row, the slope of the loss in the log of the evidence's scale, and a bound above its curvature."""
    if label.ndim == 2:
        chance = nn.sigmoid(logits)
        slope = (chance - label) * evidence
        bend = chance * (1 - chance) * jnp.square(evidence) + jnp.maximum(slope, 0.0)
        return jnp.mean(slope, axis=1), jnp.mean(bend, axis=1)
    chance = nn.softmax(logits)
    expected = jnp.sum(chance * evidence, axis=1)
    slope = expected - jnp.take_along_axis(evidence, label[:, None].astype(jnp.int32), axis=1)[:, 0]
    bend = jnp.sum(chance * jnp.square(evidence - expected[:, None]), axis=1)
    return slope, bend + jnp.maximum(slope, 0.0)


_fit = compiled(static_argnames="adaptive")(fitted_temperatures)
