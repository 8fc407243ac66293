"""The user's own features: .npz, .safetensors and folders of .npy files, their splits, and how they can be bad."""

import os
import random
import sys
import tracemalloc
import zipfile

import hypothesis
import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from aecf_jax.config import DataConfig
from aecf_jax.data import fingerprint, load_dataset, load_features, load_splits
from aecf_jax.errors import InputError, MissingExtraError

ROWS = 20
KINDS = ("npz", "safetensors", "npy")
each_kind = pytest.mark.parametrize("kind", KINDS)


def arrays(**changes):
    draw = np.random.default_rng(0)
    features = {
        "audio": draw.normal(size=(ROWS, 3)).astype(np.float32),
        "image": draw.normal(size=(ROWS, 2)).astype(np.float32),
    }
    return features | {"label": np.arange(ROWS) % 2} | changes


def without(data, *names):
    return {name: array for name, array in data.items() if name not in names}


def write(folder, kind, data):
    """Writes arrays as users do, and returns the path."""
    if kind == "npy":
        path = folder / "mine"
        path.mkdir(exist_ok=True)
        for name, array in data.items():
            np.save(path / f"{name}.npy", array)
        return path
    path = folder / f"mine.{kind}"
    if kind == "npz":
        np.savez(path, **data)
    else:
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in data.items()}, path)
    return path


def sentence_of(path, *args, load=load_dataset, **options):
    """The error of loading a file, with its path written PATH."""
    with pytest.raises(InputError) as error:
        load(path, *args, **options)
    return str(error.value).replace(str(path), "PATH").replace(path.name, "PATH")


@each_kind
def test_round_trip(tmp_path, kind):
    given = arrays(present=np.random.default_rng(1).random((ROWS, 2)) < 0.5)
    path = write(tmp_path, kind, given)
    data = load_dataset(path)
    assert (data.modalities, data.widths, data.part, data.name) == (("audio", "image"), (3, 2), "all", path.name)
    for name in data.modalities:
        np.testing.assert_array_equal(data.features[name], given[name])
    np.testing.assert_array_equal(data.label, given["label"])
    np.testing.assert_array_equal(data.present, given["present"])


def test_the_three_formats_are_one(tmp_path):
    prints = {fingerprint(load_dataset(write(tmp_path, kind, arrays()))) for kind in KINDS}
    assert len(prints) == 1


def test_order_of_modalities_is_that_of_an_npz_file_else_that_of_names(tmp_path):
    present = np.tile([True, False], (ROWS, 1))
    given = {name: arrays()[name] for name in ("image", "audio", "label")} | {"present": present}
    orders = {kind: load_dataset(write(tmp_path, kind, given)) for kind in KINDS}
    assert orders["npz"].modalities == ("image", "audio")
    assert orders["safetensors"].modalities == orders["npy"].modalities == ("audio", "image")
    assert all(data.present.tolist() == present.tolist() for data in orders.values())
    swapped = load_dataset(write(tmp_path, "npz", given), ["audio", "image"])
    assert swapped.modalities == ("audio", "image")
    assert swapped.present.tolist() == [[False, True]] * ROWS


def test_compressed_npz(tmp_path):
    np.savez_compressed(tmp_path / "mine.npz", **arrays())
    assert len(load_dataset(tmp_path / "mine.npz")) == ROWS


def test_bfloat16_of_safetensors(tmp_path):
    path = write(tmp_path, "safetensors", arrays(image=np.full((ROWS, 2), 1.5, ml_dtypes.bfloat16)))
    data = load_dataset(path)
    assert data.features["image"].dtype == np.float32
    assert (data.features["image"] == 1.5).all()


def test_home_folder_and_text_as_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "npz", arrays())
    assert len(load_dataset("~/mine.npz")) == ROWS
    assert len(load_splits(DataConfig(data="~/mine.npz")).train) == 12


# Memory


def big_folder(tmp_path, rows=40_000, width=256):
    folder = tmp_path / "mine"
    folder.mkdir()
    mapped = np.lib.format.open_memmap(folder / "image.npy", mode="w+", dtype=np.float32, shape=(rows, width))
    mapped[:] = 1.0
    mapped[5] = np.nan
    mapped.flush()
    np.save(folder / "label.npy", np.arange(rows) % 2)
    return folder, mapped.nbytes


