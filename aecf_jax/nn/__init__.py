"""Linen modules: they name the parameters; the mathematics that they share is in `aecf_jax.ops`."""

from aecf_jax.nn._aecf import AECF as AECF
from aecf_jax.nn._aecf import init_variables as init_variables
from aecf_jax.nn._constants import prior_output as prior_output
from aecf_jax.nn._constants import with_constants as with_constants
from aecf_jax.nn._encoders import EncoderFactory as EncoderFactory
from aecf_jax.nn._encoders import IdentityEncoder as IdentityEncoder
from aecf_jax.nn._encoders import LinearEncoder as LinearEncoder
from aecf_jax.nn._encoders import MLPEncoder as MLPEncoder
from aecf_jax.nn._fusion import FUSIONS as FUSIONS
from aecf_jax.nn._fusion import Fusion as Fusion
from aecf_jax.nn._fusion import GatedFusion as GatedFusion
from aecf_jax.nn._fusion import make_fusion as make_fusion
from aecf_jax.nn._gate import AdaptiveGate as AdaptiveGate
from aecf_jax.nn._gate import GateOutput as GateOutput
from aecf_jax.nn._heads import ClassificationHead as ClassificationHead
from aecf_jax.nn._heads import EmbeddingHead as EmbeddingHead
from aecf_jax.nn._heads import OutputHeadFactory as OutputHeadFactory
from aecf_jax.nn._heads import RegressionHead as RegressionHead
from aecf_jax.nn._inputs import check_features as check_features
from aecf_jax.nn._inputs import validate_feature_dict as validate_feature_dict
from aecf_jax.nn._inputs import validate_tensor_input as validate_tensor_input
from aecf_jax.nn._masker import CurriculumMasker as CurriculumMasker
