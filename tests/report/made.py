"""Facts of runs that nobody trained: every part of them, of any task, with names that try to break out of the page."""

import itertools
from typing import Any

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.data import Marginals
from aecf_jax.evaluate import CurveTable, RobustnessCurve, SubsetRow, SubsetTable
from aecf_jax.report import RunFacts
from aecf_jax.stats import Estimate

HOSTILE = ("<script>alert(1)<script>", 'a"b|c_d', "&amp;`*")
METRICS = {
    "classes": ("accuracy", "nll", "brier", "ece"),
    "labels": ("map", "nll", "brier", "ece"),
    "values": ("rmse", "mae", "r2"),
    "embedding": ("cosine_similarity", "centroid_accuracy"),
}
TASKS = {"classes": "classification", "labels": "classification", "values": "regression", "embedding": "embedding"}


def names(count: int) -> tuple[str, ...]:
    return tuple(f"view{index}" for index in range(count))


def table(modalities: tuple[str, ...], kind: str, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows = [
        SubsetRow(subset, 100, {name: float(len(subset) / len(modalities) * 0.7 + 0.2 * rng.random())
                                for name in METRICS[kind]})
        for size in range(1, len(modalities) + 1)
        for subset in itertools.combinations(modalities, size)
    ]  # fmt: skip
    return SubsetTable(modalities, kind, tuple(rows)).to_dict()


def curve(modalities: tuple[str, ...], kind: str) -> RobustnessCurve:
    rates = (0.0, 0.5, 0.9)
    points = {name: tuple(Estimate(0.9 - rate / 2, 0.8 - rate / 2, 1 - rate / 2) for rate in rates)
              for name in METRICS[kind]}  # fmt: skip
    marks = tuple(CurveTable(f"{index}" * 64, Marginals(dict.fromkeys(modalities, rate), (0.0,), 0))
                  for index, rate in enumerate(rates))  # fmt: skip
    area = {name: Estimate(0.7, 0.6, 0.8) for name in METRICS[kind]}
    return RobustnessCurve(kind, "data", "mcar", 0, rates, marks, points, 0.95, area, points)


def facts(kind: str = "classes", modalities: tuple[str, ...] = names(3), *, seed: int = 0, name: str = "run",
          bare: bool = False, **changes: Any) -> RunFacts:  # fmt: skip
    """A run with every part, or with none that may be absent."""
    task: Any = TASKS[kind]
    config = AECFConfig(modalities=modalities, input_dims=(4,) * len(modalities), num_classes=3, task_type=task,
                        seed=seed, **changes)  # fmt: skip
    data = {
        "settings": {"data": "made <b>up</b>", "split_seed": 0}, "modalities": list(modalities),
        "widths": [4] * len(modalities), "label_kind": kind, "num_classes": 3,
        "rows": {"train": 1000, "validation": 100, "test": 100},
        "sha256": {part: f"{index}" * 64 for index, part in enumerate(("train", "validation", "test"))},
    }  # fmt: skip
    recorded = {"best_step": 20, "steps": 20, "epochs": 2.0, "stopped": "early", "seconds": 1.5, "parameters": 1234,
                "versions": {"jax": "0.0"}}  # fmt: skip
    found: dict[str, Any] = {} if bare else _parts(kind, modalities)
    return RunFacts(name=name, config=config.to_dict(), data=data, recorded=recorded,
                    table=table(modalities, kind, seed), **found)  # fmt: skip


def _parts(kind: str, modalities: tuple[str, ...]) -> dict[str, Any]:
    made = curve(modalities, kind).to_dict()
    made["late_fusion"] = {"name": "late fusion", **made}
    made["effective"] = {"late fusion": {name: [[0.0, -0.1, 0.1]] * 3 for name in METRICS[kind]}}
    rate = {"pairs": 3, "compared": 300, "violating": {"value": 0.1, "low": 0.05, "high": 0.2},
            "counter_intuitive": {"value": 0.3, "low": 0.2, "high": None}}  # fmt: skip
    return {
        "history": [{"step": 10 * step, "epoch": step, "train_total_loss": 1 / step, "val_loss": 2 / step,
                     f"val_{METRICS[kind][0]}": 0.5} for step in (1, 2)],
        "presence": {part: {"modalities": dict.fromkeys(modalities, 0.9), "empty": 1} for part in ("train", "test")},
        "prevalence": dict.fromkeys(METRICS[kind], 0.1),
        "reliability": _reliability() if kind in ("classes", "labels") else None,
        "calibration": _calibration() if kind in ("classes", "labels") else None,
        "conformal": _conformal(modalities) if kind == "classes" else None,
        "robustness": made,
        "monotonicity": {"rows": 100, "covering": rate, "nested": rate},
        "gate": _gate(modalities) if kind != "embedding" else None,
        "costs": {"ms_per_1000_rows": 3.0, "predict_megabytes": 100.0, "how": "By a clock."},
        "protocol": {"seeds": {"bootstrap": 0}, "draws": 1000, "level": 0.95, "bins": 15,
                     "environment": {"aecf_jax": "0.1.0"}, "reasons": {}},
    }  # fmt: skip


def _reliability() -> dict[str, Any]:
    diagram = {"edges": [0.0, 0.5, 1.0], "confidence": [None, 0.9], "frequency": [None, 0.7], "counts": [0, 100]}
    errors = {name: {"full": 0.1, "mean": 0.2, "worst": 0.3} for name in ("nll", "ece", "brier_resolution")}
    return {"bins": 2, "diagrams": [{"name": name, "before": diagram, "after": diagram} for name in ("one", "other")],
            "before": errors, "after": errors}  # fmt: skip


def _calibration() -> dict[str, Any]:
    entries = [{"name": "all", "rows": 100, "temperature": 1.25}]
    return {"method": "temperature", "by": "pattern", "rows": 100, "drops": "every subset", "entries": entries}


def _gate(modalities: tuple[str, ...]) -> dict[str, Any]:
    cost = {"loss": {"value": 0.1, "low": 0.05, "high": 0.2}, "accuracy": {"value": -0.1, "low": -0.2, "high": 0.0}}
    shares = dict.fromkeys(modalities, 1 / len(modalities))
    return {"verdict": "the gate is used", "rows": 100, "loss": 0.5, "entropy": 0.9, "largest_entropy": 1.1,
            "mean_weights": shares, "collapsed": None, "mean": cost, "shuffled": cost,
            "dominance": {str(label): shares for label in range(40)}}  # fmt: skip


def _conformal(modalities: tuple[str, ...]) -> dict[str, Any]:
    row = {"rows": 100, "coverage": 0.91, "low": 0.84, "high": 0.96, "least": 0.82, "most": 0.97, "size": 1.5}
    rows = [{"pattern": name, **row} for name in modalities]
    return {"method": "lac", "by": "pattern", "level": 0.9, "patterns": rows}
