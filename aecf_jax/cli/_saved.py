"""What the command line says of a run's saved calibration."""

from pathlib import Path

from aecf_jax.calibrate import CALIBRATION, Calibration


def described(calibration: Calibration, run: Path) -> str:
    """Returns one line that says that, and how, probabilities are calibrated.

    Args:
        calibration: the saved one.
        run: its folder.
    """
    return (
        f"Calibrated by {run / CALIBRATION}: {calibration.method} by {calibration.by}; --no-calibration leaves it out."
    )
