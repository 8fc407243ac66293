"""Runs that differ in nothing but their seed are replicates of one model: their figures as mean and spread."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require
from aecf_jax.evaluate import HEADLINE
from aecf_jax.report._facts import RunFacts, plain, real
from aecf_jax.report._numbers import mean_spread
from aecf_jax.stats import mean_interval

_PLACES = ("checkpoint_dir", "log_dir", "trainer_kwargs")
"""Fields that change nothing of what is trained."""


def report_dict(runs: Sequence[RunFacts], baselines: Sequence[RunFacts] = ()) -> dict[str, Any]:
    """Returns everything that a report says, as JSON can hold it; the page is made from it alone.

    Args:
        runs: at least one; those that differ in their seed alone become replicates of one model.
        baselines: runs to compare with.

    Raises:
        InputError: if the runs were not evaluated on the same rows, or one is given twice.
    """
    first = runs[0]
    require_same_rows([run.data for run in (*runs, *baselines)], [run.name for run in (*runs, *baselines)])
    for run in (*runs, *baselines):
        agree = run.table["kind"] == first.table["kind"]
        require(agree, "RUN", f"predict {first.table['kind']}, as {first.name} does", run.table["kind"])
    headline, more_is_better = HEADLINE[first.table["kind"]]
    models = _models(runs)
    return {
        "format": "aecf_jax report 1",
        "data": plain(first.data),
        "kind": first.table["kind"],
        "modalities": list(first.table["modalities"]),
        "headline": headline,
        "more_is_better": more_is_better,
        "models": models,
        "baselines": _models(baselines, taken=[model["name"] for model in models]),
    }


def require_same_rows(data: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Raises unless all runs have the same test rows.

    Args:
        data: what each run's data.json says.
        names: of the runs.

    Raises:
        InputError: naming the first that differs.
    """
    for name, one in zip(names, data, strict=True):
        same = one["sha256"]["test"] == data[0]["sha256"]["test"]
        require(same, "RUN", f"have the same test rows as {names[0]}", f"other rows in {name}",
                "Write one report for each data set.")  # fmt: skip


def _models(runs: Sequence[RunFacts], taken: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Returns the runs by model, each with its merged figures and a name of its own."""
    groups: dict[str, list[RunFacts]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    names, models = list(taken), list[dict[str, Any]]()
    for group in groups.values():
        names.append(_unique(group[0].name, names))
        models.append(_model(names[-1], group))
    return models


def _key(run: RunFacts) -> str:
    """Returns what replicates have in common."""
    fixed = {name: value for name, value in run.config.items() if name not in ("seed", *_PLACES)}
    return json.dumps([fixed, run.data["sha256"]], sort_keys=True)


def _unique(name: str, taken: Sequence[str]) -> str:
    """Returns a name that is not taken."""
    return next(f"{name}{end}" for end in ("", *(f" ({n})" for n in range(2, 1000))) if f"{name}{end}" not in taken)


def _model(name: str, runs: Sequence[RunFacts]) -> dict[str, Any]:
    """Returns what is said of one model."""
    return {
        "name": name,
        "config": plain(runs[0].config),
        "changes": config_changes(runs[0].config),
        "seeds": [run.config.get("seed") for run in runs],
        "table": merged_table([run.table for run in runs]),
        "runs": [run.to_dict() for run in runs],
    }  # fmt: skip


def config_changes(config: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns the settings that differ from the defaults: field -> the default and the run's value.

    Args:
        config: a configuration's dictionary.
    """
    defaults = AECFConfig().to_dict()
    read = ("modalities", "input_dims", "feat_dim", "num_classes", "multilabel", "seed", *_PLACES)
    return {
        name: [plain(default), plain(config[name])]
        for name, default in defaults.items()
        if name in config and name not in read and plain(config[name]) != plain(default)
    }


def merged_table(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns one entry per subset: modalities, rows, and of each metric the merged value.

    Args:
        tables: of replicates, with the same subsets.
    """
    merged: list[dict[str, Any]] = []
    for rows in zip(*(table["subsets"] for table in tables), strict=True):
        found = {
            name: merged_value([{"value": row["metrics"].get(name), **_ends(row, name)} for row in rows])
            for name in rows[0]["metrics"]
        }
        merged.append({"modalities": rows[0]["modalities"], "rows": rows[0]["rows"], "metrics": found})
    return merged


def _ends(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the ends of a metric's interval, if the table has them."""
    low, high = row.get("intervals", {}).get(name) or (None, None)
    return {"low": low, "high": high}


def merged_value(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a figure with its interval: of one run over rows, of replicates Student's over seeds, with their spread.

    Args:
        values: one a run, each with `value`, and perhaps `low` and `high`.

    >>> merged_value([{"value": 0.5, "low": 0.4, "high": 0.6}])
    {'value': 0.5, 'low': 0.4, 'high': 0.6, 'spread': None, 'count': 1}
    """
    numbers = [real(one["value"]) for one in values]
    mean, spread = mean_spread(numbers)
    if len(values) == 1:
        low, high = real(values[0].get("low")), real(values[0].get("high"))
    elif math.isfinite(mean):
        _, low, high = mean_interval(np.array(numbers))
    else:
        low = high = math.nan
    return plain({"value": mean, "low": float(low), "high": float(high),
                  "spread": spread if len(values) > 1 else None, "count": len(values)})  # fmt: skip


def merged(runs: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """Returns one figure over replicates.

    Args:
        runs: of a model.
        read: what takes the figure from a run: a number, or a dictionary with `value`.
    """
    found = [read(run) for run in runs]
    return merged_value([one if isinstance(one, Mapping) else {"value": one} for one in found])
