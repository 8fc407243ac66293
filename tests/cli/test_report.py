"""`aecf-jax report`: what it writes of a finished run, and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aecf_jax.cli import main
from tests.cli.conftest import CLASSES, TINY, WIDTHS, tiny_arrays


def report(*argv):
    return main(["report", *map(str, argv), "--draws", "20"])


@pytest.fixture
def refused(capsys):
    """A function that says why a report is refused."""

    def said(*argv):
        assert report(*argv) == 2
        return capsys.readouterr().err

    return said


def test_report_of_a_run_and_its_baseline(work, trained, capsys):
    shutil.copytree("run", "other")
    config = json.loads(Path("other/config.json").read_text())
    Path("other/config.json").write_text(json.dumps(config | {"seed": 1}))
    assert main(["calibrate", "run"]) == 0
    capsys.readouterr()
    assert report("run", "--baseline", "other") == 0
    assert capsys.readouterr().out == "run/report/: report.html, report.md, report.json\n"
    found = json.loads(Path("run/report/report.json").read_text())
    (model,), (baseline,) = found["models"], found["baselines"]
    assert [row["modalities"] for row in model["table"]] == [["image"], ["text"], ["image", "text"]]
    (run,) = model["runs"]
    recorded = json.loads(Path("run/metrics.json").read_text())
    (plain,) = baseline["runs"]
    for row, known in zip(plain["table"]["subsets"], recorded["table"]["subsets"], strict=True):
        low, high = row["intervals"]["nll"]
        assert low <= row["metrics"]["nll"] == known["metrics"]["nll"] <= high
    assert run["table"]["subsets"][-1]["metrics"]["nll"] == run["reliability"]["after"]["nll"]["full"]
    assert run["gate"]["verdict"] == "the model has no gate"
    assert run["calibration"]["method"] == "temperature"
    assert [row["pattern"] for row in run["conformal"]["patterns"]] == ["image", "text", "image + text"]
    assert run["reliability"]["after"]["nll"]["full"] != run["reliability"]["before"]["nll"]["full"]
    assert sum(run["reliability"]["diagrams"][0]["before"]["counts"]) == 12
    assert run["prevalence"]["accuracy"] == pytest.approx(1 / CLASSES)
    assert set(run["robustness"]["effective"]) == {"other", "late fusion of its own single modalities"}
    assert run["presence"]["test"] == {"modalities": dict.fromkeys(WIDTHS, 1.0), "empty": 0}
    assert baseline["name"] == "other"
    assert "<h2>Calibration</h2>" in Path("run/report/report.html").read_text()
    assert "## Calibration" in Path("run/report/report.md").read_text()


def test_report_on_values_that_are_missing_in_part(save, work, capsys):
    present = np.ones((60, 2), bool)
    present[::4, 0] = present[1::5, 1] = False
    name = save(label=np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32), present=present)
    assert main(["train", "--data", name, "--out", "values", "--no-plots", *TINY]) == 0
    capsys.readouterr()
    assert report("values", "--out", "page") == 0
    text = Path("page/report.md").read_text()
    assert "Calibration" not in [line.removeprefix("## ") for line in text.splitlines()]
    assert "missing of the test rows is" in text
    run = json.loads(Path("page/report.json").read_text())["models"][0]["runs"][0]
    assert run["presence"]["train"]["modalities"]["image"] < 1
    assert run["reliability"] is None


def test_report_on_an_embedding(work, trained, capsys):
    data = str(trained / "features.npz")
    assert main(["train", "--data", data, "--task-type", "embedding", "--out", "embedding", "--no-plots", *TINY]) == 0
    assert report("embedding") == 0
    text = Path("embedding/report/report.md").read_text()
    assert "monotonicity (does not apply to an embedding)" in text.replace("\\", "")


def test_unfinished_run_is_refused(work, refused):
    Path("run/metrics.json").unlink()
    assert refused("run") == (
        "aecf-jax: `RUN` must be finished, to be reported; got run without metrics.json. "
        "Go on with: aecf-jax train --resume run\n"
    )
    assert not Path("run/report").exists()


def test_imported_run_is_refused(work, refused):
    Path("run/metrics.json").rename("run/import.json")
    assert "An imported run has no data of its own." in refused("run")


def test_a_run_is_not_its_own_replicate(work, refused):
    assert "`RUN` must be given once; got run, run/../run." in refused("run", "run/../run")


def test_no_run_is_refused(work, refused):
    assert "`RUN` must be given; got none" in refused()


def test_folder_that_is_a_file_is_refused(work, refused):
    Path("page").touch()
    assert "`out` must be a folder; got page" in refused("run", "--out", "page")


def test_other_data_are_refused(work, refused, save):
    save("moved.npz", **tiny_arrays(seed=1))
    described = json.loads(Path("run/data.json").read_text())
    described["settings"]["data"] = "moved.npz"
    Path("run/data.json").write_text(json.dumps(described))
    assert (
        "`data` must be what the run was trained and chosen on; got another train and validation and test"
        in refused("run")
    )
