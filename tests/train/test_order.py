"""The order of the rows: that of `jax.random.permutation`, by one sort of integers on a CPU."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.train import _order


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 1000, 2000, 60_000])
def test_it_is_that_of_jax(rows):
    for seed in range(3):
        found = jax.jit(_order.permutation, static_argnums=1)(jax.random.key(seed), rows)
        np.testing.assert_array_equal(found, jax.random.permutation(jax.random.key(seed), rows))
        assert found.dtype == jnp.int32


def test_both_sorts_leave_equal_bits_as_they_were():
    random = np.random.default_rng(0)
    bits = jnp.asarray(random.integers(0, 50, 1000) * (2**32 // 49 - 1), jnp.uint32)
    order = jnp.asarray(random.permutation(1000), jnp.int32)
    assert len(np.unique(bits)) < 51
    np.testing.assert_array_equal(_order._sorted_packed(bits, order), _order._sorted(bits, order))
    np.testing.assert_array_equal(_order._sorted(bits, order), order[np.argsort(bits, kind="stable")])


def test_many_orders_at_once_are_each_alone():
    roots = jax.vmap(jax.random.key)(jnp.arange(4))
    together = jax.vmap(lambda root: _order.permutation(root, 500))(roots)
    for index in range(4):
        np.testing.assert_array_equal(together[index], _order.permutation(jax.random.key(index), 500))


def test_elsewhere_than_on_a_cpu_it_is_the_same():
    expected = _order.permutation(jax.random.key(0), 2000)
    with mock.patch.object(_order, "_sorted_packed", _order._sorted):
        np.testing.assert_array_equal(jax.jit(_order.permutation, static_argnums=1)(jax.random.key(0), 2000), expected)
