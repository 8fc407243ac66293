"""`aecf-jax calibrate RUN`: fit a calibration and conformal sets on a run's validation rows, and save them with it."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from aecf_jax.calibrate import (
    CALIBRATION,
    CONFORMAL,
    Calibration,
    Conformal,
    calibration_rows,
    fit_calibration,
    fit_conformal,
)
from aecf_jax.cli._files import existing_run
from aecf_jax.cli._run import best_model, read_config, run_splits, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, make_grid, number
from aecf_jax.errors import require
from aecf_jax.metrics import evaluate_predictions

_SHOWN = 63
"""Most patterns in the printed table; the file has all."""


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after saving what was fitted and printing it.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if there is something already, the data have changed, or there is nothing to calibrate.
    """
    use_compile_cache(flags.compile_cache)
    folder = existing_run(flags.run)
    paths = {CALIBRATION: flags.method != "none", CONFORMAL: flags.sets != "none"}
    wanted = [folder / name for name, made in paths.items() if made]
    require(bool(wanted), "method and sets", "leave something to do", "none and none")
    there = [str(path) for path in wanted if path.exists()]
    require(
        flags.force or not there, "RUN", "not be calibrated already", ", ".join(there), "Pass --force to replace it."
    )
    config = read_config(folder)
    splits, changed = run_splits(folder, root=flags.root)
    require("validation" not in changed, "data", "be those of the run", "another validation part", "Restore the files.")
    model, step = best_model(folder, config)
    console = make_console()
    calibration = conformal = None
    if flags.method != "none":
        calibration = fit_calibration(model, splits, method=flags.method, by=flags.by, seed=flags.seed)
        calibration = dataclasses.replace(calibration, about={**calibration.about, "step": step})
    if flags.sets != "none":
        conformal = fit_conformal(
            model, splits, score=flags.sets, by=flags.by, coverage=flags.coverage, seed=flags.seed
        )
        conformal = dataclasses.replace(conformal, about={**conformal.about, "step": step})
    console.print(f"{splits.name}, validation part, {len(splits.validation)} rows; checkpoint of step {step}")
    rows = calibration_rows(model, splits.validation, seed=flags.seed)
    if calibration is not None:
        calibration.save(folder / CALIBRATION)
        _print_calibration(console, calibration, rows, folder)
    if conformal is not None:
        conformal.save(folder / CONFORMAL)
        _print_sets(console, conformal, folder)
    return 0


def _print_calibration(console: Any, calibration: Calibration, rows: Any, folder: Path) -> None:
    """Prints NLL and ECE of every pattern before and after."""
    after = calibration(rows.logits, rows.visible)
    label = rows.target if calibration.kind == "labels" else rows.target.argmax(axis=1)
    patterns, index = np.unique(rows.visible, axis=0, return_inverse=True)
    order = sorted(range(len(patterns)), key=lambda k: (patterns[k].sum(), (~patterns[k]).tolist()))
    scales = calibration.temperatures()
    grid = make_grid()
    grid.add_column("pattern", overflow="fold")
    for heading in ("rows", "NLL", "calibrated", "ECE", "calibrated"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for which in [*order[:_SHOWN], None]:
        own = index == which if which is not None else np.ones(len(index), bool)
        found = [evaluate_predictions(z[own], label[own], "classification") for z in (rows.logits, after)]
        cells = [number(metrics[name]) for name in ("nll", "ece") for metrics in found]
        grid.add_row(_name(patterns, which, calibration), str(int(own.sum())), *cells)
    console.print(grid)
    if scales:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in list(scales.items())[-_SHOWN:])
        console.print(f"temperatures: {shown}")
    if calibration.by != "all":
        console.print(
            f"Each counts the fit of all rows as {calibration.prior_rows:g} rows, as cross-validation found best."
        )
    console.print(
        f"{folder / CALIBRATION}: {calibration.method} by {calibration.by}; rows: {calibration.about['drops']}"
    )
    console.print(f"These are the rows that it was fitted on; on the test part: aecf-jax evaluate {folder}")


def _name(patterns: np.ndarray, which: int | None, calibration: Calibration) -> str:
    """Returns what a row of the table is called."""
    if which is None:
        return "all"
    return " + ".join(name for name, seen in zip(calibration.modalities, patterns[which], strict=True) if seen)


def _print_sets(console: Any, conformal: Conformal, folder: Path) -> None:
    """Prints what the sets promise."""
    what = "the class" if conformal.kind == "classes" else "the values of all labels"
    few = int(np.isinf(conformal.thresholds).sum())
    console.print(f"{folder / CONFORMAL}: sets that hold {what} of {conformal.coverage:.0%} of new rows; "
                  f"{conformal.score} by {conformal.by}; aecf-jax predict {folder} --sets writes them")  # fmt: skip
    if few:
        console.print(f"{few} of {len(conformal.thresholds)} thresholds have too few rows: their sets hold everything.")
