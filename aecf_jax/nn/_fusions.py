"""The table of fusions, by the names that configurations give them."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from aecf_jax.config import AECFConfig
from aecf_jax.nn._attention_fusion import AttentionFusion
from aecf_jax.nn._experts import EvidenceFusion, EvidentialFusion, ExpertFusion
from aecf_jax.nn._fusion import GatedFusion
from aecf_jax.nn._joint import ConcatFusion, LowRankFusion, MeanFusion, TransformerFusion

FUSIONS: Mapping[str, type[nn.Module]] = {
    "aecf": EvidenceFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
    "concat": ConcatFusion,
    "concat_zeros": ConcatFusion,
    "mean": MeanFusion,
    "low_rank": LowRankFusion,
    "transformer": TransformerFusion,
    "late": ExpertFusion,
    "late_logits": ExpertFusion,
    "poe": ExpertFusion,
    "evidential": EvidentialFusion,
    "unimodal": ExpertFusion,
}
"""Fusions by the name that `AECFConfig.fusion` gives them."""


def make_fusion(config: AECFConfig) -> Any:
    """Returns a new fusion, as `Fusion` describes them.

    Args:
        config: all settings.

    >>> make_fusion(AECFConfig(fusion="poe")).config.fusion
    'poe'
    """
    return FUSIONS[config.fusion](config)  # pyright: ignore[reportCallIssue]
