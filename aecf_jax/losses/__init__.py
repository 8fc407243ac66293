"""What training minimizes: task losses, calibration, consistency, contrast, and their sum under a configuration."""

from aecf_jax.losses._aecf import AECFLoss as AECFLoss
from aecf_jax.losses._calibration import label_calibration_error as label_calibration_error
from aecf_jax.losses._calibration import size_calibration_gap as size_calibration_gap
from aecf_jax.losses._calibration import top_label_calibration_error as top_label_calibration_error
from aecf_jax.losses._consistency import alone_distance as alone_distance
from aecf_jax.losses._consistency import class_divergence as class_divergence
from aecf_jax.losses._consistency import label_divergence as label_divergence
from aecf_jax.losses._consistency import squared_distance as squared_distance
from aecf_jax.losses._contrastive import info_nce as info_nce
from aecf_jax.losses._contrastive import supervised_contrastive as supervised_contrastive
from aecf_jax.losses._task import cross_entropy as cross_entropy
from aecf_jax.losses._task import focal_binary_cross_entropy as focal_binary_cross_entropy
from aecf_jax.losses._task import mean_squared_error as mean_squared_error
from aecf_jax.losses._task import positive_weights as positive_weights