def test_folder_stays_on_disk(tmp_path):
    folder, size = big_folder(tmp_path)
    np.save(folder / "split.npy", np.repeat([0, 1, 2], [20_000, 10_000, 10_000]))
    tracemalloc.start()
    splits = load_splits(DataConfig(data=str(folder), nan_as_missing=True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(isinstance(part.features["image"], np.memmap) for part in splits)
    assert peak < size / 4  # 41 MB on disk; checks use a block of 4 MiB and its booleans
    assert np.flatnonzero(~splits.train.present[:, 0]).tolist() == [5]
    assert (splits.train.features["image"][5] == 0).all()


def test_file_of_missing_rows_is_not_changed(tmp_path):
    folder, _ = big_folder(tmp_path, rows=10, width=4)
    before = (folder / "image.npy").read_bytes()
    data = load_dataset(folder, nan_as_missing=True)
    assert (data.features["image"][5] == 0).all()
    del data
    assert (folder / "image.npy").read_bytes() == before


def test_mapped_file_is_read_only_where_nothing_is_hidden(tmp_path):
    data = load_dataset(write(tmp_path, "npy", arrays()))
    with pytest.raises(ValueError, match="read-only"):
        data.features["image"][0] = 1


def test_hidden_and_other_files_of_a_folder_are_not_read(tmp_path):
    folder = write(tmp_path, "npy", arrays())
    (folder / "._image.npy").write_bytes(b"finder")
    (folder / "README.txt").write_text("features")
    assert load_dataset(folder).modalities == ("audio", "image")


# Splits


@each_kind
def test_split_of_the_file(tmp_path, kind):
    split = np.array([2, 0, 1, 0, 0] * 4)
    path = write(tmp_path, kind, arrays(split=split))
    splits = load_splits(DataConfig(data=str(path)))
    for number, part in enumerate(splits):
        np.testing.assert_array_equal(part.features["image"], arrays()["image"][split == number])


def test_split_of_the_file_in_words(tmp_path):
    split = np.array(["test", "train", "validation", "train", "train"] * 4)
    splits = load_splits(DataConfig(data=str(write(tmp_path, "npz", arrays(split=split)))))
    assert [len(part) for part in splits] == [12, 4, 4]


def test_random_split_is_seeded_disjoint_and_stratified(tmp_path):
    marks = np.arange(ROWS, dtype=np.float32)[:, None]
    path = str(write(tmp_path, "npz", {"image": marks, "label": np.repeat([0, 1], [5, 15])}))
    rows = [part.features["image"].ravel().tolist() for part in load_splits(DataConfig(data=path))]
    again = [part.features["image"].ravel().tolist() for part in load_splits(DataConfig(data=path))]
    other = [part.features["image"].ravel().tolist() for part in load_splits(DataConfig(data=path, split_seed=1))]
    assert rows == again != other
    assert sorted(row for part in rows for row in part) == marks.ravel().tolist()
    assert [sum(row < 5 for row in part) for part in rows] == [3, 1, 1]
    sized = load_splits(DataConfig(data=path, validation_fraction=0.1, test_fraction=0.3))
    assert [len(part) for part in sized] == [12, 2, 6]


def test_classes_are_counted_over_all_parts(tmp_path):
    label = np.array([0, 1] * 9 + [0, 7])
    split = np.array([0] * 16 + [1, 1, 2, 2])
    splits = load_splits(DataConfig(data=str(write(tmp_path, "npz", arrays(label=label, split=split)))))
    assert [part.num_classes for part in splits] == [8, 8, 8]


def test_labels_and_values_are_split_at_random(tmp_path):
    for label, kind in ((np.eye(ROWS, 3), "labels"), (np.linspace(0, 1, ROWS), "values")):
        splits = load_splits(DataConfig(data=str(write(tmp_path, "npz", arrays(label=label)))))
        assert [(part.label_kind, len(part)) for part in splits] == [(kind, 12), (kind, 4), (kind, 4)]


def test_kind_of_labels_as_told(tmp_path):
    path = write(tmp_path, "npz", arrays())
    assert load_splits(DataConfig(data=str(path), label_kind="values")).label_kind == "values"
    assert load_dataset(path, label_kind="labels", num_classes=1).label_kind == "labels"


def load_by_name(path, **options):
    return load_splits(DataConfig(data=str(path), **options))


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        (
            {"split": np.array([0, 1] * 10)},
            {},
            "`test` must have at least one row; got an empty split.",
        ),
        (
            {"split": np.array([0, 1, 2, 2] * 5)},
            {"test_fraction": 0.1},
            "`validation_fraction and test_fraction` must be left out; got a file with a `split` of its own, PATH.",
        ),
        (
            {"split": np.array([0, 1, 2, 5] * 5)},
            {},
            "`split` must hold 0, 1, 2 or train, validation, test; got 5 in row 3.",
        ),
        ({}, {"test_fraction": 0.01}, "`test` must have at least one row; got an empty split."),
        ({}, {"difficulty": "hard"}, "`difficulty` must be plain for PATH; got hard."),
    ],
)
def test_bad_splits(tmp_path, changes, options, sentence):
    path = write(tmp_path, "npz", arrays(**changes))
    assert sentence_of(path, load=load_by_name, **options) == sentence


