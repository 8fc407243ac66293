"""AdamW in two groups, the gate's and all others', with warm-up, cosine and clipping."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Shaped

from aecf_jax.config import AECFConfig
from aecf_jax.types import Scalar

_GATE = "gate"
_OTHER = "other"
_JOINT = "/joint"  # No modality has a slash in its name.
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


def make_optimizer(config: AECFConfig, steps_per_epoch: int) -> optax.GradientTransformation:
    """Returns the optimizer: gradients clipped by their global norm, then AdamW by group.

    The gate has its own rate and no weight decay; of the others, only matrices decay. Rates are always schedules, so
    that every checkpoint has the same structure.

    Args:
        config: rates, decay, clipping, warm-up and epochs.
        steps_per_epoch: optimizer steps in an epoch.

    Source: `configure_optimizers` of the PyTorch generation. Differs: warm-up; biases and norms do not decay.
    """
    gate = _adamw(_schedule(config, steps_per_epoch, config.gate_learning_rate), weight_decay=0.0)
    other = _adamw(
        _schedule(config, steps_per_epoch, config.learning_rate), weight_decay=config.weight_decay, mask=_matrices
    )
    return optax.chain(
        _clipping(config),
        optax.partition({_GATE: gate, _OTHER: other}, _groups),
    )


def learning_rate(
    step: int | Shaped[Array, ""], *, peak: Scalar, warmup: float | int, total: float | int
) -> Float[Array, ""]:
    """Returns the rate at a step: a linear rise to the peak, then a cosine to 0.

    The first step of a rise already has a rate above 0: a step at rate 0 would be lost.

    Args:
        step: steps done before this one.
        peak: the largest rate.
        warmup: steps of the rise; 0 starts at the peak.
        total: steps of the whole training.

    >>> [round(float(learning_rate(step, peak=1.0, warmup=2, total=10)), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    step = jnp.asarray(step, jnp.float32)
    rise = jnp.minimum((step + 1) / warmup, 1.0) if warmup > 0 else jnp.ones_like(step)
    rest = jnp.clip((step - warmup) / max(total - warmup, 1.0), 0.0, 1.0)
    return peak * rise * 0.5 * (1 + jnp.cos(jnp.pi * rest))


def _schedule(config: AECFConfig, steps_per_epoch: int, peak: Scalar) -> Callable[[Any], Any]:
    """Returns the rate as a function of the step alone."""
    total = config.epochs * steps_per_epoch
    warmup = min(config.warmup_epochs * steps_per_epoch, total)
    return lambda step: learning_rate(step, peak=peak, warmup=warmup, total=total)


def _adamw(rate: optax.Schedule, *, weight_decay: Scalar, mask: Any = None) -> optax.GradientTransformation:
    """Returns AdamW, with the states of `optax.adamw`."""
    return optax.chain(
        optax.GradientTransformation(optax.scale_by_adam().init, _adam),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def _adam(updates: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
    """Returns Adam's direction.

    Source: `optax.scale_by_adam`, with its defaults. Differs: what corrects the start multiplies, so that there is one
    division for each parameter and not two, on which a kernel spends most of its time.
    """
    count = optax.safe_increment(state.count)
    first = optax.tree.update_moment(updates, state.mu, _FIRST, 1)
    second = optax.tree.update_moment_per_elem_norm(updates, state.nu, _SECOND, 2)
    of_first, of_second = (1 / (1 - jnp.power(decay, count)) for decay in (_FIRST, _SECOND))

    def direction(mean: Array, square: Array) -> Array:
        return of_first * mean / (jnp.sqrt(of_second * square) + _EPSILON)

    return jax.tree.map(direction, first, second), optax.ScaleByAdamState(count, first, second)


def _clipping(config: AECFConfig) -> optax.GradientTransformation:
    """Returns the clipping, of each modality by itself where its expert is trained by its own loss alone."""
    clip = optax.stateless(functools.partial(_clipped, largest=config.gradient_clip_val))
    if not config.isolated_experts:
        return clip

    def part(path: Any, _: Array) -> str:
        # Encoders and experts are dictionaries of modules, which Flax names so.
        found = (name for name in config.modalities for part in path
                 if getattr(part, "key", None) in (f"encoders_{name}", f"experts_{name}"))  # fmt: skip
        return next(found, _JOINT)

    labels = functools.partial(jax.tree_util.tree_map_with_path, part)
    return optax.partition(dict.fromkeys((*config.modalities, _JOINT), clip), labels)


def _clipped(gradients: Any, _params: Any, *, largest: Scalar) -> Any:
    """Returns gradients of a global norm that is not above the largest.

    Source: `optax.clip_by_global_norm`. Differs: one product, which is rounded the same for runs side by side.
    """
    scale = largest / jnp.maximum(global_norm(gradients), largest)
    return jax.tree.map(lambda leaf: leaf * scale, gradients)


def global_norm(gradients: Any) -> Float[Array, ""]:
    """Returns the root of the sum of all squares.

    Args:
        gradients: arrays.

    Source: `optax.tree.norm`. Differs: rows are added up one by one, and then their sums: a million squares added to
    one number are off by 4e-5 (`docs/performance.md`).

    >>> float(global_norm({"kernel": jnp.full((2, 2), 2.0), "bias": jnp.array([3.0, 0.0])}))
    5.0
    """
    return jnp.sqrt(sum((_squares(leaf) for leaf in jax.tree.leaves(gradients)), start=jnp.zeros((), jnp.float32)))


def _squares(leaf: Array) -> Float[Array, ""]:
    """Returns the sum of squares."""
    by_row = jnp.sum(jnp.square(jnp.atleast_1d(leaf)), axis=-1)
    return jnp.sum(lax.optimization_barrier(by_row))  # Otherwise XLA makes one sum of both.


def _groups(params: Any) -> Any:
    """Returns the name of every parameter's group."""

    def group(path: Any, _: Array) -> str:
        return _GATE if any(getattr(part, "key", None) == _GATE for part in path) else _OTHER

    return jax.tree_util.tree_map_with_path(group, params)


def _matrices(params: Any) -> Any:
    """Returns True for what decays: biases, norms and temperatures do not."""
    return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)
