"""Fingerprints: the same for the same content wherever it lies, another for any other content."""

import numpy as np
import pytest

from aecf_jax.data import Dataset, fingerprint, load_dataset

NAMES = ("image", "text")


def arrays():
    return {
        "image": np.arange(6, dtype=np.float32).reshape(3, 2) / 8,
        "text": np.arange(3, dtype=np.float32).reshape(3, 1) - 1,
    }


def dataset(**changes):
    fields = {"features": arrays(), "label": np.array([0, 1, 1]), "present": np.ones((3, 2), bool)}
    return Dataset(**(fields | changes))


def test_golden():
    # Made without NumPy, from packed little-endian numbers; another value makes every saved run doubt its data.
    assert fingerprint(dataset()) == "9d64d381d644b946123ab46e01e83479a697293248fb6ea6f35e4045cdbd061e"


def test_name_and_part_do_not_count():
    assert fingerprint(dataset(name="other", part="test")) == fingerprint(dataset())


def test_block_size_and_memory_layout_do_not_count(monkeypatch):
    whole = fingerprint(dataset())
    columns = {name: np.asfortranarray(array) for name, array in arrays().items()}
    assert fingerprint(dataset(features=columns)) == whole
    wide = {name: np.repeat(array, 2, axis=0)[::2] for name, array in arrays().items()}
    assert fingerprint(dataset(features=wide)) == whole
    monkeypatch.setattr("aecf_jax.data._checks.BLOCK_VALUES", 1)
    assert fingerprint(dataset()) == whole


def test_memory_mapped_and_other_byte_order_do_not_count(tmp_path):
    for name, array in arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "label.npy", np.array([0, 1, 1]))
    assert fingerprint(load_dataset(tmp_path)) == fingerprint(dataset())
    np.save(tmp_path / "image.npy", arrays()["image"].astype(">f4"))
    assert fingerprint(load_dataset(tmp_path)) == fingerprint(dataset())


def renamed():
    return dict(zip(("image", "texts"), arrays().values(), strict=True))


def nudged():
    features = arrays()
    features["image"][2, 1] = np.nextafter(features["image"][2, 1], np.float32(9))
    return features


def reshaped():
    return arrays() | {"image": arrays()["image"].T.copy(), "text": arrays()["text"][:2]}


@pytest.mark.parametrize(
    "other",
    [
        dataset(features=renamed()),
        dataset(features=nudged()),
        dataset(features=dict(reversed(arrays().items()))),
        dataset(features=reshaped(), label=np.array([0, 1]), present=np.ones((2, 2), bool)),
        dataset(label=np.array([0, 1, 0])),
        dataset(num_classes=3),
        dataset(label=np.array([0.0, 1.0, 1.0])),
        dataset(present=np.array([[1, 1], [1, 1], [1, 0]])),
    ],
    ids=["name", "one bit", "order", "shape", "label", "classes", "kind of label", "present"],
)
def test_any_content_counts(other):
    assert fingerprint(other) != fingerprint(dataset())
