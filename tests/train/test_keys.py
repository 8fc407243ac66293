"""The keys of training steps: one function of the root, the stream and the step."""

import re

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


def test_keys_are_made_once_whatever_draws_from_them():
    def drawn(root, step):
        keys = step_keys(root, step)
        return [jax.random.bits(key, (64, width)) for width, key in enumerate(keys[:4], start=1)]

    text = jax.jit(drawn).lower(ROOT, jnp.int32(3)).compile().as_text()
    # Four for each of four draws, and six for each derivation: from both words of the root, stream, step and view.
    needed = 4 * 4 + 5 * 6
    assert needed <= len(re.findall(r" multiply\(", text)) < needed + 6
