"""Attention pooling as one pure function, without parameters."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.errors import require
from aecf_jax.nn._attention import without_padding
from aecf_jax.nn._curriculum import CurriculumMasking
from aecf_jax.ops import masked_softmax


def multimodal_attention_pool(
    query: Float[Array, "#batch queries embed"],
    keys: Float[Array, "batch entries embed"],
    values: Float[Array, "batch entries embed"] | None = None,
    key_padding_mask: Bool[Array, "batch entries"] | None = None,
    *,
    num_heads: int = 1,
    curriculum_masking: CurriculumMasking | None = None,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "batch queries embed"]:
    """Returns attention without parameters: heads are slices of the width, nothing is projected.

    Args:
        query: the queries, of one row for all or of every row.
        keys: what is attended to.
        values: what is mixed; None: the keys.
        key_padding_mask: True where an entry is padding; None: nowhere.
        num_heads: how many heads there are.
        curriculum_masking: what hides entries; None: nothing does.
        key: randomness of the curriculum; None: evaluation.

    Raises:
        InputError: if the width is no multiple of the number of heads.

    Source: `multimodal_attention_pool` of the PyTorch layer. Differs: with several heads or a curriculum, PyTorch draws
    new random projections at every call.

    >>> import jax.numpy as jnp
    >>> multimodal_attention_pool(jnp.ones((1, 1, 4)), jnp.ones((2, 3, 4)), num_heads=2).shape
    (2, 1, 4)
    """
    width, rows, entries = keys.shape[-1], keys.shape[0], keys.shape[1]
    require(width % num_heads == 0, "num_heads", f"divide the width, {width}", num_heads)
    split = (num_heads, width // num_heads)
    safe = without_padding(keys, key_padding_mask)
    mixed = safe if values is None else without_padding(values, key_padding_mask)
    heads = query.reshape(*query.shape[:2], *split) / math.sqrt(split[1])
    heads = jnp.broadcast_to(heads, (rows, *heads.shape[1:]))
    scores = jnp.einsum("bshd,bmhd->bhsm", heads, safe.reshape(rows, entries, *split))
    present = jnp.ones((rows, entries), bool) if key_padding_mask is None else ~key_padding_mask
    present = jnp.broadcast_to(present[:, None, None], scores.shape)
    weights = masked_softmax(scores, present)
    if curriculum_masking is not None:
        weights, _ = curriculum_masking(weights, present, key=key)
    out = jnp.einsum("bhsm,bmhd->bshd", weights, mixed.reshape(rows, entries, *split))
    return out.reshape(rows, query.shape[1], width)
