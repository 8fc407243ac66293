"""The keys of training steps: one function of the root, the stream and the step."""

import jax
import jax.numpy as jnp
import pytest

from aecf_jax.rng import Stream, stream_key
from aecf_jax.train import step_keys
from tests.train.small import ROOT

STREAMS = {"experts": Stream.EXPERTS, "curriculum": Stream.CURRICULUM, "uncertainty": Stream.UNCERTAINTY}


def _data(keys) -> list:
    return jax.random.key_data(keys).tolist()


@pytest.mark.parametrize("step", [0, 7, 2**31 - 1])
def test_keys_of_a_step_are_those_of_its_streams(step):
    keys = step_keys(ROOT, jnp.asarray(step, jnp.int32))
    for name, stream in STREAMS.items():
        assert _data(getattr(keys, name)) == _data(stream_key(ROOT, stream, step))
    views = jax.random.split(stream_key(ROOT, Stream.DROPOUT, step), 4)
    assert [_data(keys.encode), _data(keys.full), _data(keys.hidden), _data(keys.alone)] == _data(views)


def test_keys_of_several_steps_all_differ():
    found = [key for step in (5, 6, 7) for key in step_keys(ROOT, jnp.asarray(step))]
    assert len({tuple(_data(key)) for key in found}) == len(found)
