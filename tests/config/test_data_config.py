"""DataConfig: every field, its range, and its way to a dictionary and back."""

import dataclasses
from pathlib import Path

import pytest

from aecf_jax.config import DataConfig
from aecf_jax.errors import InputError, InputTypeError

OTHER = {
    "data": "features.npz",
    "root": "originals",
    "difficulty": "hard",
    "nan_as_missing": True,
    "label_kind": "values",
    "validation_fraction": 0.1,
    "test_fraction": 0.3,
    "split_seed": 7,
}


def test_dictionary_and_back():
    assert set(OTHER) == {field.name for field in dataclasses.fields(DataConfig)}
    config = DataConfig.from_dict(OTHER)
    assert config.to_dict() == OTHER
    assert DataConfig.from_dict(config.to_dict()) == config
    assert hash(config) == hash(DataConfig(**OTHER)) != hash(DataConfig())


def test_paths_become_text():
    assert DataConfig(data=Path("a.npz"), root=Path("b")) == DataConfig(data="a.npz", root="b")


def test_fields_cannot_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().data = "yeast"


def test_unknown_key_offers_the_nearest():
    with pytest.raises(InputError) as error:
        DataConfig.from_dict({"validation_fracton": 0.1})
    assert str(error.value) == (
        "`validation_fracton` must be a data setting; got an unknown key. Did you mean `validation_fraction`?"
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"data": ""}, "`data` must name a source or a path; got an empty name."),
        ({"difficulty": "hart"}, "`difficulty` must be one of plain, hard; got hart. Did you mean `hard`?"),
        (
            {"label_kind": "class"},
            "`label_kind` must be one of auto, classes, labels, values; got class. Did you mean `classes`?",
        ),
        ({"validation_fraction": 0.0}, "`validation_fraction` must be in (0, 1); got 0.0."),
        ({"test_fraction": 1}, "`test_fraction` must be in (0, 1); got 1."),
        ({"test_fraction": float("nan")}, "`test_fraction` must be in (0, 1); got nan."),
        (
            {"validation_fraction": 0.5, "test_fraction": 0.5},
            "`validation_fraction + test_fraction` must be below 1, to leave rows to train on; got 1.0.",
        ),
        ({"split_seed": -1}, "`split_seed` must be at least 0; got -1."),
    ],
)
def test_value_out_of_range(fields, sentence):
    with pytest.raises(InputError) as error:
        DataConfig(**fields)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "fields",
    [
        {"data": 3},
        {"root": 3},
        {"nan_as_missing": 1},
        {"validation_fraction": True},
        {"test_fraction": "0.2"},
        {"split_seed": True},
        {"split_seed": 0.5},
    ],
)
def test_wrong_type(fields):
    with pytest.raises(InputTypeError, match=f"`{next(iter(fields))}` must"):
        DataConfig(**fields)


@pytest.mark.usefixtures("untyped_caller")
def test_settings_must_be_a_dictionary():
    with pytest.raises(InputTypeError, match="`data settings` must be a dictionary; got list"):
        DataConfig.from_dict([("data", "yeast")])
