"""The two shapes of data that every floor shares: what goes into a model and what comes out.

Axis names, the same in every file: `batch modality embed classes bins`.
"""

from collections.abc import Mapping

from flax import struct
from jaxtyping import Array, Bool, Float, Shaped

Scalar = Float[Array, ""] | float | int
"""One number, traced or not."""

Features = Mapping[str, Float[Array, "batch _"]]
"""Features by modality name; widths may differ."""


@struct.dataclass
class Batch:
    """Rows of a data set.

    Attributes:
        features: features by modality name, each `(batch, width)`.
        label: integer classes `(batch,)`, or float labels, values or embeddings `(batch, classes)`.
        present: True where the modality was observed, `(batch, modality)`.
    """

    features: dict[str, Float[Array, "batch _"]]
    label: Shaped[Array, "batch ..."]
    present: Bool[Array, "batch modality"]


@struct.dataclass
class FusionOutput:
    """What a model returns, in training as in evaluation.

    Attributes:
        output: logits, values or an embedding, `(batch, classes)`.
        weights: the gate's weights, 0 where a modality is absent, else summing to 1, `(batch, modality)`.
        entropy: entropy of the weights in nats, `(batch,)`.
        fused: the fused representation that the head reads, `(batch, embed)`.
        experts: what each modality predicts by itself, `(batch, modality, classes)`, where the fusion has experts.
    """

    output: Float[Array, "batch classes"]
    weights: Float[Array, "batch modality"]
    entropy: Float[Array, "batch"]
    fused: Float[Array, "batch embed"]
    experts: Float[Array, "batch modality classes"] | None = None
