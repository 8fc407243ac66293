"""`aecf-jax evaluate RUN`: the table again, from the run's best checkpoint."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from aecf_jax.calibrate import saved_calibration
from aecf_jax.cli._devices import joined_devices
from aecf_jax.cli._drops import evaluate_on_drops
from aecf_jax.cli._files import DATA, IMPORT, METRICS, existing_run, read_json
from aecf_jax.cli._run import (
    best_model,
    facts_of_imported,
    feasible_sizes,
    read_config,
    read_data,
    run_splits,
    use_compile_cache,
)
from aecf_jax.cli._saved import described
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, print_table
from aecf_jax.config import AECFConfig, DataConfig
from aecf_jax.data import SOURCES, Dataset, load_dataset, load_splits
from aecf_jax.errors import require
from aecf_jax.evaluate import SubsetTable, evaluate_subsets
from aecf_jax.stats import DRAWS
from aecf_jax.train import make_mesh


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after printing the table.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the run has no checkpoint, or the data do not fit it.
    """
    use_compile_cache(flags.compile_cache)
    devices = joined_devices(flags)
    folder = existing_run(flags.run)
    config = read_config(folder)
    dataset, note = _dataset(flags, folder, config)
    model, step = best_model(folder, config, make_mesh(devices.axes))
    calibration = saved_calibration(folder, config, step) if flags.calibration else None
    if flags.drops is not None or flags.curve is not None:
        return evaluate_on_drops(flags, folder, model, dataset, step, calibration)
    draws = DRAWS if flags.intervals else 0
    table = evaluate_subsets(model, dataset, sizes=feasible_sizes(config), calibration=calibration, draws=draws)
    if calibration is not None:
        note = described(calibration, folder)
    elif note is None:
        note = _agreement(folder, table)
    if flags.json:
        content = {"data": dataset.name, "part": dataset.part, "step": step, "calibrated": calibration is not None,
                   "table": table.to_dict()}  # fmt: skip
        print(json.dumps({**content, "summary": table.summary(), "note": note}, indent=1, allow_nan=False))
        return 0
    console = make_console()
    console.print(f"{dataset.name}, {dataset.part} part, {len(dataset)} rows; checkpoint of step {step}")
    print_table(console, table)
    if note:
        console.print(note)
    return 0


def _dataset(flags: Any, folder: Path, config: AECFConfig) -> tuple[Dataset, str | None]:
    """Returns the rows to evaluate on, and what to say instead of a comparison with metrics.json, if none is due."""
    of_its_own = flags.data is None or (folder / DATA).is_file() or not (folder / IMPORT).is_file()
    settings, facts = read_data(folder) if of_its_own else (DataConfig(), facts_of_imported(config))
    if flags.data is None:
        splits, changed = run_splits(folder, root=flags.root)
        part = flags.part or "test"
        require(part in splits.parts, "part", f"be one of {', '.join(splits.parts)}", part)
        note = "The data are no longer those of the run: nothing to compare with." if part in changed else ""
        return splits.parts[part], note if part in changed or part != "test" else None
    if flags.data not in SOURCES and flags.part in (None, "all"):
        kind, classes = facts["label_kind"], facts["num_classes"]
        return load_dataset(flags.data, config.modalities, config.widths, label_kind=kind, num_classes=classes,
                            nan_as_missing=settings.nan_as_missing), ""  # fmt: skip
    splits = load_splits(dataclasses.replace(settings, data=flags.data, root=flags.root or settings.root))
    part = flags.part or "test"
    require(part in splits.parts, "part", f"be one of {', '.join(splits.parts)}", part)
    return splits.parts[part], ""


def _agreement(folder: Path, table: SubsetTable) -> str:
    """Returns whether a table is the one that training wrote, to the last digit."""
    if not (folder / METRICS).is_file():
        return "There is no metrics.json to compare with: the training has not finished."
    recorded = SubsetTable.from_dict(read_json(folder / METRICS).get("table", {}))
    # What is reported may have grown since the run.
    if recorded == table.reduced(recorded.metrics):
        return "Agrees with metrics.json to the last digit."
    return f"Does not agree with metrics.json: {_difference(table, recorded)}."


def _difference(table: SubsetTable, recorded: SubsetTable) -> str:
    """Returns by how much two tables differ."""
    if [(row.modalities, row.rows) for row in table.rows] != [(row.modalities, row.rows) for row in recorded.rows]:
        return "it has other subsets or rows"
    pairs = [(one.metrics.get(name, math.nan), other.metrics[name])
             for one, other in zip(table.rows, recorded.rows, strict=True) for name in other.metrics]  # fmt: skip
    largest = max((abs(one - other) for one, other in pairs if one != other), default=math.nan)
    return f"the largest difference is {largest:.2g} (other machines and versions round otherwise)"
