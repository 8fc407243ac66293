"""A run's saved calibration and conformal thresholds, taken only for the checkpoint that they were fitted on."""

from pathlib import Path
from typing import TypeVar

from aecf_jax.calibrate._calibration import Calibration
from aecf_jax.calibrate._conformal import Conformal
from aecf_jax.config import AECFConfig
from aecf_jax.errors import require

CALIBRATION, CONFORMAL = "calibration.json", "conformal.json"
"""What `aecf-jax calibrate` adds to a run's folder."""

_Saved = TypeVar("_Saved", Calibration, Conformal)


def saved_calibration(run: Path, config: AECFConfig, step: int) -> Calibration | None:
    """Returns the calibration of a run; None if it has none.

    Args:
        run: the folder.
        config: the model's configuration.
        step: of the checkpoint that is used.

    Raises:
        InputError: if the file is damaged, or of another checkpoint.
    """
    path = run / CALIBRATION
    if not path.is_file():
        return None
    return _checked(Calibration.load(path), path, config, step, "or remove the file.")


def saved_sets(run: Path, config: AECFConfig, step: int) -> Conformal:
    """Returns the conformal thresholds of a run.

    Args:
        run: the folder.
        config: the model's configuration.
        step: of the checkpoint that is used.

    Raises:
        InputError: if there are none, or they are damaged or of another checkpoint.
    """
    path = run / CONFORMAL
    require(path.is_file(), "sets", f"find a {CONFORMAL} in {run}", "no such file",
            f"Make it with: aecf-jax calibrate {run}")  # fmt: skip
    return _checked(Conformal.load(path), path, config, step, "or remove the file.")


def _checked(saved: _Saved, path: Path, config: AECFConfig, step: int, way_out: str) -> _Saved:
    """Returns what was saved, if it belongs to the model."""
    fits = saved.modalities == tuple(config.modalities)
    require(fits, str(path), f"be for {', '.join(config.modalities)}", ", ".join(saved.modalities))
    found = saved.about.get("step")
    require(found == step, str(path), f"be fitted on the checkpoint of step {step}", f"one of step {found}",
            f"Fit it again with: aecf-jax calibrate {path.parent} --force, {way_out}")  # fmt: skip
    return saved
