"""Reliability over the subsets: diagrams and errors, as the model gives its probabilities and after calibration."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from aecf_jax.calibrate import Calibration, conformal_coverage
from aecf_jax.evaluate import subset_outputs
from aecf_jax.metrics import Reliability, calibration_metrics, prevalence_metrics, reliability
from aecf_jax.report._subject import Subject

BINS = 15
"""Bins of every diagram and error here; the library's own number."""

_EVERYTHING, _POOLED = "all modalities", "all subsets together"


class _Sums:
    """Diagrams of the full set and of all subsets together, and the errors of each subset."""

    def __init__(self) -> None:
        self.full: dict[str, Any] = {}
        self.count, self.said, self.true = (np.zeros(BINS) for _ in range(3))
        self.edges: list[float] = []
        self.errors: list[dict[str, float]] = []

    def add(self, output: Any, label: np.ndarray) -> None:
        """Adds one subset; the last one counts as the full set."""
        found = reliability(output, label, bins=BINS)
        self.full, self.edges = _plain(found), found.edges[0].tolist()
        for sums, values in ((self.said, found.confidence), (self.true, found.frequency)):
            sums += np.nan_to_num(values[0]) * found.count[0]
        self.count += found.count[0]
        self.errors.append(calibration_metrics(output, label, bins=BINS))

    def diagrams(self) -> dict[str, dict[str, Any]]:
        """Returns both diagrams by name."""
        with np.errstate(invalid="ignore"):
            said, true = self.said / self.count, self.true / self.count
        pooled = {"edges": self.edges, "confidence": said, "frequency": true, "counts": self.count}
        return {_EVERYTHING: self.full, _POOLED: pooled}

    def means(self) -> dict[str, dict[str, float]]:
        """Returns every error of the full set, its mean over the subsets, and its largest value."""
        names = self.errors[-1]
        return {
            name: {"full": names[name], "mean": math.fsum(one[name] for one in self.errors) / len(self.errors),
                   "worst": max(one[name] for one in self.errors)}
            for name in names
        }  # fmt: skip


def reliability_facts(subject: Subject, sizes: Sequence[int] | None) -> dict[str, Any] | None:
    """Returns diagrams and errors before and after a run's calibration; None where nothing is a probability.

    Args:
        subject: the run.
        sizes: of the subsets; None: any.
    """
    model, test = subject.model, subject.splits.test.select(subject.model.config.modalities)
    if model.config.task_type != "classification":
        return None
    before, after = _Sums(), _Sums()
    for chunk in subset_outputs(model, test, sizes=sizes):
        for seen, output, counted in zip(chunk.seen, chunk.output, chunk.counted, strict=True):
            if not counted.any():
                continue
            before.add(output[counted], test.label[counted])
            if subject.calibration is not None:
                visible = np.broadcast_to(seen, test.present.shape)[counted]
                after.add(subject.calibration(output[counted], visible), test.label[counted])
    if not before.errors:
        return None
    mended = after.diagrams() if after.errors else {}
    diagrams = [{"name": name, "before": one, "after": mended.get(name)} for name, one in before.diagrams().items()]
    return {"bins": BINS, "diagrams": diagrams, "before": before.means(),
            "after": after.means() if after.errors else None}  # fmt: skip


def calibration_facts(calibration: Calibration | None) -> dict[str, Any] | None:
    """Returns how a calibration was fitted; None where there is none.

    Args:
        calibration: the run's.
    """
    if calibration is None:
        return None
    about = calibration.about
    temperatures = calibration.temperatures()
    rows = dict(zip(calibration.names(), calibration.rows.tolist(), strict=True))
    return {
        "method": calibration.method, "by": calibration.by, "rows": int(about["validation_rows"]),
        "drops": f"{about['drops']} {str(about.get('drops_hash', ''))[:16]}".strip(), "about": dict(about),
        "entries": [{"name": name, "rows": rows[name], "temperature": value} for name, value in temperatures.items()],
    }  # fmt: skip


def conformal_facts(subject: Subject) -> dict[str, Any] | None:
    """Returns how often a run's prediction sets hold the truth, by pattern; None where it has none.

    Args:
        subject: the run.
    """
    sets = subject.conformal
    if sets is None:
        return None
    test = subject.splits.test.select(subject.model.config.modalities)
    rows = [row._asdict() for row in conformal_coverage(sets, subject.model, test)]
    return {"method": sets.score, "by": sets.by, "level": sets.coverage, "patterns": rows}


def prevalence_facts(subject: Subject) -> dict[str, float] | None:
    """Returns the metrics of a prediction that ignores the input; None for an embedding, which has none.

    Args:
        subject: the run.
    """
    splits, task = subject.splits, subject.model.config.task_type
    if task == "embedding":
        return None
    classes = splits.num_classes if splits.label_kind == "classes" else None
    return prevalence_metrics(splits.train.label, splits.test.label, task, classes=classes)


def _plain(found: Reliability) -> dict[str, Any]:
    """Returns a diagram of one curve as a dictionary."""
    return {"edges": found.edges[0], "confidence": found.confidence[0], "frequency": found.frequency[0],
            "counts": found.count[0]}  # fmt: skip
