"""Keys are functions of root, stream and position, and of nothing else."""

import itertools

import jax
import numpy as np

from aecf_jax.rng import Stream, stream_key


def data(*args):
    return tuple(np.asarray(jax.random.key_data(stream_key(jax.random.key(0), *args))).tolist())


def test_the_same_place_has_the_same_key():
    assert data(Stream.DROPOUT, 3) == data(Stream.DROPOUT, 3)


def test_streams_and_positions_have_different_keys():
    keys = {data(stream, *position) for stream, position in itertools.product(Stream, [(), (0,), (1,), (0, 0), (1, 0)])}
    assert len(keys) == len(Stream) * 5


def test_a_traced_position_gives_the_key_of_the_number():
    traced = jax.jit(lambda step: jax.random.key_data(stream_key(jax.random.key(0), Stream.CURRICULUM, step)))(7)
    assert tuple(np.asarray(traced).tolist()) == data(Stream.CURRICULUM, 7)


def test_stream_numbers_never_change():
    """They are part of every saved run: a new stream is appended."""
    assert [int(stream) for stream in Stream] == list(range(len(Stream)))
    assert (Stream.INIT, Stream.SHUFFLE, Stream.DROPOUT, Stream.CURRICULUM) == (0, 1, 2, 3)
