"""The whole loss under a configuration: the task's loss and its penalties, by name."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jaxtyping import Array, Bool, Float, Int, Shaped

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.losses import _calibration, _consistency, _contrastive, _task
from aecf_jax.ops import (
    confidence,
    gate_entropy,
    is_on,
    linear_ramp,
    mutual_information,
    predictive_entropy,
    warmup_cosine,
)

AnyArray = Array | np.ndarray
Components = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class AECFLoss:
    """The total loss and its components, each already multiplied by its coefficient, in float32.

    Keys, always the same for a configuration: `primary_loss`, `entropy_loss`, `ece_loss`, `l2_loss`, `total_loss`;
    `subset_calibration_loss`, `consistency_loss`, `confidence_loss` and `unimodal_loss` where a coefficient of theirs
    is positive. Where the fusion's experts are trained separately, `unimodal_loss` is all that is not 0.
    One-dimensional integer targets are classes; two-dimensional targets are labels, values or embeddings. Works under
    `jax.jit`, with the epoch traced.

    Source: `AECFLoss` of the PyTorch generation. Differs: `entropy_max_coeff` takes effect, the multi-label
    calibration penalty is a calibration error, the consistency terms and the embedding loss are not 0.

    >>> import jax.numpy as jnp
    >>> loss_fn = AECFLoss(AECFConfig(num_classes=4, consistency_coeff=0.0))
    >>> total, components = loss_fn(jnp.zeros((2, 4)), jnp.array([0, 3]), jnp.full((2, 2), 0.5), epoch=10)
    >>> sorted(components)
    ['confidence_loss', 'ece_loss', 'entropy_loss', 'l2_loss', 'primary_loss', 'total_loss', 'unimodal_loss']
    >>> round(float(components["primary_loss"]), 4)
    1.3863
    """

    config: AECFConfig

    def __call__(
        self,
        logits: Float[AnyArray, "batch classes"],
        targets: Shaped[AnyArray, "batch ..."],
        weights: Float[AnyArray, "batch modality"] | None = None,
        epoch: float | int | Shaped[AnyArray, ""] = 0,
        max_epochs: float | int | None = None,
        *,
        present: Bool[AnyArray, "batch modality"] | None = None,
        full_logits: Float[AnyArray, "batch classes"] | None = None,
        alone_logits: Float[AnyArray, "modality batch classes"] | None = None,
        experts: Float[AnyArray, "batch modality classes"] | None = None,
        draws: Float[AnyArray, "draws batch classes"] | None = None,
    ) -> tuple[Float[Array, ""], Components]:
        """Returns the total loss and its components.

        Args:
            logits: the model's output for the view that is trained.
            targets: classes `(batch,)`, or labels, values or embeddings `(batch, classes)`.
            weights: the gate's weights, for the entropy reward; None: no reward.
            epoch: epochs since the start; fractions are meant, and it may be traced.
            max_epochs: epochs of the whole training; None: `config.epochs`.
            present: True where the modality was observed; None: everywhere. A row with nothing present counts as
                entropy 0.
            full_logits: output for the full view, the teacher of `logits`; None: no divergence from it.
            alone_logits: output from each modality alone, in the order of `config.modalities`; None: no distance.
            experts: what each modality's expert predicts; None: `alone_logits` are what every modality predicts.
            draws: outputs under draws of dropout, for the reward's share of each row; None: the full view's alone.

        Raises:
            InputError: if shapes or the type of the targets do not fit the logits and the task.
        """
        config = self.config
        kind = _target_kind(config, logits, targets)
        logits = jnp.asarray(logits, jnp.float32)
        targets = _as_targets(kind, logits, targets)
        seen = None if present is None else jnp.asarray(present)
        full = logits if full_logits is None else jnp.asarray(full_logits, jnp.float32)
        progress = jnp.asarray(epoch, jnp.float32)
        share = self._instance(kind, full[None] if draws is None else jnp.asarray(draws, jnp.float32))
        components = self._view(kind, logits, targets, weights, seen, share, progress, max_epochs)
        if is_on(config.subset_calibration_coeff):
            gap = _size_gap(kind, logits, targets, seen)
            components["subset_calibration_loss"] = self._ramp(epoch) * config.subset_calibration_coeff * gap
        if config.separate_experts:
            components = dict.fromkeys(components, jnp.zeros((), jnp.float32))
        components |= self.compared(
            logits, targets, epoch, present=present, full_logits=full_logits, alone_logits=alone_logits, experts=experts
        )
        total = sum(components.values(), start=jnp.zeros((), jnp.float32))
        return total, components | {"total_loss": total}

    def compared(
        self,
        logits: Float[AnyArray, "batch classes"],
        targets: Shaped[AnyArray, "batch ..."],
        epoch: float | int | Shaped[AnyArray, ""] = 0,
        *,
        present: Bool[AnyArray, "batch modality"] | None = None,
        full_logits: Float[AnyArray, "batch classes"] | None = None,
        alone_logits: Float[AnyArray, "modality batch classes"] | None = None,
        experts: Float[AnyArray, "batch modality classes"] | None = None,
    ) -> Components:
        """Returns the components that several predictions of a row have in common, where a coefficient is positive.

        They are `consistency_loss`, `confidence_loss` and `unimodal_loss`; all others are of one view by itself.

        Args:
            logits: as `__call__` takes them; and so all that follows.
            targets: what is to be predicted.
            epoch: epochs since the start.
            present: what was observed.
            full_logits: output for the full view.
            alone_logits: output from each modality alone.
            experts: what each modality's expert predicts.

        Raises:
            InputError: if shapes or the type of the targets do not fit the logits and the task.
        """
        config, kind, components = self.config, _target_kind(self.config, logits, targets), {}
        logits, nothing = jnp.asarray(logits, jnp.float32), jnp.zeros((), jnp.float32)
        targets, seen = _as_targets(kind, logits, targets), None if present is None else jnp.asarray(present)
        full = logits if full_logits is None else jnp.asarray(full_logits, jnp.float32)
        alone = None if alone_logits is None else jnp.asarray(alone_logits, jnp.float32)
        if is_on(config.consistency_coeff) or is_on(config.consistency_loss_coeff):
            terms = nothing
            if full_logits is not None:
                terms = terms + config.consistency_coeff * _divergence(kind, full, logits)
            if alone is not None:
                terms = terms + config.consistency_loss_coeff * _alone(kind, full, alone, seen)
            components["consistency_loss"] = self._ramp(epoch) * terms
        if is_on(config.confidence_coeff):
            fall = _confidence_fall(kind, full, logits)
            components["confidence_loss"] = self._ramp(epoch) * config.confidence_coeff * fall
        if config.separate_experts:
            components = dict.fromkeys(components, nothing)
        if is_on(config.unimodal_coeff) or config.separate_experts:
            coefficient = 1.0 if config.separate_experts else config.unimodal_coeff
            said = alone if experts is None else jnp.moveaxis(jnp.asarray(experts, jnp.float32), 1, 0)
            components["unimodal_loss"] = coefficient * self._unimodal(kind, said, targets, seen)
        return components

    def task_loss(
        self, logits: Float[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."]
    ) -> Float[Array, ""]:
        """Returns the task's own loss of a prediction, whatever else training minimizes.

        Args:
            logits: the model's output.
            targets: as `__call__` takes them.

        Raises:
            InputError: if shapes or the type of the targets do not fit the logits and the task.
        """
        kind = _target_kind(self.config, logits, targets)
        logits = jnp.asarray(logits, jnp.float32)
        return self._primary(kind, logits, _as_targets(kind, logits, targets))

    def row_losses(
        self, logits: Float[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."]
    ) -> Float[Array, "batch"]:
        """Returns the task's own loss of every row by itself; contrasts, which need other rows, are 0.

        Args:
            logits: the model's output.
            targets: as `__call__` takes them.

        Raises:
            InputError: if shapes or the type of the targets do not fit the logits and the task.
        """
        kind = _target_kind(self.config, logits, targets)
        logits = jnp.asarray(logits, jnp.float32)
        return self._rows(kind, logits, _as_targets(kind, logits, targets))

    def _ramp(self, epoch: Any) -> Float[Array, ""]:
        """Returns how much the terms that compare predictions count."""
        return linear_ramp(jnp.asarray(epoch, jnp.float32), float(self.config.consistency_ramp_epochs))

    def _rows(self, kind: str, logits: Array, targets: Array) -> Float[Array, "batch"]:
        """Returns the task's own loss of every row by itself."""
        return jax.vmap(lambda one, target: self._primary(kind, one[None], target[None]))(logits, targets)

    def _view(
        self, kind: str, logits: Array, targets: Array, weights: Any, present: Array | None, share: Array | float,
        epoch: Array, max_epochs: float | int | None,
    ) -> Components:  # fmt: skip
        """Returns what one view costs by itself."""
        return {
            "primary_loss": self._primary(kind, logits, targets),
            "entropy_loss": self._entropy(
                weights, present, share, epoch, self.config.epochs if max_epochs is None else max_epochs
            ),
            "ece_loss": self._calibration(kind, logits, targets),
            "l2_loss": self._l2(logits),
        }

    def _l2(self, logits: Float[Array, "batch classes"]) -> Float[Array, ""]:
        """Returns the cost of large logits."""
        coefficient = self.config.l2_logits_coeff
        return coefficient * jnp.mean(jnp.square(logits)) if is_on(coefficient) else jnp.zeros((), jnp.float32)

    def _unimodal(self, kind: str, said: Array | None, targets: Array, present: Array | None) -> Float[Array, ""]:
        """Returns the mean over rows of the losses of their modalities' own predictions, summed over those present.

        Not a mean over the rows that have a modality: their number is known only when all devices have counted.
        """
        if said is None:
            return jnp.zeros((), jnp.float32)
        rows = jnp.ones(said.shape[:2], dtype=bool) if present is None else present.T
        said = jnp.where(rows[..., None], said, 0.0)
        if kind in ("pairs", "groups"):
            # Contrasts need the whole batch: where a modality is absent it says 0, as if trained by itself.
            return jnp.sum(jax.vmap(lambda one: self._primary(kind, one, targets))(said))
        each = jax.vmap(lambda one: self._rows(kind, one, targets))
        return jnp.sum(jnp.mean(jnp.where(rows, each(said), 0.0), axis=1))

    def _primary(self, kind: str, logits: Float[Array, "batch classes"], targets: Shaped[Array, "batch ..."]) -> Array:
        """Returns the task's own loss."""
        config = self.config
        if kind == "classes":
            return _task.cross_entropy(logits, targets, smoothing=config.label_smoothing)
        if kind == "values":
            return _task.mean_squared_error(logits, targets)
        if kind == "pairs":
            return _contrastive.info_nce(logits, targets, temperature=config.contrastive_temp)
        if kind == "groups":
            return _contrastive.supervised_contrastive(logits, targets, temperature=config.contrastive_temp)
        frequencies = config.label_frequencies
        return _task.focal_binary_cross_entropy(
            logits, targets, alpha=config.focal_alpha, gamma=config.focal_gamma,
            smoothing=config.label_smoothing,
            positive_weight=None if frequencies is None else _task.positive_weights(frequencies),
        )  # fmt: skip

    def _entropy(
        self,
        weights: Float[AnyArray, "batch modality"] | None,
        present: Bool[Array, "batch modality"] | None,
        share: Float[Array, "batch"] | float,
        epoch: Float[Array, ""],
        max_epochs: float | int,
    ) -> Float[Array, ""]:
        """Returns -lambda(epoch) times the mean of lambda(x) H, H the entropy of the gate's weights in nats."""
        config = self.config
        if weights is None or not config.entropy_reg:
            return jnp.zeros((), jnp.float32)
        weights = jnp.asarray(weights, jnp.float32)
        if present is not None:
            weights = jnp.where(present, weights, 0.0)
        coefficient = warmup_cosine(
            epoch, free=float(config.entropy_free_epochs), warmup=float(config.entropy_warmup_epochs),
            total=float(max_epochs), peak=config.entropy_max_coeff, cosine=config.entropy_cosine_fraction,
        )  # fmt: skip
        return -coefficient * jnp.mean(share * gate_entropy(weights))

    def _instance(self, kind: str, draws: Float[Array, "draws batch classes"]) -> Float[Array, "batch"] | float:
        """Returns lambda(x), each row's share of the entropy reward, without gradient: how unsure its draws are."""
        if self.config.entropy_instance == "none":
            return 1.0
        measure = mutual_information if self.config.entropy_instance == "mutual_information" else predictive_entropy
        return lax.stop_gradient(measure(draws, labels=kind == "labels"))

    def _calibration(
        self, kind: str, logits: Float[Array, "batch classes"], targets: Shaped[Array, "batch ..."]
    ) -> Float[Array, ""]:
        """Returns the calibration penalty of classes or labels; 0 for tasks without probabilities."""
        coefficient = self.config.ece_penalty_coeff
        if not is_on(coefficient) or kind not in ("classes", "labels"):
            return jnp.zeros((), jnp.float32)
        if kind == "classes":
            return coefficient * _calibration.top_label_calibration_error(logits, targets)
        return coefficient * _calibration.label_calibration_error(logits, targets)


