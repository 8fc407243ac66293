"""Predictions block by block: the same as at once, from a run or a bundle, whole or not there, in little memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

from aecf_jax.cli import main
from aecf_jax.cli._columns import opened_output
from aecf_jax.cli._progress import row_progress
from aecf_jax.config import AECFConfig
from aecf_jax.data import load_features, stream_features
from aecf_jax.errors import InputError
from tests.cli.conftest import ROWS, WIDTHS, tiny_arrays

NAMES = tuple(WIDTHS)


def folder_of(path, arrays):
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return path


def with_gaps():
    arrays = tiny_arrays()
    arrays["text"][5:9, 0] = np.nan
    arrays["image"][[2, 30]] = np.nan
    return arrays | {"present": np.tile([[True, True], [True, False]], (ROWS // 2, 1))}


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_blocks_are_the_rows_at_once(tmp_path, kind):
    path = folder_of(tmp_path / "rows", with_gaps())
    if kind == "file":
        np.savez(tmp_path / "rows.npz", **with_gaps())
        path = tmp_path / "rows.npz"
    whole = load_features(path, NAMES, tuple(WIDTHS.values()), nan_as_missing=True)
    stream = stream_features(path, NAMES, tuple(WIDTHS.values()), nan_as_missing=True, block_rows=7)
    blocks = list(stream.blocks)
    assert (stream.rows, [len(block) for block in blocks]) == (ROWS, [7] * 8 + [4])
    np.testing.assert_array_equal(np.concatenate([block.present for block in blocks]), whole.present)
    for name in NAMES:
        np.testing.assert_array_equal(np.concatenate([b.features[name] for b in blocks]), whole.features[name])


def test_a_bad_row_of_a_later_block_is_named_by_its_number_in_the_file(tmp_path):
    arrays = tiny_arrays()
    arrays["text"][[50, 52], 0] = np.nan
    stream = stream_features(folder_of(tmp_path / "rows", arrays), NAMES, tuple(WIDTHS.values()), block_rows=16)
    with pytest.raises(InputError, match="`text` must be finite; got NaN or Inf in rows 50, 52. Pass --nan-as-missing"):
        list(stream.blocks)


@pytest.mark.parametrize("name", ["text", "present"])
def test_unequal_rows_are_told_before_any_block(tmp_path, name):
    arrays = with_gaps()
    arrays[name] = arrays[name][:-1]
    with pytest.raises(InputError, match=f"`{name}` must have 60 rows, as `image` has; got 59"):
        stream_features(folder_of(tmp_path / "rows", arrays), NAMES, tuple(WIDTHS.values()), nan_as_missing=True)


@pytest.mark.usefixtures("untyped_caller")
def test_bundle_predicts_what_its_run_does_into_every_format(work, capsys):
    folder_of(work / "rows", tiny_arrays())
    assert main(["export", "run", "--out", "bundle"]) == 0
    for source, out in (("run", "a.npz"), ("bundle", "b.npz"), ("bundle", "b")):
        assert main(["predict", source, "--data", "rows", "--out", out]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "b: predictions for 60 rows, from the bundle bundle\n" in printed.out
    with np.load("a.npz") as one, np.load("b.npz") as other:
        assert list(one) == list(other) == ["entropy", "modalities", "prediction", "probabilities", "weights"]
        assert sorted(path.stem for path in (work / "b").iterdir()) == sorted(other)
        for name in other:
            np.testing.assert_array_equal(np.load(work / "b" / f"{name}.npy"), other[name])
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("out", ["p.csv", "p.jsonl", "p.npz", "p"])
def test_a_late_bad_row_leaves_what_was_there(work, capsys, out):
    arrays = {name: np.tile(tiny_arrays()[name], (80, 1)) for name in NAMES}
    arrays["image"][4700, 0] = np.inf
    folder_of(work / "rows", arrays)
    if out == "p":
        folder_of(work / out, {"weights": np.zeros(1), "entropy": np.zeros(1)})
    else:
        (work / out).write_text("mine")
    before = sorted(path.name for path in work.rglob("*"))
    assert main(["predict", "run", "--data", "rows", "--out", out, "--force"]) == 2
    assert capsys.readouterr().err == "aecf-jax: `image` must be finite; got NaN or Inf in row 4700.\n"
    assert sorted(path.name for path in work.rglob("*")) == before
    assert out == "p" or (work / out).read_text() == "mine"


def test_a_folder_of_something_else_is_left_alone(work, capsys):
    folder_of(work / "rows", tiny_arrays())
    assert main(["predict", "run", "--data", "rows", "--out", "rows", "--force"]) == 2
    assert "What is there are no predictions, and is left alone." in capsys.readouterr().err
    assert main(["predict", "run", "--data", "rows", "--out", "p"]) == 0
    assert main(["predict", "run", "--data", "rows", "--out", "p"]) == 2
    assert "Pass --force to replace it." in capsys.readouterr().err
    assert main(["predict", "run", "--data", "rows", "--out", "p", "--force"]) == 0


def test_rows_of_a_table_are_numbered_through_all_blocks(tmp_path):
    config = AECFConfig(modalities=("a", "b"), num_classes=1, task_type="regression")
    columns = {"values": np.ones((2, 1), np.float32), "weights": np.ones((2, 2), np.float32),
               "entropy": np.zeros(2, np.float32)}  # fmt: skip
    with opened_output(tmp_path / "p.csv", 4, config) as write:
        write(columns)
        write(columns)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "row,value_0,weight_a,weight_b,entropy"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2", "3"]


def test_the_bar_is_shown_on_a_terminal_alone(capsys, monkeypatch):
    with row_progress(10) as advance:
        advance(4)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with row_progress(1000) as advance:
        advance(400)
    assert "400 of 1,000 rows" in capsys.readouterr().err


_MEASURE = """
import re, sys
from pathlib import Path
from aecf_jax.cli import main

def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

for rows in ("4096", "500000"):
    Path("/proc/self/clear_refs").write_text("5")  # The peak counts from here.
    before = kilobytes("VmRSS")
    assert main(["predict", "run", "--data", rows, "--out", f"p-{rows}"]) == 0
print("growth", kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads what Linux says of a process")
def test_memory_does_not_grow_with_the_rows(work):
    for count in (4096, 500_000):
        (work / str(count)).mkdir()
        for name, width in WIDTHS.items():
            # Sparse files: zeros that take no room on the disk, but all of it in memory if they were kept there.
            np.lib.format.open_memmap(work / str(count) / f"{name}.npy", "w+", np.float32, (count, width))
    done = subprocess.run([sys.executable, "-c", _MEASURE], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=True)  # fmt: skip
    # The features are 48 MB, the predictions 14 MB; a block of both is 0.5 MB, and what the allocators keep varies.
    assert int(done.stdout.split()[-1]) < 30_000, "kilobytes"
