"""Parameters of a layer."""

import jax.numpy as jnp
from flax import linen as nn
from flax.errors import ScopeParamShapeError
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float


def parameter(module: nn.Module, name: str, start: Initializer, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Returns a parameter of a module, which is made where it is not there yet.

    Args:
        module: in its `setup`, or in a method that is `nn.compact`.
        name: of the parameter.
        start: makes it.
        shape: of the parameter.

    Raises:
        ScopeParamShapeError: where the one that is there has another shape.

    Source: `flax.linen.Module.param`. Differs: that traces `start` to know the shape of what is there already, a
    twentieth of what tracing a training step takes.
    """
    if not module.has_variable("params", name):
        return module.param(name, start, shape, jnp.float32)
    value = module.get_variable("params", name)
    if jnp.shape(value) != shape:
        scope = module.scope
        raise ScopeParamShapeError(name, scope.path_text if scope else "", jnp.shape(value), shape)
    return jnp.asarray(value)
