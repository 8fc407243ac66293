"""Keys are functions of root, stream and position, and of nothing else; what is drawn from them looks random."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.bench import counted_programs
from aecf_jax.rng import HASHED, Stream, hashed_key, made_once, seed_key, stream_key

ROOT = jax.random.key(0)
MANY = 1 << 14
first_bits = jax.jit(jax.vmap(lambda key: jax.random.bits(key, (4,), jnp.uint32)))


def data(*args):
    return tuple(np.asarray(jax.random.key_data(stream_key(ROOT, *args))).tolist())


def words(keys) -> np.ndarray:
    return np.asarray(jax.random.key_data(keys))


def again(key):
    """The same key for another draw, which JAX's check would take for one used twice."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=HASHED)


def oracle_mixed(bits: int) -> int:
    bits = ((bits ^ bits >> 16) * 0x7FEB352D) % 2**32
    bits = ((bits ^ bits >> 15) * 0x846CA68B) % 2**32
    return bits ^ bits >> 16


def oracle_child(left: int, right: int, number: int, purpose: int = 0) -> tuple[int, int]:
    left, right = left ^ number % 2**32, right ^ purpose
    for constant in (0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35):
        left, right = right, left ^ oracle_mixed((right + constant) % 2**32)
    return left, right


def coins(values: np.ndarray) -> float:
    """The largest distance of any bit's frequency from a half, in standard errors."""
    bits = values.ravel()[:, None] >> np.arange(32, dtype=np.uint32) & 1
    return float(np.abs(bits.mean(axis=0) - 0.5).max() * 2 * len(bits) ** 0.5)


def test_the_same_place_has_the_same_key():
    assert data(Stream.DROPOUT, 3) == data(Stream.DROPOUT, 3)


def test_streams_and_positions_have_different_keys():
    keys = {data(stream, *position) for stream, position in itertools.product(Stream, [(), (0,), (1,), (0, 0), (1, 0)])}
    assert len(keys) == len(Stream) * 5


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 2**40])
@pytest.mark.parametrize("wide", [False, True])
def test_the_key_of_a_seed_is_that_of_jax(seed, wide):
    with jax.enable_x64(wide):
        np.testing.assert_array_equal(words(seed_key(seed)), words(jax.random.key(seed)))


def test_the_key_of_a_seed_is_of_the_kind_that_jax_is_told():
    with jax.default_prng_impl("rbg"):
        found, expected = seed_key(3), jax.random.key(3)
    assert found.dtype == expected.dtype != seed_key(3).dtype
    np.testing.assert_array_equal(words(found), words(expected))


def test_the_key_of_a_seed_compiles_nothing_and_that_of_a_place_one_program():
    with counted_programs() as count:
        root = seed_key(5)
        assert count() == 0
        stream_key(root, Stream.NOISE, *range(11))  # No other test has as many.
        assert count() <= 1


def test_a_traced_position_gives_the_key_of_the_number():
    traced = jax.jit(lambda step: jax.random.key_data(stream_key(ROOT, Stream.CURRICULUM, step)))(7)
    assert tuple(np.asarray(traced).tolist()) == data(Stream.CURRICULUM, 7)


def test_stream_numbers_never_change():
    """They are part of every saved run: a new stream is appended."""
    assert [int(stream) for stream in Stream] == list(range(len(Stream)))
    assert (Stream.INIT, Stream.SHUFFLE, Stream.DROPOUT, Stream.CURRICULUM) == (0, 1, 2, 3)


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_what_is_drawn_never_changes(seed):
    """It is part of every saved run as well; computed here by Python's integers."""
    high, low = words(jax.random.key(seed)).tolist()
    root = oracle_child(*oracle_child(0, 0, high), low)
    key = oracle_child(*oracle_child(*root, int(Stream.DROPOUT)), 5)
    found = stream_key(jax.random.key(seed), Stream.DROPOUT, 5)
    assert tuple(words(found).tolist()) == key
    assert words(jax.random.split(again(found), 3)).tolist() == [
        list(oracle_child(*key, i, 0x27D4EB2F)) for i in range(3)
    ]
    expected = [oracle_mixed(oracle_mixed(index ^ key[0]) ^ key[1]) for index in range(6)]
    assert jax.random.bits(again(found), (2, 3), jnp.uint32).ravel().tolist() == expected
    assert jax.random.bits(found, (6,), jnp.uint8).tolist() == [bits % 256 for bits in expected]


