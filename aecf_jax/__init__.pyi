"""The package's public names and the modules they live in: the one list of them.

Type checkers and editors read it as it stands; `__init__.py` reads it to import each name on first use.
"""

from aecf_jax.calibrate import Calibration as Calibration
from aecf_jax.calibrate import Conformal as Conformal
from aecf_jax.calibrate import fit_calibration as fit_calibration
from aecf_jax.calibrate import fit_conformal as fit_conformal
from aecf_jax.checkpoint import Checkpoints as Checkpoints
from aecf_jax.config import AECFConfig as AECFConfig
from aecf_jax.config import DataConfig as DataConfig
from aecf_jax.config import create_default_config as create_default_config
from aecf_jax.config import validate_config_compatibility as validate_config_compatibility
from aecf_jax.data import Dataset as Dataset
from aecf_jax.data import DropTable as DropTable
from aecf_jax.data import load_splits as load_splits
from aecf_jax.data import make_drops as make_drops
from aecf_jax.deploy import Predictor as Predictor
from aecf_jax.evaluate import evaluate_subsets as evaluate_subsets
from aecf_jax.evaluate import late_fusion as late_fusion
from aecf_jax.evaluate import robustness_curve as robustness_curve
from aecf_jax.interop import AECF_CLIP_Legacy as AECF_CLIP_Legacy
from aecf_jax.interop import import_checkpoint as import_checkpoint
from aecf_jax.losses import AECFLoss as AECFLoss
from aecf_jax.metrics import AECFMetrics as AECFMetrics
from aecf_jax.metrics import MetricsAccumulator as MetricsAccumulator
from aecf_jax.model import AECF_CLIP as AECF_CLIP
from aecf_jax.model import create_aecf_model as create_aecf_model
from aecf_jax.model import test_model_forward as test_model_forward
from aecf_jax.nn import AECF as AECF
from aecf_jax.nn import AdaptiveGate as AdaptiveGate
from aecf_jax.nn import ClassificationHead as ClassificationHead
from aecf_jax.nn import CurriculumMasker as CurriculumMasker
from aecf_jax.nn import CurriculumMasking as CurriculumMasking
from aecf_jax.nn import EmbeddingHead as EmbeddingHead
from aecf_jax.nn import EncoderFactory as EncoderFactory
from aecf_jax.nn import IdentityEncoder as IdentityEncoder
from aecf_jax.nn import LinearEncoder as LinearEncoder
from aecf_jax.nn import MLPEncoder as MLPEncoder
from aecf_jax.nn import MultimodalAttentionPool as MultimodalAttentionPool
from aecf_jax.nn import OutputHeadFactory as OutputHeadFactory
from aecf_jax.nn import RegressionHead as RegressionHead
from aecf_jax.nn import create_fusion_pool as create_fusion_pool
from aecf_jax.nn import multimodal_attention_pool as multimodal_attention_pool
from aecf_jax.nn import validate_feature_dict as validate_feature_dict
from aecf_jax.nn import validate_tensor_input as validate_tensor_input
from aecf_jax.trainer import AECFTrainer as AECFTrainer

__version__: str
__all__: list[str]