# Rows to predict


@each_kind
def test_rows_to_predict_need_no_labels_and_do_not_read_them(tmp_path, kind):
    path = write(tmp_path, kind, arrays(label=np.full(3, -1.5)))
    data = load_features(path, ["image", "audio"], [2, 3])
    assert (data.modalities, data.label_kind, data.label.shape, len(data)) == (("image", "audio"), "none", (20, 0), 20)
    assert len(load_features(write(tmp_path, kind, without(arrays(), "label")), ["audio", "image"])) == 20


def test_modality_that_the_file_lacks_is_missing_only_if_allowed(tmp_path):
    path = write(tmp_path, "npz", arrays(present=np.ones((ROWS, 2))))
    names, widths = ["text", "image", "audio"], [4, 2, 3]
    assert sentence_of(path, names, widths, load=load_features) == (
        "`text` must be a modality of PATH; got no such array. Known: audio, image. Pass --nan-as-missing to treat it "
        "as missing."
    )
    data = load_features(path, names, widths, nan_as_missing=True)
    assert data.present.tolist() == [[False, True, True]] * ROWS
    assert data.widths == (4, 2, 3)


@pytest.mark.parametrize(
    ("names", "widths", "sentence"),
    [
        (
            ["image", "text"],
            [2, 4],
            "`audio` must be a modality of the model (image, text); got an unknown name in PATH. Known: image, text.",
        ),
        (
            ["imagex", "audio"],
            [2, 3],
            "`image` must be a modality of the model (imagex, audio); got an unknown name in PATH. Did you mean "
            "`imagex`?",
        ),
        (["audio", "image"], [3, 5], "`image` must be 5 wide, as the model has it; got 2."),
    ],
)
def test_rows_that_do_not_fit_the_model(tmp_path, names, widths, sentence):
    path = write(tmp_path, "npz", arrays())
    assert sentence_of(path, names, widths, load=load_features, nan_as_missing=True) == sentence


# Bad files


@each_kind
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (without(arrays(), "label"), "`label` must be given in PATH; got the arrays audio, image."),
        ({"label": np.arange(3)}, "`data` must hold a modality's features; got PATH, which has label only."),
        (arrays(image=np.ones((19, 2))), "`image` must have 20 rows, as `audio` has; got 19."),
        (arrays(image=np.ones(20)), "`image` must be 2-D, (rows, width); got shape (20,)."),
        (arrays(label=np.arange(19)), "`label` must have 20 rows, as `audio` has; got 19."),
        (
            arrays(present=np.ones((20, 3))),
            "`present` must have shape (20, 2), (rows, modalities), with a column for each of audio, image; got shape "
            "(20, 3).",
        ),
        (
            arrays(image=np.where(np.arange(20)[:, None] % 4 == 3, np.nan, np.ones((20, 2)))),
            "`image` must be finite; got NaN or Inf in rows 3, 7, 11 (5 in all). Pass --nan-as-missing to treat NaN "
            "rows as missing.",
        ),
        ({"image": np.ones((0, 2)), "label": np.arange(0)}, "`PATH` must have at least one row; got none."),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, kind, data, sentence):
    assert sentence_of(write(tmp_path, kind, data)) == sentence


