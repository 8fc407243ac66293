"""The table of bad inputs: what each prints. One sentence, exit code 2, nothing lost and nothing left behind."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aecf_jax.cli import main
from tests.cli.conftest import ROWS, TINY, WIDTHS, tiny_arrays

Setup = Callable[[Path, Callable[..., str]], list[str]]


def image(**changes):
    """The image features with some values replaced."""
    array = tiny_arrays()["image"]
    for row, value in changes.items():
        array[int(row.removeprefix("row")), 0] = value
    return array


def train(name, *flags):
    return ["train", "--data", name, "--out", "out", *TINY, *flags]


def predict(name, *flags):
    return ["predict", "run", "--data", name, "--out", "p.csv", *flags]


def wrote(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path.name


def cut_short(work: Path, name: str) -> str:
    content = (work / name).read_bytes()
    return wrote(work / name, content[: len(content) // 2])


def edited(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def without_checkpoints(work: Path) -> None:
    removed(work / "run" / "checkpoints")


def moved_data(work: Path, name: str) -> None:
    described = json.loads((work / "run" / "data.json").read_text())
    described["settings"]["data"] = str(work / name)
    (work / "run" / "data.json").write_text(json.dumps(described))


SPLIT = np.where(np.arange(ROWS) % 3 == 0, "validation", "train")

# name: (what to do in the working folder before, returning the arguments; the sentence, or how it begins)
CASES: dict[str, tuple[Setup, str]] = {
    "wrong width": (
        lambda work, save: predict(save(text=np.ones((ROWS, 9), np.float32))),
        "`text` must be 8 wide, as the model has it; got 9.",
    ),
    "unequal rows": (
        lambda work, save: train(save(text=np.ones((7, 8), np.float32))),
        "`text` must have 60 rows, as `image` has; got 7.",
    ),
    "unequal labels": (
        lambda work, save: train(save(label=np.zeros(7, int))),
        "`label` must have 60 rows, as `image` has; got 7.",
    ),
    "NaN in training": (
        lambda work, save: train(save(image=image(row3=np.nan, row17=np.nan))),
        "`image` must be finite; got NaN or Inf in rows 3, 17. Pass --nan-as-missing to treat NaN rows as missing.",
    ),
    "NaN in prediction": (
        lambda work, save: predict(save(image=image(row3=np.nan))),
        "`image` must be finite; got NaN or Inf in row 3. Pass --nan-as-missing to treat NaN rows as missing.",
    ),
    "infinity": (
        lambda work, save: train(save(image=image(row2=np.inf)), "--nan-as-missing"),
        "`image` must be finite; got NaN or Inf in row 2.",
    ),
    "missing modality": (
        lambda work, save: predict(save(text=None)),
        "`text` must be ",
    ),
    "unknown modality in a file": (
        lambda work, save: predict(save(txt=np.ones((ROWS, 8), np.float32), text=None)),
        "`txt` must be a modality of the model (image, text); got an unknown name in new.npz. Did you mean `text`?",
    ),
    "unknown modality in a flag": (
        lambda work, save: train(save(), "--modalities", "image", "txt"),
        "`txt` must be a modality of new.npz; got an unknown name. Did you mean `text`?",
    ),
    "negative label": (
        lambda work, save: train(save(label=np.arange(ROWS) - 1)),
        "`label` must hold integers from 0 to be classes; got other values in row 0.",
    ),
    "label out of range": (
        lambda work, save: ["evaluate", "run", "--data", save(label=np.arange(ROWS) % 5)],
        "`label` must hold classes below 3; got 3 in row 3. Number classes from 0.",
    ),
    "no label": (
        lambda work, save: train(save(label=None)),
        "`label` must be given in new.npz; got the arrays image, text.",
    ),
    "empty split": (
        lambda work, save: train(save(split=SPLIT)),
        "`test` must have at least one row; got an empty split.",
    ),
    "no rows": (
        lambda work, save: predict(save(label=None, image=np.ones((0, 16)), text=np.ones((0, 8)))),
        "`new.npz` must have at least one row; got none.",
    ),
    "fractions that leave nothing": (
        lambda work, save: train(save(), "--test-fraction", "0.6", "--validation-fraction", "0.4"),
        "`validation_fraction + test_fraction` must be below 1, to leave rows to train on; got 1.0.",
    ),
    "truncated file": (
        lambda work, save: train(cut_short(work, save())),
        "`data` must be a readable .npz file; got new.npz, damaged or of another kind (",
    ),
    "text renamed": (
        lambda work, save: train(wrote(work / "new.npz", "a,b,c\n1,2,3\n")),
        "`data` must be a readable .npz file; got new.npz, damaged or of another kind (",
    ),
    "pickled objects": (
        lambda work, save: train(save(image=np.array([{"a": 1}] * ROWS, dtype=object))),
        "`data` must hold numbers; Python objects are ",
    ),
    "another kind of file": (
        lambda work, save: train(wrote(work / "new.csv", "1,2\n")),
        "`data` must be a .npz, .safetensors or .pt file, or a folder of .npy files; got new.csv.",
    ),
    "no such data": (
        lambda work, save: train("digit"),
        "`data` must be one of digits, avmnist, handwritten, yeast, or a path that exists; got digit. Did you mean "
        "`digits`?",
    ),
    "missing root": (
        lambda work, save: train("yeast"),
        "`root` must name the folder that has ",
    ),
    "wrong root": (
        lambda work, save: train("yeast", "--root", "run"),
        "`root` must hold yeast/",
    ),
    "a difficulty that the data does not have": (
        lambda work, save: train("digits", "--difficulty", "hard"),
        "`difficulty` must be plain for digits; got hard.",
    ),
    "typo in a configuration file": (
        lambda work, save: train(save(), "--config", wrote(work / "c.toml", "learning_rat = 0.1")),
        "`learning_rat` must be a configuration field; got an unknown key. Did you mean `learning_rate`?",
    ),
    "configuration that is no TOML": (
        lambda work, save: train(save(), "--config", wrote(work / "c.toml", "learning_rate : 0.1")),
        "`config` must be readable TOML; got c.toml (",
    ),
    "configuration that is not there": (
        lambda work, save: train(save(), "--config", "c.json"),
        "`config` must be a file that exists; got c.json.",
    ),
    "value out of range": (
        lambda work, save: train(save(), "--masking-prob", "1.5"),
        "`masking_prob` must be in [0, 1]; got 1.5.",
    ),
    "flag that contradicts the data": (
        lambda work, save: train(save(), "--num-classes", "7"),
        "`num_classes` must be 3, as the data has it; got 7. Leave it out.",
    ),
    "run folder that exists": (
        lambda work, save: ["train", "--data", save(), "--out", "run"],
        "`out` must be a new or empty folder; got run. Choose another folder, or go on with: aecf-jax train --resume "
        "run",
    ),
    "run folder that is a file": (
        lambda work, save: train(save(), "--out", wrote(work / "file", "x")),
        "`out` must be a folder; got file. There is a file of that name.",
    ),
    "resume of nothing": (
        lambda work, save: ["train", "--resume", "nothing"],
        "`RUN` must be the folder of a run; got nothing. There is no such folder.",
    ),
    "resume of another folder": (
        lambda work, save: ["train", "--resume", "."],
        "`RUN` must hold a config.json; got . . A run's folder is made by `aecf-jax train`.".replace(". .", ".."),
    ),
    "resume with other settings": (
        lambda work, save: ["train", "--resume", "run", "--epochs", "9"],
        "`resume` must stand without other settings: the run goes on as it was started; got --epochs.",
    ),
    "resume with other data": (
        lambda work, save: [moved_data(work, save(image=image(row0=9))), ["train", "--resume", "run"]][1],
        "`data` must be what it was when the run was started; got another ",
    ),
    "resume of a damaged run": (
        lambda work, save: [wrote(work / "run" / "config.json", "{"), ["train", "--resume", "run"]][1],
        "`run/config.json` must be readable JSON; got ",
    ),
    "resume after its configuration was edited": (
        lambda work, save: [edited(work / "run" / "config.json", seed=5), ["train", "--resume", "run"]][1],
        "`seed` must be 0, as when the run was started; got 5. ",
    ),
    "evaluate without a checkpoint": (
        lambda work, save: [without_checkpoints(work), ["evaluate", "run"]][1],
        "`RUN` must have a checkpoint; got none in run/checkpoints. Train it with: aecf-jax train --resume run",
    ),
    "evaluate no run": (
        lambda work, save: ["evaluate", "runs/nothing"],
        "`RUN` must be the folder of a run; got runs/nothing. There is no such folder.",
    ),
    "a part that a file does not have": (
        lambda work, save: ["evaluate", "run", "--part", "all"],
        "`part` must be one of train, validation, test; got all.",
    ),
    "information on no run": (
        lambda work, save: [(work / "empty").mkdir(), ["info", "empty"]][1],
        "`RUN` must hold a config.json; got empty. A run's folder is made by `aecf-jax train`.",
    ),
    "output that exists": (
        lambda work, save: [wrote(work / "p.csv", "mine"), predict(save())][1],
        "`out` must be a new file; got p.csv. Pass --force to replace it.",
    ),
    "output of an unknown kind": (
        lambda work, save: ["predict", "run", "--data", save(), "--out", "p.cvs"],
        "`out` must end in .csv, .npz, .jsonl; got p.cvs. Did you mean `.csv`?",
    ),
    "output in a folder that is not there": (
        lambda work, save: ["predict", "run", "--data", save(), "--out", "there/p.csv"],
        "`out` must be in a folder that exists; got there/p.csv.",
    ),
    "rows that are not there": (
        lambda work, save: predict("nothing.npz"),
        "`data` must be a file or folder that exists; got nothing.npz.",
    ),
}  # fmt: skip


def content(folder: Path) -> dict[str, str]:
    """Every file and folder below a folder, with a hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def refused(capsys, argv) -> str:
    """The one sentence that refused arguments get, after its "aecf-jax: "."""
    capsys.readouterr()
    code = main(argv)
    printed = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in printed.err
    (line,) = printed.err.splitlines()
    assert line.startswith("aecf-jax: ")
    return line.removeprefix("aecf-jax: ")


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_changes_nothing(case, work, save, capsys, monkeypatch):
    monkeypatch.delenv("AECF_DATA_DIR", raising=False)
    make, sentence = CASES[case]
    argv = make(work, save)
    before = content(work)
    found = refused(capsys, argv)
    assert found.startswith(sentence)
    assert found == sentence or not sentence.endswith((".", "?"))
    assert content(work) == before


