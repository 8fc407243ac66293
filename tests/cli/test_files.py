"""What is written is there whole or not at all; what goes wrong is one sentence."""

import errno
import json
import math
import os
import signal
import sys
import warnings

import pytest

from aecf_jax.cli._errors import exit_code
from aecf_jax.cli._files import existing_run, free_folder, new_run, read_json
from aecf_jax.errors import InputError, MissingExtraError, NonFiniteLossError
from aecf_jax.files import write_json, write_whole


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("`x` must be\npositive."), 2, "aecf-jax: `x` must be positive.\n"),
        (MissingExtraError("`tyro` must be installed."), 2, "aecf-jax: `tyro` must be installed.\n"),
        (NonFiniteLossError("The loss is NaN at step 3."), 2, "aecf-jax: The loss is NaN at step 3.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/run/x"), 2,
         "aecf-jax: The disk must have room for the output; got: No space left on device (/run/x). "
         "Free some space and try again.\n"),
        (OSError(errno.EACCES, "Permission denied", "/run"), 2,
         "aecf-jax: The operating system refused: Permission denied (/run).\n"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "\naecf-jax: Interrupted.\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(), 0, ""),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_sentence(capsys, error, code, text):
    assert exit_code(raising(error)) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("not of the operating system")])
def test_anything_else_keeps_its_traceback(error):
    with pytest.raises(type(error), match=str(error)):
        exit_code(raising(error))


def test_the_traceback_is_shown_on_request(capsys, monkeypatch):
    monkeypatch.setenv("AECF_TRACEBACK", "1")
    assert exit_code(raising(InputError("`x` must be positive."))) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("\naecf-jax: `x` must be positive.\n")


def test_a_warning_is_one_line(capsys):
    form = warnings.formatwarning

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # Past pytest's recorder, which would keep it from being printed.
            sys.stdout.write(warnings.formatwarning("The checkpoint is damaged.", UserWarning, "x.py", 1))
        return 0

    assert exit_code(work) == 0
    assert capsys.readouterr().out == "aecf-jax: warning: The checkpoint is damaged.\n"
    assert warnings.formatwarning is form


def test_numbers_come_back_exactly(tmp_path):
    numbers = {"a": 0.1, "b": math.nextafter(0.1, 1), "c": 1e-300, "d": None}
    write_json(tmp_path / "x.json", numbers)
    assert read_json(tmp_path / "x.json") == numbers


def test_a_number_that_json_lacks_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"a": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "x.txt"
    write_whole(path, "old")

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new and longer")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "must exist; got no such file"),
        ("{", "must be readable JSON"),
        ("[1]", "must hold a dictionary; got list"),
    ],
)
def test_an_unreadable_json_file_is_named(tmp_path, content, text):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert f"`{path}` {text}" in str(caught.value)


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [str(new_run(None, source)) for source in ("digits", "digits", "../own/my features.npz", "digits")]
    assert made == ["runs/digits-1", "runs/digits-2", "runs/my features-1", "runs/digits-3"]
    (tmp_path / "runs" / "digits-7").mkdir()
    (tmp_path / "runs" / "digits-old").mkdir()
    assert str(new_run(None, "digits")) == "runs/digits-8"


def test_a_folder_that_holds_something_is_not_free(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert new_run(tmp_path / "empty", "digits") == tmp_path / "empty"
    assert new_run(tmp_path / "a" / "b", "digits").is_dir()
    with pytest.raises(InputError, match=r"`out` must be a new or empty folder; got .* --resume "):
        free_folder(tmp_path)
    with pytest.raises(InputError, match="`out` must be a folder"):
        free_folder(tmp_path / "file")


def test_a_folder_without_a_configuration_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"`RUN` must be the folder of a run; got .*none"):
        existing_run(tmp_path / "none")
    with pytest.raises(InputError, match=r"`RUN` must hold a config\.json"):
        existing_run(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert existing_run(tmp_path) == tmp_path
