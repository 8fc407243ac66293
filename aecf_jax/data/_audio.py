"""Sound: reading 16-bit wav files, log-mel features of recordings of any length, and noise at a given ratio."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from aecf_jax.data._pca import DECIMALS
from aecf_jax.errors import require

RATE = 8000
"""Samples per second."""

BANDS, FRAMES, WINDOW = 32, 16, 512
"""Mel bands, frames per recording, and samples per frame (64 ms)."""

_FLOOR = 1e-3  # Added to the energies before the logarithm, of recordings scaled to power 1: about -30 dB per band.
_BLOCK = 256  # Recordings transformed at a time: 17 MB of frames.


def read_wav(path: Path) -> Float[np.ndarray, "samples"]:
    """Returns a recording's samples in [-1, 1).

    Raises:
        InputError: if the file cannot be read, or is not mono, of 16 bits and `RATE` samples a second.
    """
    try:
        with wave.open(str(path)) as opened:
            kind = (opened.getnchannels(), opened.getsampwidth(), opened.getframerate())
            data = opened.readframes(opened.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        require(False, path.name, "be a readable wav file", str(error) or type(error).__name__)
        raise
    require(kind == (1, 2, RATE), path.name, f"be mono, 16 bits, {RATE} Hz", f"{kind[0]} channels, "
            f"{8 * kind[1]} bits, {kind[2]} Hz")  # fmt: skip
    require(len(data) >= 2, path.name, "hold samples", "none")
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64) / 2**15


def log_mel(recordings: Sequence[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "rows bands_frames"]:
    """Returns log-mel energies, `(rows, BANDS * FRAMES)` float32, frames first; loudness and length are divided out.

    Every recording is scaled to power 1 and read in `FRAMES` windows spread evenly from its start to its end, so that
    the same word spoken slowly or fast gives the same frames.

    Args:
        recordings: samples, of any lengths.
    """
    window = np.hanning(WINDOW + 1)[:-1]
    bank = _mel_bank()
    blocks: list[np.ndarray] = []
    for start in range(0, len(recordings), _BLOCK):
        frames = np.stack([_frames(samples) for samples in recordings[start : start + _BLOCK]])
        energy = np.square(np.abs(np.fft.rfft(frames * window))) / WINDOW
        blocks.append(np.log(energy @ bank + _FLOOR).reshape(len(frames), -1))
    return np.round(np.concatenate(blocks), DECIMALS).astype(np.float32)


def with_noise(
    samples: Float[np.ndarray, "samples"],
    babble: Sequence[Float[np.ndarray, "_"]],
    white: Float[np.ndarray, "samples"],
    decibels: float,
) -> Float[np.ndarray, "samples"]:
    """Returns a recording with noise, half of its power babble and half white, at a given signal-to-noise ratio.

    Args:
        samples: the recording.
        babble: other recordings, of any lengths, repeated or cut to the recording's.
        white: white noise.
        decibels: ten times the logarithm of the recording's power over that of the noise.
    """
    voices = np.sum([_unit_power(np.resize(voice, len(samples))) for voice in babble], axis=0)
    noise = _unit_power(_unit_power(voices) + _unit_power(white))
    return _unit_power(samples) + noise * 10.0 ** (-decibels / 20.0)


def _frames(samples: np.ndarray) -> np.ndarray:
    """Returns the windows of one recording, `(FRAMES, WINDOW)`."""
    padded = np.pad(_unit_power(samples), (0, max(0, WINDOW - len(samples))))
    starts = np.linspace(0, len(padded) - WINDOW, FRAMES).astype(np.int64)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[starts]


def _unit_power(samples: np.ndarray) -> np.ndarray:
    """Returns samples scaled to a mean square of 1; silence stays silence."""
    power = float(np.mean(np.square(samples)))
    return samples / np.sqrt(power) if power > 0 else samples


def _mel_bank() -> np.ndarray:
    """Returns triangular filters evenly spaced in mel, `(WINDOW // 2 + 1, BANDS)`."""
    highest = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(0.0, highest, BANDS + 2) / 2595.0) - 1.0)
    hertz = np.fft.rfftfreq(WINDOW, 1.0 / RATE)[:, None]
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    return np.clip(np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0.0, None)
