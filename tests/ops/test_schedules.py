"""Coefficients over training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecf_jax.errors import InputError
from aecf_jax.ops import linear_ramp, warmup_cosine


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 30), st.floats(0, 60, width=32))
def test_the_coefficient_lies_between_zero_and_its_peak(free, warmup, total, epoch):
    value = float(warmup_cosine(epoch, free=float(free), warmup=float(warmup), total=float(total), peak=0.1))
    # The peak itself is rounded to float32.
    assert -1e-9 <= value <= 0.1 + 1e-8
    assert value == 0 if epoch < free else True


def test_one_program_serves_every_epoch():
    traces = []

    @jax.jit
    def coefficient(epoch):
        traces.append(epoch)
        return warmup_cosine(epoch, free=1.0, warmup=2.0, total=9.0, peak=0.1)

    values = [float(coefficient(jnp.float32(epoch))) for epoch in range(16)]
    assert len(traces) == 1
    # Rises to the peak at epoch 3, then falls to 0 at 9, and stays there; float32 cosine.
    np.testing.assert_allclose(
        [values[0], values[2], values[3], values[9], values[15]], [0, 0.05, 0.1, 0, 0], atol=1e-8
    )


def test_a_ramp_of_no_length_is_full_from_the_start():
    assert float(linear_ramp(0.0, 0.0)) == 1.0
    with pytest.raises(InputError, match="`length` must be at least 0"):
        linear_ramp(0.0, -1.0)
