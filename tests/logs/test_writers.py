"""Writers: what is on disk after each write, and what a resumed run keeps of it."""

import json
import math
import subprocess
import sys
import types
from pathlib import Path

import pytest

from aecf_jax.errors import InputError, MissingExtraError
from aecf_jax.logs import (
    LOGGER_TYPES,
    CsvWriter,
    JsonlWriter,
    MultiWriter,
    NullWriter,
    TensorBoardWriter,
    WandbWriter,
    make_writer,
)


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_is_on_disk_after_every_write(tmp_path):
    writer = JsonlWriter(tmp_path / "deep" / "metrics.jsonl")
    writer.write(1, {"loss": 0.5})
    writer.write(2, {"loss": 0.25, "accuracy": 1.0})
    assert _rows(tmp_path / "deep" / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25, "accuracy": 1.0},
    ]
    writer.close()


def test_jsonl_says_null_for_what_is_not_finite(tmp_path):
    writer = JsonlWriter(tmp_path / "m.jsonl")
    writer.write(1, {"a": math.nan, "b": math.inf})
    writer.close()
    assert _rows(tmp_path / "m.jsonl") == [{"step": 1, "a": None, "b": None}]


def test_resumed_jsonl_drops_later_lines_and_a_torn_one(tmp_path):
    path = tmp_path / "m.jsonl"
    writer = JsonlWriter(path)
    for step in (10, 20, 30):
        writer.write(step, {"loss": 1 / step})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 15, "lo')
    writer = JsonlWriter(path, last_step=30)
    writer.close()
    assert [row["step"] for row in _rows(path)] == [10, 20, 30]
    writer = JsonlWriter(path, last_step=20)
    writer.write(25, {"loss": 0.0})
    writer.close()
    assert _rows(path) == [{"step": 10, "loss": 0.1}, {"step": 20, "loss": 0.05}, {"step": 25, "loss": 0.0}]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_run_from_the_start_starts_a_file_anew(tmp_path, kind):
    for _ in range(2):
        writer = make_writer(kind, tmp_path)
        writer.write(1, {"loss": 0.5})
        writer.close()
    text = (tmp_path / f"metrics.{kind}").read_text()
    assert text.count("0.5") == 1


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_resuming_without_a_file_begins_one(tmp_path, kind):
    writer = make_writer(kind, tmp_path, last_step=5)
    writer.write(6, {"loss": 0.5})
    writer.close()
    assert "0.5" in (tmp_path / f"metrics.{kind}").read_text()


def test_csv_adds_a_column_when_a_metric_appears(tmp_path):
    writer = CsvWriter(tmp_path / "m.csv")
    writer.write(1, {"loss": 0.5})
    assert (tmp_path / "m.csv").read_text() == "step,loss\n1,0.5\n"
    writer.write(2, {"loss": 0.25, "accuracy": 1.0})
    writer.write(3, {"accuracy": math.nan})
    writer.close()
    assert (tmp_path / "m.csv").read_text() == "step,loss,accuracy\n1,0.5,\n2,0.25,1.0\n3,,\n"


def test_resumed_csv_is_what_an_uninterrupted_one_is(tmp_path):
    whole, stopped = tmp_path / "whole.csv", tmp_path / "stopped.csv"
    for path in (whole, stopped):
        writer = CsvWriter(path)
        for step in (1, 2, 3):
            writer.write(step, {"loss": 0.1 * step})
        writer.close()
    with stopped.open("a") as file:
        file.write("4,0.")
    writer = CsvWriter(stopped, last_step=2)
    writer.write(3, {"loss": 0.1 * 3})
    writer.close()
    assert stopped.read_text() == whole.read_text()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_file_that_cannot_be_written_is_one_sentence(tmp_path, kind):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"`log file` must be writable; got .*file.* \(.+\)"):
        make_writer(kind, tmp_path / "file")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_disk_that_fills_up_is_one_sentence_once(tmp_path, kind):
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    writer = make_writer(kind, tmp_path)
    writer.write(1, {"loss": 0.5})
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"`log file` must be writable; got .* \(No space left on device\)"):
        writer.write(2, {"loss": 0.25})
    writer.close()


