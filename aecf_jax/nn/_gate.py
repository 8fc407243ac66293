"""The gate: one weight for each modality that is present, from what is present alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from aecf_jax.errors import require
from aecf_jax.nn._inputs import validate_tensor_input
from aecf_jax.nn._mlp import MLP, first_kernel
from aecf_jax.nn._parameter import parameter
from aecf_jax.ops import gate_entropy, masked_softmax, normalized_sigmoid
from aecf_jax.types import Scalar


class GateOutput(NamedTuple):
    """Weights `(batch, modality)`, exactly 0 where absent, and their entropy `(batch,)` in nats."""

    weights: Float[Array, "batch modality"]
    entropy: Float[Array, "batch"]


class AdaptiveGate(nn.Module):
    """An MLP over the concatenated embeddings, a temperature with a floor, and a softmax over what is present.

    Attributes:
        input_dim: width of the concatenated embeddings.
        num_modalities: how many of them there are.
        hidden_dims: widths of the hidden layers; one number stands for one layer.
        use_softmax: softmax; otherwise sigmoids divided by their sum.
        learnable_temp: train the temperature; otherwise it is `init_temp`.
        init_temp: temperature at the start.
        min_temp: floor of the trained temperature.
        dropout: probability that a hidden unit is zeroed in training.
        dtype: type that the MLP computes in; weights are float32.

    Source: `AdaptiveGate` of the PyTorch generation. Differs: aware of what is present.
    """

    input_dim: int
    num_modalities: int
    hidden_dims: int | Sequence[int] = (2048,)
    use_softmax: bool = True
    learnable_temp: bool = True
    init_temp: float = 2.0
    min_temp: float = 1.5
    dropout: Scalar = 0.1
    dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Checks the attributes."""
        require(self.input_dim > 0, "input_dim", "be positive", self.input_dim)
        require(self.num_modalities > 0, "num_modalities", "be positive", self.num_modalities)
        require(self.init_temp > 0, "init_temp", "be positive", self.init_temp)
        require(self.min_temp > 0, "min_temp", "be positive", self.min_temp)
        require(self.min_temp <= self.init_temp, "min_temp", f"be at most init_temp, {self.init_temp}", self.min_temp)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch width"], present: Bool[Array, "batch modality"] | None = None, *,
        train: bool = False, multiplied: bool = False,
    ) -> GateOutput:  # fmt: skip
        """Returns the weights and their entropy.

        Args:
            x: concatenated embeddings; those of absent modalities must already be constant (the model zeroes them).
            present: True where a modality is there; None: all are. A row with none has all weights 0, entropy 0.
            train: whether dropout acts; then the apply call needs a "dropout" key.
            multiplied: whether `x` is the sum of `products` over what is present.

        Raises:
            InputError: if `x` is not `input_dim` wide, or `present` not one column for each modality.
        """
        validate_tensor_input(x, "x", 2, (-1, -1 if multiplied else self.input_dim))
        if present is None:
            present = jnp.ones((x.shape[0], self.num_modalities), dtype=bool)
        validate_tensor_input(present, "present", 2, (x.shape[0], self.num_modalities), bool)
        hidden = (self.hidden_dims,) if isinstance(self.hidden_dims, int) else tuple(self.hidden_dims)
        mlp = MLP(hidden, self.num_modalities, dropout=self.dropout, dtype=self.dtype, name="mlp")
        logits = mlp(x, train=train, multiplied=multiplied).astype(jnp.float32) / self._temperature()
        weights = masked_softmax(logits, present) if self.use_softmax else normalized_sigmoid(logits, present)
        return GateOutput(weights, gate_entropy(weights))

    def products(self, encoded: Float[Array, "batch modality embed"]) -> tuple[Float[Array, "batch hidden"], ...]:
        """Returns each modality's part of the first layer, of which any subset's are summed."""
        parts = jnp.split(first_kernel(self.variables["params"]["mlp"]), self.num_modalities)
        return tuple(encoded[:, index] @ part for index, part in enumerate(parts))

    def _temperature(self) -> Float[Array, ""]:
        """The temperature in force."""
        if not self.learnable_temp:
            return jnp.float32(self.init_temp)
        start = nn.initializers.constant(math.log(self.init_temp))
        log_temperature = parameter(self, "log_temperature", start, ())
        return jnp.maximum(jnp.exp(log_temperature), self.min_temp)
