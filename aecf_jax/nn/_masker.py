"""The curriculum's masks as an object with settings, as PyTorch users know it."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.errors import nearest, require
from aecf_jax.nn._inputs import validate_tensor_input
from aecf_jax.ops import STRATEGIES, sample_visible


@dataclass(frozen=True)
class CurriculumMasker:
    """Settings of `aecf_jax.ops.sample_visible`, without parameters or state.

    Attributes:
        strategy: none, random, weighted_random, entropy_min or entropy_max.
        prob_missing: base probability that a modality is hidden.
        tau: temperature of the entropy strategies.
        rescue: rows that get a modality back: those left "empty", or "every" row.

    Raises:
        InputError: if a setting is unknown or outside its range.

    >>> import jax, jax.numpy as jnp
    >>> masker = CurriculumMasker(strategy="random", prob_missing=1.0)
    >>> masker(jnp.ones((4, 2)) / 2, key=jax.random.key(0)).sum(axis=-1).tolist()
    [1, 1, 1, 1]
    """

    strategy: str = "none"
    prob_missing: float = 0.0
    tau: float = 0.3
    rescue: str = "empty"

    def __post_init__(self) -> None:
        """Checks the settings."""
        rule = f"be one of {', '.join(STRATEGIES)}"
        require(self.strategy in STRATEGIES, "strategy", rule, self.strategy, nearest(self.strategy, STRATEGIES))
        require(0 <= self.prob_missing <= 1, "prob_missing", "be in [0, 1]", self.prob_missing)
        require(self.tau > 0, "tau", "be positive", self.tau)
        require(self.rescue in ("empty", "every"), "rescue", "be empty or every", self.rescue)

    def __call__(
        self, weights: Float[Array, "batch modality"], present: Bool[Array, "batch modality"] | None = None, *,
        key: Key[Array, ""] | None = None,
    ) -> Bool[Array, "batch modality"]:  # fmt: skip
        """Returns which modalities stay visible.

        Args:
            weights: the gate's weights.
            present: True where a modality was observed; None: all were.
            key: randomness of this draw; None: evaluation, everything present is visible.

        Raises:
            InputError: if the arrays do not have two axes of equal sizes.
        """
        validate_tensor_input(weights, "weights", 2)
        present = jnp.ones(weights.shape, dtype=bool) if present is None else present
        validate_tensor_input(present, "present", 2, weights.shape, bool)
        if key is None:
            return present
        return sample_visible(
            weights, present, key=key, strategy=self.strategy, prob=self.prob_missing, tau=self.tau,
            rescue="every" if self.rescue == "every" else "empty",
        )  # fmt: skip
