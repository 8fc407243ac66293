"""The verbs from end to end, on a small run: what they write, print and give back."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from aecf_jax.cli import main
from aecf_jax.cli._run import use_compile_cache
from aecf_jax.config import AECFConfig
from aecf_jax.data import load_features
from aecf_jax.evaluate import SubsetTable, predict, subsets
from aecf_jax.trainer import load_model
from tests.cli.conftest import CLASSES, ROWS, TINY, WIDTHS

PNG = b"\x89PNG\r\n"


def succeed(capsys, *argv):
    """What a command prints; it must succeed, and say nothing on the standard error."""
    code = main([str(word) for word in argv])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    return printed.out


def test_train_writes_the_files_of_a_run(trained):
    run = trained / "run"
    assert {path.name for path in run.iterdir()} == {
        "config.json", "data.json", "metrics.jsonl", "metrics.json", "curves.png", "robustness.png", "checkpoints",
    }  # fmt: skip
    for name in ("curves.png", "robustness.png"):
        assert (run / name).read_bytes().startswith(PNG)
    config = AECFConfig.from_file(run / "config.json")
    assert (config.modalities, config.input_dims, config.num_classes) == (tuple(WIDTHS), tuple(WIDTHS.values()), 3)
    assert (config.multilabel, config.encoder_hidden_dims, config.epochs) == (False, (16,), 2)
    described = json.loads((run / "data.json").read_text())
    assert described["rows"] == {"train": 36, "validation": 12, "test": 12}
    assert described["settings"]["data"] == str(trained / "features.npz")
    assert [len(described["sha256"][part]) for part in described["rows"]] == [64, 64, 64]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["modalities"] for row in metrics["table"]["subsets"]] == [list(one) for one in subsets(tuple(WIDTHS))]
    assert metrics["summary"] == SubsetTable.from_dict(metrics["table"]).summary()
    assert (metrics["epochs"], metrics["steps"], metrics["stopped"]) == (2, 8, "completed")
    assert metrics["best_step"] in (4, 8)
    assert metrics["versions"]["jax"] == jax.__version__
    assert metrics["seconds"] > 0


def test_train_prints_header_table_and_paths(trained):
    printed = (trained / "printed.txt").read_text(encoding="utf-8")
    parameters = json.loads((trained / "run" / "metrics.json").read_text())["parameters"]
    for line in (
        "data        features.npz: 3 classes; rows: train 36, validation 12, test 12",
        "modalities  image 16, text 8",
        f"model       {parameters:,} parameters",
        f"run         {trained / 'run'}",
    ):
        assert line in printed.splitlines()
    assert printed.count("●") == 4
    assert "accuracy: all modalities " in printed
    assert "curves.png" in printed.splitlines()[-1]


def table_lines(text):
    return [line for line in text.splitlines() if line.startswith("accuracy:") or "rows " in line or "●" in line]


def test_evaluate_prints_the_same_table_to_the_last_digit(trained, capsys):
    printed = succeed(capsys, "evaluate", trained / "run")
    lines = table_lines((trained / "printed.txt").read_text(encoding="utf-8"))
    assert len(lines) == 5
    assert table_lines(printed) == lines
    assert printed.endswith("Agrees with metrics.json to the last digit.\n")
    content = json.loads(succeed(capsys, "evaluate", trained / "run", "--json"))
    assert content["table"] == json.loads((trained / "run" / "metrics.json").read_text())["table"]
    assert content["note"] == "Agrees with metrics.json to the last digit."


def test_evaluate_gives_intervals_when_asked_and_agrees_with_a_run_that_reported_less(work, capsys):
    path = work / "run" / "metrics.json"
    metrics = json.loads(path.read_text())
    for row in metrics["table"]["subsets"]:
        del row["metrics"]["entropy"]
    path.write_text(json.dumps(metrics))
    printed = succeed(capsys, "evaluate", "run", "--intervals")
    assert [line.count("[") for line in printed.splitlines() if "●" in line] == [3, 3, 3]
    assert printed.endswith("Agrees with metrics.json to the last digit.\n")


def test_evaluate_says_when_it_does_not_agree(work, capsys):
    path = work / "run" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["table"]["subsets"][1]["metrics"]["nll"] += 0.5
    path.write_text(json.dumps(metrics))
    assert "Does not agree with metrics.json: the largest difference is 0.5 " in succeed(capsys, "evaluate", "run")
    del metrics["table"]["subsets"][0]
    path.write_text(json.dumps(metrics))
    assert "Does not agree with metrics.json: it has other subsets or rows." in succeed(capsys, "evaluate", "run")
    path.unlink()
    assert "There is no metrics.json to compare with" in succeed(capsys, "evaluate", "run")


def test_evaluate_other_parts_and_other_data(work, save, capsys):
    first = succeed(capsys, "evaluate", "run", "--part", "train").splitlines()
    assert "train part, 36 rows" in first[0]
    assert first[-1].startswith("accuracy:")
    other = save()
    assert f"{other}, all part, 60 rows" in succeed(capsys, "evaluate", "run", "--data", other)
    assert f"{other}, test part, 12 rows" in succeed(capsys, "evaluate", "run", "--data", other, "--part", "test")


def test_evaluate_says_when_the_data_have_changed(work, save, capsys):
    path = work / "run" / "data.json"
    described = json.loads(path.read_text())
    described["settings"]["data"] = str(work / save(image=np.ones((ROWS, 16), np.float32)))
    path.write_text(json.dumps(described))
    assert "The data are no longer those of the run" in succeed(capsys, "evaluate", "run")


@pytest.fixture
def expected(work, save):
    """The model's own output for a file of new rows, of which some lack the text."""
    text = np.random.default_rng(1).normal(size=(ROWS, 8)).astype(np.float32)
    text[::7] = np.nan
    rows = load_features(save(label=None, text=text), tuple(WIDTHS), nan_as_missing=True)
    return predict(load_model(work / "run" / "checkpoints").model, rows)


