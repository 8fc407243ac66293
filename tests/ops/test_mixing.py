"""Weighted sums of entries and their gradients against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.ops import weighted_sums


@pytest.mark.parametrize(("sums", "entries"), [(1, 1), (1, 3), (4, 2), (2, 8), (3, 9), (10, 3)])
def test_sums_and_gradients_are_those_of_float64(sums, entries):
    random = np.random.default_rng(sums)
    weights, given, factors = (
        random.normal(size=(5, *shape)).astype(np.float32) for shape in ((sums, entries), (entries, 7), (sums, 7))
    )

    def loss(weights, given):
        found = weighted_sums(weights, given)
        return jnp.sum(found * factors), found

    (_, found), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(weights, given)
    wide = [array.astype(np.float64) for array in (weights, given, factors)]
    expected = (wide[0] @ wide[1], wide[2] @ wide[1].transpose(0, 2, 1), wide[0].transpose(0, 2, 1) @ wide[2])
    for one, other in zip((found, *gradients), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sums_are_of_float32_and_gradients_of_the_type_that_came_in(dtype):
    weights, entries = jnp.full((2, 1, 3), 1 / 3), jnp.ones((2, 3, 4), dtype)
    assert weighted_sums(weights, entries).dtype == jnp.float32
    to_entries = jax.grad(lambda entries: jnp.sum(weighted_sums(weights, entries)))(entries)
    np.testing.assert_array_equal(to_entries, jnp.full((2, 3, 4), 1 / 3, dtype))
    assert to_entries.dtype == dtype


def test_a_few_entries_are_added_term_by_term():
    few, many = (
        jax.jit(weighted_sums).lower(jnp.ones((2, 1, count)), jnp.ones((2, count, 4))).as_text() for count in (8, 9)
    )
    assert "dot_general" not in few
    assert "dot_general" in many
