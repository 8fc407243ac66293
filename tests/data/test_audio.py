"""Log-mel features, noise at a given ratio, and principal components."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from aecf_jax.data._audio import BANDS, FRAMES, RATE, WINDOW, log_mel, with_noise
from aecf_jax.data._pca import fit_components, projected


def tone(hertz, samples=4000):
    return np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)


def frames_and_bands(recording):
    (features,) = log_mel([recording])
    return features.reshape(FRAMES, BANDS)


@pytest.mark.parametrize("hertz", [200.0, 700.0, 1500.0, 3000.0])
def test_tone_is_loudest_in_the_band_of_its_frequency(hertz):
    mel = 2595 * np.log10(1 + hertz / 700)
    highest = 2595 * np.log10(1 + RATE / 2 / 700)
    nearest = round(mel / highest * (BANDS + 1)) - 1
    assert (np.abs(frames_and_bands(tone(hertz)).argmax(axis=1) - nearest) <= 1).all()


def test_frames_go_from_start_to_end():
    recording = np.concatenate([tone(300.0), tone(2500.0)])
    loudest = frames_and_bands(recording).argmax(axis=1)
    assert (loudest[:7] < 10).all()
    assert (loudest[9:] > 20).all()


@hypothesis.given(factor=st.floats(1e-3, 1e3))
def test_loudness_is_divided_out(factor):
    recording = tone(700.0) + 0.1 * tone(1500.0)
    # Rounded to four decimals, which a last bit of the input may tip.
    np.testing.assert_allclose(log_mel([factor * recording]), log_mel([recording]), atol=2e-4)


@pytest.mark.parametrize("samples", [1, WINDOW - 1, WINDOW, WINDOW + 1, 20_000])
def test_any_length_gives_the_same_number_of_features(samples):
    features = log_mel([tone(700.0, samples)])
    assert features.shape == (1, BANDS * FRAMES)
    assert np.isfinite(features).all()


def test_silence_is_finite():
    assert np.isfinite(log_mel([np.zeros(4000)])).all()


def test_rows_do_not_depend_on_their_company():
    recordings = [tone(100.0 + hertz, 2000 + hertz) for hertz in range(300)]  # more than one block
    np.testing.assert_array_equal(log_mel(recordings)[270], log_mel([recordings[270]])[0])


@pytest.mark.parametrize("decibels", [-14.0, 0.0, 20.0])
def test_noise_has_the_ratio_asked_for(decibels):
    draw = np.random.default_rng(0)
    clean = 0.01 * tone(700.0)
    noisy = with_noise(clean, [tone(300.0, 900), 5 * tone(411.0, 9000)], draw.normal(size=4000), decibels)
    unit = clean / np.sqrt(np.mean(clean**2))
    noise = noisy - unit
    assert 10 * np.log10(np.mean(unit**2) / np.mean(noise**2)) == pytest.approx(decibels, abs=1e-9)  # float64


def test_half_of_the_noise_is_white():
    white = np.random.default_rng(0).normal(size=4000)
    white /= np.sqrt(np.mean(white**2))
    noise = with_noise(np.zeros(4000), [tone(300.0)], white, 0.0)
    # Power 1 in all; white noise and a tone are uncorrelated up to 4000 ** -0.5.
    assert np.mean(noise * white) == pytest.approx(np.sqrt(0.5), abs=0.03)


# Principal components


def rows(count=200, width=6):
    draw = np.random.default_rng(0)
    return draw.normal(size=(count, width)) * 2.0 ** -np.arange(width) + 3.0


def test_components_are_those_of_the_covariance():
    fitted = fit_components(rows())
    covariance = np.cov(rows().T)
    scores = projected(rows(), fitted)
    # Scores are rounded to four decimals; their covariance to about that.
    np.testing.assert_allclose(np.cov(scores.T), fitted.axes.T @ covariance @ fitted.axes, atol=1e-3)
    off = np.cov(scores.T) - np.diag(np.diag(np.cov(scores.T)))
    np.testing.assert_allclose(off, 0, atol=1e-3)
    assert (np.diff(np.diag(np.cov(scores.T))) < 0).all()
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(fitted.axes.T @ fitted.axes, np.eye(6), atol=1e-12)  # float64


@hypothesis.given(share=st.floats(0.05, 1.0))
def test_fewest_components_that_hold_a_share(share):
    fitted = fit_components(rows(), variance=share)
    values = np.sort(np.linalg.eigvalsh(np.cov(rows().T)))[::-1]
    held = np.cumsum(values) / values.sum()
    count = fitted.axes.shape[1]
    # Rounding of float64 sums.
    assert held[count - 1] >= share - 1e-12
    assert count == 1 or held[count - 2] < share + 1e-12


def test_most_components_and_sign():
    fitted = fit_components(rows(), most=2)
    assert fitted.axes.shape == (6, 2)
    assert (fitted.axes[np.abs(fitted.axes).argmax(axis=0), [0, 1]] > 0).all()
    mirrored = fit_components(6.0 - rows(), most=2)
    np.testing.assert_allclose(mirrored.axes, fitted.axes, atol=1e-9)  # float64 eigenvectors


def test_scores_are_rounded():
    scores = projected(rows(), fit_components(rows())).astype(np.float64)
    np.testing.assert_allclose(scores, np.round(scores, 4), atol=1e-6)  # float32 of a rounded number
