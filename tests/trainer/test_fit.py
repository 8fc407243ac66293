"""Training from data to model: what is kept, logged, reported and refused."""

import gc
import itertools
import json
import logging
import math
import re
import subprocess

import jax
import numpy as np
import pytest

from aecf_jax.data import Dataset
from aecf_jax.errors import InputError, MissingExtraError, NonFiniteLossError
from aecf_jax.logs import JsonlWriter
from aecf_jax.train import TrainChunk, _step, make_train_chunk
from aecf_jax.trainer import AECFTrainer, load_model
from aecf_jax.trainer._inputs import as_dataset
from aecf_jax.trainer._progress import Bar
from aecf_jax.trainer._validate import Validation
from tests.train.small import small_arrays
from tests.trainer.job import fit, job_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A whole run with validation: its folder, trainer and results."""
    run = tmp_path_factory.mktemp("trained")
    return run, *fit(run)


def _history(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_results_say_how_it_ended(trained):
    run, _, results = trained
    assert set(results) == {
        "best_model_path", "best_model_score", "current_epoch", "global_step", "logged_metrics", "stopped", "signal",
    }  # fmt: skip
    assert (results["current_epoch"], results["global_step"]) == (6, 36)
    assert (results["stopped"], results["signal"]) == ("completed", None)
    scores = {row["step"]: row["val_loss"] for row in _history(run)}
    best = min(scores, key=scores.get)
    assert results["best_model_path"] == str(run.resolve() / "checkpoints" / str(best))
    assert results["best_model_score"] == scores[best]
    assert type(results["best_model_score"]) is float
    assert all(type(value) is float for value in results["logged_metrics"].values())
    assert results["logged_metrics"] == {name: value for name, value in _history(run)[-1].items() if name != "step"}


def test_training_learns(trained):
    run, trainer, _ = trained
    history = _history(run)
    assert history[-1]["train_primary_loss"] < 0.5 * history[0]["train_primary_loss"]
    # Four classes, well apart: guessing gives 0.25.
    assert trainer.test(small_arrays(24, seed=1))["test_accuracy"] > 0.6


def test_history_has_every_validation(trained):
    run, *_ = trained
    rows = _history(run)
    assert [row["step"] for row in rows] == list(range(3, 37, 3))
    assert rows[3]["epoch"] == 2.0
    assert {"train_total_loss", "train_gradient_norm", "learning_rate", "val_loss", "val_accuracy"} <= set(rows[0])
    assert len({frozenset(row) for row in rows}) == 1
    assert rows[-1]["learning_rate"] < rows[2]["learning_rate"]


def test_selection_is_the_mean_of_the_full_and_the_hidden_view(trained):
    run, *_ = trained
    for row in _history(run):
        assert row["val_loss"] == pytest.approx(0.5 * (row["val_full_loss"] + row["val_hidden_loss"]), rel=1e-12)
        assert row["val_hidden_loss"] != row["val_full_loss"]
        # The validation's own NLL, in float64; the loss is float32.
        assert row["val_full_loss"] == pytest.approx(row["val_nll"], rel=1e-5)


def test_best_few_and_last_are_kept(trained):
    run, *_ = trained
    scores = {row["step"]: row["val_loss"] for row in _history(run)}
    best = sorted(scores, key=scores.get)[:3]
    kept = {int(path.name) for path in (run / "checkpoints").iterdir()}
    assert kept == {*best, 33, 36}


def test_model_is_the_best_checkpoints(trained):
    run, trainer, results = trained
    loaded = load_model(run / "checkpoints")
    assert str(run.resolve() / "checkpoints" / str(loaded.step)) == results["best_model_path"]
    assert loaded.metrics["val_loss"] == results["best_model_score"]
    pairs = zip(jax.tree.leaves(loaded.model.variables), jax.tree.leaves(trainer.model.variables), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert loaded.model.config == trainer.config


def test_model_is_the_best_where_training_went_past_it(tmp_path):
    checks = small_arrays(24, seed=1)
    checks["label"] = (checks["label"] + 1) % 4
    trainer = AECFTrainer(job_config(), run_dir=tmp_path, checkpoint_seconds=1e9)
    results = trainer.fit(small_arrays(), checks)
    best, last = (load_model(tmp_path / "checkpoints", which=which) for which in ("best", "last"))
    assert best.step < last.step == 36
    assert results["best_model_path"].endswith(f"/{best.step}")
    same = [
        all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, pair), strict=True))
        for pair in ((trainer.model.variables, one.model.variables) for one in (best, last))
    ]
    assert same == [True, False]


def test_validation_in_blocks_is_validation_at_once(trained, monkeypatch):
    _, trainer, _ = trained
    rows = as_dataset(small_arrays(24, seed=1), trainer.config, "validation")

    def found(block):
        monkeypatch.setattr("aecf_jax.trainer._validate._BLOCK", block)
        validation = Validation(rows, trainer.config, streamed=block == 16)
        return validation.metrics(trainer.model.variables)

    whole = found(24)
    for name, value in found(16).items():
        # Float32 products of blocks of another size may be summed in another order.
        assert value == pytest.approx(whole[name], rel=1e-5, abs=1e-6)


def test_a_new_trainer_finds_the_model_of_a_run(trained):
    run, trainer, _ = trained
    found = AECFTrainer(job_config(), run_dir=run).validate(small_arrays(24, seed=1))
    assert found == trainer.validate(small_arrays(24, seed=1))
    assert {"val_accuracy", "val_nll", "val_ece"} <= set(found)


def test_constants_are_fitted_on_the_training_rows(trained):
    _, trainer, _ = trained
    arrays = small_arrays()
    there = arrays["present"][:, 1]
    mean = trainer.model.variables["constants"]["mean"]["b"]
    # Summed in float64, kept in float32.
    np.testing.assert_allclose(mean, arrays["b"][there].mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)


def test_one_program_serves_the_whole_run_and_those_after_it(tmp_path, monkeypatch):
    chunk = TrainChunk(job_config(), 6)
    monkeypatch.setattr("aecf_jax.trainer._feed.make_train_chunk", lambda *_: chunk)
    fit(tmp_path / "one")
    # Chunks of three steps, in six epochs of six.
    assert chunk.traces == 1
    fit(tmp_path / "another", seed=8)
    assert chunk.traces == 1
    assert (
        make_train_chunk(job_config(seed=8, keep_checkpoints=1), 6).program is make_train_chunk(job_config(), 6).program
    )


def test_equal_seeds_train_equal_models_and_others_do_not(tmp_path, trained):
    _, trainer, _ = trained
    again, _ = fit(tmp_path / "again")
    other, _ = fit(tmp_path / "other", seed=5)

    def same(left, right) -> bool:
        pairs = zip(jax.tree.leaves(left.model.variables), jax.tree.leaves(right.model.variables), strict=True)
        return all(np.array_equal(a, b) for a, b in pairs)

    assert same(trainer, again)
    assert not same(trainer, other)


def test_slow_disk_is_spared_and_nothing_that_counts_is_lost(tmp_path, trained):
    run, _, results = trained
    _, spared = fit(tmp_path, seconds=1e9)
    scores = {row["step"]: row["val_loss"] for row in _history(run)}
    needed = {*sorted(scores, key=scores.get)[:3], 36}
    # The first is written at once, and kept while it is the second newest.
    assert needed <= {int(path.name) for path in (tmp_path / "checkpoints").iterdir()} <= needed | {3}
    assert spared["best_model_score"] == results["best_model_score"]


def test_without_validation_the_last_is_the_model(tmp_path):
    trainer, results = fit(tmp_path, val=False)
    assert results["best_model_score"] is None
    assert results["best_model_path"] == str(tmp_path.resolve() / "checkpoints" / "36")
    assert "val_loss" not in results["logged_metrics"]
    last = load_model(tmp_path / "checkpoints")
    assert last.step == 36
    pairs = zip(jax.tree.leaves(last.model.variables), jax.tree.leaves(trainer.model.variables), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_patience_ends_training_early_and_on_resuming_still_does(tmp_path):
    changes = {"early_stopping_patience": 2, "early_stopping_min_delta": 100.0}
    _, results = fit(tmp_path, **changes)
    # The first validation improves on nothing at all; the second and third do not improve.
    assert (results["stopped"], results["global_step"]) == ("early", 9)
    _, again = fit(tmp_path, resume=True, **changes)
    assert (again["stopped"], again["global_step"]) == ("early", 9)
    _, on = fit(tmp_path, resume=True, early_stopping_patience=3, early_stopping_min_delta=100.0)
    assert (on["stopped"], on["global_step"]) == ("early", 12)


def test_non_finite_loss_names_its_step_and_the_last_good_checkpoint(tmp_path, monkeypatch):
    """The loss of step 8, the second of its chunk, is made NaN; nothing of it is saved or logged."""
    real = _step._components

    def poisoned(views, alone, batch, loss_fn, epoch):
        components = real(views, alone, batch, loss_fn, epoch)
        done = jax.numpy.round(epoch * 6)
        return components | {"total_loss": jax.numpy.where(done >= 7, jax.numpy.nan, components["total_loss"])}

    monkeypatch.setattr(_step, "_components", poisoned)
    monkeypatch.setattr("aecf_jax.trainer._feed.make_train_chunk", lambda config, steps, _: TrainChunk(config, steps))
    run = tmp_path / "run"
    with pytest.raises(NonFiniteLossError) as raised:
        fit(run, seconds=1e9)
    assert str(raised.value) == (
        f"The loss became nan at step 8 (epoch 1.33); the last good checkpoint is {run.resolve()}/checkpoints/6. "
        "Lower the learning rate, or look for extreme values in the data."
    )
    assert sorted(int(path.name) for path in (run / "checkpoints").iterdir()) == [3, 6]
    assert [row["step"] for row in _history(run)] == [3, 6]
    assert load_model(run / "checkpoints", which="last").step == 6


def test_gradient_that_is_not_finite_stops_the_run_too(tmp_path, monkeypatch):
    """Its loss is finite still, and the parameters are not any more: they must not be saved."""
    monkeypatch.setattr("aecf_jax.trainer._feed.make_train_chunk", _chunk_with_infinite_gradient)
    with pytest.raises(NonFiniteLossError, match=r"The gradient's norm became inf at step 2 .*; nothing was saved yet"):
        fit(tmp_path, seconds=0.0)
    assert not (tmp_path / "checkpoints").exists()


def _chunk_with_infinite_gradient(config, steps_per_epoch, mesh):
    chunk = make_train_chunk(config, steps_per_epoch, mesh)

    def advance(*arguments, **settings):
        state, info = chunk(*arguments, **settings)
        return state, info.replace(gradient_norm=info.gradient_norm.at[1].set(jax.numpy.inf))

    return advance


def test_trainer_kwargs_take_effect(tmp_path):
    kwargs = {"max_epochs": "2", "limit_train_batches": 3, "limit_val_batches": 0.5, "enable_progress_bar": False}
    trainer, results = fit(tmp_path, trainer_kwargs=kwargs)
    assert (results["global_step"], results["current_epoch"], trainer.config.epochs) == (6, 2, 2)
    # The cosine ends with the last epoch that is trained.
    assert results["logged_metrics"]["learning_rate"] < 0.5 * job_config().learning_rate
    _, without = fit(tmp_path / "none", trainer_kwargs={"max_epochs": 1, "limit_val_batches": 0})
    assert without["best_model_score"] is None


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"max_epochs": 0}, "`max_epochs` must be a positive integer; got 0"),
        ({"limit_train_batches": 0}, "`limit_train_batches` must be a number of batches from 1"),
        ({"limit_train_batches": 1.5}, "`limit_train_batches` must be"),
        ({"limit_val_batches": -1}, "`limit_val_batches` must be a number of batches from 0"),
        ({"enable_progress_bar": "maybe"}, "`enable_progress_bar` must be true or false; got maybe"),
    ],
)
def test_bad_trainer_kwargs_are_refused(kwargs, said):
    with pytest.raises(InputError, match=said):
        AECFTrainer(job_config(trainer_kwargs=kwargs))


def test_unknown_logger_is_refused_at_once():
    with pytest.raises(InputError, match="Did you mean `tensorboard`"):
        AECFTrainer(job_config(), logger_type="tensorbord")
    with pytest.raises(InputError, match="Did you mean `version`"):
        AECFTrainer(job_config(), "csv", {"verison": 1})


@pytest.mark.parametrize(
    ("kind", "file"), [("csv", "metrics.csv"), ("jsonl", "metrics.jsonl"), ("tensorboard", "events*")]
)
def test_loggers_write_below_the_log_folder(tmp_path, kind, file):
    trainer = AECFTrainer(
        job_config(trainer_kwargs={"max_epochs": 1}),
        logger_type=kind,
        logger_config={"version": "one"},
        run_dir=tmp_path,
    )
    trainer.fit(small_arrays(), small_arrays(24, seed=1))
    assert list((tmp_path / "logs" / "one").glob(file))


def test_logger_none_logs_nowhere_but_to_the_history(trained):
    run, *_ = trained
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "metrics.jsonl"]


def test_progress_is_shown_on_the_standard_error_alone(tmp_path, capfd):
    config = job_config(trainer_kwargs={"max_epochs": 1})
    AECFTrainer(config, run_dir=tmp_path / "loud", progress=True).fit(small_arrays(), small_arrays(24, seed=1))
    loud = capfd.readouterr()
    assert loud.out == ""
    assert "epoch 1/1" in loud.err
    assert "val_loss" in loud.err
    AECFTrainer(config, run_dir=tmp_path / "quiet").fit(small_arrays(), small_arrays(24, seed=1))
    assert capfd.readouterr() == ("", "")


def test_where_there_is_little_room_the_time_that_is_left_stays_whole(monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "80")
    metrics = {"loss": 1.7524, "val_loss": 0.18724, "val_accuracy": 0.98612}
    with Bar(2200, 22, 0) as bar:
        bar.show(1606, metrics)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "73%" in line][-1:]
    assert re.search(r"epoch 74/100 .* 73% \d:\d\d:\d\d left (\d|-):(\d|-)+:(\d|-)+ loss 1.752", line)
    assert "val_accuracy" not in line
    monkeypatch.setenv("COLUMNS", "160")
    with Bar(2200, 22, 0) as bar:
        bar.show(1606, metrics)
    assert "val_accuracy 0.9861" in capfd.readouterr().err


def test_missing_progress_bar_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    with pytest.raises(MissingExtraError, match=r"aecf-jax\[cli\]"):
        AECFTrainer(job_config(), run_dir=tmp_path, progress=True).fit(small_arrays())


def test_model_of_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"`checkpoint folder` must hold a readable checkpoint; got .*checkpoints"):
        _ = AECFTrainer(job_config(), run_dir=tmp_path).model


def test_full_disk_ends_training_with_one_sentence(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(InputError, match=r"must be writable; got .* \((no|No) space left on device\)"):
            fit(tmp_path / "run", keep_checkpoints=20)
        # What was half done when the disk was full must not complain when it is collected: pytest would hear it now.
        gc.collect()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_an_error_that_ends_training_ends_the_writing_of_checkpoints(tmp_path, monkeypatch):
    before = list(logging.getLogger("absl").filters)

    def failing(_, step, _metrics):
        if step > 3:
            raise InputError("no room for a log")

    monkeypatch.setattr(JsonlWriter, "write", failing)
    with pytest.raises(InputError, match="no room for a log"):
        fit(tmp_path)
    assert (tmp_path / "checkpoints" / "3").is_dir()
    # As long as checkpoints are written, Orbax is kept quiet.
    assert logging.getLogger("absl").filters == before


@pytest.mark.parametrize("task", ["regression", "embedding", "labels"])
def test_other_tasks_train_and_are_tested(tmp_path, task):
    arrays = small_arrays()
    values = np.eye(4, dtype=np.float32)[arrays["label"]]
    data = arrays | {"label": values if task == "labels" else values - 0.25}
    settings = {} if task == "labels" else {"task_type": task}
    trainer = AECFTrainer(job_config(trainer_kwargs={"max_epochs": 1}, **settings), run_dir=tmp_path)
    results = trainer.fit(data, data)
    assert math.isfinite(results["best_model_score"])
    expected = {"regression": "test_r2", "embedding": "test_cosine_similarity", "labels": "test_map"}[task]
    assert math.isfinite(trainer.test(data)[expected])


def test_all_kinds_of_rows_train_the_same_model(tmp_path, trained):
    _, trainer, _ = trained
    arrays, checks = small_arrays(), small_arrays(24, seed=1)
    names = ("a", "b", "c")
    dataset = Dataset({name: arrays[name] for name in reversed(names)}, arrays["label"], arrays["present"][:, ::-1])
    batches = [{name: array[i : i + 10] for name, array in arrays.items()} for i in range(0, 50, 10)]
    for index, train in enumerate((dataset, batches, (batch for batch in batches))):
        other = AECFTrainer(job_config(), run_dir=tmp_path / str(index))
        other.fit(train, checks)
        pairs = itertools.zip_longest(*(jax.tree.leaves(one.model.variables) for one in (trainer, other)))
        assert all(np.array_equal(a, b) for a, b in pairs)
