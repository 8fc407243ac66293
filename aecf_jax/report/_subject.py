"""A finished run as it is measured, and its curve over missing rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from aecf_jax.calibrate import Calibration, Conformal
from aecf_jax.data import Dataset, Splits
from aecf_jax.evaluate import RobustnessCurve, late_fusion, robustness_curve
from aecf_jax.model import AECF_CLIP

_LATE = "late fusion of its own single modalities"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A finished run, read from its folder.

    Attributes:
        name: of the run.
        model: of its best checkpoint.
        splits: its data.
        data: what its data.json says.
        recorded: what its metrics.json says.
        history: what it logged.
        calibration: the run's own; None: it has none.
        conformal: thresholds of its prediction sets; None: it has none.
    """

    name: str
    model: AECF_CLIP
    splits: Splits
    data: Mapping[str, Any]
    recorded: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    calibration: Calibration | None = None
    conformal: Conformal | None = None


class Resampling(NamedTuple):
    """How intervals are made.

    Attributes:
        draws: resamples of the test rows.
        seed: of these, and of the drop tables.
        level: confidence of the intervals.
    """

    draws: int
    seed: int = 0
    level: float = 0.95


def curve_facts(
    subject: Subject, against: Mapping[str, RobustnessCurve], resampling: Resampling
) -> tuple[dict[str, Any], RobustnessCurve]:
    """Returns a run's curve over missing rates, with baselines on the same drop tables; and the curve itself.

    Args:
        subject: the run.
        against: the curves of other runs, by name.
        resampling: how intervals are made.
    """
    model, test, how = subject.model, subject.splits.test.select(subject.model.config.modalities), resampling._asdict()
    curve = robustness_curve(model, test, calibration=subject.calibration, **how)
    facts, baselines = curve.to_dict(), dict(against)
    if model.config.task_type == "classification" and len(model.config.modalities) > 1:
        late = late_fusion(dict.fromkeys(model.config.modalities, model), prior=frequencies(subject.splits.train))
        baselines[_LATE] = robustness_curve(late, test, **how)
        facts["late_fusion"] = {"name": _LATE, **baselines[_LATE].to_dict()}
    facts["effective"] = {
        name: {metric: [list(one) for one in points] for metric, points in curve.effective(other).items()}
        for name, other in baselines.items()
    }
    return facts, curve


def frequencies(train: Dataset) -> np.ndarray:
    """Returns how often each class or label is in the training rows."""
    if train.label_kind == "labels":
        return np.asarray(train.label, np.float64).mean(axis=0)
    return np.bincount(train.label, minlength=train.num_classes) / len(train)