def test_path_of_another_kind(tmp_path):
    (tmp_path / "mine.csv").write_text("1,2")
    kinds = "`data` must be a .npz, .safetensors or .pt file, or a folder of .npy files; got PATH."
    assert sentence_of(tmp_path / "mine.csv") == kinds
    assert sentence_of(tmp_path / "nothing.npz") == "`data` must be a file or folder that exists; got PATH."
    (tmp_path / "empty").mkdir()
    assert sentence_of(tmp_path / "empty") == "`data` must hold arrays; got PATH, which has none."


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_python_objects_are_never_unpickled(tmp_path, kind):
    path = write(tmp_path, kind, arrays(image=np.array([{"a": 1}] * ROWS, object)))
    file = path / "image.npy" if kind == "npy" else path
    with pytest.raises(InputError) as error:
        load_dataset(path)
    assert str(error.value) == f"`data` must hold numbers; Python objects are never unpickled; got {file}."


NONSENSE = [b"", b"nonsense", b"\x80\x04K\x01.", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x10\x00{'descr': (      \n"]


def test_npy_file_by_the_name_of_an_npz_file(tmp_path):
    np.save(tmp_path / "mine.npy", np.ones(3))
    path = (tmp_path / "mine.npy").rename(tmp_path / "mine.npz")
    assert sentence_of(path) == (
        "`data` must be a readable .npz file; got PATH, damaged or of another kind (BadZipFile: no zip archive)."
    )


@pytest.mark.parametrize("name", ["mine.npz", "mine.safetensors"])
@pytest.mark.parametrize("content", NONSENSE)
def test_file_of_nonsense(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    sentence = sentence_of(path)
    assert sentence.startswith(f"`data` must be a readable {path.suffix} file; got PATH, damaged or of another kind (")
    assert "pickle" not in sentence


@pytest.mark.parametrize("content", NONSENSE)
def test_folder_with_a_file_of_nonsense(tmp_path, content):
    path = write(tmp_path, "npy", arrays())
    (path / "image.npy").write_bytes(content)
    with pytest.raises(InputError) as error:
        load_dataset(path)
    wanted = f"`data` must be a readable .npy file; got {path / 'image.npy'}, damaged or of another kind ("
    assert str(error.value).startswith(wanted)
    assert "pickle" not in str(error.value)


def test_npz_with_something_else_inside(tmp_path):
    path = write(tmp_path, "npz", arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "features")
    assert sentence_of(path) == "`data` must hold arrays only; got PATH, where notes.txt is another file."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path, "npz", arrays())
    path.chmod(0)
    assert "PermissionError" in sentence_of(path)


@hypothesis.given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), cut=st.booleans())
@hypothesis.settings(max_examples=150)
def test_damaged_file_is_read_or_one_sentence(tmp_path_factory, seed, kind, cut):
    path = write(tmp_path_factory.mktemp("damaged"), kind, arrays(split=np.arange(ROWS) % 3))
    file = path / "image.npy" if kind == "npy" else path
    content, draw = bytearray(file.read_bytes()), random.Random(seed)
    if cut:
        del content[draw.randrange(len(content)) :]
    for _ in range(0 if cut else draw.choice([1, 2, 8])):
        content[draw.randrange(min(len(content), draw.choice([64, 256, len(content)])))] = draw.randrange(256)
    file.write_bytes(bytes(content))
    try:
        load_splits(DataConfig(data=str(path)))
    except InputError as error:
        assert str(error).startswith("`")  # noqa: PT017  (whether it raises is up to the damage)


def test_safetensors_without_the_library(tmp_path, monkeypatch):
    path = write(tmp_path, "safetensors", arrays())
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aecf-jax\[data\]'"):
        load_dataset(path)
