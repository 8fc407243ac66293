"""The facts of a run, measured: its model on the test rows, with everything that a report asks of it."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

import aecf_jax
from aecf_jax.data import Dataset
from aecf_jax.evaluate import (
    MAX_SUBSETS,
    RobustnessCurve,
    evaluate_subsets,
    gate_diagnosis,
    monotonicity,
    predict,
    subset_count,
)
from aecf_jax.model import AECF_CLIP
from aecf_jax.ops import peak_bytes
from aecf_jax.report._diagrams import BINS, calibration_facts, conformal_facts, prevalence_facts, reliability_facts
from aecf_jax.report._facts import RunFacts, plain
from aecf_jax.report._models import report_dict, require_same_rows
from aecf_jax.report._subject import Resampling, Subject, curve_facts
from aecf_jax.stats import DRAWS

_TIMED = 5
_BLOCK = 1000


def measured_report(
    subjects: Sequence[Subject],
    baselines: Sequence[Subject] = (),
    *,
    draws: int = DRAWS,
    on_part: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Returns everything that a report says of some runs, measured.

    Args:
        subjects: the runs.
        baselines: runs to compare with.
        draws: resamples of the test rows for the intervals.
        on_part: called with what is measured next.

    Raises:
        InputError: if the runs were not evaluated on the same rows.
    """
    everything = (*subjects, *baselines)
    require_same_rows([one.data for one in everything], [one.name for one in everything])
    resampling = Resampling(draws)

    def facts(one: Subject, against: Mapping[str, RobustnessCurve]) -> tuple[RunFacts, RobustnessCurve]:
        return run_facts(one, against, resampling, lambda part: on_part(f"{one.name}: {part}"))

    known = [facts(one, {}) for one in baselines]
    against = {run.name: curve for run, curve in known}
    return report_dict([facts(one, against)[0] for one in subjects], [run for run, _ in known])


def run_facts(
    subject: Subject,
    against: Mapping[str, RobustnessCurve],
    resampling: Resampling,
    on_part: Callable[[str], None],
) -> tuple[RunFacts, RobustnessCurve]:
    """Returns what a report says of a run, and its curve, for others to be compared with.

    Args:
        subject: the run.
        against: the curves of baselines, by name.
        resampling: how intervals are made.
        on_part: called with the name of each part before it is measured.
    """
    model, test = subject.model, subject.splits.test
    sizes = _sizes(len(model.config.modalities))
    on_part("every subset")
    how: dict[str, Any] = {"calibration": subject.calibration, "draws": resampling.draws, "seed": resampling.seed}
    table = evaluate_subsets(model, test, sizes=sizes, **how).to_dict()
    on_part("reliability")
    diagrams = reliability_facts(subject, sizes)
    reasons = _reasons(table["kind"], sizes)
    how["level"] = resampling.level
    if not (test.select(model.config.modalities).present.sum(axis=1) > 1).any():
        reasons["gate"] = "no row has two modalities"
    lattice = gate = None
    if "monotonicity" not in reasons:
        on_part("monotonicity")
        lattice = monotonicity(model, test, **how).to_dict()
    if "gate" not in reasons:
        on_part("gate")
        gate = gate_diagnosis(model, test, **how).to_dict()
    on_part("robustness curves")
    robustness, curve = curve_facts(subject, against, resampling)
    on_part("costs")
    facts = RunFacts(
        name=subject.name,
        config=plain(model.config.to_dict()),
        data=subject.data,
        recorded=subject.recorded,
        history=[plain(row) for row in subject.history],
        table=table,
        presence={part.part: _presence(part.select(model.config.modalities)) for part in subject.splits},
        prevalence=plain(prevalence_facts(subject)),
        reliability=plain(diagrams),
        calibration=plain(calibration_facts(subject.calibration)),
        conformal=plain(conformal_facts(subject)),
        robustness=robustness,
        monotonicity=lattice,
        gate=plain(gate),
        costs=_costs(model, test),
        protocol={"seeds": {"drop tables and resamples": resampling.seed}, "draws": resampling.draws,
                  "level": resampling.level, "environment": _environment(), "bins": BINS, "reasons": reasons},
    )  # fmt: skip
    return facts, curve


def _reasons(kind: str, sizes: tuple[int, ...] | None) -> dict[str, str]:
    """Returns why parts of the report do not apply."""
    reasons: dict[str, str] = {}
    if sizes is not None:
        reasons["monotonicity"] = f"more than {MAX_SUBSETS:,} subsets"
    if kind == "embedding":
        reasons |= dict.fromkeys(("monotonicity", "gate", "prevalence"), "does not apply to an embedding")
    if kind in ("embedding", "values"):
        reasons |= dict.fromkeys(("reliability", "calibration", "conformal"), "nothing here is a probability")
    return reasons


def _sizes(modalities: int) -> tuple[int, ...] | None:
    """Returns the sizes of the subsets that are evaluated; None: all."""
    return None if subset_count(modalities) <= MAX_SUBSETS else (1, modalities - 1, modalities)


def _presence(dataset: Dataset) -> dict[str, Any]:
    """Returns how much the rows have of each modality, and how many have nothing."""
    shares = dataset.present.mean(axis=0).tolist()
    return {"modalities": dict(zip(dataset.modalities, shares, strict=True)),
            "empty": int((~dataset.present.any(axis=1)).sum())}  # fmt: skip


def _costs(model: AECF_CLIP, dataset: Dataset) -> dict[str, Any]:
    """Returns what predicting costs, from a short measurement."""
    rows = dataset.take(np.arange(_BLOCK) % len(dataset))
    predict(model, rows, batch_size=_BLOCK)
    seconds: list[float] = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        predict(model, rows, batch_size=_BLOCK)
        seconds.append(time.perf_counter() - start)
    how = (
        f"Milliseconds per 1,000 rows: the median of {_TIMED} predictions of {_BLOCK:,} rows in one block, compiled "
        "before, copies to and from the device included. Memory: the most that this process has held so far, the data "
        "and the evaluation included, an upper bound."
    )
    return {"ms_per_1000_rows": 1000 * float(np.median(seconds)), "predict_megabytes": peak_bytes() / 1e6, "how": how}


def _environment() -> dict[str, str]:
    """Returns the versions and the device that this evaluation ran with."""
    devices = jax.devices()
    versions = {name: version(name) for name in ("jax", "flax", "numpy")}
    return {"aecf_jax": aecf_jax.__version__, "python": platform.python_version(), **versions,
            "device": f"{len(devices)} × {devices[0].device_kind}", "system": platform.platform()}  # fmt: skip
