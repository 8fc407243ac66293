"""What training changes, and what each step says of itself."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int

from aecf_jax.config import AECFConfig
from aecf_jax.types import Scalar


@struct.dataclass
class TrainState:
    """Everything that a training step changes: what is saved, and donated from step to step.

    Attributes:
        step: steps done.
        params: the model's parameters, float32.
        average: their running average, which the model is evaluated with; None: it is evaluated with `params`.
        opt_state: the optimizer's moments and counters.
        odds: logarithms of how much rather each modality is hidden, `(modality,)`, where the curriculum learns them.
    """

    step: Int[Array, ""]
    params: Any
    opt_state: optax.OptState
    odds: Float[Array, "modality"] | None = None
    average: Any = None

    @property
    def evaluated(self) -> Any:
        """The parameters that the model is evaluated with."""
        return self.params if self.average is None else self.average


@struct.dataclass
class StepInfo:
    """What one step says of itself; with a leading axis, one entry a step.

    Attributes:
        components: the loss by component, as `AECFLoss` names them.
        gradient_norm: the gradient's global norm before it is clipped.
        entropy: mean entropy of the gate's weights in the view that is trained, in nats.
        visible: share of the present modalities that the curriculum left visible.
        hardship: how much more the task costs where each modality is hidden, where the curriculum learns by it.
    """

    components: dict[str, Float[Array, "*steps"]]
    gradient_norm: Float[Array, "*steps"]
    entropy: Float[Array, "*steps"]
    visible: Float[Array, "*steps"]
    hardship: Float[Array, "*steps modality"] | None = None


def init_state(params: Any, optimizer: optax.GradientTransformation, config: AECFConfig | None = None) -> TrainState:
    """Returns the state before the first step.

    Args:
        params: the model's parameters.
        optimizer: from `make_optimizer`.
        config: says whether the curriculum learns and a running average is kept; None: neither.
    """
    odds = average = None
    if config is not None and config.masking_strategy == "exponentiated_gradient":
        odds = jnp.zeros(len(config.modalities))
    if config is not None and config.average_epochs > 0:
        average = jax.tree.map(jnp.copy, params)  # Buffers of its own: those of a state are donated.
    return TrainState(
        step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params), odds=odds, average=average
    )


def averaged_state(state: TrainState, *, window: Scalar) -> TrainState:
    """Returns a state with its parameters taken into their average.

    The average is the plain mean over the steps until there are `window` of them, and exponential with that time
    constant from there on, so that where it started is forgotten at the first step.

    Args:
        state: after a step.
        window: steps, at least 1.

    Source: Polyak and Juditsky 1992; exponential, as in Tarvainen and Valpola 2017.

    >>> state = TrainState(step=jnp.array(1), params=jnp.array(4.0), opt_state=(), average=jnp.array(0.0))
    >>> state = averaged_state(state, window=10.0).replace(step=jnp.array(2), params=jnp.array(2.0))
    >>> float(averaged_state(state, window=10.0).average)
    3.0
    """
    weight = jnp.maximum(1 / jnp.maximum(state.step, 1), 1 / window)
    average = jax.tree.map(lambda old, new: old + weight * (new - old), state.average, state.params)
    return dataclasses.replace(state, average=average)