def test_tensorboard_events_hold_the_curve(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.write(1, {"loss": 0.5})
    events = list(tmp_path.glob("events.out.tfevents.*"))
    writer.close()
    assert len(events) == 1
    assert b"loss" in events[0].read_bytes()


def test_tensorboard_needs_no_tensorflow(tmp_path):
    code = (
        "import sys; from aecf_jax.logs import TensorBoardWriter as W; w = W(sys.argv[1]); w.write(1, {'loss': 1.0}); "
        "w.close(); sys.exit(any(name.split('.')[0] in ('tensorflow', 'torch', 'jax') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0


def test_resumed_tensorboard_tells_the_viewer_where_to_cut(tmp_path, monkeypatch):
    seen = {}
    fake = types.ModuleType("tensorboardX")
    fake.SummaryWriter = lambda directory, purge_step: seen.update(directory=directory, purge_step=purge_step)
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    TensorBoardWriter(tmp_path)
    assert seen == {"directory": str(tmp_path), "purge_step": None}
    TensorBoardWriter(tmp_path, last_step=40)
    assert seen["purge_step"] == 41


class _FakeWandb(types.ModuleType):
    """What we use of wandb."""

    def __init__(self):
        super().__init__("wandb")
        self.calls: list = []

    def init(self, **settings):
        self.calls.append(settings)
        return self

    def log(self, metrics, step):
        self.calls.append((step, metrics))

    def finish(self):
        self.calls.append("finished")


def test_wandb_is_given_every_step(tmp_path, monkeypatch):
    fake = _FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    writer = make_writer("wandb", tmp_path, {"project": "fusion", "name": "digits", "version": "one"})
    assert isinstance(writer, WandbWriter)
    writer.write(3, {"loss": 0.5})
    writer.close()
    run = {"project": "fusion", "name": "digits-one", "id": "digits-one", "dir": str(tmp_path), "resume": None}
    assert fake.calls == [run, (3, {"loss": 0.5}), "finished"]


def test_resumed_wandb_goes_on_with_the_run_of_that_name(tmp_path, monkeypatch):
    fake = _FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    make_writer("wandb", tmp_path, {"name": "digits"}, last_step=9)
    assert (fake.calls[0]["id"], fake.calls[0]["resume"]) == ("digits", "allow")


@pytest.mark.parametrize(
    ("module", "kind", "extra"), [("wandb", "wandb", "wandb"), ("tensorboardX", "tensorboard", "cli")]
)
def test_missing_package_names_its_extra(tmp_path, monkeypatch, module, kind, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"`{module}` must be installed .*aecf-jax\[{extra}\]"):
        make_writer(kind, tmp_path)


def test_name_and_version_are_folders_as_in_lightning(tmp_path):
    writer = make_writer("tensorboard", tmp_path, {"name": "aecf", "version": "experiment_1"})
    writer.close()
    assert list((tmp_path / "aecf" / "experiment_1").glob("events*"))


def test_logger_none_writes_nothing_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = make_writer("none", tmp_path / "logs")
    writer.write(1, {"loss": 1.0})
    writer.close()
    assert isinstance(writer, NullWriter)
    assert list(tmp_path.iterdir()) == []


def test_several_writers_get_the_same(tmp_path):
    writer = MultiWriter([make_writer("jsonl", tmp_path), make_writer("csv", tmp_path), make_writer("none", tmp_path)])
    writer.write(1, {"loss": 0.5})
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.jsonl"]


def test_unknown_type_offers_the_nearest():
    with pytest.raises(InputError, match=r"`logger_type` must be one of none, .*; got tensorbord. Did you mean"):
        make_writer("tensorbord", "x")
    assert LOGGER_TYPES == ("none", "csv", "jsonl", "tensorboard", "wandb")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"verison": 1}, r"`logger_config` must hold only name, version; got verison\. Did you mean `version`\?"),
        ({"project": "x"}, "must hold only name, version; got project"),
        ({"version": "../up"}, "must stay inside the log folder"),
        ({"name": "/etc"}, "must stay inside the log folder"),
    ],
)
def test_bad_setting_is_refused(tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        make_writer("csv", tmp_path, settings)
