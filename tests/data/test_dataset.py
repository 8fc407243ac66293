"""Dataset and Splits: what the constructor checks and normalizes, and what taking rows and modalities returns."""

import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from aecf_jax.data import Dataset, Splits, _checks
from aecf_jax.errors import InputError, InputTypeError

ROWS = 8
NAMES = ("image", "text")
WIDTHS = (16, 5)


def arrays(rows=ROWS, **changes):
    """Arguments of a sound data set, with changes."""
    draw = np.random.default_rng(0)
    features = {
        name: draw.normal(size=(rows, width)).astype(np.float32) for name, width in zip(NAMES, WIDTHS, strict=True)
    }
    return {"features": features, "label": np.arange(rows) % 3, "present": np.ones((rows, 2), bool)} | changes


def broken(name, rows, value):
    """Features with a value in some rows of a modality."""
    features = arrays(24)["features"]
    features[name][rows, 1] = value
    return {"features": features, "label": np.zeros(24, int), "present": np.ones((24, 2), bool)}


def test_properties():
    data = Dataset(**arrays(), part="train", name="toy")
    assert (data.modalities, data.widths, data.rows, len(data)) == (NAMES, WIDTHS, ROWS, ROWS)
    assert (data.part, data.name, data.label_kind, data.num_classes) == ("train", "toy", "classes", 3)


def test_arrays_of_the_right_kind_are_not_copied():
    given_arrays = arrays()
    data = Dataset(**given_arrays)
    assert all(data.features[name] is given_arrays["features"][name] for name in NAMES)


def test_other_types_of_numbers_are_brought_into_one():
    features = {"image": np.ones((2, 3)), "text": np.ones((2, 4), np.uint8)}
    data = Dataset(features, np.array([1, 0], np.int8), np.array([[1, 0], [1, 1]]))
    assert {array.dtype for array in data.features.values()} == {np.dtype(np.float32)}
    assert (data.label.dtype, data.present.dtype) == (np.int32, np.bool_)
    assert data.present.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("label", "kind", "given_kind", "classes"),
    [
        (np.array([0, 2]), "classes", "auto", 3),
        (np.array([0, 2], np.uint64), "classes", "auto", 3),
        (np.array([[0], [2]]), "classes", "auto", 3),
        (np.array([True, False]), "classes", "auto", 2),
        (np.array([0.0, 2.0]), "classes", "classes", 3),
        (np.array([[0, 1, 1], [1, 0, 1]]), "labels", "auto", 3),
        (np.array([[False, True], [True, True]]), "labels", "auto", 2),
        (np.array([[0.0, 1.0], [1.0, 1.0]]), "labels", "auto", 2),
        (np.array([0, 1]), "labels", "labels", 1),
        (np.array([[0.5, 1.0], [1.0, 1.0]]), "values", "auto", 2),
        (np.array([0.0, 1.0]), "values", "auto", 1),
        (np.array([[0.0, 1.0], [1.0, 1.0]]), "values", "values", 2),
        (np.array([3, 4]), "values", "values", 1),
        (np.zeros((2, 0)), "none", "none", 0),
    ],
)
def test_kind_of_label(label, kind, given_kind, classes):
    data = Dataset({"image": np.ones((2, 3))}, label, np.ones((2, 1), bool), label_kind=given_kind)
    assert (data.label_kind, data.num_classes) == (kind, classes)
    assert data.label.dtype == (np.int32 if kind == "classes" else np.float32)
    assert data.label.shape == ((2,) if kind == "classes" else (2, classes))
    np.testing.assert_array_equal(data.label.ravel(), label.ravel())


def test_known_number_of_classes_is_kept_by_every_part():
    data = Dataset(**arrays(num_classes=10))
    assert data.num_classes == data.take([0, 1]).num_classes == data.select(["text"]).num_classes == 10


