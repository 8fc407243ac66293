"""Encoders: features of one modality, of any width, to the shared embedding."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from aecf_jax.errors import nearest, require
from aecf_jax.nn._dense import Dense
from aecf_jax.nn._dropout import ACTIVATIONS, Dropout
from aecf_jax.nn._inputs import validate_tensor_input
from aecf_jax.nn._mlp import MLP
from aecf_jax.types import Scalar


class IdentityEncoder(nn.Module):
    """Features as they are; one linear projection only where the widths differ.

    Attributes:
        input_dim: width of the features.
        output_dim: width of the embedding.
        dtype: type that is computed in.
    """

    input_dim: int
    output_dim: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch width"], *, train: bool = False) -> Float[Array, "batch embed"]:
        """Returns the embedding.

        Args:
            x: features.
            train: has no effect here.
        """
        validate_tensor_input(x, "x", 2, (-1, self.input_dim))
        if self.input_dim == self.output_dim:
            return x
        return Dense(self.output_dim, self.dtype, name="proj")(x)


class LinearEncoder(nn.Module):
    """One linear layer, with an optional ReLU and dropout.

    Attributes:
        input_dim: width of the features.
        output_dim: width of the embedding.
        use_activation: whether a ReLU follows.
        dropout: probability that a unit of the embedding is zeroed in training.
        dtype: type that is computed in.
    """

    input_dim: int
    output_dim: int
    use_activation: bool = False
    dropout: Scalar = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch width"], *, train: bool = False) -> Float[Array, "batch embed"]:
        """Returns the embedding.

        Args:
            x: features.
            train: whether dropout acts; then the apply call needs a "dropout" key.
        """
        validate_tensor_input(x, "x", 2, (-1, self.input_dim))
        x = Dense(self.output_dim, self.dtype, name="proj")(x)
        return Dropout(self.dropout, "relu" if self.use_activation else None)(x, train=train)


class MLPEncoder(nn.Module):
    """Hidden layers with activation and dropout, then a linear layer.

    Attributes:
        input_dim: width of the features.
        output_dim: width of the embedding.
        hidden_dims: widths of the hidden layers.
        activation: relu, gelu or tanh.
        dropout: probability that a hidden unit is zeroed in training.
        dtype: type that is computed in.
    """

    input_dim: int
    output_dim: int
    hidden_dims: tuple[int, ...] = (128,)
    activation: str = "relu"
    dropout: Scalar = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch width"], *, train: bool = False) -> Float[Array, "batch embed"]:
        """Returns the embedding.

        Args:
            x: features.
            train: whether dropout acts; then the apply call needs a "dropout" key.
        """
        validate_tensor_input(x, "x", 2, (-1, self.input_dim))
        known = self.activation in ACTIVATIONS
        require(known, "activation", f"be one of {', '.join(ACTIVATIONS)}", self.activation)
        hidden = tuple(self.hidden_dims)
        return MLP(hidden, self.output_dim, self.activation, self.dropout, self.dtype, name="mlp")(x, train=train)


class EncoderFactory:
    """Encoders by name."""

    AVAILABLE_ENCODERS: ClassVar[Mapping[str, type[nn.Module]]] = {
        "identity": IdentityEncoder,
        "linear": LinearEncoder,
        "mlp": MLPEncoder,
    }

    @classmethod
    def create_encoder(
        cls, encoder_type: str, modality: str, input_dim: int, output_dim: int, **kwargs: Any
    ) -> nn.Module:
        """Returns a new encoder of the named type.

        Args:
            encoder_type: identity, linear or mlp.
            modality: name of the modality; errors name it.
            input_dim: width of the features.
            output_dim: width of the embedding.
            **kwargs: further attributes of the encoder.

        Raises:
            InputError: if the type is unknown or a width is not positive.

        >>> EncoderFactory.create_encoder("linear", "image", 512, 64).output_dim
        64
        """
        known = cls.AVAILABLE_ENCODERS
        require(encoder_type in known, "encoder_type", f"be one of {', '.join(known)}", encoder_type,
                nearest(encoder_type, known))  # fmt: skip
        require(input_dim > 0, f"input_dim of {modality}", "be positive", input_dim)
        require(output_dim > 0, f"output_dim of {modality}", "be positive", output_dim)
        fields = known[encoder_type].__dataclass_fields__
        for name in kwargs:
            require(name in fields, name, f"be an attribute of the {encoder_type} encoder", "an unknown name",
                    nearest(name, fields))  # fmt: skip
        return known[encoder_type](input_dim=input_dim, output_dim=output_dim, **kwargs)  # pyright: ignore[reportCallIssue]
