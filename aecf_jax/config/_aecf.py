"""Every setting of the model, its losses, its curriculum and its training, in one frozen, validated dataclass."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aecf_jax.config import _checks, _legacy
from aecf_jax.errors import InputError, message, nearest, require, require_type

TaskType = Literal["classification", "regression", "embedding"]
MaskingStrategy = Literal[
    "none", "random", "weighted_random", "entropy_min", "entropy_max", "gate_proportional", "uniform_size",
    "hardest", "exponentiated_gradient",
]  # fmt: skip
EntropyInstance = Literal["none", "output", "predictive", "mutual_information"]
MaskingRescue = Literal["empty", "every"]
FusionType = Literal[
    "aecf", "gated", "attention", "concat", "concat_zeros", "mean", "low_rank", "transformer", "late", "late_logits",
    "poe", "evidential", "unimodal",
]  # fmt: skip
EncoderType = Literal["identity", "linear", "mlp"]


@dataclass(frozen=True, kw_only=True)
class AECFConfig:
    """The settings of a model and of its training: hashable, validated, the same in a file, a flag and a checkpoint.

    Lists become tuples. Names and defaults of the PyTorch generation are kept where a measurement did not speak
    against them; `AECFConfig.pytorch()` has all of its defaults. `docs/configuration.md` justifies each default.

    Raises:
        InputError: if a value is outside its range, or two fields contradict each other.

    Source: `AECFConfig` of the PyTorch generation. Differs: immutable, any modality names, every field is used.

    >>> AECFConfig(modalities=["image", "text"], learning_rate=1e-4).modalities
    ('image', 'text')
    >>> AECFConfig(masking_prob=1.5)
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `masking_prob` must be in [0, 1]; got 1.5.
    """

    modalities: Sequence[str] = ("image", "text")
    """Names of the modalities, in the order of every (batch, modality) array."""
    feat_dim: int = 512
    """Width of every modality's features, where input_dims does not say otherwise."""
    input_dims: Sequence[int] = ()
    """Width of each modality's features, in the order of modalities; empty: feat_dim for all."""
    num_classes: int = 80
    """Number of classes, labels, regression targets or embedding coordinates."""
    task_type: TaskType = "classification"
    """What the head predicts; integer targets are classes, float targets independent labels."""
    multilabel: bool | None = None
    """Whether labels are independent (sigmoid) or exclusive (softmax); None: read from the targets' type."""

    encoder: EncoderType = "mlp"
    """Encoder of each modality: identity (projects only if widths differ), linear, or mlp."""
    encoder_hidden_dims: Sequence[int] = (128,)
    """Hidden widths of the mlp encoder."""
    encoder_dropout: float = 0.3
    """Probability that dropout zeroes a unit of an encoder, in training."""
    embed_dim: int = 64
    """Width of the shared embedding that is fused; 0: feat_dim."""
    standardize: bool = True
    """Shift and scale every feature by the mean and deviation of the training rows."""
    feature_normalization: bool = False
    """Divide every modality's feature vector by its L2 norm (after standardizing)."""
    head_hidden_dims: Sequence[int] | None = (64,)
    """Hidden widths of the head; None: the PyTorch heads (linear; regression has one layer of half the width)."""
    head_dropout: float = 0.1
    """Probability that dropout zeroes a hidden unit of the head, in training."""

    fusion: FusionType = "aecf"
    """How the modalities become one prediction: see docs/fusions.md. aecf: experts whose evidence adds up."""
    attention_heads: int = 1
    """Heads of the attention fusion; they divide embed_dim."""
    evidence_power: float = 1.0
    """How much the aecf fusion discounts agreement: k equal opinions count as k**(1 / evidence_power); 1: as k."""
    gate_hidden_dims: Sequence[int] = (64,)
    """Hidden widths of the gate."""
    gate_hidden_dim: int | None = None
    """PyTorch's second name of gate_hidden_dims, for one hidden layer."""
    gate_use_softmax: bool = True
    """Softmax gate; otherwise sigmoids, normalized to sum to 1."""
    gate_learnable_temp: bool = True
    """Train the gate's temperature (never below gate_min_temp); otherwise it stays at gate_init_temp."""
    gate_init_temp: float = 2.0
    """Temperature of the gate at the start."""
    gate_min_temp: float = 1.5
    """Floor of the trained temperature: keeps the gate from collapsing to one modality."""
    gate_dropout: float = 0.1
    """Probability that dropout zeroes a hidden unit of the gate, in training."""
    gate_disabled: bool = False
    """Average what is present with equal weights, without a gate."""

    learning_rate: float = 4e-3
    """Peak learning rate of encoders and head."""
    gate_learning_rate: float = 4e-3
    """Peak learning rate of the gate."""
    weight_decay: float = 0.3
    """AdamW's decoupled weight decay, on matrices of encoders and head; the gate has none."""
    epochs: int = 100
    """Passes over the training rows."""
    batch_size: int = 64
    """Rows per step; fewer where the training part is smaller."""
    warmup_epochs: float = 1.0
    """Epochs over which learning rates rise linearly to their peak, before the cosine to 0."""
    gradient_clip_val: float = 1.0
    """Largest global norm of a gradient."""
    average_epochs: float = 10.0
    """Time constant, in epochs, of the running average of the parameters that is evaluated; 0: the last parameters."""
    mixed_precision: bool = False
    """Compute in bfloat16, with float32 parameters, reductions and losses."""
    seed: int = 0
    """Root of all randomness of training: initialization, order, masks, dropout."""
    val_check_interval: float = 1.0
    """Fraction of an epoch between validations, in (0, 1]."""
    early_stopping_patience: int = 20
    """Validations without improvement after which training stops; 0: never."""
    early_stopping_min_delta: float = 1e-4
    """Least fall of the validation loss that counts as improvement."""
    keep_checkpoints: int = 3
    """How many of the best checkpoints to keep, beside the last."""
    checkpoint_dir: str = "checkpoints"
    """Folder of the checkpoints, relative to the run's folder."""
    log_dir: str = "logs"
    """Folder of the logger's files, relative to the run's folder."""
    trainer_kwargs: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()
    """Further Lightning trainer arguments that have a meaning here; see docs/configuration.md."""

    curriculum_mask: bool = True
    """Hide modalities in training."""
    masking_strategy: MaskingStrategy = "random"
    """Which modalities the curriculum hides: see docs/method.md. random: each by chance, whatever the gate says."""
    masking_prob: float = 0.5
    """Probability (before the strategy's weighting) that a present modality is hidden."""
    masking_tau: float = 0.4
    """Temperature of the entropy_min and entropy_max strategies."""
    masking_ramp: float = 0.3
    """Fraction of training over which masking_prob rises linearly from 0."""
    masking_rescue: MaskingRescue = "empty"
    """Rows that get a hidden modality back: those left empty, or (PyTorch's large batches) every row."""
    masking_min_active: int = 1
    """How many of its modalities a row keeps at least, as far as it has so many."""
    masking_rates: Sequence[float] = ()
    """Probability that each modality is hidden, in the order of modalities; empty: masking_prob for all."""
    masking_draws: int = 3
    """Draws of which the hardest strategy trains on the one with the largest loss, row by row."""
    masking_step: float = 0.05
    """Step of the exponentiated gradient, by which a modality's odds of being hidden follow the loss without it."""
    mask_gate_input: bool = True
    """Hide from the gate what the curriculum hides; False: PyTorch's way, weights multiplied afterwards."""
    pair_training: bool = True
    """Train on the full and on the hidden view of every batch, with equal weight."""

    entropy_reg: bool = False
    """Reward the entropy of the gate's weights."""
    entropy_free_epochs: int = 0
    """Epochs at the start without entropy reward."""
    entropy_warmup_epochs: int = 5
    """Epochs over which the entropy reward rises linearly, before its cosine to 0."""
    entropy_cosine_fraction: float = 1.0
    """Share of training, at its end, over which the entropy reward falls; 1: all that its rise leaves."""
    entropy_max_coeff: float = 0.1
    """Peak coefficient of the entropy reward."""
    entropy_max_lambda: float | None = None
    """PyTorch's second name of entropy_max_coeff."""
    entropy_instance: EntropyInstance = "none"
    """What multiplies a row's entropy reward: none; entropy of its output, or of dropout passes; mutual_information."""
    entropy_instance_passes: int = 4
    """Passes with dropout that predictive and mutual_information take the row's uncertainty from."""
    ece_penalty_coeff: float = 0.0
    """Coefficient of the differentiable calibration error."""
    l2_logits_coeff: float = 0.0
    """Coefficient of the mean squared logit."""
    consistency_coeff: float = 1.0
    """Coefficient of KL(full prediction, stopped || prediction from what is visible)."""
    consistency_loss_coeff: float = 0.0
    """Coefficient of the squared distance between each single modality's prediction and the full, stopped one."""
    consistency_ramp_epochs: int = 5
    """Epochs over which the consistency, the confidence and the subset calibration terms rise linearly."""
    unimodal_coeff: float = 1.0
    """Coefficient of the loss of every modality's own prediction, summed over the modalities."""
    confidence_coeff: float = 10.0
    """Coefficient of the mean amount by which confidence falls from what is visible to everything present."""
    subset_calibration_coeff: float = 0.0
    """Coefficient of the gap of mean confidence and accuracy, by the number of visible modalities."""
    fit_temperature: bool = True
    """Fit the temperature of the output on the validation rows, for every checkpoint; classification only."""
    adaptive_temperature: bool | None = None
    """Let the fitted temperature grow with the size s of the evidence, T s^a, and fit a beside T; None: if aecf."""
    focal_alpha: float = 0.5
    """Weight of positive labels in the multi-label focal loss; negatives have 1 - focal_alpha."""
    focal_gamma: float = 0.0
    """Focusing exponent of the multi-label focal loss; 0: plain cross-entropy."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes."""
    label_frequencies: Sequence[float] | None = None
    """Frequency of each label, to weight positives by its inverse (clipped to [0.1, 10])."""
    contrastive_temp: float = 0.07
    """Temperature of the contrastive loss of the embedding task."""

    def __post_init__(self) -> None:
        """Freezes lists, joins PyTorch's second names with the first, and checks every field."""
        for name in ("modalities", "input_dims", "encoder_hidden_dims", "head_hidden_dims", "gate_hidden_dims",
                     "label_frequencies", "masking_rates"):  # fmt: skip
            _set(self, name, _checks.frozen_sequence(name, getattr(self, name)))
        _set(self, "trainer_kwargs", _checks.frozen_items(self.trainer_kwargs))
        _legacy.join_second_names(self, _set)
        _checks.check_config(self)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each modality's features, in the order of `modalities`."""
        return tuple(self.input_dims) or (self.feat_dim,) * len(self.modalities)

    @property
    def separate_experts(self) -> bool:
        """Whether every modality is trained by itself, and the fusion is a rule without parameters."""
        return self.fusion in ("late", "late_logits", "poe", "unimodal")

    @property
    def isolated_experts(self) -> bool:
        """Whether every modality's encoder and expert are trained by that modality's own loss alone."""
        return self.separate_experts or self.fusion == "aecf"

    @property
    def tempered(self) -> bool:
        """Whether the model has a temperature that is fitted on validation rows."""
        return self.fit_temperature and self.task_type == "classification"

    @property
    def adaptively_tempered(self) -> bool:
        """Whether that temperature depends on the size of the evidence."""
        chosen = self.adaptive_temperature
        return self.tempered and (self.fusion == "aecf" if chosen is None else chosen)

    @property
    def embed_width(self) -> int:
        """Width of the fused embedding."""
        return self.embed_dim or self.feat_dim

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Widths of all hidden layers that are named: of encoders, gate and head."""
        return (*self.encoder_hidden_dims, *self.gate_hidden_dims, *(self.head_hidden_dims or ()))

    @classmethod
    def pytorch(cls, **changes: Any) -> "AECFConfig":
        """Returns the PyTorch generation's defaults and mathematics, with changes.

        Args:
            **changes: fields to set otherwise.

        Source: `aecf/config.py` and `aecf/model_refactored.py`. Its consistency term is a constant 0, so both
        coefficients are 0 here.

        >>> AECFConfig.pytorch().gate_hidden_dims
        (2048,)
        """
        base = dict(_legacy.TORCH_FIELDS) | {"consistency_coeff": 0.0, "consistency_loss_coeff": 0.0}
        return cls(**_legacy.without_second_names(base, changes) | changes)

    @classmethod
    def published(cls, **changes: Any) -> "AECFConfig":
        """Returns the method as its paper describes it, with changes: a gated mixture, and all three of its parts.

        Args:
            **changes: fields to set otherwise.

        Source: Chlon et al. 2025, arXiv 2505.15417: a gate of one hidden layer mixes frozen features; the entropy
        coefficient follows the epoch and adapts to each instance; confidence is monotone over subsets; inputs are
        hidden at random, with a probability that rises linearly. Its text gives no further figure that we could find:
        rates, coefficients, epochs and widths are those of its first released training script on MS-COCO
        (leochlon/aecf, `aecf/train.py`). Unknown, and chosen here: predictive entropy as what the coefficient adapts
        to, the script's consistency coefficient as that of the hinge on confidence, plain cross-entropy.

        >>> AECFConfig.published().masking_prob
        0.4
        """
        base = dict(_legacy.PUBLISHED_FIELDS)
        return cls(**_legacy.without_second_names(base, changes) | changes)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any], *, ignore_unknown: bool = False) -> "AECFConfig":
        """Returns the configuration that a dictionary describes, with PyTorch's legacy keys understood.

        A dictionary with a legacy key (`lr`, `gate_hidden`, `p_missing`, ...) is a PyTorch dictionary: what it leaves
        out has PyTorch's default.

        Args:
            mapping: fields, or legacy keys.
            ignore_unknown: warn about unknown keys of a legacy dictionary instead of refusing them.

        Raises:
            InputError: for an unknown key, with the nearest known one; for a value outside its range.

        >>> AECFConfig.from_dict({"lr": 3e-4, "gate_hidden": 128}).gate_hidden_dims
        (128,)
        """
        require_type(isinstance(mapping, Mapping), "configuration", "be a dictionary", mapping)
        fields = _legacy.modern_fields(mapping, _FIELDS, ignore_unknown=ignore_unknown)
        return cls(**fields)

    @classmethod
    def from_file(cls, path: str | Path) -> "AECFConfig":
        """Returns the configuration in a TOML or JSON file.

        Args:
            path: a file whose name ends in .toml or .json.

        Raises:
            InputError: if the file is missing, unreadable, of another kind, or holds an unknown key.
        """
        return cls.from_dict(read_mapping(path))

    def to_dict(self) -> dict[str, Any]:
        """Returns every field as plain lists, numbers and strings; `from_dict` takes it back."""
        plain = {name: _checks.plain(getattr(self, name)) for name in _FIELDS}
        return plain | {"trainer_kwargs": dict(self.trainer_kwargs)}

    def to_legacy_dict(self) -> dict[str, Any]:
        """Returns the dictionary that the dict-configured PyTorch generation reads; fields it lacks are left out."""
        return _legacy.legacy_dict(self)

    def update(self, **changes: Any) -> "AECFConfig":
        """Returns a configuration with some fields changed.

        Args:
            **changes: fields or legacy keys, and their new values.

        Raises:
            InputError: for an unknown name or a value outside its range.
        """
        modern = _legacy.renamed(changes)
        for name in modern:
            require(name in _FIELDS, name, "be a configuration field", "an unknown name", nearest(name, _FIELDS))
        return type(self)(**_legacy.without_second_names(self._own(), modern) | modern)

    def _own(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(AECFConfig))


def _set(config: AECFConfig, name: str, value: object) -> None:
    """Sets a field of a frozen configuration while it is being made."""
    object.__setattr__(config, name, value)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Returns the dictionary in a TOML or JSON file.

    Args:
        path: a file whose name ends in .toml or .json.

    Raises:
        InputError: if the file is missing, of another kind, or cannot be parsed.
    """
    path = Path(path)
    require(path.suffix in (".toml", ".json"), "config", "be a .toml or .json file", str(path))
    require(path.is_file(), "config", "be a file that exists", str(path))
    try:
        text = path.read_text(encoding="utf-8")
        loaded: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(message("config", f"be readable {path.suffix[1:].upper()}", f"{path} ({error})")) from error
    require_type(isinstance(loaded, dict), "config", "hold one table of fields", loaded)
    return loaded
