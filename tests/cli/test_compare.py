"""`aecf-jax compare`: what makes a model, what is refused, and the four forms of what it says."""

import json
import shutil
from pathlib import Path

import pytest

from aecf_jax.cli import main
from aecf_jax.config import DataConfig
from aecf_jax.data import load_splits, make_drops
from aecf_jax.files import read_json, write_json


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """Folders a-0 and a-1 of one model, b-0 and b-1 of another by their settings; all have one network."""
    folder = tmp_path_factory.mktemp("compared")
    for name, changes in {"a-0": {}, "a-1": {"seed": 1}, "b-0": {"weight_decay": 0.5},
                          "b-1": {"weight_decay": 0.5, "seed": 1}}.items():  # fmt: skip
        shutil.copytree(trained / "run", folder / name)
        config = folder / name / "config.json"
        write_json(config, read_json(config) | changes)
    return folder


@pytest.fixture
def compare(runs, tmp_path, monkeypatch, capsys):
    """A function: arguments, the runs by name -> exit code, printed, errors."""
    monkeypatch.chdir(runs)

    def called(*arguments):
        code = main(["compare", *map(str, arguments), "--draws", "20"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return called


def test_runs_that_differ_in_the_seed_alone_are_one_model(compare):
    code, printed, errors = compare("a-0", "b-0", "b-1", "a-1")
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    assert lines[:2] == ["weight_decay=0.3: a-0, a-1", "weight_decay=0.5: b-0, b-1"]
    assert "weight_decay=0.3 (2 seeds)  weight_decay=0.5 (2 seeds)" in printed
    assert sum(line.split()[:1] == ["NLL"] for line in lines) == 8
    assert lines[-1].startswith("Seeds and test rows both vary")
    assert lines[-2].startswith("16 tests (Student's), Holm-corrected")


def test_replicates_alone_are_not_compared_unless_run_by_run(compare):
    code, printed, _ = compare("a-0", "a-1")
    assert code == 0
    assert "2 networks of one model, which differ in their seeds alone: nothing to compare." in printed
    assert printed.splitlines()[-1] == "To compare these networks with each other: --by run"
    code, printed, _ = compare("a-0", "a-1", "--by", "run")
    assert code == 0
    assert printed.splitlines()[:2] == ["a-0: a-0", "a-1: a-1"]
    assert printed.splitlines()[-1].startswith("One network each")
    # They are the same network: no row differs.
    assert printed.count("+0.0000 ± 0.0000  1.000     1.000") == 16


def test_json_markdown_and_latex(compare, tmp_path):
    code, printed, _ = compare("a-0", "b-0", "--name", "gate", "mean", "--format", "json")
    content = json.loads(printed)
    assert code == 0
    assert content["runs"] == {"gate": "a-0", "mean": "b-0"}
    assert [model["name"] for model in content["models"]] == ["gate", "mean"]
    assert len(content["differences"]) == 16
    assert content["about"]["rows"] == 12
    recorded = read_json(Path("a-0/metrics.json"))["summary"]
    found = {(one["seen"], one["metric"]): one["value"] for one in content["models"][0]["figures"]}
    assert found["all modalities", "accuracy"] == recorded["full"]["accuracy"]
    assert found["worst single", "nll"] == pytest.approx(recorded["worst_single"]["metrics"]["nll"])
    for name, start in (
        ("out.md", "- gate: a-0\n- mean: b-0\n\n| metric |"),
        ("out.tex", "% gate: a-0\n% mean: b-0\n"),
    ):
        code, printed, _ = compare("a-0", "b-0", "--name", "gate", "mean", "--out", tmp_path / name)
        assert code == 0
        assert printed.startswith(f"{tmp_path / name}: One network each")
        assert (tmp_path / name).read_text().startswith(start)


def test_a_saved_drop_table_is_used(compare, runs, tmp_path):
    settings = read_json(runs / "a-0" / "data.json")["settings"]
    drops = make_drops(load_splits(DataConfig.from_dict(settings)).test, "exclusive", seed=3)
    drops.save(tmp_path / "drops.json")
    code, printed, _ = compare("a-0", "b-0", "--drops", tmp_path / "drops.json")
    assert code == 0
    assert "NLL       exclusive 1" in printed
    assert drops.hash[:12] in printed


def test_long_lists_of_differences_are_models_by_number_and_other_training_rows_another_model(compare, runs, tmp_path):
    shutil.copytree(runs / "a-0", tmp_path / "other")
    config, data = tmp_path / "other" / "config.json", tmp_path / "other" / "data.json"
    write_json(config, read_json(config) | {"learning_rate": 0.5, "weight_decay": 0.25, "label_smoothing": 0.1})
    assert compare("a-0", tmp_path / "other")[1].startswith("model 1: a-0\nmodel 2: ")
    write_json(config, read_json(runs / "a-0" / "config.json"))
    described = read_json(data)
    write_json(data, described | {"sha256": described["sha256"] | {"train": "0" * 64}})
    assert compare("a-0", tmp_path / "other")[1].startswith("model 1: a-0\nmodel 2: ")
    assert compare("a-0", "a-1", tmp_path / "other", "--by", "run")[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"split_seed": 4}}, "split_seed is 4, not 0"),
        ({"rows": {"test": 11}}, "rows is 11, not 12"),
        ({"num_classes": 4}, "num_classes is 4, not 3"),
        ({}, "the features or labels are others"),
    ],
)
def test_other_test_rows_are_refused_by_what_differs(compare, runs, tmp_path, changes, message):
    shutil.copytree(runs / "a-0", tmp_path / "other")
    data = tmp_path / "other" / "data.json"
    described = read_json(data)
    for name, value in {"sha256": {"test": "0" * 64}, **changes}.items():
        described[name] = described[name] | value if isinstance(value, dict) else value
    write_json(data, described)
    code, _, errors = compare("a-0", tmp_path / "other")
    assert code == 2
    assert errors == f"aecf-jax: `RUN` must have the test rows of a-0; got {tmp_path / 'other'}, where {message}.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "`RUN` must name at least one run"),
        (("a-0", "a-0"), "`RUN` must be named once; got a-0"),
        (("a-0", "nowhere"), "`RUN` must be the folder of a run; got nowhere"),
        (("a-0", "b-0", "--name", "x"), "`name` must be given for each of 2 models"),
        (("a-0", "b-0", "--name", "x", "x"), "`name` must differ from one to the next"),
        (("a-0", "b-0", "--out", "x.txt"), "`out` must end in .md, .tex, .json"),
        (("a-0", "b-0", "--out", "x.md", "--format", "table"), "`format` must be markdown, latex or json"),
        (("a-0", "b-0", "--out", "a-0/config.json"), "`out` must be a new file"),
        (("a-0", "b-0", "--out", "nowhere/x.md"), "`out` must be in a folder that exists"),
        (("a-0", "b-0", "--drops", "nowhere.json"), "`nowhere.json` must exist"),
    ],
)
def test_bad_input_is_one_sentence(compare, arguments, message):
    code, printed, errors = compare(*arguments)
    assert (code, printed) == (2, "")
    assert errors.startswith(f"aecf-jax: {message}")
    assert errors.count("\n") == 1


def test_a_network_is_not_counted_twice(compare, runs, tmp_path):
    shutil.copytree(runs / "a-0", tmp_path / "copy")
    code, _, errors = compare("a-0", tmp_path / "copy")
    assert code == 2
    assert "must differ from a-0 in more than its folder" in errors


def test_changed_data_are_refused(compare, runs, tmp_path):
    for name in ("a-0", "b-0"):
        shutil.copytree(runs / name, tmp_path / name)
        described = read_json(tmp_path / name / "data.json")
        write_json(tmp_path / name / "data.json", described | {"sha256": described["sha256"] | {"test": "0" * 64}})
    code, _, errors = compare(tmp_path / "a-0", tmp_path / "b-0")
    assert code == 2
    assert "must be what it was when" in errors
