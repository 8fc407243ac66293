"""What a calibration is fitted on: the model's logits of validation rows under a stated choice of what is visible."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from aecf_jax.calibrate._maps import KINDS, Kind
from aecf_jax.data import Dataset, DropTable, Splits, fingerprint, make_drops, refuse_leak
from aecf_jax.errors import require
from aecf_jax.evaluate import SUBSET_BATCH_SIZE, Model, predict, subset_count, subset_outputs

_MOST_SUBSETS = 63
"""All of 6 modalities: with more, each row is seen once, under a drop table."""

_MOST_NUMBERS = 2**24
"""Logits of all rows and subsets that are held at once, 128 MiB; with more, each row is seen once."""

_RATE = 0.5
"""Rate of that drop table: every subset is then about as likely."""


class CalibrationRows(NamedTuple):
    """Logits with their targets and what was visible; one row of the data may stand here once for each of its subsets.

    Attributes:
        logits: the model's, `(rows, classes)`, in float64.
        target: 1 for the true class or label, else 0, `(rows, classes)`.
        visible: what the model saw, at least one modality, `(rows, modality)`.
        source: the row of the data.
        kind: classes or labels.
        about: what they are, for the saved file.
    """

    logits: Float[np.ndarray, "rows classes"]
    target: Float[np.ndarray, "rows classes"]
    visible: Bool[np.ndarray, "rows modality"]
    source: Int[np.ndarray, "rows"]
    kind: Kind
    about: dict[str, str | int | float]

    def take(self, rows: np.ndarray) -> "CalibrationRows":
        """Returns some of the rows."""
        logits, target, visible, source = (part[rows] for part in self[:4])
        return CalibrationRows(logits, target, visible, source, self.kind, self.about)


def validation_part(data: Splits | Dataset) -> Dataset:
    """Returns the rows to fit on; everything that a calibration is fitted on goes through here.

    Args:
        data: all parts, of which the validation part is taken, or the validation part itself.

    Raises:
        InputError: if they are of another part, or the validation part holds rows of the test part.
    """
    if isinstance(data, Splits):
        refuse_leak(data.validation, data.test)
        return data.validation
    require(data.part == "validation", "validation", "be the validation part: calibration is fitted on nothing else",
            f"the {data.part} part")  # fmt: skip
    return data


def calibration_rows(
    model: Model,
    data: Splits | Dataset,
    *,
    drops: DropTable | None = None,
    seed: int = 0,
    batch_size: int = SUBSET_BATCH_SIZE,
) -> CalibrationRows:
    """Returns the model's logits of the validation rows, from every subset of what each row has, or as `drops` says.

    Args:
        model: anything with `config` and `variables`.
        data: all parts, or the validation part.
        drops: what each row shows; None: every subset, or, of more than 6 modalities or very many rows, one draw for
            each row, every modality with probability 0.5.
        seed: of that draw.
        batch_size: rows per block.

    Raises:
        InputError: if rows are not for validation, leak from the test part, or have no classes or labels.
    """
    task = model.config.task_type
    require(task == "classification", "task_type", "be classification, to be calibrated", task)
    dataset = validation_part(data).select(model.config.modalities)
    found = dataset.label_kind
    require(found in KINDS, "label", "be classes or labels, to calibrate a model", f"data with {found}")
    kind = "labels" if found == "labels" else "classes"
    count = subset_count(len(dataset.modalities))
    if drops is None and (count > _MOST_SUBSETS or count * len(dataset) * model.config.num_classes > _MOST_NUMBERS):
        drops = make_drops(dataset, "mcar", rate=_RATE, seed=seed)
    about: dict[str, str | int | float] = {"data": dataset.name, "validation_rows": len(dataset),
                                           "validation_sha256": fingerprint(dataset)}  # fmt: skip
    if drops is None:
        logits, visible, source = _every_subset(model, dataset, batch_size)
        about["drops"] = "every subset of each row's modalities"
    else:
        visible = drops.apply(dataset).present
        logits, source = predict(model, dataset, present=visible, batch_size=batch_size).output, np.arange(len(dataset))
        about |= {"drops": drops.mechanism, "drops_seed": drops.seed, "drops_hash": drops.hash}
    shown = visible.any(axis=1)
    require(bool(shown.any()), "validation", "have a row with a visible modality", "none")
    label = dataset.label[source]
    target = label.astype(np.float64) if kind == "labels" else np.eye(dataset.num_classes)[label]
    rows = CalibrationRows(np.asarray(logits, np.float64), target, visible, source, kind, about)
    fits = rows.logits.shape == target.shape
    require(fits, "label", f"have {rows.logits.shape[1]} {kind}, as the model has", target.shape[1])
    return rows.take(np.flatnonzero(shown))


def _every_subset(model: Model, dataset: Dataset, batch_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns logits, what was visible and the row of the data, for every subset of each row's modalities."""
    logits: list[np.ndarray] = []
    visible: list[np.ndarray] = []
    source: list[np.ndarray] = []
    for chunk in subset_outputs(model, dataset, batch_size=batch_size):
        for output, seen, counted in zip(chunk.output, chunk.seen, chunk.counted, strict=True):
            logits.append(output[counted])
            visible.append(np.broadcast_to(seen, (int(counted.sum()), len(seen))))
            source.append(np.flatnonzero(counted))
    return np.concatenate(logits), np.concatenate(visible), np.concatenate(source)