@pytest.mark.parametrize(
    ("given_arrays", "sentence"),
    [
        (arrays(features={}), "`features` must hold at least one modality; got none."),
        (
            arrays(features={"image": np.ones((ROWS, 2, 3))}),
            "`image` must be 2-D, (rows, width); got shape (8, 2, 3).",
        ),
        (arrays(features={"image": np.ones((ROWS, 0))}), "`image` must have at least one column; got shape (8, 0)."),
        (arrays(features={"image": np.array([["a"]])}), "`image` must hold real numbers; got text."),
        (arrays(features={"image": np.ones((2, 2)) * 1j}), "`image` must hold real numbers; got dtype complex128."),
        (
            arrays(features={"image": np.ones((8, 2)), "text": np.ones((7, 2))}),
            "`text` must have 8 rows, as `image` has; got 7.",
        ),
        (arrays(label=np.arange(7)), "`label` must have 8 rows, as `image` has; got 7."),
        (
            arrays(present=np.ones((8, 3), bool)),
            "`present` must have shape (8, 2), (rows, modalities), with a column for each of image, text; got shape "
            "(8, 3).",
        ),
        (
            arrays(present=np.full((8, 2), 2)),
            "`present` must hold 0 and 1 only; got other values in rows 0, 1, 2 (8 in all).",
        ),
        (
            arrays(present=np.full((8, 2), np.nan)),
            "`present` must hold 0 and 1 only; got other values in rows 0, 1, 2 (8 in all).",
        ),
        (
            broken("image", [3, 17, 20, 21, 22], np.nan),
            "`image` must be finite; got NaN or Inf in rows 3, 17, 20 (5 in all). Pass --nan-as-missing to treat NaN "
            "rows as missing.",
        ),
        (broken("text", [5], np.inf), "`text` must be finite; got NaN or Inf in row 5."),
        (broken("text", [5, 6], -np.inf), "`text` must be finite; got NaN or Inf in rows 5, 6."),
        (
            arrays(features={"image": np.full((8, 1), 1e300)}, present=np.ones((8, 1), bool)),
            "`image` must be finite; got NaN or Inf in rows 0, 1, 2 (8 in all).",
        ),
        (
            arrays(label=np.array([0, 1, -1, 0, 1, 0, 1, 0])),
            "`label` must hold integers from 0 to be classes; got other values in row 2.",
        ),
        (
            arrays(label=np.full(8, 0.5), label_kind="classes"),
            "`label` must hold integers from 0 to be classes; got other values in rows 0, 1, 2 (8 in all).",
        ),
        (
            arrays(label=np.arange(8), num_classes=5),
            "`label` must hold classes below 5; got 5 in row 5. Number classes from 0.",
        ),
        (
            arrays(label=np.full(8, 2**64 - 1, np.uint64)),
            "`label` must hold classes below 65536; got 18446744073709551615 in row 0. Number classes from 0.",
        ),
        (arrays(label=np.ones((8, 2)), num_classes=3), "`label` must have 3 columns; got 2."),
        (
            arrays(label=np.full((8, 2), 0.5), label_kind="labels"),
            "`label` must hold 0 and 1 only; got other values in rows 0, 1, 2 (8 in all).",
        ),
        (
            arrays(label=np.array([[0, 1], [2, 1], *[[0, 0]] * 6])),
            "`label` must hold 0 and 1 only; got other values in row 1.",
        ),
        (
            arrays(label=np.array([0.5, np.nan, *[1.0] * 6])),
            "`label` must be finite; got NaN or Inf in row 1.",
        ),
        (arrays(label=np.ones((8, 2, 2))), "`label` must have shape (rows,) or (rows, columns); got shape (8, 2, 2)."),
        (arrays(label=np.ones((8, 0))), "`label` must have at least one column; got shape (8, 0)."),
        (
            arrays(label=np.ones((8, 2)), label_kind="classes"),
            "`label` must have shape (rows,) to be classes; got shape (8, 2).",
        ),
        (arrays(label=np.ones((8, 2)), label_kind="none"), "`label` must have no columns; got shape (8, 2)."),
        (arrays(label=np.array(["a"] * 8)), "`label` must hold real numbers; got text."),
        (arrays(rows=0), "`data` must have at least one row; got none."),
        (arrays(rows=0, part="test"), "`test` must have at least one row; got an empty split."),
        (arrays(part="valid"), "`part` must be one of all, train, validation, test; got valid."),
        (arrays(label_kind="class"), "`label_kind` must be one of auto, classes, labels, values, none; got class."),
    ],
)
def test_bad_arrays(given_arrays, sentence):
    with pytest.raises(InputError) as error:
        Dataset(**given_arrays)
    assert str(error.value) == sentence


def test_features_must_be_a_dictionary():
    with pytest.raises(InputTypeError, match="`features` must be a dictionary of arrays; got list"):
        Dataset(**arrays(features=[np.ones((8, 2))]))


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_absent_rows_may_hold_anything(poison):
    given_arrays = arrays()
    given_arrays["features"]["text"][2] = poison
    given_arrays["present"][2, 1] = False
    assert not Dataset(**given_arrays).present[2, 1]


@hypothesis.given(row=st.integers(0, 99), column=st.integers(0, 3), value=st.sampled_from([np.nan, np.inf, -np.inf]),
                  block=st.sampled_from([1, 28, 1 << 20]))  # fmt: skip
def test_one_bad_value_anywhere_is_found(row, column, value, block):
    features = np.zeros((100, 4), np.float32)
    features[row, column] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_checks, "BLOCK_VALUES", block)
        with pytest.raises(InputError, match=rf"`image` must be finite; got NaN or Inf in row {row}\."):
            Dataset({"image": features}, np.zeros(100, int), np.ones((100, 1), bool))