def test_predict_npz(work, expected, capsys):
    printed = succeed(capsys, "predict", "run", "--data", "new.npz", "--out", "p.npz", "--nan-as-missing")
    assert printed.startswith("p.npz: predictions for 60 rows, from the checkpoint of step ")
    with np.load(work / "p.npz") as found:
        assert set(found) == {"probabilities", "prediction", "weights", "entropy", "modalities"}
        logits = expected.output.astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        # float32 has 24 bits: half a unit in the last place of a probability is below 6e-8.
        np.testing.assert_allclose(found["probabilities"], odds / odds.sum(axis=1, keepdims=True), atol=1e-7)
        np.testing.assert_array_equal(found["prediction"], logits.argmax(axis=1))
        np.testing.assert_array_equal(found["weights"], expected.weights)
        np.testing.assert_array_equal(found["entropy"], expected.entropy)
        assert found["modalities"].tolist() == list(WIDTHS)
        assert (found["weights"][::7] == [[1, 0]]).all()


def test_predict_csv_and_jsonl_hold_the_same_numbers(work, expected, capsys):
    for name in ("p.csv", "p.jsonl", "p.npz"):
        succeed(capsys, "predict", "run", "--data", "new.npz", "--out", name, "--nan-as-missing")
    arrays = np.load(work / "p.npz")
    rows = [json.loads(line) for line in (work / "p.jsonl").read_text().splitlines()]
    with (work / "p.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["row", *(f"probability_{k}" for k in range(CLASSES)), "prediction", "weight_image",
                              "weight_text", "entropy"]  # fmt: skip
    assert len(rows) == len(table) == ROWS
    for index, (row, line) in enumerate(zip(rows, table, strict=True)):
        assert (row["row"], line["row"]) == (index, str(index))
        assert np.float32(row["probabilities"]).tolist() == arrays["probabilities"][index].tolist()
        assert [np.float32(line[f"probability_{k}"]) for k in range(CLASSES)] == arrays["probabilities"][index].tolist()
        assert row["prediction"] == int(line["prediction"]) == arrays["prediction"][index]
        assert np.float32(list(row["weights"].values())).tolist() == arrays["weights"][index].tolist()
        assert np.float32(line["weight_text"]) == np.float32(row["weights"]["text"])
        assert np.float32(line["entropy"]) == np.float32(row["entropy"]) == expected.entropy[index]


