"""PyTorch's names: its fields and their defaults, the short keys of the dictionaries before it, and second names."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aecf_jax.errors import nearest, require

LEGACY_KEYS = {
    "lr": "learning_rate",
    "gate_lr": "gate_learning_rate",
    "wd": "weight_decay",
    "gate_hidden": "gate_hidden_dims",
    "entropy_free": "entropy_free_epochs",
    "entropy_warmup": "entropy_warmup_epochs",
    "entropy_max": "entropy_max_coeff",
    "masking_mode": "masking_strategy",
    "p_missing": "masking_prob",
    "tau": "masking_tau",
    "cec_coef": "consistency_loss_coeff",
    "cec_ramp_epochs": "consistency_ramp_epochs",
    "feature_norm": "feature_normalization",
    "label_freq": "label_frequencies",
}
"""Key of the dict-configured PyTorch generation -> field."""

TORCH_FIELDS: dict[str, Any] = {
    "feat_dim": 512, "num_classes": 80, "encoder": "identity", "encoder_dropout": 0.0, "embed_dim": 0,
    "standardize": False, "feature_normalization": True, "head_hidden_dims": None, "fusion": "gated",
    "gate_hidden_dims": (2048,),
    "gate_init_temp": 2.0, "gate_min_temp": 1.5, "learning_rate": 1e-4, "gate_learning_rate": 1e-3,
    "weight_decay": 1e-2, "epochs": 30, "batch_size": 512, "warmup_epochs": 0.0, "gradient_clip_val": 1.0,
    "mixed_precision": True, "masking_strategy": "entropy_min", "masking_prob": 0.3, "masking_tau": 0.4,
    "masking_ramp": 0.0, "masking_rescue": "every", "mask_gate_input": False, "pair_training": False,
    "entropy_warmup_epochs": 5, "entropy_max_coeff": 0.1, "ece_penalty_coeff": 0.5, "l2_logits_coeff": 1e-4,
    "consistency_coeff": 0.1, "consistency_loss_coeff": 0.1, "consistency_ramp_epochs": 5, "focal_alpha": 0.25,
    "unimodal_coeff": 0.0, "confidence_coeff": 0.0, "fit_temperature": False, "entropy_reg": True,
    "average_epochs": 0.0,
    "focal_gamma": 2.0, "label_smoothing": 0.05, "early_stopping_patience": 10, "early_stopping_min_delta": 1e-4,
}  # fmt: skip
"""The PyTorch generation's defaults, where a default exists there or a structure is implied by its code."""

PUBLISHED_FIELDS: dict[str, Any] = TORCH_FIELDS | {
    "batch_size": 32, "mixed_precision": False, "masking_strategy": "random", "masking_prob": 0.4,
    "masking_ramp": 20 / 30, "masking_rescue": "empty", "mask_gate_input": True, "entropy_warmup_epochs": 3,
    "entropy_max_coeff": 0.05, "entropy_instance": "predictive", "confidence_coeff": 0.1, "consistency_coeff": 0.0,
    "consistency_loss_coeff": 0.0, "ece_penalty_coeff": 0.0, "l2_logits_coeff": 0.0, "label_smoothing": 0.0,
    "focal_alpha": 0.5, "focal_gamma": 0.0,
}  # fmt: skip
"""The paper's settings, see `AECFConfig.published`."""

_LEGACY_OUT = (
    "modalities", "feat_dim", "num_classes", "task_type", "gate_hidden_dims", "gate_use_softmax", "gate_learnable_temp",
    "gate_init_temp", "gate_min_temp", "learning_rate", "gate_learning_rate", "weight_decay", "epochs",
    "entropy_free_epochs", "entropy_warmup_epochs", "entropy_max_coeff", "masking_strategy", "masking_prob",
    "masking_tau", "consistency_loss_coeff", "consistency_ramp_epochs", "feature_normalization",
)  # fmt: skip
"""Fields that the dict-configured generation has a key for."""


class _DerivedInt(int):
    """A second name's value that was filled in from the first, and so gives way to it."""


class _DerivedFloat(float):
    """A second name's value that was filled in from the first, and so gives way to it."""


_SECOND_NAMES: dict[str, tuple[str, object, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "gate_hidden_dim": ("gate_hidden_dims", 2048, lambda v: (v,), lambda v: _DerivedInt(v[0]) if v else None),
    "entropy_max_lambda": ("entropy_max_coeff", 0.1, lambda v: v, _DerivedFloat),
}
"""Second name -> (first name, PyTorch's default of the second, second -> first, first -> second)."""


def join_second_names(config: Any, set_field: Callable[[Any, str, object], None]) -> None:
    """Makes each second name agree with the first: the one that was given wins; two that contradict are an error.

    Args:
        config: the configuration that is being made.
        set_field: (configuration, field, value), sets a field of a frozen one.
    """
    for second, (first, torch_default, to_first, to_second) in _SECOND_NAMES.items():
        given, current = getattr(config, second), getattr(config, first)
        default = type(config).__dataclass_fields__[first].default
        explicit = given is not None and not isinstance(given, (_DerivedInt, _DerivedFloat))
        if explicit and to_first(given) != current and current == default:
            set_field(config, first, to_first(given))
        elif explicit and to_first(given) != current and given != torch_default:
            require(False, second, f"agree with `{first}`, {current}", given, f"Give `{first}` alone.")
        set_field(config, second, to_second(getattr(config, first)))


def without_second_names(fields: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Returns the fields without the names, first or second, that a change replaces under the other name.

    Args:
        fields: values by name.
        changes: names that are to change.
    """
    dropped = {second for second, (first, *_) in _SECOND_NAMES.items() if first in changes}
    dropped |= {first for second, (first, *_) in _SECOND_NAMES.items() if second in changes and first not in changes}
    return {name: value for name, value in fields.items() if name not in dropped}


def renamed(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a mapping with legacy keys replaced by field names; a field's own name wins over its legacy key."""
    legacy = {LEGACY_KEYS[key]: value for key, value in mapping.items() if key in LEGACY_KEYS}
    return legacy | {key: value for key, value in mapping.items() if key not in LEGACY_KEYS}


def modern_fields(mapping: Mapping[str, Any], known: Iterable[str], *, ignore_unknown: bool) -> dict[str, Any]:
    """Returns a dictionary's fields under their names of today, with PyTorch's defaults for a legacy dictionary.

    Args:
        mapping: fields, or legacy keys.
        known: names of all fields.
        ignore_unknown: warn about unknown keys of a legacy dictionary instead of refusing them.
    """
    known = tuple(known)
    legacy = any(key in LEGACY_KEYS for key in mapping)
    fields = renamed(mapping)
    unknown = [key for key in fields if key not in known]
    if unknown and legacy and ignore_unknown:
        warnings.warn(f"Ignored unknown configuration keys: {', '.join(unknown)}.", stacklevel=3)
        fields = {key: value for key, value in fields.items() if key in known}
    elif unknown:
        hint = nearest(unknown[0], [*known, *LEGACY_KEYS])
        require(False, unknown[0], "be a configuration field", "an unknown key", hint)
    return without_second_names(TORCH_FIELDS, fields) | fields if legacy else fields


def legacy_dict(config: Any) -> dict[str, Any]:
    """Returns a configuration under the dict-configured generation's keys."""
    short = {field: key for key, field in LEGACY_KEYS.items()}
    out = {short.get(name, name): getattr(config, name) for name in _LEGACY_OUT}
    hidden = list(config.gate_hidden_dims)
    return out | {"modalities": list(config.modalities), "gate_hidden": hidden[0] if len(hidden) == 1 else hidden}
