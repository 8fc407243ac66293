"""From a checkpoint to a run, its predictions, further training and back, through the command line."""

import json

import numpy as np
import pytest

from aecf_jax.cli import main
from aecf_jax.config import DataConfig
from aecf_jax.data import load_dataset, load_splits
from aecf_jax.errors import InputError
from aecf_jax.torchfile import read_torch_file
from tests.interop.test_import import refactored
from tests.torchfile.writer import Raw, save

RNG = np.random.default_rng(0)


@pytest.fixture
def checkpoint(tmp_path):
    return save(tmp_path / "model.ckpt", refactored(multilabel=None, epochs=1, batch_size=16))


@pytest.fixture
def data(tmp_path):
    features = {name: RNG.normal(size=(40, 4)).astype(np.float32) for name in "ab"}
    np.savez(tmp_path / "data.npz", **features, label=np.arange(40) % 3)
    return tmp_path / "data.npz"


def test_import_evaluate_predict_train_and_export(tmp_path, checkpoint, data, capsys):
    run, trained = tmp_path / "run", tmp_path / "trained"
    assert main(["import", str(checkpoint), "--out", str(run)]) == 0
    assert json.loads((run / "import.json").read_text())["generation"] == "refactored"
    assert main(["info", str(run)]) == 0
    assert "imported: the refactored model" in capsys.readouterr().out
    assert main(["evaluate", str(run)]) == 2
    assert "Pass --data" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--data", str(data)]) == 0
    assert main(["predict", str(run), "--data", str(data), "--out", str(tmp_path / "p.csv")]) == 0
    assert main(["export", str(run), "--out", str(tmp_path / "t.safetensors"), "--format", "torch"]) == 0
    assert_same_tensors(tmp_path / "t.safetensors", read_torch_file(checkpoint)["state_dict"])
    assert main(["train", "--resume", str(run)]) == 2
    assert "--init-from" in capsys.readouterr().err
    start = ["train", "--init-from", str(run), "--data", str(data), "--logger", "none", "--no-plots"]
    assert main([*start, "--gate-hidden-dims", "9", "--out", str(trained)]) == 2
    assert "gate_hidden_dims" in capsys.readouterr().err
    assert not trained.exists()
    assert main([*start, "--out", str(trained)]) == 0
    assert json.loads((trained / "config.json").read_text())["gate_hidden_dims"] == [5]
    assert main(["export", str(trained), "--out", str(tmp_path / "u.safetensors"), "--format", "torch"]) == 0
    assert_reloaded(tmp_path / "u.safetensors", trained, tmp_path)


def assert_same_tensors(file, state):
    from safetensors.numpy import load_file

    exported = load_file(file)
    assert set(exported) == set(state)
    for name, tensor in state.items():
        assert exported[name].tobytes() == np.asarray(tensor).tobytes(), name


