"""Devices, processes and streaming from the command line."""

import os
import sys

import jax
import pytest

from aecf_jax.cli import _devices, main
from aecf_jax.cli._files import read_json
from tests.cli.conftest import TINY


def test_a_run_on_two_devices_evaluates_on_one_and_two(trained, tmp_path, capsys, monkeypatch):
    if len(jax.devices()) < 2:
        pytest.skip("needs simulated devices")
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(trained / "features.npz")]
    assert main(["train", *data, "--out", "two", "--mesh", "data=2", "--stream", "always", *TINY]) == 0
    assert "as data=2, jax" in capsys.readouterr().out
    one, two = (read_json(run / "metrics.json")["summary"] for run in (trained / "run", tmp_path / "two"))
    assert one.keys() == two.keys()
    for devices in ([], ["--mesh", "data=2"]):
        assert main(["evaluate", "two", *devices]) == 0
        # The last digit of a sum may be another on other devices.
        assert "gree with metrics.json" in capsys.readouterr().out.replace("Agrees", "Agree")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--mesh", "8"], "`mesh` must be like data=8 or data=4,model=2; got 8."),
        (["--mesh", "data=999"], "`mesh` must have at most"),
        (["--num-processes", "2"], "`coordinator` must be given with --num-processes and --process-id"),
        (["--memory", "-1"], "`memory` must be positive; got -1.0."),
        (["--mesh", "data=3"], "`batch_size` must be a multiple of 3, the devices along data; got 8."),
    ],
)
def test_what_cannot_be_is_one_sentence(trained, tmp_path, capsys, monkeypatch, flags, said):
    if len(jax.devices()) < 3:
        pytest.skip("needs simulated devices")
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--data", str(trained / "features.npz"), "--out", "run", *TINY, "--no-plots", *flags]
    assert main(arguments) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_one_of_several_processes_prints(monkeypatch):
    class Flags:
        mesh = coordinator = num_processes = process_id = None
        heartbeat = 10

    monkeypatch.setattr(_devices, "join_processes", lambda config: True)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    _devices.joined_devices(Flags)
    assert sys.stdout.name != os.devnull
    monkeypatch.setattr(_devices, "is_first", lambda: False)
    _devices.joined_devices(Flags)
    assert sys.stdout.name == os.devnull
    sys.stdout.close()
