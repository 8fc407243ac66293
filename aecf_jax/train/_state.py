"""What training changes, and what each step says of itself."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int

from aecf_jax.config import AECFConfig


@struct.dataclass
class TrainState:
    """Everything that a training step changes: what is saved, and donated from step to step.

    Attributes:
        step: steps done.
        params: the model's parameters, float32.
        opt_state: the optimizer's moments and counters.
        odds: logarithms of how much rather each modality is hidden, `(modality,)`, where the curriculum learns them.
    """

    step: Int[Array, ""]
    params: Any
    opt_state: optax.OptState
    odds: Float[Array, "modality"] | None = None


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
        config: says whether the curriculum learns; None: it does not.
    """
    odds = None
    if config is not None and config.masking_strategy == "exponentiated_gradient":
        odds = jnp.zeros(len(config.modalities))
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params), odds=odds)