@pytest.mark.parametrize(
    ("argv", "near"),
    [
        (["train", "--lerning-rate", "1"], "--learning-rate"),
        (["train", "--learning-rate", "fast"], "could not convert string to float: 'fast'"),
        (["train", "--encoder", "mlpp"], "mlp"),
        (["trian"], "train"),
        (["predict", "run"], "--data"),
        (["data", "lst"], "list"),
    ],
)
def test_a_flag_that_is_no_flag_offers_the_nearest(argv, near, capsys):
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert near in printed.err + printed.out
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("package", "extra", "argv"),
    [
        ("tyro", "cli", ["train"]),
        ("rich.console", "cli", ["train"]),
        ("matplotlib", "cli", ["train"]),
        ("tensorboardX", "cli", ["train"]),
        ("wandb", "wandb", ["train", "--logger", "wandb"]),
        ("sklearn", "data", ["train"]),
    ],
)
def test_a_missing_extra_is_named_before_anything_is_made(package, extra, argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    loaded = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    for name in {package, *loaded}:
        monkeypatch.setitem(sys.modules, name, None)
    found = refused(capsys, argv)
    name = package.split(".")[0]
    assert found == f"`{name}` must be installed for this; install it with: pip install 'aecf-jax[{extra}]'."
    assert list(tmp_path.iterdir()) == []


def full_disk(*_args):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_a_full_disk_leaves_nothing_half_written(verb, work, save, capsys, monkeypatch):
    argv = {"train": train, "predict": predict}[verb](save())
    before = content(work)
    monkeypatch.setattr(os, "fsync", full_disk)
    found = refused(capsys, argv)
    assert found.startswith("The disk must have room for the output; got: No space left on device")
    assert content(work) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_in_training_is_one_sentence(small_disk, work, save):
    (small_disk / "ballast").write_bytes(bytes(900 * 1024))
    # A process of its own: what Orbax's threads have to say comes late, and must not come at all.
    code = "import sys; from aecf_jax.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", "--data", save(), *TINY, "--out", str(small_disk / "run")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("aecf-jax: ")]
    assert "no space left on device" in line
    # What was saved of the settings is enough to go on when there is room again.
    shutil.copytree(small_disk / "run", work / "moved")
    with pytest.warns(UserWarning, match=r"There is no checkpoint in .*: training starts anew\."):
        assert main(["train", "--resume", str(work / "moved"), "--no-plots"]) == 0


def test_a_loss_that_is_not_finite_names_the_step(work, save, capsys):
    huge = {name: tiny_arrays()[name] * np.float32(1e30) for name in WIDTHS}
    argv = train(save(**huge), "--no-standardize", "--learning-rate", "1e30", "--gradient-clip-val", "1e30")
    assert main([*argv, "--weight-decay", "0"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aecf-jax: ")]
    assert " became " in line
    assert " at step " in line
    assert "nothing was saved yet" in line or "the last good checkpoint is " in line
