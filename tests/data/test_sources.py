"""The named sources on their real files: shapes, splits, proportions, and what is said when something is missing."""

import shutil
import sys

import numpy as np
import pytest
import scipy.io
import sklearn.datasets

from aecf_jax.config import DataConfig
from aecf_jax.data import SOURCES, describe_sources, load_splits
from aecf_jax.errors import InputError, MissingExtraError


def sentence_of(**fields):
    with pytest.raises(InputError) as error:
        load_splits(DataConfig(**fields))
    return str(error.value)


@pytest.fixture
def no_root(monkeypatch):
    monkeypatch.delenv("AECF_DATA_DIR", raising=False)


@pytest.fixture(scope="module", params=[name for name in SOURCES if name != "avmnist"])
def source_and_splits(request, data_dir):
    return SOURCES[request.param], load_splits(DataConfig(data=request.param, root=str(data_dir)))


def test_source_is_what_the_table_says(source_and_splits):
    source, splits = source_and_splits
    assert splits.name == source.name
    assert splits.modalities == source.modalities
    assert sum(len(part) for part in splits) == source.rows
    assert f"{splits.num_classes} {splits.label_kind}" == source.labels
    assert all(part.present.all() for part in splits)


def test_same_seed_same_rows_and_another_seed_others(source_and_splits, data_dir):
    source, splits = source_and_splits
    again = load_splits(DataConfig(data=source.name, root=str(data_dir)))
    other = load_splits(DataConfig(data=source.name, root=str(data_dir), split_seed=1))
    name = source.modalities[0]
    np.testing.assert_array_equal(again.train.features[name], splits.train.features[name])
    assert (other.train.features[name] != splits.train.features[name]).any()


def test_parts_have_no_row_in_common(source_and_splits):
    source, splits = source_and_splits
    rows = [
        {row.tobytes() for row in np.concatenate([part.features[name] for name in source.modalities], axis=1)}
        for part in splits
    ]
    # The data sets themselves hold a few rows twice; what a faulty split would share is a fifth of all.
    assert len(rows[0] & rows[2]) + len(rows[1] & rows[2]) + len(rows[0] & rows[1]) <= 2


def test_table_of_sources():
    assert next(iter(SOURCES)) == DataConfig().data
    assert {source.name: source for source in describe_sources()} == SOURCES
    assert all(source.summary and source.licence and source.labels for source in describe_sources())


# digits


def test_quadrants_make_the_image_again():
    bundled = sklearn.datasets.load_digits()
    images = {(image / 16).astype(np.float32).tobytes(): target for image, target in
              zip(bundled.images, bundled.target, strict=True)}  # fmt: skip
    for part in load_splits(DataConfig()):
        tiles = {name: array.reshape(-1, 4, 4) for name, array in part.features.items()}
        top = np.concatenate([tiles["top_left"], tiles["top_right"]], axis=2)
        bottom = np.concatenate([tiles["bottom_left"], tiles["bottom_right"]], axis=2)
        whole = np.concatenate([top, bottom], axis=1)
        assert [images[image.tobytes()] for image in whole] == part.label.tolist()


def test_digits_are_split_in_proportion():
    splits = load_splits(DataConfig())
    assert [len(part) for part in splits] == [1079, 359, 359]
    everywhere = np.bincount(sklearn.datasets.load_digits().target) / 1797
    for part in splits:
        # Every class within two rows of its share.
        assert (np.abs(np.bincount(part.label) - everywhere * len(part)) < 2).all()


def test_digits_in_other_proportions():
    assert [len(part) for part in load_splits(DataConfig(validation_fraction=0.1, test_fraction=0.5))] == [
        719,
        180,
        898,
    ]


def test_digits_need_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"`sklearn` must be installed.*pip install 'aecf-jax\[data\]'"):
        load_splits(DataConfig())


# handwritten and yeast


def test_handwritten_keeps_its_own_test_rows(data_dir):
    arrays = scipy.io.loadmat(data_dir / "handwritten" / "handwritten_6views.mat")
    splits = load_splits(DataConfig(data="handwritten", root=str(data_dir)))
    assert [len(part) for part in splits] == [1280, 320, 400]
    assert splits.widths == (240, 76, 216, 47, 64, 6)
    np.testing.assert_array_equal(splits.test.features["zer"], arrays["x4_test"].astype(np.float32))
    np.testing.assert_array_equal(splits.test.label, arrays["gt_test"].ravel() - 1)
    fitted = np.concatenate([splits.train.features["mor"], splits.validation.features["mor"]])
    np.testing.assert_array_equal(np.sort(fitted, axis=0), np.sort(arrays["x6_train"].astype(np.float32), axis=0))
    assert np.bincount(splits.validation.label).tolist() == (np.bincount(arrays["gt_train"].ravel() - 1) / 5).tolist()