def _target_kind(
    config: AECFConfig, logits: Float[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."]
) -> str:
    """Returns classes, labels, values, pairs (embeddings) or groups (classes of embeddings), after checking shapes."""
    require(logits.shape[0] > 0, "logits", "have at least one row", logits.shape)
    one = targets.ndim == 1
    integer = jnp.issubdtype(targets.dtype, jnp.integer)
    if config.task_type == "regression":
        fits = targets.shape == logits.shape or (one and logits.shape[-1] == 1)
        require(fits, "targets", f"have the shape of the predictions, {logits.shape}", targets.shape)
        return "values"
    rule = f"be integer classes (batch,) or have the shape of the logits, {logits.shape}"
    got = f"{targets.dtype} of shape {targets.shape}"
    require(targets.shape == logits.shape or (one and integer), "targets", rule, got)
    if config.task_type == "embedding":
        return "groups" if one else "pairs"
    wanted = {True: "be labels (batch, classes), as multilabel is true",
              False: "be integer classes (batch,), as multilabel is false"}  # fmt: skip
    if config.multilabel is not None:
        require(config.multilabel != one, "targets", wanted[config.multilabel], got)
    return "classes" if one else "labels"


def _as_targets(
    kind: str, logits: Float[AnyArray, "batch classes"], targets: Shaped[AnyArray, "batch ..."]
) -> Float[Array, "batch classes"] | Int[Array, "batch"]:
    """Returns targets as int32 classes, or as float32 in the shape of the logits."""
    if kind in ("classes", "groups"):
        return jnp.asarray(targets).astype(jnp.int32)
    return jnp.asarray(targets).astype(jnp.float32).reshape(logits.shape)


def _divergence(kind: str, full: Float[Array, "batch classes"], part: Float[Array, "batch classes"]) -> Array:
    """Returns how far the prediction from a part is from the full one."""
    term = {"classes": _consistency.class_divergence, "labels": _consistency.label_divergence}
    return term.get(kind, _consistency.squared_distance)(full, part)


def _confidence_fall(
    kind: str, full: Float[Array, "batch classes"], part: Float[Array, "batch classes"]
) -> Float[Array, ""]:
    """Returns mean max(0, c(part) - c(full)): by how much confidence c falls when the rest of a row is seen as well.

    Both sides move: the full prediction becomes surer and that from a part less sure.
    """
    if kind not in ("classes", "labels"):
        return jnp.zeros((), jnp.float32)
    labels = kind == "labels"
    return jnp.mean(nn.relu(confidence(part, labels=labels) - confidence(full, labels=labels)))


def _size_gap(
    kind: str, logits: Float[Array, "batch classes"], targets: Shaped[Array, "batch ..."], visible: Array | None
) -> Float[Array, ""]:
    """Returns the gap of confidence and accuracy by subset size; 0 for tasks without probabilities."""
    if kind not in ("classes", "labels"):
        return jnp.zeros((), jnp.float32)
    seen = jnp.ones((len(logits), 1), bool) if visible is None else visible
    return _calibration.size_calibration_gap(logits, targets, seen)


def _alone(
    kind: str,
    full: Float[Array, "batch classes"],
    alone: Float[Array, "modality batch classes"],
    present: Bool[Array, "batch modality"] | None,
) -> Float[Array, ""]:
    """Returns the distance of single modalities from the full prediction, in probabilities where there are any."""
    if present is None:
        present = jnp.ones(alone.shape[1::-1], dtype=bool)
    # Absent modalities are replaced before the softmax: a NaN there would reach the gradient through it.
    alone = jnp.where(present.T[:, :, None], alone, 0.0)
    probability = {"classes": nn.softmax, "labels": nn.sigmoid}.get(kind, lambda values: values)
    return _consistency.alone_distance(probability(full), probability(alone), present)
