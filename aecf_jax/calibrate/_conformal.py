"""Conformal sets: of classes, or of the values each label may have, that hold the truth as often as was asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from aecf_jax.calibrate._entries import By, Entries, entries_of, entry_index
from aecf_jax.calibrate._maps import Kind
from aecf_jax.calibrate._rows import CalibrationRows, calibration_rows
from aecf_jax.calibrate._saved import checked_number, entry_dict, read_entries, read_head
from aecf_jax.calibrate._scores import SCORES, Score, scores_of, true_score
from aecf_jax.data import Dataset, DropTable, Splits
from aecf_jax.errors import nearest, require
from aecf_jax.evaluate import BATCH_SIZE, Model
from aecf_jax.files import read_json, write_json
from aecf_jax.rng import Stream

CONFORMAL_FORMAT = "aecf_jax conformal 1"
_FIT, _PREDICT, _CHOICE = 1, 2, 3
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Conformal:
    """Thresholds that turn the model's own, uncalibrated logits into sets, by what is visible.

    A pattern that was not fitted takes its nearest superset's threshold, for which no coverage is promised.

    Attributes:
        modalities: names of the columns of `visible`, in order.
        kind: classes or labels.
        score: lac or aps.
        by: what has a threshold of its own: every pattern (Mondrian), every size, or nothing ("all", marginal).
        coverage: share of rows whose set is to hold the truth: the class, or the values of all labels.
        seed: of the random draws of aps; a row's draw depends on its place among the rows given.
        entries: the patterns and sizes, fewest modalities first; the last one holds every row.
        thresholds: largest score in the set, one for each entry; infinite where rows are too few to promise anything.
        rows: how many rows each threshold was found on.
        about: what they are.
    """

    modalities: tuple[str, ...]
    kind: Kind
    score: Score
    by: By
    coverage: float
    seed: int
    entries: Entries
    thresholds: Float[np.ndarray, "entries"]
    rows: Int[np.ndarray, "entries"]
    about: Mapping[str, str | int | float] = field(default_factory=dict[str, Any])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Conformal) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(
        self, logits: Float[np.ndarray, "rows classes"], visible: Bool[np.ndarray, "rows modality"], *, first: int = 0
    ) -> Shaped[np.ndarray, "rows ..."]:
        """Returns which classes are in each row's set, or which values 0 and 1 of each label, `(rows, labels, 2)`.

        A set may be empty, where nothing conforms, and a label may keep both values, where it is not decided.

        Args:
            logits: the model's, not calibrated.
            visible: which modalities the model saw.
            first: the place of the first row, where rows come in blocks.

        Raises:
            InputError: if shapes do not fit.
        """
        logits, visible = np.asarray(logits), np.asarray(visible, bool)
        shape = (len(logits), len(self.modalities))
        require(visible.shape == shape, "visible", f"have the shape (rows, modalities), {shape}", visible.shape)
        scores = scores_of(logits, self.kind, self.score, _draws(self.seed, _PREDICT, first + len(logits))[first:])
        inside = scores <= self.thresholds[entry_index(self.entries, visible)][:, None]
        return inside if self.kind == "classes" else inside.reshape(*logits.shape, 2)

    def names(self) -> list[str]:
        """Returns what each entry is called: its modalities, its size, or "all" for the last."""
        return self.entries.names(self.modalities)

    def to_dict(self) -> dict[str, Any]:
        """Returns the thresholds as JSON can hold them, an infinite one as null; `from_dict` gives them back."""
        entries = [
            entry_dict(self.entries, index, self.modalities)
            | {"rows": int(self.rows[index]), "threshold": float(value) if math.isfinite(value) else None}
            for index, value in enumerate(self.thresholds)
        ]
        names = ("kind", "score", "by", "coverage", "seed")
        fields = {name: getattr(self, name) for name in names}
        return {"format": CONFORMAL_FORMAT, "modalities": list(self.modalities), **fields, "about": dict(self.about),
                "entries": entries}  # fmt: skip

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Conformal":
        """Returns the thresholds that `to_dict` described.

        Args:
            mapping: what `to_dict` returned, perhaps by way of a file.

        Raises:
            InputError: if a part is missing, of the wrong type or out of range.
        """
        head = read_head(mapping, CONFORMAL_FORMAT, ("score", "coverage", "seed"))
        require(head["score"] in SCORES, "score", f"be one of {', '.join(SCORES)}", str(head["score"]))
        whole = isinstance(head["seed"], int) and head["seed"] >= 0
        require(whole, "seed", "be a whole number from 0", str(head["seed"]))
        entries, rows = read_entries(head["entries"], head["modalities"])
        for entry in head["entries"]:
            require("threshold" in entry, "entries", "have `threshold`", str(dict(entry)))
        found = [entry["threshold"] for entry in head["entries"]]
        thresholds = [math.inf if value is None else checked_number(value, "threshold") for value in found]
        return cls(
            modalities=head["modalities"], kind=head["kind"], score=head["score"], by=head["by"],
            coverage=checked_number(head["coverage"], "coverage"), seed=head["seed"], entries=entries,
            thresholds=np.array(thresholds), rows=rows, about=head["about"],
        )  # fmt: skip

    def save(self, path: Path | str) -> None:
        """Writes the thresholds as JSON, whole or not at all.

        Args:
            path: the file; its folder must exist.
        """
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: Path | str) -> "Conformal":
        """Returns saved thresholds.

        Args:
            path: the file.

        Raises:
            InputError: if it is not there, damaged, or something else.
        """
        return cls.from_dict(read_json(Path(path)))


def fit_conformal(
    model: Model,
    data: Splits | Dataset,
    *,
    score: Score = "lac",
    by: By = "pattern",
    coverage: float = 0.9,
    drops: DropTable | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Conformal:
    """Returns the thresholds of conformal sets, found on validation rows.

    Scores are of the model's own logits, in which no number was fitted to these rows: a calibration fitted on them
    would make their scores look better than those of new rows.

    Args:
        model: anything with `config` and `variables`.
        data: all parts, of which the validation part is taken and compared with the test part, or the validation part.
        score: lac, or aps (for classes).
        by: pattern, size or all.
        coverage: share of new rows whose set is to hold the truth.
        drops: what each row shows; None: every subset, see `calibration_rows`.
        seed: of every random draw.
        batch_size: rows per block.

    Raises:
        InputError: if rows are not for validation, leak from the test part, or do not fit the model.
    """
    rows = calibration_rows(model, data, drops=drops, seed=seed, batch_size=batch_size)
    return conformed(rows, tuple(model.config.modalities), score=score, by=by, coverage=coverage, seed=seed)


def conformed(
    rows: CalibrationRows,
    modalities: tuple[str, ...],
    *,
    score: Score = "lac",
    by: By = "pattern",
    coverage: float = 0.9,
    seed: int = 0,
) -> Conformal:
    """Returns the thresholds that some rows give.

    Where a row of the data stands in an entry more than once, with several of its subsets, one of them is drawn: rows
    are exchangeable, what one row shows of itself is not.

    Args:
        rows: from `calibration_rows`.
        modalities: the names of the columns of what is visible.
        score: lac or aps.
        by: pattern, size or all.
        coverage: share of new rows whose set is to hold the truth.
        seed: of every random draw.
    """
    require(score in SCORES, "score", f"be one of {', '.join(SCORES)}", score, nearest(str(score), SCORES))
    require(score == "lac" or rows.kind == "classes", "score", "be lac for labels", score)
    require(0 < coverage < 1, "coverage", "lie between 0 and 1", coverage)
    entries = entries_of(rows.visible, by)
    index = entry_index(entries, rows.visible)
    scores = scores_of(rows.logits, rows.kind, score, _draws(seed, _FIT, len(rows.logits)))
    true = true_score(scores, rows.target, rows.kind)
    shuffled = np.argsort(_draws(seed, _CHOICE, len(true)))
    last = len(entries.sizes) - 1
    own = [shuffled[index[shuffled] == entry] for entry in range(last)] + [shuffled]
    one_each = [some[np.unique(rows.source[some], return_index=True)[1]] for some in own]
    thresholds = np.array([conformal_quantile(true[some], coverage) for some in one_each])
    count = np.array([len(some) for some in one_each], np.int64)
    return Conformal(modalities, rows.kind, score, by, coverage, seed, entries, thresholds, count, dict(rows.about))


def conformal_rank(rows: int, coverage: float) -> int:
    """Returns which of the sorted scores of some rows is the threshold: ceil((rows + 1) * coverage), from 1.

    Args:
        rows: how many scores there are.
        coverage: share of new rows that are to lie at or below it.

    >>> conformal_rank(99, 0.9), conformal_rank(5, 0.9)
    (90, 6)
    """
    return math.ceil((rows + 1) * coverage - _ROUNDING)


def conformal_quantile(scores: Float[np.ndarray, "rows"], coverage: float) -> float:
    """Returns the score below or at which a new one lies with a probability of at least `coverage`.

    Args:
        scores: of exchangeable rows.
        coverage: the probability.

    Returns:
        The score of rank `conformal_rank`; infinite if there are too few rows for one.
    """
    rank = conformal_rank(len(scores), coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def _draws(seed: int, purpose: int, rows: int) -> np.ndarray:
    """Returns a uniform number of [0, 1) for each row, by its place."""
    return np.random.default_rng([seed, int(Stream.CALIBRATION), purpose]).random(rows)
