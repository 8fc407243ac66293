"""The ranges of every field of the configuration, as tables, and the shapes its values are kept in."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from aecf_jax.errors import nearest, require, require_type

TRAINER_KWARGS = ("enable_progress_bar", "limit_train_batches", "limit_val_batches", "max_epochs")

_INTEGERS_FROM = {
    "feat_dim": 1, "num_classes": 1, "embed_dim": 0, "epochs": 1, "batch_size": 1, "early_stopping_patience": 0,
    "keep_checkpoints": 1, "entropy_free_epochs": 0, "entropy_warmup_epochs": 0, "consistency_ramp_epochs": 0,
    "seed": 0, "attention_heads": 1, "masking_min_active": 1, "masking_draws": 1, "entropy_instance_passes": 1,
}  # fmt: skip
_POSITIVE = (
    "gate_init_temp", "gate_min_temp", "learning_rate", "gate_learning_rate", "gradient_clip_val", "masking_tau",
    "masking_step", "contrastive_temp",
)  # fmt: skip
_NON_NEGATIVE = (
    "weight_decay", "warmup_epochs", "early_stopping_min_delta", "entropy_max_coeff", "ece_penalty_coeff",
    "l2_logits_coeff", "consistency_coeff", "consistency_loss_coeff", "focal_gamma", "unimodal_coeff",
    "confidence_coeff", "subset_calibration_coeff", "average_epochs",
)  # fmt: skip
_UNIT = ("entropy_cosine_fraction", "masking_prob", "masking_ramp", "focal_alpha")
_BELOW_ONE = ("encoder_dropout", "head_dropout", "gate_dropout", "label_smoothing")
_BOOLEANS = (
    "standardize", "feature_normalization", "gate_use_softmax", "gate_learnable_temp", "gate_disabled",
    "mixed_precision", "curriculum_mask", "mask_gate_input", "pair_training", "entropy_reg", "fit_temperature",
)  # fmt: skip
_OF_CLASSES = ("poe", "evidential", "unimodal")  # Fusions by rules of probabilities.
_CHOICES = ("task_type", "encoder", "fusion", "masking_strategy", "masking_rescue", "entropy_instance")


def frozen_sequence(name: str, value: Any) -> tuple[Any, ...] | None:
    """Returns a list or tuple as a tuple; a single number stands for one element; None stays None.

    Args:
        name: the field, for the error.
        value: what was given.
    """
    if value is None or isinstance(value, tuple):
        return value
    if isinstance(value, (int, float)):
        return (value,)
    require_type(isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)), name, "be a list", value)
    return tuple(value)


def frozen_items(value: Any) -> tuple[tuple[str, Any], ...]:
    """Returns a mapping as sorted pairs, so that the configuration stays hashable."""
    if isinstance(value, str):
        value = dict(pair.split("=", 1) for pair in value.split(",") if "=" in pair)
    require_type(isinstance(value, (Mapping, tuple, list)), "trainer_kwargs", "be a dictionary", value)
    return tuple(sorted(dict(value).items()))


def plain(value: Any) -> Any:
    """Returns tuples as lists, all the way down, and numbers as plain numbers."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else value


def check_config(config: Any) -> None:
    """Raises unless every field is of its type and in its range, and the fields fit each other."""
    _check_numbers(config)
    for name in _BOOLEANS:
        require_type(isinstance(getattr(config, name), bool), name, "be true or false", getattr(config, name))
    annotations = {name: field.type for name, field in config.__dataclass_fields__.items()}
    for name in _CHOICES:
        known = get_args(annotations[name])
        value = str(getattr(config, name))
        require(value in known, name, f"be one of {', '.join(known)}", value, nearest(value, known))
    _check_modalities(config)
    _check_widths(config)
    _check_masking(config)
    _check_pairs(config)


def _check_numbers(config: Any) -> None:
    """Checks every field that is one number against its table."""
    for name, least in _INTEGERS_FROM.items():
        value = getattr(config, name)
        require_type(isinstance(value, int) and not isinstance(value, bool), name, "be an integer", value)
        require(value >= least, name, "be positive" if least == 1 else f"be at least {least}", value)
    tables: list[tuple[Iterable[str], str, Callable[[float], bool]]] = [
        (_POSITIVE, "be positive", lambda v: v > 0),
        (_NON_NEGATIVE, "be at least 0", lambda v: v >= 0),
        (_UNIT, "be in [0, 1]", lambda v: 0 <= v <= 1),
        (_BELOW_ONE, "be in [0, 1)", lambda v: 0 <= v < 1),
        (("val_check_interval",), "be in (0, 1]", lambda v: 0 < v <= 1),
        (("evidence_power",), "be at least 1", lambda v: v >= 1),
    ]
    for names, rule, holds in tables:
        for name in names:
            value = getattr(config, name)
            require_type(isinstance(value, (int, float)) and not isinstance(value, bool), name, "be a number", value)
            require(math.isfinite(value) and holds(value), name, rule, value)