def test_yeast_keeps_its_own_test_rows(data_dir):
    lines = (data_dir / "yeast" / "yeast-test.arff").read_text().split("@data")[1].split()
    numbers = np.array([line.split(",") for line in lines], np.float32)
    splits = load_splits(DataConfig(data="yeast", root=str(data_dir)))
    assert [len(part) for part in splits] == [1200, 300, 917]
    np.testing.assert_array_equal(splits.test.features["expression"], numbers[:, :79])
    np.testing.assert_array_equal(splits.test.features["phylogenetic"], numbers[:, 79:103])
    np.testing.assert_array_equal(splits.test.label, numbers[:, 103:])


# What is missing or wrong


def test_unknown_name_offers_the_nearest():
    assert sentence_of(data="digit") == (
        "`data` must be one of digits, avmnist, handwritten, yeast, or a path that exists; got digit. Did you mean "
        "`digits`?"
    )


ROOT_HINT = "Give the folder of the original files with --root FOLDER, or set AECF_DATA_DIR."


@pytest.mark.usefixtures("no_root")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("avmnist", "mnist/t10k-images-idx3-ubyte.gz"),
        ("handwritten", "handwritten/handwritten_6views.mat"),
        ("yeast", "yeast/yeast-train.arff"),
    ],
)
def test_no_root_and_empty_root(tmp_path, name, file):
    assert sentence_of(data=name) == f"`root` must name the folder that has {file}; got nothing. {ROOT_HINT}"
    assert sentence_of(data=name, root=str(tmp_path)) == (
        f"`root` must hold {file}; got {tmp_path}, which does not. {ROOT_HINT}"
    )


def test_root_from_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("AECF_DATA_DIR", str(data_dir))
    assert len(load_splits(DataConfig(data="yeast")).test) == 917


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"data": "yeast", "difficulty": "hard"}, "`difficulty` must be plain for yeast; got hard."),
        (
            {"data": "yeast", "label_kind": "classes"},
            "`label_kind` must be auto for yeast; got classes. Its labels are 14 labels.",
        ),
        (
            {"data": "handwritten", "test_fraction": 0.3},
            "`validation_fraction and test_fraction` must be left out; got handwritten, which has its own split.",
        ),
        (
            {"data": "avmnist", "validation_fraction": 0.3},
            "`validation_fraction and test_fraction` must be left out; got avmnist, which has its own split.",
        ),
        (
            {"data": "digits", "validation_fraction": 0.9},
            "`validation_fraction + test_fraction` must be below 1, to leave rows to train on; got 1.1.",
        ),
    ],
)
def test_setting_without_a_meaning_here(fields, sentence):
    assert sentence_of(**fields) == sentence


def test_damaged_mat_file(tmp_path, data_dir):
    file = tmp_path / "handwritten" / "handwritten_6views.mat"
    file.parent.mkdir()
    file.write_bytes(b"nonsense")
    start = "`root` must hold a readable handwritten/handwritten_6views.mat; got "
    assert sentence_of(data="handwritten", root=str(tmp_path)).startswith(start)
    shutil.copyfile(data_dir / "handwritten" / "handwritten_6views.mat", file)
    file.write_bytes(file.read_bytes()[:100_000])
    assert sentence_of(data="handwritten", root=str(tmp_path)).startswith(start)


def mat_of(tmp_path, **arrays):
    file = tmp_path / "handwritten" / "handwritten_6views.mat"
    file.parent.mkdir()
    scipy.io.savemat(file, arrays)
    return file


def test_mat_file_of_something_else(tmp_path):
    file = mat_of(tmp_path, x=np.ones(3))
    assert sentence_of(data="handwritten", root=str(tmp_path)) == (
        f"`root` must hold x1_train in handwritten/handwritten_6views.mat; got {file} without it."
    )


def test_mat_file_with_other_views(tmp_path):
    mat_of(tmp_path, gt_train=np.ones((2, 1)), **{f"x{view}_train": np.ones((2, view)) for view in range(1, 7)})
    assert sentence_of(data="handwritten", root=str(tmp_path)) == (
        "`handwritten/handwritten_6views.mat` must have views of widths [240, 76, 216, 47, 64, 6]; got "
        "[1, 2, 3, 4, 5, 6]."
    )


def test_arff_file_with_other_attributes(tmp_path):
    (tmp_path / "yeast").mkdir()
    for name in ("yeast-train.arff", "yeast-test.arff"):
        (tmp_path / "yeast" / name).write_text("@attribute a numeric\n@attribute b {0,1}\n@data\n1,0\n")
    assert sentence_of(data="yeast", root=str(tmp_path)) == (
        "`yeast-train.arff` must have 103 numeric attributes, then 14 of {0,1}; got others."
    )
