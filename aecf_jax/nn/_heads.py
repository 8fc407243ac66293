"""Heads: the fused embedding to what the task asks for."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from aecf_jax.errors import nearest, require
from aecf_jax.nn._inputs import validate_tensor_input
from aecf_jax.nn._mlp import MLP, first_kernel
from aecf_jax.ops import unit_norm
from aecf_jax.types import Scalar


class _Head(nn.Module):
    """Hidden layers, if any, and a linear layer, in float32 at the end.

    Attributes:
        feat_dim: width of the fused embedding.
        output_dim: classes, labels, targets or coordinates.
        hidden_dims: widths of hidden layers; None: those that PyTorch's head of the task has.
        dropout: probability that a hidden unit is zeroed in training.
        dtype: type that is computed in; what is returned is float32.
    """

    feat_dim: int
    output_dim: int
    hidden_dims: tuple[int, ...] | None = None
    dropout: Scalar = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch embed"], *, train: bool = False, multiplied: bool = False
    ) -> Float[Array, "batch classes"]:
        """Returns what the head predicts.

        Args:
            x: fused embeddings.
            train: whether dropout acts; then the apply call needs a "dropout" key.
            multiplied: whether `x` is the weighted mean of `products`.
        """
        validate_tensor_input(x, "x", 2, (-1, -1 if multiplied else self.feat_dim))
        hidden = self._torch_hidden() if self.hidden_dims is None else tuple(self.hidden_dims)
        if hidden or not self._may_be_identity() or self.feat_dim != self.output_dim:
            mlp = MLP(hidden, self.output_dim, dropout=self.dropout, dtype=self.dtype, name="mlp")
            x = mlp(x, train=train, multiplied=multiplied)
        return self._finished(x.astype(jnp.float32))

    def products(self, encoded: Float[Array, "batch modality embed"]) -> tuple[Float[Array, "batch _"], ...] | None:
        """Returns the first layer of each modality's embedding, of which any weighted means are taken; None: no layer.

        A weighted mean of products is the product of the weighted mean.
        """
        layers = self.variables.get("params", {})
        if "mlp" not in layers:
            return None
        return tuple(encoded[:, index] @ first_kernel(layers["mlp"]) for index in range(encoded.shape[1]))

    def _torch_hidden(self) -> tuple[int, ...]:
        """Hidden widths of PyTorch's head."""
        return ()

    def _may_be_identity(self) -> bool:
        """Whether nothing at all is computed where widths agree and no hidden layer is asked for."""
        return False

    def _finished(self, x: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
        """What is done to the last layer's output."""
        return x


class ClassificationHead(_Head):
    """Logits of exclusive classes or of independent labels; the loss and the metrics tell which."""


class RegressionHead(_Head):
    """Real values, without an activation; PyTorch's has one hidden layer of half the embedding's width."""

    def _torch_hidden(self) -> tuple[int, ...]:
        return (max(1, self.feat_dim // 2),)


class EmbeddingHead(_Head):
    """An embedding: the fused one itself where the widths agree and no hidden layer is asked for.

    Attributes:
        normalize: divide by the L2 norm.
    """

    normalize: bool = False

    def _may_be_identity(self) -> bool:
        return True

    def _finished(self, x: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
        return unit_norm(x) if self.normalize else x


class OutputHeadFactory:
    """Heads by task."""

    AVAILABLE_HEADS: ClassVar[Mapping[str, type[nn.Module]]] = {
        "classification": ClassificationHead,
        "regression": RegressionHead,
        "embedding": EmbeddingHead,
    }

    @classmethod
    def create_head(cls, task_type: str, feat_dim: int, output_dim: int, **kwargs: Any) -> nn.Module:
        """Returns a new head for a task.

        Args:
            task_type: classification, regression or embedding.
            feat_dim: width of the fused embedding.
            output_dim: classes, labels, targets or coordinates.
            **kwargs: further attributes of the head.

        Raises:
            InputError: if the task is unknown or a width is not positive.

        >>> OutputHeadFactory.create_head("classification", 512, 80).output_dim
        80
        """
        known = cls.AVAILABLE_HEADS
        require(task_type in known, "task_type", f"be one of {', '.join(known)}", task_type, nearest(task_type, known))
        require(feat_dim > 0, "feat_dim", "be positive", feat_dim)
        require(output_dim > 0, "output_dim", "be positive", output_dim)
        return known[task_type](feat_dim=feat_dim, output_dim=output_dim, **kwargs)  # pyright: ignore[reportCallIssue]
