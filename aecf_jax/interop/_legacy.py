"""The dict-configured generation's model, from its dictionary."""

from collections.abc import Mapping
from typing import Any

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require_type
from aecf_jax.model import AECF_CLIP
from aecf_jax.ops import warmup_cosine
from aecf_jax.types import Scalar

_COSINE_AT_THE_END = 0.1


class AECF_CLIP_Legacy(AECF_CLIP):  # noqa: N801  (the name that PyTorch users know)
    """The model that a dictionary of the older PyTorch generation describes.

    Its gate reads features of unit length, with a temperature that is trained and never falls below its floor; its
    consistency term compares every modality alone with all of them, where the generation after it has a constant 0; its
    entropy reward rises, stays, and falls as a cosine in the last tenth of the training. `AECFTrainer(model.config)`
    trains it.

    Args:
        cfg: the dictionary; what it leaves out has PyTorch's default.
        seed: of new parameters; None: the configuration's.
        variables: trained ones, instead of new parameters.

    Raises:
        InputError: for an unknown key, with the nearest known one; for a value outside its range.

    >>> model = AECF_CLIP_Legacy({"modalities": ["image", "text"], "feat_dim": 16, "num_classes": 5, "gate_hidden": 24})
    >>> model.config.gate_hidden_dims, model.config.consistency_loss_coeff
    ((24,), 0.1)
    >>> [round(model.entropy_lambda(epoch), 3) for epoch in (0, 5, 26, 28.5, 30)]
    [0.0, 0.1, 0.1, 0.05, 0.0]
    """

    def __init__(
        self, cfg: Mapping[str, Any], *, seed: int | None = None, variables: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(legacy_config(cfg), seed=seed, variables=variables)

    def entropy_lambda(self, epoch: Scalar) -> float:
        """Returns the coefficient of the entropy reward at an epoch."""
        config = self.config
        value = warmup_cosine(
            epoch, free=float(config.entropy_free_epochs), warmup=float(config.entropy_warmup_epochs),
            total=float(config.epochs), peak=config.entropy_max_coeff, cosine=config.entropy_cosine_fraction,
        )  # fmt: skip
        return float(value)


def legacy_config(cfg: Mapping[str, Any]) -> AECFConfig:
    """Returns the configuration that a dictionary of the older generation means, with that generation's mathematics.

    Raises:
        InputError: for an unknown key, with the nearest known one; for a value outside its range.
    """
    require_type(isinstance(cfg, Mapping), "cfg", "be a dictionary", cfg)
    own: dict[str, Any] = {"mixed_precision": False, "consistency_coeff": 0.0} | dict(cfg)
    # A dictionary with one of its keys is known as one of this generation.
    config = AECFConfig.from_dict({"lr": AECFConfig.pytorch().learning_rate} | own)
    changes: dict[str, Any] = {}
    if "entropy_cosine_fraction" not in cfg:
        changes["entropy_cosine_fraction"] = _COSINE_AT_THE_END
    if config.label_frequencies is not None and config.multilabel is None:
        changes["multilabel"] = True
    return config.update(**changes)
