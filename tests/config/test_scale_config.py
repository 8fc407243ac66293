"""Settings of devices and streaming."""

import pytest

from aecf_jax.config import DeviceConfig, StreamConfig
from aecf_jax.errors import InputError


@pytest.mark.parametrize(
    ("text", "axes"),
    [(None, None), ("data=8", {"data": 8}), ("data=4,model=2", {"data": 4, "model": 2}),
     ("model=2", {"data": 1, "model": 2}), ("model=2,data=4", {"data": 4, "model": 2})],
)  # fmt: skip
def test_axes_of_a_mesh(text, axes):
    assert DeviceConfig(mesh=text).axes == axes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mesh": "8"}, "`mesh` must be like data=8 or data=4,model=2; got 8"),
        ({"mesh": "data=2,data=2"}, "`mesh` must be like"),
        ({"mesh": "data=0"}, "`mesh` must be like"),
        ({"mesh": "rows=2"}, "`mesh` must be like"),
        ({"heartbeat": 0}, "`heartbeat` must be at least 1 second"),
        ({"process_id": -1}, "`process_id` must be at least 0"),
        ({"process_id": 2, "num_processes": 2}, "`process_id` must be below num_processes, 2; got 2"),
    ],
)
def test_bad_devices_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        DeviceConfig(**settings)


def test_bad_streaming_is_refused():
    with pytest.raises(InputError, match="`stream` must be one of auto, always, never; got sometimes"):
        StreamConfig(stream="sometimes")
    with pytest.raises(InputError, match="`memory` must be positive"):
        StreamConfig(memory=0)
