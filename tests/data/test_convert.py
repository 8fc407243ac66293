"""as_dataset: data sets, dictionaries, and iterables of dictionaries such as a PyTorch DataLoader."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from aecf_jax.data import _checks, as_dataset
from aecf_jax.errors import InputError, InputTypeError

NAMES = ("image", "text")


class Tensor:
    """What NumPy sees of a PyTorch tensor on the CPU."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def numpy(self):
        return self.array


class ArrayTensor(Tensor):
    """The same, of a PyTorch that has __array__."""

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class GradientTensor:
    """A tensor that must not become an array."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class Loader:
    """A DataLoader: batches, the same in every pass, in a buffer that is used again."""

    def __init__(self, data, size, make=Tensor):
        self.data, self.size, self.make = data, size, make

    def __iter__(self):
        buffers = {name: np.zeros((self.size, *array.shape[1:]), array.dtype) for name, array in self.data.items()}
        for start in range(0, len(self.data["label"]), self.size):
            for name, array in self.data.items():
                rows = array[start : start + self.size]
                buffers[name][: len(rows)] = rows
            yield {name: self.make(buffer[: len(rows)]) for name, buffer in buffers.items()}


def arrays(rows=10, **changes):
    draw = np.random.default_rng(0)
    image = draw.normal(size=(rows, 3)).astype(np.float32)
    text = draw.normal(size=(rows, 2)).astype(np.float32)
    return {"image": image, "text": text, "label": np.arange(rows) % 3} | changes


def without(data, *names):
    return {name: array for name, array in data.items() if name not in names}


def assert_same(found, wanted):
    assert found.modalities == wanted.modalities
    for name in wanted.modalities:
        np.testing.assert_array_equal(found.features[name], wanted.features[name])
    np.testing.assert_array_equal(found.label, wanted.label)
    np.testing.assert_array_equal(found.present, wanted.present)
    assert (found.label_kind, found.num_classes) == (wanted.label_kind, wanted.num_classes)


def test_dictionary_of_arrays():
    data = as_dataset(arrays(), NAMES, part="train", name="mine")
    assert (data.modalities, data.part, data.name, data.num_classes) == (NAMES, "train", "mine", 3)
    np.testing.assert_array_equal(data.features["text"], arrays()["text"])
    assert data.present.all()


def test_modalities_are_in_the_order_asked_for_and_other_keys_not_read():
    data = as_dataset(arrays(names=["a"] * 10), ("text", "image"))
    assert data.modalities == ("text", "image")


@pytest.mark.parametrize("make", [Tensor, ArrayTensor, jnp.asarray, list])
@pytest.mark.parametrize("size", [1, 4, 10])
def test_loader_equals_its_arrays(make, size):
    given = arrays(present=np.random.default_rng(1).random((10, 2)) < 0.5)
    assert_same(as_dataset(Loader(given, size, make), NAMES), as_dataset(given, NAMES))


def test_generator_is_read_once():
    assert len(as_dataset((batch for batch in Loader(arrays(), 4)), NAMES)) == 10


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16, bool, ml_dtypes.bfloat16])
def test_other_types_of_numbers(dtype):
    data = as_dataset(arrays(image=np.ones((10, 3), dtype)), NAMES)
    assert data.features["image"].dtype == np.float32
    assert (data.features["image"] == 1).all()


def test_data_set_keeps_its_part_unless_it_is_whole():
    whole = as_dataset(arrays(), NAMES)
    assert as_dataset(whole, NAMES, part="train").part == "train"
    held_out = whole.take([0, 1], part="test")
    assert as_dataset(held_out, NAMES, part="train").part == "test"
    assert as_dataset(whole, NAMES).features["image"] is whole.features["image"]
    assert as_dataset(whole, ("text",)).modalities == ("text",)


def test_labels_read_as_told():
    data = as_dataset(arrays(label=np.arange(10) / 2), NAMES, label_kind="values")
    assert (data.label_kind, data.label.shape) == ("values", (10, 1))
    assert as_dataset(arrays(), NAMES, num_classes=7).num_classes == 7


# What is missing


def test_absent_key_of_a_batch_is_missing_only_if_allowed():
    batches = [arrays(2), without(arrays(3), "text")]
    with pytest.raises(InputError) as error:
        as_dataset(batches, NAMES)
    assert str(error.value) == (
        "`text` must be in batch 1; got the keys image, label. Pass --nan-as-missing to treat it as missing."
    )
    data = as_dataset(batches, NAMES, nan_as_missing=True)
    assert data.present.tolist() == [[True, True]] * 2 + [[True, False]] * 3
    assert (data.features["text"][2:] == 0).all()


def test_absent_modality_is_missing_only_if_allowed():
    given = without(arrays(), "text")
    with pytest.raises(InputError) as error:
        as_dataset(given, NAMES)
    assert str(error.value) == (
        "`text` must be a modality of data; got no such array. Known: image. Pass --nan-as-missing to treat it as "
        "missing."
    )
    data = as_dataset(given, ("text", "image"), widths=(500, 3), nan_as_missing=True)
    assert (data.modalities, data.widths) == (("text", "image"), (500, 3))
    assert data.present.tolist() == [[False, True]] * 10
    with pytest.raises(InputError, match="`text` must be in some row, or its width be known; got nothing"):
        as_dataset(given, NAMES, nan_as_missing=True)
    assert_same(as_dataset(Loader(given, 4), ("text", "image"), widths=(500, 3), nan_as_missing=True), data)


def test_present_has_a_column_for_each_modality_asked_for_even_an_absent_one():
    given = without(arrays(), "image") | {"present": np.tile([True, False], (10, 1))}
    data = as_dataset(given, NAMES, widths=(3, 2), nan_as_missing=True)
    assert not data.present.any()


@pytest.mark.parametrize("block", [1, 12, 1 << 20])
def test_nan_rows_are_missing_only_if_allowed(block, monkeypatch):
    monkeypatch.setattr(_checks, "BLOCK_VALUES", block)
    given = arrays()
    given["image"][[1, 4]] = np.nan
    given["image"][7, 2] = np.nan
    with pytest.raises(InputError, match="`image` must be finite; got NaN or Inf in rows 1, 4, 7"):
        as_dataset(given, NAMES)
    data = as_dataset(given, NAMES, nan_as_missing=True)
    assert np.flatnonzero(~data.present[:, 0]).tolist() == [1, 4, 7]
    assert data.present[:, 1].all()
    assert (data.features["image"][[1, 4, 7]] == 0).all()
    assert np.isnan(given["image"][7, 2])  # the user's array is left as it was


def test_infinity_is_never_missing():
    given = arrays()
    given["image"][3, 0] = np.inf
    with pytest.raises(InputError) as error:
        as_dataset(given, NAMES, nan_as_missing=True)
    assert str(error.value) == "`image` must be finite; got NaN or Inf in row 3."


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: [data]], ids=["dictionary", "batches"])
def test_misspelt_modality_does_not_pass_as_missing(wrap):
    given = without(arrays(), "image") | {"imgae": np.ones((10, 3))}
    with pytest.raises(InputError) as error:
        as_dataset(wrap(given), NAMES, widths=(3, 2), nan_as_missing=True)
    assert str(error.value) == "`imgae` must be a modality; got an unknown name. Did you mean `image`?"


def test_key_that_merely_begins_alike_is_not_taken_for_a_modality():
    given = without(arrays(), "text") | {"text_ids": np.arange(10)}
    assert not as_dataset(given, NAMES, widths=(3, 2), nan_as_missing=True).present[:, 1].any()


# Bad input


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (without(arrays(), "label"), {}, "`label` must be given in data; got the keys image, text."),
        ({"label": [0, 1], "sound": [[1.0]]}, {}, "`data` must have a modality (image, text); got none of them. "
         "Known: label, sound."),
        (arrays(), {"widths": (3, 4)}, "`text` must be 4 wide, as the model has it; got 2."),
        (arrays(), {"num_classes": 2}, "`label` must hold classes below 2; got 2 in row 2. Number classes from 0."),
        ([], {}, "`data` must have at least one batch; got none."),
        ([without(arrays(), "label")], {}, "`label` must be in batch 0; got the keys image, text."),
        ([arrays(2), arrays(2, text=np.ones((3, 2)))], {}, "`text` must have 2 rows, as `label` has, in batch 1; "
         "got 3."),
        ([arrays(2), arrays(2, text=np.ones((2, 5)))], {}, "`text` must have shape (rows, ...) as in batch 0; got "
         "(2, 5) after (2, 2) in batch 1."),
        ([arrays(2, label=3)], {}, "`label` must have a row for each row of batch 0; got one number."),
        ([arrays(2, present=np.ones((2, 1)))], {}, "`present` must have shape (2, 2), (rows, modalities), with a "
         "column for each of image, text; got shape (2, 1)."),
        (arrays(label=[None] * 10), {}, "`label` must hold real numbers; got dtype object."),
        (arrays(image=["a"] * 10), {}, "`image` must hold real numbers; got text."),
    ],
)  # fmt: skip
def test_bad_data(given, options, sentence):
    with pytest.raises(InputError) as error:
        as_dataset(given, NAMES, **options)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (3, "`data` must be a data set, a dictionary or an iterable of them; got int."),
        ([(np.ones((2, 3)), [0, 1])], "`batch 0` must be a dictionary; got tuple."),
        ("digits", "`data` must be a data set, a dictionary or an iterable of them; got str. Read a file with "
         "`load_dataset`."),
        (arrays(image=GradientTensor()), "`image` must be an array, or a CPU tensor without gradient; got "
         "GradientTensor."),
        (arrays(image=[[1.0], [1.0, 2.0]]), "`image` must be an array, or a CPU tensor without gradient; got list."),
    ],
)  # fmt: skip
def test_data_of_the_wrong_type(given, sentence):
    with pytest.raises(InputTypeError) as error:
        as_dataset(given, NAMES)
    assert str(error.value) == sentence


def test_names_of_modalities_may_be_alike():
    given = {"a" * length: np.ones((2, length)) for length in range(1, 8)} | {"label": [0, 1]}
    names = [name for name in given if name != "label"]
    assert as_dataset(given, names).widths == tuple(range(1, 8))
