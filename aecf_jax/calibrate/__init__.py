"""Post-hoc calibration and conformal sets by pattern of visible modalities, fitted on validation rows alone."""

from aecf_jax.calibrate._apply import calibrated as calibrated
from aecf_jax.calibrate._calibration import METHODS as METHODS
from aecf_jax.calibrate._calibration import Calibration as Calibration
from aecf_jax.calibrate._conformal import Conformal as Conformal
from aecf_jax.calibrate._conformal import fit_conformal as fit_conformal
from aecf_jax.calibrate._coverage import CoverageRow as CoverageRow
from aecf_jax.calibrate._coverage import conformal_coverage as conformal_coverage
from aecf_jax.calibrate._coverage import expected_coverage as expected_coverage
from aecf_jax.calibrate._entries import BY as BY
from aecf_jax.calibrate._fit import fit_calibration as fit_calibration
from aecf_jax.calibrate._of_run import CALIBRATION as CALIBRATION
from aecf_jax.calibrate._of_run import CONFORMAL as CONFORMAL
from aecf_jax.calibrate._of_run import saved_calibration as saved_calibration
from aecf_jax.calibrate._of_run import saved_sets as saved_sets
from aecf_jax.calibrate._rows import calibration_rows as calibration_rows
from aecf_jax.calibrate._scores import SCORES as SCORES