def test_numbers_of_64_bits_are_two_of_32():
    key = hashed_key(ROOT)
    low = jax.random.bits(again(key), (2, 3), jnp.uint32)
    with jax.enable_x64(True):
        assert jax.random.bits(key, (3,), jnp.uint64).tolist() == [
            int(high) << 32 | int(rest) for high, rest in zip(low[0], low[1], strict=True)
        ]


def test_a_key_of_any_kind_becomes_a_hashed_one_and_a_hashed_one_stays():
    for impl in ("threefry2x32", "rbg", "unsafe_rbg"):
        assert jax.random.key_impl(hashed_key(jax.random.key(3, impl=impl))) == HASHED
    key = hashed_key(jax.random.key(3))
    assert words(hashed_key(key)).tolist() == words(key).tolist()
    assert words(key).tolist() == words(jax.random.key(3, impl=HASHED)).tolist()


@pytest.mark.parametrize("seed", [-1, 2**40 + 5])
def test_every_bit_of_a_seed_counts(seed):
    with jax.enable_x64(True):
        assert len({tuple(words(jax.random.key(s, impl=HASHED)).tolist()) for s in (seed, seed % 2**32, 0)}) == 3


def test_keys_side_by_side_are_those_one_by_one():
    keys = jax.vmap(lambda step: stream_key(ROOT, Stream.EXPERTS, step))(jnp.arange(5))
    assert words(keys).tolist() == [list(data(Stream.EXPERTS, step)) for step in range(5)]
    assert first_bits(keys).tolist() == [jax.random.bits(key, (4,), jnp.uint32).tolist() for key in keys]


FAMILIES = {
    "steps": lambda: jax.vmap(lambda step: stream_key(ROOT, Stream.DROPOUT, step))(jnp.arange(MANY)),
    "seeds": lambda: jax.vmap(lambda seed: stream_key(jax.random.key(seed), Stream.INIT))(jnp.arange(MANY)),
    "parts": lambda: jax.random.split(stream_key(ROOT, Stream.DROPOUT, 0), MANY),
    "parts and steps": lambda: jax.vmap(
        lambda step: jax.random.split(stream_key(ROOT, Stream.CURRICULUM, step), 4)
    )(jnp.arange(MANY // 4)).reshape(-1),
    "far apart": lambda: jax.vmap(lambda step: jax.random.fold_in(hashed_key(ROOT), step))(
        jnp.arange(MANY, dtype=jnp.uint32) << 18
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_of_a_family_draw_independent_numbers(name):
    """What one index draws from one key after the other is as random as what one key draws."""
    keys = FAMILIES[name]()
    assert len(np.unique(words(keys), axis=0)) == MANY
    found = np.asarray(first_bits(keys))
    assert coins(found) < 5
    assert coins(words(keys)) < 5
    uniform = found / 2.0**32 - 0.5
    counts = np.histogram(uniform, 64, (-0.5, 0.5))[0]
    # Chi-square with 63 degrees of freedom: mean 63, deviation 11.
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 63 + 5 * 11
    columns = np.concatenate([uniform, np.roll(uniform, 1, axis=0), np.roll(uniform, 2, axis=0)], axis=1)
    correlation = np.corrcoef(columns, rowvar=False) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() * MANY**0.5 < 5


@pytest.mark.parametrize("changed", range(0, 64, 7))
def test_a_bit_of_a_key_changes_every_bit_of_its_children_as_often_as_not(changed):
    keys = FAMILIES["seeds"]()
    one_bit = jnp.array([[1 << changed, 0] if changed < 32 else [0, 1 << (changed - 32)]], jnp.uint32)
    others = jax.random.wrap_key_data(jax.random.key_data(keys) ^ one_bit, impl=HASHED)
    fold = jax.vmap(lambda key: jax.random.fold_in(key, 3))
    difference = words(fold(keys)) ^ words(fold(others))
    # Three rounds: all but the word that one hash has gone through are coins exactly.
    assert coins(difference[:, 1]) < 5
    assert np.unpackbits(difference.view(np.uint8), axis=1).mean() == pytest.approx(0.5, abs=0.05)


def test_parts_of_a_key_are_not_its_places():
    key = hashed_key(ROOT)
    places = [tuple(words(jax.random.fold_in(key, index)).tolist()) for index in range(64)]
    assert not set(places) & {tuple(part) for part in words(jax.random.split(key, 64)).tolist()}


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg", HASHED])
def test_keys_that_are_made_once_are_the_same_keys(kind):
    keys = jax.random.split(jax.random.key(3, impl=kind), 4)
    found = jax.jit(made_once)(keys)
    assert jax.random.key_impl(found) == jax.random.key_impl(keys)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(keys))
