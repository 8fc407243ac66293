"""Standardization: the right numbers, from present training rows alone, read in blocks."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from aecf_jax.config import DataConfig
from aecf_jax.data import Dataset, _checks, fit_standardization, load_splits
from aecf_jax.errors import InputError


def dataset(features, present=None, part="train"):
    rows = len(features)
    present = np.ones(rows, bool) if present is None else present
    return Dataset({"image": features}, np.zeros(rows, int), present[:, None], part=part)


@hypothesis.given(
    features=hnp.arrays(np.float32, (12, 3), elements=st.floats(-100, 100, width=32)),
    present=hnp.arrays(bool, 12),
    block=st.sampled_from([1, 7, 1 << 20]),
)
def test_mean_and_deviation_of_present_rows(features, present, block):
    hypothesis.assume(present.any())
    kept, _checks.BLOCK_VALUES = _checks.BLOCK_VALUES, block
    fitted = fit_standardization(dataset(np.where(present[:, None], features, np.nan).astype(np.float32), present))
    _checks.BLOCK_VALUES = kept
    rows = features[present].astype(np.float64)
    # Rounding to float32: half a unit in the last place is 6e-8.
    np.testing.assert_allclose(fitted.mean["image"], rows.mean(axis=0), rtol=1e-6, atol=1e-12)
    deviation = rows.std(axis=0)
    varies = deviation > 1e-6 * np.abs(rows).max(axis=0)
    np.testing.assert_allclose(fitted.scale["image"][varies], deviation[varies], rtol=1e-6)
    assert (fitted.scale["image"] > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-30])
def test_feature_that_does_not_vary_has_scale_one(value):
    fitted = fit_standardization(dataset(np.full((1000, 2), value)))
    assert fitted.scale["image"].tolist() == [1.0, 1.0]
    np.testing.assert_array_equal(fitted.mean["image"], np.float32(value))


def test_deviation_below_the_least_float32_counts_as_none():
    least = np.finfo(np.float32).smallest_subnormal
    fitted = fit_standardization(dataset(np.array([[0.0], [0.0], [0.0], [0.0], [least]], np.float32)))
    assert fitted.scale["image"].tolist() == [1.0]


def test_small_but_real_variation_is_scaled():
    fitted = fit_standardization(dataset(np.array([[1e-20], [3e-20]])))
    np.testing.assert_allclose(fitted.scale["image"], 1e-20, rtol=1e-6)  # float32 rounding


def test_large_offset_does_not_cost_the_deviation():
    features = (1e4 + np.random.default_rng(0).normal(size=(5000, 1))).astype(np.float32)
    fitted = fit_standardization(dataset(features))
    # Two passes in float64: only the rounding of the result is left. In float32 one pass would lose every digit.
    np.testing.assert_allclose(fitted.scale["image"], features.astype(np.float64).std(), rtol=1e-6)


def test_modality_that_is_never_present_has_mean_zero_and_scale_one():
    fitted = fit_standardization(dataset(np.full((4, 2), np.nan), np.zeros(4, bool)))
    assert (fitted.mean["image"].tolist(), fitted.scale["image"].tolist()) == ([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize("part", ["validation", "test"])
def test_other_parts_are_refused(part):
    with pytest.raises(InputError) as error:
        fit_standardization(dataset(np.ones((4, 2)), part=part))
    assert str(error.value) == (
        f"`train` must be the training part: constants are fitted on nothing else; got the {part} part."
    )


def test_fitted_on_training_rows_whatever_the_others_hold(tmp_path):
    draw = np.random.default_rng(0)
    split = np.arange(30) % 3
    image = draw.normal(size=(30, 4)).astype(np.float32)
    fitted = []
    for shift in (0.0, 1e3):
        path = tmp_path / f"{shift}.npz"
        np.savez(path, image=image + shift * (split > 0)[:, None], label=np.arange(30) % 2, split=split)
        fitted.append(fit_standardization(load_splits(DataConfig(data=str(path))).train))
    np.testing.assert_array_equal(fitted[0].mean["image"], fitted[1].mean["image"])
    np.testing.assert_array_equal(fitted[0].scale["image"], fitted[1].scale["image"])
