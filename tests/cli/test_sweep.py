"""`aecf-jax sweep` from end to end, on a small sweep in two processes: what it writes, and what it does not repeat."""

import json
from unittest import mock

import numpy as np
import pytest

from aecf_jax.cli import _sweep, main
from aecf_jax.cli._vary import varied
from aecf_jax.config import AECFConfig
from aecf_jax.sweep import _choice, saved_run
from tests.cli.conftest import TINY, tiny_arrays

FLAGS = ["--vary", "learning_rate=1e-3,1e-2", "--vary", "fusion=concat", "--seeds", "2"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    np.savez(folder / "features.npz", **tiny_arrays())
    settings = [flag for flag in TINY if flag not in ("--logger", "none")]
    where = ["--data", str(folder / "features.npz"), "--out", str(folder / "sweep")]
    assert main(["sweep", *where, *FLAGS, *settings, "--how", "processes", "--workers", "2"]) == 0
    return folder / "sweep"


def test_every_run_is_a_file_and_the_settings_are_compared_with_the_first(swept):
    assert {path.name for path in (swept / "runs").iterdir()} == {f"{index:04d}.npz" for index in range(4)}
    results = json.loads((swept / "results.json").read_text(encoding="utf-8"))
    assert [(run["setting"], run["seed"]) for run in results["runs"]] == [
        (f"learning_rate={rate}", seed) for rate in (0.001, 0.01) for seed in (0, 1)
    ]  # fmt: skip
    differences = results["comparison"]["differences"]
    assert {(one["one"], one["other"]) for one in differences} == {("learning_rate=0.01", "learning_rate=0.001")}
    assert results["part"] == "validation"
    assert "validation rows" in (swept / "table.md").read_text(encoding="utf-8")
    assert (swept / "sweep.png").stat().st_size > 1000


@pytest.mark.parametrize("how", ["vmap", "auto"])
def test_devices_are_those_that_are_asked_for(how, tmp_path, capsys):
    """More than there are: whoever deals runs out says so."""
    np.savez(tmp_path / "features.npz", **tiny_arrays())
    data = ["--data", str(tmp_path / "features.npz"), "--out", str(tmp_path / "sweep")]
    with mock.patch.multiple(_choice, WORTH=0.0, seconds_in_processes=lambda *_found, workers: (0.0, 1e12)):
        assert main(["sweep", *data, *FLAGS, "--how", how, "--devices", "99"]) == 2
    assert "`devices` must be at most" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--workers", "--devices"])
def test_none_to_train_on_is_an_error(flag, tmp_path, capsys):
    np.savez(tmp_path / "features.npz", **tiny_arrays())
    data = ["--data", str(tmp_path / "features.npz"), "--out", str(tmp_path / "sweep")]
    assert main(["sweep", *data, *FLAGS, flag, "0"]) == 2
    assert f"`{flag[2:]}` must be positive; got 0." in capsys.readouterr().err
    assert not list((tmp_path / "sweep" / "runs").iterdir())


def test_finished_runs_are_not_repeated_and_a_damaged_one_is(swept, capsys, monkeypatch):
    before = json.loads((swept / "results.json").read_text(encoding="utf-8"))
    damaged = swept / "runs" / "0002.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    trained = []
    real = _sweep.train_many

    def noted(configs, *rows, **settings):
        trained.extend(configs)
        return real(configs, *rows, **settings)

    monkeypatch.setattr(_sweep, "train_many", noted)
    assert main(["sweep", "--resume", str(swept)]) == 0
    printed = capsys.readouterr().out
    assert "3 runs, which are not repeated" in printed
    assert "too short for a trial" in printed
    assert [(one.learning_rate, one.seed) for one in trained] == [(0.01, 0)]
    again = json.loads((swept / "results.json").read_text(encoding="utf-8"))
    for one, other in zip(before["runs"], again["runs"], strict=True):
        assert one["metrics"] == pytest.approx(other["metrics"], abs=1e-5)


def test_a_signal_ends_a_sweep_and_says_how_it_goes_on(swept, capsys, monkeypatch):
    (swept / "runs" / "0001.npz").unlink()

    def stopped(*_arguments, **_settings):
        raise _sweep._Interrupted(15)

    monkeypatch.setattr(_sweep, "train_many", stopped)
    assert main(["sweep", "--resume", str(swept)]) == 143
    assert f"aecf-jax sweep --resume {swept}" in " ".join(capsys.readouterr().out.split())


def test_a_run_of_other_settings_is_no_finished_run(swept):
    config = AECFConfig.from_dict(json.loads((swept / "sweep.json").read_text(encoding="utf-8"))["config"])
    assert saved_run(swept / "runs" / "0000.npz", config.update(learning_rate=1e-3, fusion="concat")) is not None
    assert saved_run(swept / "runs" / "0000.npz", config.update(learning_rate=2e-3, fusion="concat")) is None


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--vary", "learning_rat=1,2"], "Did you mean `learning_rate`?"),
        (["--vary", "learning_rate"], "`vary` must be given as field=value,value"),
        (["--vary", "learning_rate=1,1"], "`vary` must have every value once"),
        (["--vary", "learning_rate="], "`vary` must have values"),
        (["--vary", "seed=1,2"], "How many seeds: --seeds."),
        (["--vary", "num_classes=1,2"], "`vary` must name a field that the data do not decide"),
        (["--vary", "learning_rate=high,2"], "`learning_rate` must be a number"),
        (["--vary", "learning_rate=-1,2"], "`learning_rate` must be positive"),
        (["--seeds", "0"], "`seeds` must be positive"),
        (["--resume", "nowhere"], "`resume` must be the folder of a sweep"),
        (["--resume", "nowhere", "--seeds", "3"], "--seeds"),
    ],
)
def test_bad_settings_are_one_sentence(flags, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *flags]) == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_values_are_what_they_are_in_json():
    assert varied(["pair-training=true,false", "gate_hidden_dims=[8],[8,4]", "head_hidden_dims=null"]) == {
        "pair_training": [True, False], "gate_hidden_dims": [[8], [8, 4]], "head_hidden_dims": [None],
    }  # fmt: skip
