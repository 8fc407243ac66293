"""Dropout's numbers look random wherever a pattern could hide, and are a function of key and index alone."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.ops import dropout, hashed_uniform

SHAPE = (512, 256)
COUNT = SHAPE[0] * SHAPE[1]
draw = jax.jit(hashed_uniform, static_argnums=1)


def deviations(values) -> float:
    """How many standard errors the mean of products of independent numbers around 0 is from 0."""
    return abs(float(np.mean(values))) * values.size**0.5 / float(np.std(values))


@pytest.fixture(scope="module")
def centred():
    return np.asarray(draw(jax.random.key(1), SHAPE), np.float64) - 0.5


def test_numbers_are_uniform(centred):
    assert centred.min() >= -0.5
    assert centred.max() < 0.5
    counts = np.histogram(centred, 64, (-0.5, 0.5))[0]
    # Chi-square with 63 degrees of freedom: mean 63, deviation 11.
    assert ((counts - COUNT / 64) ** 2 / (COUNT / 64)).sum() < 63 + 5 * 11
    assert abs(centred.mean()) * (12 * COUNT) ** 0.5 < 5
    for part in (centred.mean(axis=0), centred.mean(axis=1)):
        # No row and no column is set apart.
        assert part.var() == pytest.approx(1 / 12 / (COUNT / part.size), rel=0.5)


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 255, 256, 257, 512, 1024, COUNT // 2])
def test_neighbours_at_every_distance_are_independent(centred, lag):
    flat = centred.ravel()
    assert deviations(flat[:-lag] * flat[lag:]) < 5


@pytest.mark.parametrize("other", [0, 2, 3, 17, 1 << 31])
def test_neighbouring_keys_are_independent(centred, other):
    found = np.asarray(draw(jax.random.key(other), SHAPE), np.float64) - 0.5
    assert deviations(found * centred) < 5
    # Nor is one key's stream another's, moved by a little.
    for shift in (1, 2, 256):
        assert deviations(np.roll(found.ravel(), shift) * centred.ravel()) < 5


@pytest.mark.parametrize("bit", range(0, 32, 5))
def test_keys_that_differ_in_one_bit_are_independent(centred, bit):
    words = jax.random.key_data(jax.random.key(1)) ^ jnp.array([0, 1 << bit], jnp.uint32)
    found = np.asarray(draw(jax.random.wrap_key_data(words), SHAPE), np.float64) - 0.5
    assert deviations(found * centred) < 5


def test_every_bit_of_a_number_is_a_coin(centred):
    bits = ((centred + 0.5) * 2**24).astype(np.int64)
    for place in range(24):
        assert abs((bits >> place & 1).mean() - 0.5) * 2 * COUNT**0.5 < 5


def test_numbers_depend_on_key_and_index_alone():
    whole = draw(jax.random.key(3), SHAPE)
    np.testing.assert_array_equal(whole[:7], draw(jax.random.key(3), (7, SHAPE[1])))
    np.testing.assert_array_equal(whole.ravel(), draw(jax.random.key(3), (COUNT,)))
    numbers = jnp.arange(3)
    together = jax.jit(jax.vmap(lambda number: hashed_uniform(jax.random.key(number), (8, 16))))(numbers)
    for number in range(3):
        np.testing.assert_array_equal(together[number], draw(jax.random.key(number), (8, 16)))


def test_numbers_are_the_same_on_any_mesh():
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data", "model"))
    split = jax.jit(hashed_uniform, static_argnums=1, out_shardings=spread)(jax.random.key(3), SHAPE)
    np.testing.assert_array_equal(split, draw(jax.random.key(3), SHAPE))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_the_rate_and_the_mean_stays(rate):
    x = jnp.ones(SHAPE)
    # Traced: one program serves every rate.
    found = np.asarray(jax.jit(dropout)(x, rate, key=jax.random.key(5)))
    error = (rate * (1 - rate) / COUNT) ** 0.5
    assert abs((found == 0).mean() - rate) <= 5 * error
    kept = found[found != 0]
    np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=1e-6)


def test_gradients_pass_where_units_do():
    x = jnp.full(SHAPE, 2.0)
    gradient = jax.grad(lambda x: jnp.sum(dropout(x, 0.5, key=jax.random.key(5))))(x)
    np.testing.assert_array_equal(np.asarray(gradient) * 2, dropout(x, 0.5, key=jax.random.key(5)))
    assert dropout(x.astype(jnp.bfloat16), 0.5, key=jax.random.key(5)).dtype == jnp.bfloat16


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_rectifier_in_front_changes_nothing_but_what_its_gradient_reads(dtype):
    key, weights = jax.random.key(5), jax.random.normal(jax.random.key(6), SHAPE, dtype)
    x = jax.random.normal(jax.random.key(7), SHAPE, dtype).at[0].set(0.0)

    def both(thinned):
        value = jax.jit(jax.value_and_grad(lambda x, rate: jnp.sum(thinned(x, rate) * weights, dtype=jnp.float32)))
        return value(x, 0.25), value.lower(x, 0.25).compile().as_text()

    one, together = both(lambda x, rate: dropout(x, rate, key=key, rectify=True))
    two, apart = both(lambda x, rate: dropout(jax.nn.relu(x), rate, key=key))
    jax.tree.map(np.testing.assert_array_equal, one, two)
    assert one[1].dtype == dtype
    assert 0.3 < np.mean(np.asarray(one[1], np.float32) != 0) < 0.45
    # Each draw is some exclusive ors of whole arrays.
    drawn = [len(re.findall(r"u32\[512,256\]\S* xor\(", text)) for text in (together, apart)]
    assert 0 < drawn[0] < drawn[1]


def test_a_rectifier_does_not_hide_what_is_no_number():
    assert np.isnan(dropout(jnp.full(64, jnp.nan), 0.5, key=jax.random.key(0), rectify=True)).any()
