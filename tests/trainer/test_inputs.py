"""What the trainer takes for data, and what it says of data that do not fit."""

import numpy as np
import pytest

from aecf_jax.data import Dataset
from aecf_jax.errors import InputError
from aecf_jax.trainer._inputs import as_dataset, fitted_constants
from aecf_jax.trainer._load import checkpoint_tree, model_variables
from tests.train.small import small_arrays, small_config

NAMES = ("a", "b", "c")


class _Tensor:
    """What is read of a PyTorch tensor on the CPU."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype=dtype)


def _dataset(**changes):
    arrays = small_arrays() | changes
    return as_dataset({name: array for name, array in arrays.items() if array is not None}, small_config(), "train")


def _same(left: Dataset, right: Dataset) -> bool:
    features = all(np.array_equal(left.features[name], right.features[name]) for name in NAMES)
    return features and np.array_equal(left.label, right.label) and np.array_equal(left.present, right.present)


def test_dictionary_is_a_data_set():
    dataset = _dataset(extra=np.array(["ignored"] * 50))
    assert dataset.modalities == NAMES
    assert (len(dataset), dataset.label_kind, dataset.num_classes, dataset.part) == (50, "classes", 4, "train")


def test_without_present_everything_is():
    assert bool(_dataset(present=None).present.all())


def test_batches_are_joined_and_read_once():
    arrays = small_arrays()
    batches = ({name: _Tensor(array[i : i + 7]) for name, array in arrays.items()} for i in range(0, 50, 7))
    assert _same(as_dataset(batches, small_config(), "train"), _dataset())


def test_data_set_is_brought_into_the_models_order():
    arrays = small_arrays()
    there = {"c": arrays["c"], "unused": np.ones((50, 2), np.float32), "a": arrays["a"], "b": arrays["b"]}
    present = np.stack([arrays["present"][:, 2], np.ones(50, bool), *arrays["present"][:, :2].T], axis=1)
    assert _same(as_dataset(Dataset(there, arrays["label"], present), small_config(), "train"), _dataset())


def test_regression_may_have_one_value_a_row():
    config = small_config(task_type="regression", num_classes=1)
    dataset = as_dataset(small_arrays() | {"label": np.linspace(0, 1, 50, dtype=np.float32)}, config, "train")
    assert (dataset.label.shape, dataset.label_kind) == ((50, 1), "values")


def test_embedding_of_classes_keeps_its_own_width():
    config = small_config(task_type="embedding", num_classes=2)
    assert as_dataset(small_arrays(), config, "train").label_kind == "classes"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (5, "`the train data` must be a data set, a dictionary or an iterable of them; got int"),
        ("file.npz", r"be a data set, a dictionary or an iterable of them; got str\. Read a file with `load_dataset`"),
        ([], "`the train data` must have at least one batch"),
        ([(1, 2)], "`batch 0` must be a dictionary; got tuple"),
        ({"a": np.ones((3, 6))}, "`label` must be given in the train data; got the keys a"),
        ({k: v for k, v in small_arrays().items() if k != "a"}, "`a` must be a modality of the train data"),
        ([small_arrays(), {k: v for k, v in small_arrays().items() if k != "a"}], "`a` must be in batch 1"),
        (small_arrays() | {"a": np.ones((50, 7), np.float32)}, "`a` must be 6 wide, as the model has it; got 7"),
        (small_arrays() | {"a": np.ones((49, 6), np.float32)}, "`b` must have 49 rows, as `a` has; got 50"),
        (small_arrays() | {"label": np.full(50, 4)}, "`label` must hold classes below 4; got 4 in row 0"),
        (small_arrays() | {"label": np.full((50, 3), 1.0)}, "`label` must have 4 columns; got 3"),
        (small_arrays() | {"label": np.full((50, 4), 0.5)}, "`label` must hold classes or labels, as the task is"),
        (small_arrays() | {"present": np.ones((50, 2), bool)}, r"`present` must have shape \(50, 3\)"),
        (
            small_arrays() | {"a": np.full((50, 6), np.nan, np.float32), "present": np.ones((50, 3), bool)},
            "`a` must be finite; got NaN or Inf in rows 0, 1, 2",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, said):
    with pytest.raises(InputError, match=said):
        as_dataset(data, small_config(), "train")


def test_data_set_with_more_classes_than_the_model_is_refused():
    arrays = small_arrays()
    features = {name: arrays[name] for name in NAMES}
    with pytest.raises(InputError, match="`label` must hold classes below 3, as the configuration says; got 4 classes"):
        as_dataset(Dataset(features, arrays["label"], arrays["present"]), small_config(num_classes=3), "train")


def test_constants_are_not_fitted_on_test_rows():
    config = small_config()
    variables = model_variables(checkpoint_tree(config))
    with pytest.raises(InputError, match="must be the training part"):
        fitted_constants(variables, config, as_dataset(small_arrays(), config, "test"))


def test_without_standardizing_features_are_left_as_they_are():
    config = small_config(standardize=False)
    constants = fitted_constants(model_variables(checkpoint_tree(config)), config, _dataset())["constants"]
    assert not np.any(constants["mean"]["a"])
    assert np.all(np.asarray(constants["scale"]["a"]) == 1)
    assert np.any(constants["prior"])