def test_infinities_that_cancel_are_found():
    features = np.array([[np.inf], [-np.inf]], np.float32)
    with pytest.raises(InputError, match="in rows 0, 1"):
        Dataset({"image": features}, np.zeros(2, int), np.ones((2, 1), bool))


def test_finite_values_whose_sum_overflows_float32_are_fine():
    features = np.full((4, 4), 3e38, np.float32)
    assert len(Dataset({"image": features}, np.zeros(4, int), np.ones((4, 1), bool))) == 4


@hypothesis.given(rows=st.lists(st.integers(-ROWS, ROWS - 1), min_size=1, max_size=12))
def test_taking_rows_takes_them_from_every_array(rows):
    data = Dataset(**arrays())
    taken = data.take(rows, part="test")
    for name in NAMES:
        np.testing.assert_array_equal(taken.features[name], data.features[name][rows])
    np.testing.assert_array_equal(taken.label, data.label[rows])
    np.testing.assert_array_equal(taken.present, data.present[rows])
    assert (taken.part, data.part) == ("test", "all")


def test_rows_by_slice_and_by_boolean():
    data = Dataset(**arrays())
    every = np.arange(ROWS) % 2 == 0
    assert data.take(slice(2, 5)).label.tolist() == data.label[2:5].tolist()
    assert data.take(every).label.tolist() == data.label[every].tolist()


@pytest.mark.parametrize("rows", [slice(2, 6), np.arange(2, 6), [2, 3, 4, 5], np.isin(np.arange(ROWS), [2, 3, 4, 5])])
def test_consecutive_rows_are_views(rows):
    data = Dataset(**arrays())
    assert np.shares_memory(data.take(rows).features["image"], data.features["image"])


def test_no_row_is_an_error():
    with pytest.raises(InputError, match="`validation` must have at least one row; got an empty split"):
        Dataset(**arrays()).take([], part="validation")


def test_selecting_modalities_takes_their_columns_of_present():
    given_arrays = arrays()
    given_arrays["present"][:, 1] = False
    data = Dataset(**given_arrays)
    swapped = data.select(["text", "image"])
    assert swapped.modalities == ("text", "image")
    assert swapped.present.tolist() == [[False, True]] * ROWS
    assert data.select(["text"]).widths == (5,)


def test_unknown_modality_offers_the_nearest():
    with pytest.raises(InputError) as error:
        Dataset(**arrays(), name="toy").select(["imgae"])
    assert str(error.value) == "`imgae` must be a modality of toy; got an unknown name. Did you mean `image`?"
    with pytest.raises(InputError, match="`modalities` must name at least one modality; got none"):
        Dataset(**arrays()).select([])


def test_memory_mapped_features_are_checked_and_taken_without_being_read_whole(tmp_path):
    rows, width = 40_000, 256
    path = tmp_path / "image.npy"
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
    mapped[:] = 1.0
    mapped.flush()
    mapped = np.load(path, mmap_mode="r")
    tracemalloc.start()
    data = Dataset({"image": mapped}, np.zeros(rows, np.int32), np.ones((rows, 1), bool))
    half = data.take(np.arange(rows) < rows // 2, part="train")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(half.features["image"], np.memmap)
    assert np.shares_memory(half.features["image"], mapped)
    assert peak < path.stat().st_size / 4  # 41 MB on disk; checks may use a block of 4 MiB and its booleans


def splits(**changes):
    parts = {name: Dataset(**arrays(part=name)) for name in ("train", "validation", "test")}
    return Splits(**(parts | changes))


def test_splits_share_what_describes_them():
    whole = splits()
    assert [part.part for part in whole] == list(whole.parts) == ["train", "validation", "test"]
    assert (whole.name, whole.modalities, whole.widths) == ("data", NAMES, WIDTHS)
    assert (whole.label_kind, whole.num_classes) == ("classes", 3)
    assert whole.select(["text"]).modalities == ("text",)


def test_splits_must_be_named_as_they_are():
    with pytest.raises(InputError, match="`test` must be the test part; got train"):
        splits(test=Dataset(**arrays(part="train")))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (arrays(num_classes=5), "`num_classes of test` must be 3, as in train; got 5."),
        (arrays(label=np.full((8, 3), 0.5)), "`label_kind of test` must be classes, as in train; got values."),
        (
            arrays(features={"image": np.ones((8, 16)), "text": np.ones((8, 6))}),
            "`widths of test` must be (16, 5), as in train; got (16, 6).",
        ),
    ],
)
def test_splits_must_fit_each_other(other, sentence):
    with pytest.raises(InputError) as error:
        splits(test=Dataset(**other, part="test"))
    assert str(error.value) == sentence