def _check_modalities(config: Any) -> None:
    """Checks the names of the modalities."""
    names = config.modalities
    require(len(names) > 0, "modalities", "name at least one modality", list(names))
    for name in names:
        require_type(isinstance(name, str), "modalities", "be names", name)
        require(bool(name) and "/" not in name, "modalities", "be names without a slash", name)
        require(name not in ("label", "present", "split"), "modalities", "not be a reserved name", name)
    require(len(set(names)) == len(names), "modalities", "be different from each other", list(names))


def _check_widths(config: Any) -> None:
    """Checks every list of widths and frequencies."""
    for name in ("input_dims", "encoder_hidden_dims", "gate_hidden_dims", "head_hidden_dims"):
        for width in getattr(config, name) or ():
            require_type(isinstance(width, int) and not isinstance(width, bool), name, "hold integers", width)
            require(width > 0, name, "hold positive widths", width)
    require(len(config.gate_hidden_dims) > 0, "gate_hidden_dims", "hold at least one width", "an empty list")
    fits = len(config.input_dims) in (0, len(config.modalities))
    rule = f"hold one width for each of the {len(config.modalities)} modalities, or none"
    require(fits, "input_dims", rule, list(config.input_dims))
    for frequency in config.label_frequencies or ():
        require(0 <= frequency <= 1, "label_frequencies", "hold numbers in [0, 1]", frequency)
    if config.label_frequencies is not None:
        rule = f"hold one number for each of the {config.num_classes} labels"
        require(len(config.label_frequencies) == config.num_classes, "label_frequencies", rule,
                f"{len(config.label_frequencies)} numbers")  # fmt: skip


def _check_masking(config: Any) -> None:
    """Checks what the curriculum may hide of these modalities."""
    count, rates = len(config.modalities), config.masking_rates
    rule = f"hold one probability for each of the {count} modalities, or none"
    require(len(rates) in (0, count), "masking_rates", rule, list(rates))
    for rate in rates:
        number = isinstance(rate, (int, float)) and not isinstance(rate, bool)
        require_type(number, "masking_rates", "hold numbers", rate)
        require(0 <= rate <= 1, "masking_rates", "hold numbers in [0, 1]", rate)
    by_row = config.masking_strategy in ("hardest", "exponentiated_gradient")
    rule = f"not be {config.masking_strategy} where `task_type` is embedding"
    require(not by_row or config.task_type != "embedding", "masking_strategy", rule, config.masking_strategy,
            "Contrasts have no loss of single rows.")  # fmt: skip
    least = config.masking_min_active
    require(least <= count, "masking_min_active", f"be at most {count}, the number of modalities", least)


def _check_pairs(config: Any) -> None:
    """Checks what several fields must hold together."""
    rule = f"be at most gate_init_temp, {config.gate_init_temp}"
    require(config.gate_min_temp <= config.gate_init_temp, "gate_min_temp", rule, config.gate_min_temp)
    heads = config.attention_heads
    require(config.embed_width % heads == 0, "attention_heads", f"divide the embedding's width, {config.embed_width}",
            heads)  # fmt: skip
    classified = config.task_type == "classification"
    rule = f"be classification where `fusion` is {config.fusion}"
    require(classified or config.fusion not in _OF_CLASSES, "task_type", rule, config.task_type)
    known = classified or config.entropy_instance == "none"
    require(known, "entropy_instance", f"be none where `task_type` is {config.task_type}", config.entropy_instance,
            "It has no probabilities.")  # fmt: skip
    gated = config.mask_gate_input or config.fusion == "gated"
    require(gated, "mask_gate_input", f"be true where `fusion` is {config.fusion}", False, "It has no gate.")
    trained = config.fusion != "aecf" or config.unimodal_coeff > 0
    require(trained, "unimodal_coeff", "be positive where `fusion` is aecf", config.unimodal_coeff,
            "Nothing else trains its experts.")  # fmt: skip
    for name in ("multilabel", "adaptive_temperature"):
        require(getattr(config, name) in (None, True, False), name, "be true, false or none", getattr(config, name))
    rule = "be a folder's name"
    require(bool(config.checkpoint_dir) and bool(config.log_dir), "checkpoint_dir and log_dir", rule, "an empty name")
    for name, _ in config.trainer_kwargs:
        require(name in TRAINER_KWARGS, "trainer_kwargs", "hold known names", name, nearest(name, TRAINER_KWARGS))
