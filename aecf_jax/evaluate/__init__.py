"""How good a trained model is: predictions for all rows of a data set, and metrics for every subset of modalities."""

from aecf_jax.evaluate._curve import CurveTable as CurveTable
from aecf_jax.evaluate._curve import RobustnessCurve as RobustnessCurve
from aecf_jax.evaluate._curve import require_comparable as require_comparable
from aecf_jax.evaluate._forward import BATCH_SIZE as BATCH_SIZE
from aecf_jax.evaluate._forward import Model as Model
from aecf_jax.evaluate._forward import compiled_programs as compiled_programs
from aecf_jax.evaluate._forward import predict as predict
from aecf_jax.evaluate._late_fusion import Predictor as Predictor
from aecf_jax.evaluate._late_fusion import late_fusion as late_fusion
from aecf_jax.evaluate._lattice import Monotonicity as Monotonicity
from aecf_jax.evaluate._lattice import PairRates as PairRates
from aecf_jax.evaluate._lattice import monotonicity as monotonicity
from aecf_jax.evaluate._outputs import SubsetOutputs as SubsetOutputs
from aecf_jax.evaluate._outputs import subset_outputs as subset_outputs
from aecf_jax.evaluate._outputs import subsets as subsets
from aecf_jax.evaluate._robustness import robustness_curve as robustness_curve
from aecf_jax.evaluate._subsets import MAX_SUBSETS as MAX_SUBSETS
from aecf_jax.evaluate._subsets import evaluate_subsets as evaluate_subsets
from aecf_jax.evaluate._subsets import subset_count as subset_count
from aecf_jax.evaluate._table import HEADLINE as HEADLINE
from aecf_jax.evaluate._table import SubsetRow as SubsetRow
from aecf_jax.evaluate._table import SubsetTable as SubsetTable
