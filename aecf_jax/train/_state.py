"""What training changes, and what each step says of itself."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int


@struct.dataclass
class TrainState:
    """Everything that a training step changes: what is saved, and donated from step to step.

    Attributes:
        step: steps done.
        params: the model's parameters, float32.
        opt_state: the optimizer's moments and counters.
    """

    step: Int[Array, ""]
    params: Any
    opt_state: optax.OptState


@struct.dataclass
class StepInfo:
    """What one step says of itself; with a leading axis, one entry a step.

    Attributes:
        components: the loss by component, as `AECFLoss` names them.
        gradient_norm: the gradient's global norm before it is clipped.
        entropy: mean entropy of the gate's weights in the view that is trained, in nats.
        visible: share of the present modalities that the curriculum left visible.
    """

    components: dict[str, Float[Array, "*steps"]]
    gradient_norm: Float[Array, "*steps"]
    entropy: Float[Array, "*steps"]
    visible: Float[Array, "*steps"]


def init_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step.

    Args:
        params: the model's parameters.
        optimizer: from `make_optimizer`.
    """
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params))