def assert_reloaded(file, trained, tmp_path):
    """The exported tensors, read as a PyTorch user's file, predict what the run does, bit for bit."""
    from safetensors.numpy import load_file

    from aecf_jax.interop import import_checkpoint
    from aecf_jax.trainer import load_model

    model = load_model(trained / "checkpoints").model
    again = import_checkpoint(save(tmp_path / "again.pt", load_file(file)), modalities=("a", "b")).model
    features = {name: RNG.normal(size=(7, 4)).astype(np.float32) for name in "ab"}
    for ours, theirs in zip(model(features), again(features), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: save(path, {"state_dict": Raw(b"cos\nsystem\n(X\x04\x00\x00\x00exittR")}), "os.system"),
        (lambda path: path.write_bytes(b"hello"), "a text file"),
        (lambda path: path.write_bytes(save(path, refactored()).read_bytes()[:900]), "cut short"),
    ],
)
def test_a_refused_file_leaves_no_run(tmp_path, capsys, make, why):
    make(tmp_path / "bad.ckpt")
    assert main(["import", str(tmp_path / "bad.ckpt"), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.ckpt"]


def test_a_feature_cache_is_a_source(golden_dir):
    for name in ("cache_img_txt_y", "cache_image_text_label"):
        rows = load_dataset(golden_dir / f"{name}.pt")
        assert (rows.modalities, rows.widths, len(rows), rows.label_kind) == (("image", "text"), (16, 16), 64, "labels")
    cache = read_torch_file(golden_dir / "cache_img_txt_y.pt")
    rows = load_dataset(golden_dir / "cache_img_txt_y.pt")
    np.testing.assert_array_equal(rows.features["image"], cache["img"].astype(np.float32))


def test_a_cache_that_is_none(tmp_path):
    for content, why in (([1], "a dictionary of tensors"), ({"a": 1}, "tensors only")):
        with pytest.raises(InputError, match=why):
            load_dataset(save(tmp_path / "c.pt", content))
    twice = {"img": np.ones((2, 3), np.float32), "image": np.ones((2, 3), np.float32)}
    with pytest.raises(InputError, match="every array once"):
        load_dataset(save(tmp_path / "c.pt", twice))


def converted(tmp_path, source, *flags):
    assert main(["data", "convert", str(source), str(tmp_path / "folder"), *flags]) == 0
    return load_splits(DataConfig(data=str(tmp_path / "folder")))


def test_convert_a_named_source(tmp_path):
    ours, named = converted(tmp_path, "digits"), load_splits(DataConfig())
    for mine, other in zip(ours, named, strict=True):
        np.testing.assert_array_equal(mine.label, other.label)
        for name in named.modalities:
            np.testing.assert_array_equal(mine.features[name], other.features[name])
    assert isinstance(np.load(tmp_path / "folder" / "top_left.npy", mmap_mode="r"), np.memmap)


def test_convert_a_file_with_missing_modalities(tmp_path):
    b, a = (RNG.normal(size=(30, 2)).astype(np.float64) for _ in "ab")
    b[3] = np.nan
    present = np.ones((30, 2), bool)
    present[5] = [False, True]
    np.savez(tmp_path / "d.npz", b=b, a=a, label=np.arange(30) % 2, present=present)
    assert main(["data", "convert", str(tmp_path / "d.npz"), str(tmp_path / "folder")]) == 2
    assert not (tmp_path / "folder").exists()
    splits = converted(tmp_path, tmp_path / "d.npz", "--nan-as-missing")
    whole = load_dataset(tmp_path / "folder")
    assert whole.modalities == ("a", "b")
    parts = np.load(tmp_path / "folder" / "split.npy")
    assert (np.diff(parts) >= 0).all(), "rows of a part follow each other, so that a part can be mapped"
    # Wherever it stands now, a row is what it was.
    order = [int(np.flatnonzero((whole.features["a"] == row).all(axis=1))[0]) for row in a.astype(np.float32)]
    np.testing.assert_array_equal(whole.present[[order[3], order[5]]], [[True, False], [True, False]])
    np.testing.assert_array_equal(whole.label[order], np.arange(30) % 2)
    assert [len(part) for part in splits] == [18, 6, 6]
    # Converted once more, it is the same: it has a split of its own now.
    assert main(["data", "convert", str(tmp_path / "folder"), str(tmp_path / "twice")]) == 0
    for file in (tmp_path / "folder").iterdir():
        assert file.read_bytes() == (tmp_path / "twice" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["list", "x"], "stand alone"),
        (["convert"], "SRC"),
        (["convert", "digits"], "DST"),
        (["convert", "nothing", "{}/x"], "SRC"),
        (["convert", "digits", "{}"], "new folder"),
        (["convert", "digits", "{}/a/b"], "folder that exists"),
        (["convert", "{}/bad.pt", "{}/x"], "without a slash"),
        (["convert", "{}/short.pt", "{}/x"], "shape"),
    ],
)
def test_what_cannot_be_converted(tmp_path, capsys, arguments, why):
    label = np.zeros(2, np.int64)
    save(tmp_path / "bad.pt", {"../x": np.ones((2, 2), np.float32), "y": label})
    save(tmp_path / "short.pt", {"x": np.ones((3, 2), np.float32), "y": label})
    assert main(["data", *(text.format(tmp_path) for text in arguments)]) == 2
    assert why in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.pt", "short.pt"]
