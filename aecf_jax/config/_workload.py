"""The sizes of a model and of its data whose costs are measured."""

from dataclasses import dataclass
from typing import Any

from aecf_jax.config._aecf import AECFConfig
from aecf_jax.errors import require


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Sizes of a model and its data; the defaults are those of PyTorch users on COCO.

    Raises:
        InputError: if a size is not positive.

    >>> Workload(num_modalities=6).names
    ('m0', 'm1', 'm2', 'm3', 'm4', 'm5')
    """

    rows: int = 60_000
    """Training rows."""
    num_modalities: int = 2
    """How many modalities there are."""
    width: int = 512
    """Width of each modality's features."""
    labels: int = 80
    """How many independent labels there are, each true in one row of twenty."""
    batch: int = 512
    """Rows of a step."""
    gate: int = 2048
    """Hidden width of the gate."""

    def __post_init__(self) -> None:
        """Checks the sizes."""
        for name in ("rows", "num_modalities", "width", "labels", "batch", "gate"):
            require(getattr(self, name) >= 1, name, "be positive", getattr(self, name))
        require(self.batch <= self.rows, "batch", f"be at most the rows, {self.rows}", self.batch)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(f"m{index}" for index in range(self.num_modalities))

    def config(self, **changes: Any) -> AECFConfig:
        """Returns the settings of the model: the PyTorch generation's, in float32, with changes.

        Args:
            **changes: fields to set otherwise.
        """
        sizes = {"modalities": self.names, "feat_dim": self.width, "num_classes": self.labels,
                 "batch_size": self.batch, "gate_hidden_dims": (self.gate,)}  # fmt: skip
        return AECFConfig.pytorch(**{"mixed_precision": False, **sizes, **changes})
