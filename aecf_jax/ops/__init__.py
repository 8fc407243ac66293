"""Pure array mathematics on JAX alone: weights over what is present, entropy, masks, schedules."""

from aecf_jax.ops._dropout import dropout as dropout
from aecf_jax.ops._dropout import hashed_uniform as hashed_uniform
from aecf_jax.ops._entropy import gate_entropy as gate_entropy
from aecf_jax.ops._experts import confidence as confidence
from aecf_jax.ops._experts import dempster_shafer as dempster_shafer
from aecf_jax.ops._experts import evidence_weights as evidence_weights
from aecf_jax.ops._experts import mean_evidence as mean_evidence
from aecf_jax.ops._experts import mean_probability as mean_probability
from aecf_jax.ops._experts import pooled_evidence as pooled_evidence
from aecf_jax.ops._experts import summed_evidence as summed_evidence
from aecf_jax.ops._experts import surest_evidence as surest_evidence
from aecf_jax.ops._masking import STRATEGIES as STRATEGIES
from aecf_jax.ops._masking import Rate as Rate
from aecf_jax.ops._masking import hiding_probability as hiding_probability
from aecf_jax.ops._masking import sample_visible as sample_visible
from aecf_jax.ops._masking import uniform_sizes as uniform_sizes
from aecf_jax.ops._matmul import matmul as matmul
from aecf_jax.ops._scalars import is_on as is_on
from aecf_jax.ops._schedules import linear_ramp as linear_ramp
from aecf_jax.ops._schedules import warmup_cosine as warmup_cosine
from aecf_jax.ops._uncertainty import mutual_information as mutual_information
from aecf_jax.ops._uncertainty import predictive_entropy as predictive_entropy
from aecf_jax.ops._weights import masked_softmax as masked_softmax
from aecf_jax.ops._weights import normalized_sigmoid as normalized_sigmoid
from aecf_jax.ops._weights import renormalized as renormalized
from aecf_jax.ops._weights import unit_norm as unit_norm
