"""Test rows are refused at every door that fits something, whatever part they claim to be."""

import numpy as np
import pytest

from aecf_jax.calibrate import fit_calibration, fit_conformal
from aecf_jax.data import Splits, fit_standardization, refuse_leak, shared_rows
from aecf_jax.errors import InputError
from tests.calibrate.rows import small_model, small_splits

DOORS = {
    "calibration": lambda data: fit_calibration(small_model(), data),
    "conformal": lambda data: fit_conformal(small_model(), data),
    "standardization": fit_standardization,
}
door = pytest.mark.parametrize("fit", DOORS.values(), ids=DOORS)


def leaking(splits, part, share):
    """The same parts, but for some rows of one of them, which are the test part's."""
    rows, test = getattr(splits, part), splits.test
    count = int(share * len(rows))
    features = {name: np.concatenate([test.features[name][:count], array[count:]])
                for name, array in rows.features.items()}  # fmt: skip
    present = np.concatenate([test.present[:count], rows.present[count:]])
    label = np.concatenate([test.label[:count], rows.label[count:]])
    mixed = type(rows)(features, label, present, part=part, num_classes=3)
    return Splits(**(splits.parts | {part: mixed}))


@door
def test_the_test_part_is_refused_also_some_of_it_and_with_fewer_modalities(fit):
    test = small_splits().test
    for rows in (
        test,
        test.take(slice(0, 10)),
        test.select(["text", "image"]),
        test.take([1]).select(["image", "text"]),
    ):
        with pytest.raises(InputError, match="got the test part"):
            fit(rows)


def test_rows_of_no_known_part_and_training_rows_are_refused():
    splits = small_splits()
    for rows in (splits.train, splits.train.take([0], part="all")):
        with pytest.raises(
            InputError, match="`validation` must be the validation part: calibration is fitted on nothing"
        ):
            fit_calibration(small_model(), rows)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_test_rows_under_another_name_are_refused(share):
    with pytest.raises(InputError, match="`validation` must hold no rows of the test part; got"):
        DOORS["calibration"](leaking(small_splits(), "validation", share))
    with pytest.raises(InputError, match="`train` must hold no rows of the test part; got"):
        DOORS["standardization"](leaking(small_splits(), "train", share))


@door
def test_relabelled_or_shuffled_test_rows_are_refused(fit):
    splits = small_splits()
    part = "train" if fit is fit_standardization else "validation"
    turned = splits.test.take(np.arange(len(splits.test))[::-1], part=part)
    with pytest.raises(InputError, match="must hold no rows of the test part"):
        fit(Splits(**(splits.parts | {part: turned})))
    # Features that are left out hide nothing.
    fewer = Splits(**(splits.parts | {part: turned})).select(["text", "image"])
    with pytest.raises(InputError, match="must hold no rows of the test part"):
        fit(fewer)


def test_a_single_duplicate_is_not_a_leak():
    splits = small_splits()
    rows = splits.validation
    one = {name: np.concatenate([splits.test.features[name][:1], array[1:]]) for name, array in rows.features.items()}
    refuse_leak(type(rows)(one, rows.label, np.ones_like(rows.present), part="validation"), splits.test)


def test_what_is_absent_is_not_compared():
    splits = small_splits()
    absent = type(splits.test)(
        {name: np.zeros_like(array) for name, array in splits.test.features.items()}, splits.test.label,
        np.zeros_like(splits.test.present))  # fmt: skip
    assert shared_rows(absent, absent) == 0
    noisy = type(splits.test)(
        {name: np.where(splits.test.present[:, [c]], array, 7.0)
         for c, (name, array) in enumerate(splits.test.features.items())},
        splits.test.label, splits.test.present)  # fmt: skip
    assert shared_rows(noisy, splits.test) == splits.test.present.any(axis=1).sum()


def test_standardization_of_all_parts_is_that_of_the_training_part():
    splits = small_splits()
    for name, mean in fit_standardization(splits).mean.items():
        np.testing.assert_array_equal(mean, fit_standardization(splits.train).mean[name])
