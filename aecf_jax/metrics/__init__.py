"""What a data set's predictions are worth: exact sums and counts, never a mean of batch means.

On the device, `ClassSums`, `LabelSums`, `ValueSums` and `WeightSums` have `empty`, `update`, `merge` and `compute`. On
the host, `evaluate_predictions` takes all predictions at once; it alone has average precision, which needs all scores.
"""

from aecf_jax.metrics._accumulator import MetricsAccumulator as MetricsAccumulator
from aecf_jax.metrics._average_precision import average_precision as average_precision
from aecf_jax.metrics._average_precision import average_precision_on_host as average_precision_on_host
from aecf_jax.metrics._bins import BinSums as BinSums
from aecf_jax.metrics._calibration import calibration_metrics as calibration_metrics
from aecf_jax.metrics._classes import ClassSums as ClassSums
from aecf_jax.metrics._evaluate import evaluate_many as evaluate_many
from aecf_jax.metrics._evaluate import evaluate_predictions as evaluate_predictions
from aecf_jax.metrics._facade import AECFMetrics as AECFMetrics
from aecf_jax.metrics._labels import LabelSums as LabelSums
from aecf_jax.metrics._prevalence import prevalence_metrics as prevalence_metrics
from aecf_jax.metrics._prevalence import prevalence_output as prevalence_output
from aecf_jax.metrics._reliability import Reliability as Reliability
from aecf_jax.metrics._reliability import reliability as reliability
from aecf_jax.metrics._resampled import resampled_metrics as resampled_metrics
from aecf_jax.metrics._sums import Sum as Sum
from aecf_jax.metrics._values import ValueSums as ValueSums
from aecf_jax.metrics._weights import WeightSums as WeightSums
