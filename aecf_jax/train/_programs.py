"""Which configurations share compiled programs: those that differ in numbers alone, which are arguments of them."""

import copy
import functools
from collections.abc import Mapping

from aecf_jax.config import AECFConfig
from aecf_jax.types import Scalar

Numbers = Mapping[str, Scalar]
"""What a compiled program takes of a configuration as arguments, by field."""

_NUMBERS = (
    "learning_rate", "gate_learning_rate", "weight_decay", "gradient_clip_val", "average_epochs",
    "encoder_dropout", "head_dropout", "gate_dropout",
    "masking_prob", "masking_tau", "masking_ramp", "masking_step",
    "entropy_max_coeff", "ece_penalty_coeff", "l2_logits_coeff", "consistency_coeff", "consistency_loss_coeff",
    "unimodal_coeff", "confidence_coeff", "subset_calibration_coeff",
    "focal_alpha", "focal_gamma", "label_smoothing", "contrastive_temp",
)  # fmt: skip
_OF_THE_LOOP = (
    "seed", "batch_size", "val_check_interval", "early_stopping_patience", "early_stopping_min_delta",
    "keep_checkpoints", "checkpoint_dir", "log_dir", "trainer_kwargs",
)  # fmt: skip
_SOME = 0.5  # Any number at which whatever it belongs to acts; it is in the range of all of them.


def numbers(config: AECFConfig) -> dict[str, float]:
    """Returns the fields whose values compiled programs take as arguments.

    A number that is 0 is not among them: what it switches off is not compiled, and costs nothing.

    Args:
        config: all settings.

    >>> "head_dropout" in numbers(AECFConfig(head_dropout=0.1)), "head_dropout" in numbers(AECFConfig(head_dropout=0))
    (True, False)
    """
    return {name: float(getattr(config, name)) for name in _NUMBERS if getattr(config, name) != 0}


@functools.lru_cache(maxsize=256)
def program_config(config: AECFConfig) -> AECFConfig:
    """Returns what is compiled for a configuration: equal for all that share programs.

    Fields that no program depends on have their default, and `numbers` a value that means nothing.

    Args:
        config: all settings.

    >>> program_config(AECFConfig(seed=3, learning_rate=0.1)) == program_config(AECFConfig(seed=4, learning_rate=0.2))
    True
    >>> program_config(AECFConfig(head_dropout=0.1)) == program_config(AECFConfig(head_dropout=0.0))
    False
    """
    default = AECFConfig()
    unread = {name: getattr(default, name) for name in _OF_THE_LOOP}
    return config.update(**unread, **dict.fromkeys(numbers(config), _SOME))


def with_numbers(config: AECFConfig, values: Numbers) -> AECFConfig:
    """Returns a configuration for use inside a compiled program, whose numbers are arguments of it.

    It can be neither compared nor saved. Code that asks whether such a number is 0 asks `ops.is_on`.

    Args:
        config: from `program_config`.
        values: `numbers` of the configuration that is run.
    """
    traced = copy.copy(config)
    for name, value in values.items():
        object.__setattr__(traced, name, value)
    return traced
