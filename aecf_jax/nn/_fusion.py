"""Fusions: embeddings of the modalities, some of them absent, to one prediction; all behind one interface.

A fusion is a linen module made from a configuration. `shared(encoded)` is what does not depend on which modalities are
seen, computed once for all views of a batch and for all subsets; calling the fusion with it and with what is present
gives the prediction. An embedding of an absent modality may hold anything finite: a fusion never lets it through.
"""

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._gate import AdaptiveGate
from aecf_jax.nn._heads import OutputHeadFactory
from aecf_jax.ops import gate_entropy, renormalized
from aecf_jax.types import FusionOutput


class Fusion(Protocol):
    """What every fusion can do."""

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Any:  # fmt: skip
        """Returns what all subsets of the modalities have in common, as any tree of arrays.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present: log frequencies, log odds or means.
            train: whether dropout acts.
            views: how many predictions will be made of it: what saves work for many need not for one.
        """
        ...

    def __call__(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what is present."""
        ...


class GatedShared(NamedTuple):
    """What all views of a batch have in common.

    Attributes:
        encoded: embeddings of every modality, finite.
        gate: each modality's part of the gate's first layer; None: not computed.
        head: the head's first layer of each embedding; None: not computed.
    """

    encoded: Float[Array, "batch modality embed"]
    gate: tuple[Float[Array, "batch _"], ...] | None
    head: tuple[Float[Array, "batch _"], ...] | None


class GatedFusion(nn.Module):
    """A gate weighs what is present; the head predicts from the weighted mean of the embeddings.

    Attributes:
        config: all settings.

    Source: `AECFCore` of the PyTorch generation. Differs: aware of what is present.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the parts."""
        config = self.config
        dtype = compute_dtype(config)
        if not config.gate_disabled:
            self.gate = AdaptiveGate(
                input_dim=len(config.modalities) * config.embed_width,
                num_modalities=len(config.modalities),
                hidden_dims=config.gate_hidden_dims,
                use_softmax=config.gate_use_softmax,
                learnable_temp=config.gate_learnable_temp,
                init_temp=config.gate_init_temp,
                min_temp=config.gate_min_temp,
                dropout=config.gate_dropout,
                dtype=dtype,
            )
        self.head = OutputHeadFactory.create_head(
            config.task_type, config.embed_width, config.num_classes,
            hidden_dims=config.head_hidden_dims, dropout=config.head_dropout, dtype=dtype,
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> GatedShared:  # fmt: skip
        """Returns the embeddings and, for many views, their products with the first layers of gate and head.

        Args:
            encoded: embeddings of every modality, finite.
            prior: not used.
            train: not used.
            views: how many predictions will be made of it.
        """
        del prior, train
        # In bfloat16 the sum of rounded products is not the rounded product of the sum.
        if views == 1 or self.config.mixed_precision:
            return GatedShared(encoded, None, None)
        gate = None if self.config.gate_disabled else self.gate.products(encoded)
        return GatedShared(encoded, gate, self.head.products(encoded))

    def __call__(
        self, shared: GatedShared, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction; what `present` leaves out is hidden from the gate as well.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        encoded = jnp.where(present[..., None], shared.encoded, jnp.zeros_like(shared.encoded))
        if self.config.gate_disabled:
            weights = renormalized(present.astype(jnp.float32))
        elif shared.gate is None:
            weights = self.gate(encoded.reshape(encoded.shape[0], -1), present, train=train).weights
        else:
            # One pass over memory; a reduction over a stacked axis takes XLA four times as long on the CPU.
            parts = [jnp.where(present[:, i, None], part, jnp.zeros_like(part)) for i, part in enumerate(shared.gate)]
            weights = self.gate(sum(parts[1:], parts[0]), present, train=train, multiplied=True).weights
        return self.mix(encoded, weights, train=train, products=shared.head)

    def mix(
        self, encoded: Float[Array, "batch modality embed"], weights: Float[Array, "batch modality"], *,
        train: bool = False, products: tuple[Float[Array, "batch _"], ...] | None = None,
    ) -> FusionOutput:  # fmt: skip
        """Returns the prediction from embeddings and given weights.

        Args:
            encoded: embeddings of every modality, finite.
            weights: summing to 1, or all 0 where nothing is present.
            train: whether dropout acts.
            products: the head's first layer of each embedding, where it has been computed.
        """
        fused = jnp.einsum("bm,bme->be", weights, encoded)
        if products is None:
            output = self.head(fused, train=train)
        else:
            parts = [weights[:, index, None] * product for index, product in enumerate(products)]
            output = self.head(sum(parts[1:], parts[0]), train=train, multiplied=True)
        return FusionOutput(output=output, weights=weights, entropy=gate_entropy(weights), fused=fused)
