"""Post-hoc calibration by pattern of visible modalities, fitted on validation rows and on nothing else."""

from aecf_jax.calibrate._apply import calibrated as calibrated
from aecf_jax.calibrate._calibration import Calibration as Calibration
from aecf_jax.calibrate._fit import fit_calibration as fit_calibration
