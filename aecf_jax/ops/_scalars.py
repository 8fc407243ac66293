"""Numbers that may be known when a program is compiled, or be arguments of it."""

from jax.core import Tracer

from aecf_jax.types import Scalar


def is_on(value: Scalar) -> bool:
    """Returns whether what a number belongs to acts: one that is known is not 0; one that is traced always does."""
    return isinstance(value, Tracer) or bool(value != 0)