def test_predict_replaces_a_file_only_by_force(work, expected, capsys):
    (work / "p.csv").write_text("mine")
    argv = ["predict", "run", "--data", "new.npz", "--out", "p.csv", "--nan-as-missing"]
    assert main(argv) == 2
    assert (work / "p.csv").read_text() == "mine"
    capsys.readouterr()
    succeed(capsys, *argv, "--force")
    assert (work / "p.csv").read_text().startswith("row,")


def test_info_of_a_finished_run(trained, capsys):
    lines = dict(line.split(None, 1) for line in succeed(capsys, "info", trained / "run").splitlines())
    assert set(lines) == {"run", "state", "data", "modalities", "model", "training", "checkpoints", "test"}
    assert lines["state"].startswith("completed after 2 epochs, ")
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert f"{metrics['parameters']:,} parameters" in lines["model"]
    assert f"step {metrics['best_step']} (" in lines["checkpoints"]
    assert lines["checkpoints"].count("best") == 1
    assert lines["test"].startswith("accuracy: all modalities ")


def test_info_of_unfinished_and_damaged_runs(work, capsys):
    (work / "run" / "metrics.json").unlink()
    printed = succeed(capsys, "info", "run")
    assert "unfinished, 2 of 2 epochs; go on with: aecf-jax train --resume run" in printed
    assert "no table yet" in printed
    shutil.rmtree(work / "run" / "checkpoints")
    assert "checkpoints none yet" in " ".join(succeed(capsys, "info", "run").split())
    with (work / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "val')
    (work / "run" / "data.json").write_text("{")
    printed = succeed(capsys, "info", "run")
    assert "`run/data.json` must be readable JSON" in printed
    assert "unfinished, 2 of 2 epochs" in printed
    (work / "run" / "config.json").unlink()
    assert succeed(capsys, "info", "run").count("`run/config.json` must exist") == 5


def test_data_list_names_every_source(capsys):
    printed = succeed(capsys, "data", "list")
    assert [name for name in ("digits", "avmnist", "handwritten", "yeast") if name not in printed] == []


def train(capsys, *argv):
    """What a training prints; it must succeed."""
    code = main(["train", *argv])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def test_the_default_is_the_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed = train(capsys, "--epochs", "1", "--no-plots")
    assert len([line for line in printed.splitlines() if "●" in line]) == 15
    run = tmp_path / "runs" / "digits-1"
    assert any("tfevents" in path.name for path in (run / "logs").iterdir())
    assert not list(run.glob("*.png"))
    assert succeed(capsys, "evaluate", "runs/digits-1").endswith("Agrees with metrics.json to the last digit.\n")


def labels_of(label):
    return (label[:, None] == np.arange(CLASSES)).astype(np.float32)


def values_of(label):
    return np.stack([label, 1.0 - label], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "flags", "heading", "array"),
    [
        (labels_of, [], "mAP", "prediction"),
        (values_of, [], "RMSE", "values"),
        (values_of, ["--task-type", "embedding"], "cosine", "values"),
        (None, ["--task-type", "embedding", "--num-classes", "4"], "cosine", "values"),
    ],
)
def test_every_kind_of_label_trains_evaluates_and_predicts(work, save, capsys, make, flags, heading, array):
    label = np.arange(ROWS) % CLASSES
    name = save(label=label if make is None else make(label))
    printed = train(capsys, "--data", name, "--out", "other", *flags, *TINY)
    assert f"{heading}: all modalities " in printed
    assert "Agrees with metrics.json" in succeed(capsys, "evaluate", "other")
    succeed(capsys, "predict", "other", "--data", save(name="x.npz", label=None), "--out", "p.npz")
    with np.load("p.npz") as found:
        assert found[array].shape == (ROWS, 4 if "4" in flags else CLASSES if make is labels_of else 2)
    assert heading in succeed(capsys, "info", "other")


