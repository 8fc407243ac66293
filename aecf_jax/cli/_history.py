"""What a run logged, read back from its metrics.jsonl."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aecf_jax.cli._plots import Series
from aecf_jax.cli._tables import COLUMNS
from aecf_jax.evaluate import HEADLINE

_SCORE = "val_loss"
_LOSSES = {"train, all terms": "train_total_loss", "validation, task alone": _SCORE}
_RATES = {"encoders and head": "learning_rate", "gate": "gate_learning_rate"}


def read_history(path: Path) -> list[dict[str, Any]]:
    """Returns the logged rows up to the first line that is not whole, as a killed run may leave one; none without file.

    Args:
        path: the file.
    """
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row: Any = json.loads(line)
        except ValueError:
            break
        if isinstance(row, dict):
            rows.append(row)
    return rows


def score_of_step(history: Sequence[dict[str, Any]], step: int) -> float | None:
    """Returns the validation loss that was logged at a step; None if none was.

    Args:
        history: rows of `read_history`.
        step: training steps done.
    """
    found = [row[_SCORE] for row in history if row.get("step") == step and row.get(_SCORE) is not None]
    return float(found[-1]) if found else None


def epoch_of_step(history: Sequence[dict[str, Any]], step: int) -> float | None:
    """Returns the epoch that was logged at a step; None if none was.

    Args:
        history: rows of `read_history`.
        step: training steps done.
    """
    found = [row["epoch"] for row in history if row.get("step") == step and row.get("epoch") is not None]
    return float(found[-1]) if found else None


def curve_panels(history: Sequence[dict[str, Any]], kind: str) -> dict[str, list[Series]]:
    """Returns what the learning curves show: losses, the headline metric on the validation part, learning rates.

    Args:
        history: rows of `read_history`.
        kind: what is predicted, as `SubsetTable.kind`.
    """
    metric = HEADLINE[kind][0]
    validation = {"all modalities present": f"val_{metric}"}
    wanted = {"loss": _LOSSES, f"validation {dict(COLUMNS[kind])[metric]}": validation, "learning rate": _RATES}
    return {title: [_series(history, label, key) for label, key in names.items()] for title, names in wanted.items()}


def _series(history: Sequence[dict[str, Any]], label: str, key: str) -> Series:
    """Returns one metric over the epochs, where it was logged."""
    rows = [row for row in history if row.get(key) is not None and row.get("epoch") is not None]
    return Series(label, [float(row["epoch"]) for row in rows], [float(row[key]) for row in rows])
