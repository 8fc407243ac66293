"""The attention layer's curriculum: hides entries of attention weights, as often as their entropy says."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from aecf_jax.errors import nearest, require
from aecf_jax.ops import gate_entropy, renormalized
from aecf_jax.types import Scalar

MaskMoreAt = Literal["high_entropy", "low_entropy"]


class MaskingInfo(NamedTuple):
    """What the curriculum saw and did.

    Attributes:
        entropy: of the weights that came in, in nats, with their gradient, `(...)`.
        mask_rate: share of the entries there were that are hidden, `(...)`.
        target_entropy: what `entropy_loss` pulls the entropy to, `(...)`.
    """

    entropy: Float[Array, "..."]
    mask_rate: Float[Array, "..."]
    target_entropy: Float[Array, "..."]


@dataclass(frozen=True)
class CurriculumMasking:
    """Hides each entry of attention weights with a probability that follows their entropy, and renormalizes the rest.

    The probability is `base_mask_prob` times H / log n, where H is the entropy of the weights and n the number of
    entries there are; with `mask_more_at="low_entropy"` it is `base_mask_prob` times 1 - H / log n. Where fewer than
    `min_active` entries are left, exactly the `min_active` largest stay.

    Attributes:
        base_mask_prob: largest probability, in [0, 1]; 0 hides nothing.
        entropy_target: share of the largest entropy that `entropy_loss` pulls to, in (0, 1].
        min_active: entries that stay at least, as far as there are so many.
        mask_more_at: "high_entropy" hides most where the attention is spread, so that it must commit; "low_entropy"
            hides most where it relies on one entry, so that it must look elsewhere.

    Raises:
        InputError: if a setting is outside its range.

    Source: `CurriculumMasking` of the PyTorch layer, whose code masks most at high entropy and whose README says the
    opposite; the default is the code's. Differs: knows padded entries, is without state, and its mask reaches the
    layer's output.

    >>> import jax, jax.numpy as jnp
    >>> masking = CurriculumMasking(base_mask_prob=1.0)
    >>> weights, info = masking(jnp.full((1, 4), 0.25), key=jax.random.key(0))
    >>> weights.tolist(), info.mask_rate.tolist()
    ([[1.0, 0.0, 0.0, 0.0]], [0.75])
    """

    base_mask_prob: float = 0.15
    entropy_target: float = 0.7
    min_active: int = 1
    mask_more_at: MaskMoreAt = "high_entropy"

    def __post_init__(self) -> None:
        """Checks the settings."""
        require(0 <= self.base_mask_prob <= 1, "base_mask_prob", "be in [0, 1]", self.base_mask_prob)
        require(0 < self.entropy_target <= 1, "entropy_target", "be in (0, 1]", self.entropy_target)
        require(self.min_active >= 1, "min_active", "be at least 1", self.min_active)
        known = get_args(MaskMoreAt)
        require(self.mask_more_at in known, "mask_more_at", f"be one of {', '.join(known)}", self.mask_more_at,
                nearest(self.mask_more_at, known))  # fmt: skip

    def __call__(
        self, weights: Float[Array, "*batch entry"], present: Bool[Array, "*batch entry"] | None = None, *,
        key: Key[Array, ""] | None = None,
    ) -> tuple[Float[Array, "*batch entry"], MaskingInfo]:  # fmt: skip
        """Returns the weights that are left, summing to 1, and what was done.

        Args:
            weights: non-negative, summing to 1, and 0 where nothing is there.
            present: True where there is an entry; None: everywhere.
            key: randomness of this draw; None: evaluation, nothing is hidden.
        """
        present = jnp.ones(weights.shape, bool) if present is None else jnp.broadcast_to(present, weights.shape)
        count = jnp.sum(present, axis=-1)
        entropy = gate_entropy(weights)
        target = self.entropy_target * _largest(count)
        if key is None or self.base_mask_prob == 0:
            return weights, MaskingInfo(entropy, jnp.zeros_like(entropy), target)
        hide = self.hiding_probability(lax.stop_gradient(entropy), count)
        kept = present & (jax.random.uniform(key, weights.shape) >= hide[..., None])
        enough = jnp.sum(kept, axis=-1) >= jnp.minimum(self.min_active, count)
        kept = jnp.where(enough[..., None], kept, present & _largest_entries(weights, present, self.min_active))
        rate = 1 - jnp.sum(kept, axis=-1) / jnp.maximum(count, 1)
        return _left(weights, kept), MaskingInfo(entropy, jnp.where(count > 0, rate, 0.0), target)

    def hiding_probability(
        self, entropy: Float[Array, "*batch"], count: Int[Array, "*batch"] | int
    ) -> Float[Array, "*batch"]:
        """Returns the probability that an entry is hidden; 0 where there is but one.

        Args:
            entropy: of the weights, in nats.
            count: how many entries there are.
        """
        largest = _largest(count)
        share = jnp.clip(entropy / jnp.where(largest > 0, largest, 1.0), 0.0, 1.0)
        share = share if self.mask_more_at == "high_entropy" else 1 - share
        return jnp.where(largest > 0, self.base_mask_prob * share, 0.0)

    def compute_entropy(self, weights: Float[Array, "*batch entry"]) -> Float[Array, "*batch"]:
        """Returns the entropy of weights in nats, with a finite gradient where a weight is 0."""
        return gate_entropy(weights)

    def entropy_loss(self, entropy: Float[Array, "*batch"], count: Int[Array, "*batch"] | Scalar) -> Float[Array, ""]:
        """Returns the mean squared distance of entropies from `entropy_target` times their largest value.

        Args:
            entropy: in nats, as `MaskingInfo` has it: with its gradient.
            count: how many entries there are.

        Source: `CurriculumMasking.entropy_loss` of the PyTorch layer. Differs: the number of entries is given, where
        PyTorch takes that of the last training step, and 2 before the first; and the entropy has its gradient.
        """
        return jnp.mean(jnp.square(entropy - self.entropy_target * _largest(count)))


def _largest(count: Int[Array, "*batch"] | Scalar) -> Float[Array, "*batch"]:
    """The largest entropy of so many entries, in nats."""
    return jnp.log(jnp.maximum(jnp.asarray(count, jnp.float32), 1.0))


def _largest_entries(
    weights: Float[Array, "*batch entry"], present: Bool[Array, "*batch entry"], most: int
) -> Bool[Array, "*batch entry"]:
    """True at the largest present weights, at so many of them; the first of equal ones."""
    if most == 1:  # Without sorting.
        first = jnp.argmax(jnp.where(present, weights, -jnp.inf), axis=-1)
        return jax.nn.one_hot(first, weights.shape[-1], dtype=bool)
    order = jnp.argsort(jnp.where(present, -weights, jnp.inf), axis=-1, stable=True)
    return jnp.argsort(order, axis=-1, stable=True) < most


def _left(weights: Float[Array, "*batch entry"], kept: Bool[Array, "*batch entry"]) -> Float[Array, "*batch entry"]:
    """The kept weights, renormalized; the weights themselves where those that are kept are all but 0."""
    left = jnp.where(kept, weights, jnp.zeros_like(weights))
    total = jnp.sum(left, axis=-1, keepdims=True)
    return jnp.where(total > _TINY, renormalized(left), weights)


_TINY = 1e-8
"""Sum of weights below which there is nothing to renormalize, as in PyTorch."""