def test_modalities_are_chosen_and_ordered_by_the_flag(work, save, capsys, monkeypatch):
    train(capsys, "--data", save(), "--out", "one", "--modalities", "text", *TINY, "--no-plots")
    assert AECFConfig.from_file("one/config.json").modalities == ("text",)
    assert "Agrees with metrics.json" in succeed(capsys, "evaluate", "one")
    # Also from another folder: paths are kept whole.
    monkeypatch.chdir(work / "run")
    assert "Agrees with metrics.json" in succeed(capsys, "evaluate", "../one")
    monkeypatch.chdir(work)
    train(capsys, "--data", "new.npz", "--out", "two", "--modalities", "text", "image", *TINY, "--no-plots")
    assert AECFConfig.from_file("two/config.json").input_dims == (8, 16)


def test_a_config_file_of_another_run_repeats_it(work, trained, capsys):
    config = str(trained / "run" / "config.json")
    train(capsys, "--config", config, "--data", str(trained / "features.npz"), "--out", "again", "--logger", "none")
    tables = [json.loads((run / "metrics.json").read_text())["table"] for run in (work / "again", work / "run")]
    assert tables[0] == tables[1]


def test_resuming_a_finished_run_repeats_its_table(work, capsys):
    before = json.loads((work / "run" / "metrics.json").read_text())
    (work / "run" / "metrics.json").unlink()
    train(capsys, "--resume", "run", "--no-plots")
    after = json.loads((work / "run" / "metrics.json").read_text())
    assert after["table"] == before["table"]
    assert after["steps"] == before["steps"]


# A signal from another process may come when so short a run is over.
_SIGNALLED = """
import os, signal, sys
from aecf_jax.cli import main
from aecf_jax.logs import JsonlWriter

write = JsonlWriter.write

def write_and_signal(self, step, metrics):
    write(self, step, metrics)
    if metrics["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGTERM)

JsonlWriter.write = write_and_signal
sys.exit(main(sys.argv[1:]))
"""


def test_sigterm_saves_and_the_run_resumes(trained, tmp_path):
    run, epochs = tmp_path / "run", 20
    history, features = run / "metrics.jsonl", str(trained / "features.npz")
    flags = ["--epochs", str(epochs), "--early-stopping-patience", "0", "--no-plots", "--out", str(run)]
    command = [sys.executable, "-c", _SIGNALLED, "train", "--data", features, *TINY, *flags]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert process.returncode == 128 + signal.SIGTERM, process.stderr
    said = process.stdout.splitlines()[-1]
    assert said == f"Interrupted; the run is saved. Go on with: aecf-jax train --resume {run}"
    assert not (run / "metrics.json").exists()
    done = [json.loads(line)["epoch"] for line in history.read_text().splitlines()]
    assert 2 <= len(done) < epochs
    assert main(["train", "--resume", str(run), "--no-plots"]) == 0
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [float(epoch) for epoch in range(1, epochs + 1)]
    assert json.loads((run / "metrics.json").read_text())["epochs"] == epochs


@pytest.fixture
def no_cache():
    """JAX without a compile cache, whatever the tests use."""
    names = ("dir", "min_compile_time_secs", "min_entry_size_bytes")
    names = ("jax_compilation_cache_dir", *(f"jax_persistent_cache_{name}" for name in names[1:]))
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.usefixtures("no_cache")
def test_compile_cache_is_in_the_users_cache_folder_unless_unwanted_or_impossible(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    use_compile_cache(False)
    assert jax.config.jax_compilation_cache_dir is None
    (tmp_path / "cache").write_text("a file where the folder should be")
    use_compile_cache(True)
    assert jax.config.jax_compilation_cache_dir is None
    (tmp_path / "cache").unlink()
    use_compile_cache(True)
    folder = tmp_path / "cache" / "aecf_jax" / "compiled"
    assert folder.is_dir()
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0
