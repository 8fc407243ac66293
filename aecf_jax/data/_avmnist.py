"""AV-MNIST: images of MNIST, each paired with a spoken digit of the Free Spoken Digit Dataset of the same class.

No recording is heard in two parts: the data set's own rule keeps each speaker's recordings 0 to 4 of every digit for
testing; 5 to 9 are for validation, the rest for training.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from aecf_jax.config import DataConfig
from aecf_jax.data import _split
from aecf_jax.data._audio import log_mel, read_wav, with_noise
from aecf_jax.data._dataset import Dataset, Splits
from aecf_jax.data._idx import read_idx
from aecf_jax.data._pca import fit_components, projected
from aecf_jax.data._source import Source, original_files
from aecf_jax.errors import require
from aecf_jax.rng import Stream

_IMAGES, _LABELS = "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz"
_RECORDINGS = "fsdd/recordings"
_WHITE = 255.0
_DIGITS = 10
_PART = 0.1  # Of the images, for validation and again for testing.
_LAST_TEST, _LAST_VALIDATION = 4, 9  # Of a speaker's recordings of one digit.

_IMAGE_VARIANCE = 0.25
_AUDIO_COMPONENTS = 64
_BABBLE = 3  # Other recordings in the noise.
_DECIBELS = (-14.0, 2.0)


class Recording(NamedTuple):
    """One spoken digit.

    Attributes:
        name: of its file, `digit_speaker_index`.
        digit: what is said.
        part: which part of the data it belongs to, 0 train, 1 validation, 2 test.
        samples: in [-1, 1).
    """

    name: str
    digit: int
    part: int
    samples: Float[np.ndarray, "samples"]


class Originals(NamedTuple):
    """The content of the original files.

    Attributes:
        images: pixels, 0 to 255.
        digits: what the images show.
        recordings: in the order of their names.
    """

    images: UInt8[np.ndarray, "rows pixels"]
    digits: Int[np.ndarray, "rows"]
    recordings: list[Recording]


def load_avmnist(config: DataConfig) -> Splits:
    """Returns 8,000, 1,000 and 1,000 images with a spoken digit each.

    Plain: `image` has 784 pixels in [0, 1], `audio` 32 log-mel bands in 16 frames. Hard: `image` has the principal
    components that hold a quarter of the variance; the audio has babble of three other recordings of the same part and
    white noise added, at -14 to 2 dB, and 64 components. Components are fitted on training rows only.
    """
    return built(read_originals(config), hard=config.difficulty == "hard", seed=config.split_seed)


def read_originals(config: DataConfig) -> Originals:
    """Returns the images and recordings in the root's `mnist` and `fsdd` folders.

    Raises:
        InputError: if a file is missing or damaged, or there is no recording.
    """
    images_path, labels_path, folder = original_files(config, _IMAGES, _LABELS, _RECORDINGS)
    images, digits = read_idx(images_path, 3), read_idx(labels_path, 1)
    require(len(images) == len(digits), labels_path.name, f"have {len(images)} labels, one for each image", len(digits))
    recordings = [_read_recording(path) for path in sorted(folder.glob("*.wav"))]
    require(len(recordings) > 0, "root", f"hold wav files in {_RECORDINGS}", f"{folder} without any")
    return Originals(images.reshape(len(images), -1), digits.astype(np.int32), recordings)


def built(originals: Originals, *, hard: bool, seed: int) -> Splits:
    """Returns the three parts, made from images and recordings.

    Args:
        originals: the content of the files.
        hard: whether to take so much from either modality that one alone is not enough.
        seed: of the parts, the pairs and the noise.

    Raises:
        InputError: if a part has no recording of a digit that it has an image of.
    """
    parts = _split.random_parts(np.zeros_like(originals.digits), _PART, _PART, seed)
    paired = paired_recordings(originals, parts, seed)
    if hard:
        train = parts == _split.TRAIN
        image = originals.images / _WHITE
        image = projected(image, fit_components(image[train], variance=_IMAGE_VARIANCE))
        audio = log_mel(_noisy(originals, parts, paired, seed))
        audio = projected(audio, fit_components(audio[train], most=_AUDIO_COMPONENTS))
    else:
        image = originals.images / np.float32(_WHITE)
        audio = log_mel([recording.samples for recording in originals.recordings])[paired]
    present = np.ones((len(image), 2), np.bool_)
    name = "avmnist (hard)" if hard else "avmnist"
    whole = Dataset({"image": image, "audio": audio}, originals.digits, present, name=name, label_kind="classes",
                    num_classes=_DIGITS)  # fmt: skip
    return _split.cut(whole, parts)


def paired_recordings(originals: Originals, parts: Int[np.ndarray, "rows"], seed: int) -> Int[np.ndarray, "rows"]:
    """Returns for every image the number of a recording of the same digit and the same part.

    Args:
        originals: the content of the files.
        parts: the part of every image.
        seed: of the draw.

    Raises:
        InputError: if there is none.
    """
    said = np.array([recording.digit for recording in originals.recordings])
    heard_in = np.array([recording.part for recording in originals.recordings])
    paired = np.zeros(len(parts), np.int64)
    for part, name in enumerate(_split.PARTS):
        draw = _split.random_stream(seed, Stream.PAIRING, part)
        for digit in range(_DIGITS):
            rows = np.flatnonzero((parts == part) & (originals.digits == digit))
            pool = np.flatnonzero((heard_in == part) & (said == digit))
            require(len(pool) > 0 or not len(rows), _RECORDINGS, f"have {name} recordings of digit {digit}", "none")
            paired[rows] = draw.choice(pool, len(rows)) if len(rows) else 0
    return paired


def _noisy(originals: Originals, parts: np.ndarray, paired: np.ndarray, seed: int) -> list[np.ndarray]:
    """Returns every row's recording with noise, drawn for that row from the recordings of its part."""
    samples = [recording.samples for recording in originals.recordings]
    heard_in = np.array([recording.part for recording in originals.recordings])
    noisy: list[np.ndarray] = [np.zeros(0)] * len(parts)
    for part, name in enumerate(_split.PARTS):
        draw = _split.random_stream(seed, Stream.NOISE, part)
        pool = np.flatnonzero(heard_in == part)
        require(len(pool) > _BABBLE, _RECORDINGS, f"have more than {_BABBLE} {name} recordings", len(pool))
        for row in np.flatnonzero(parts == part):
            others = draw.choice(len(pool) - 1, _BABBLE, replace=False)
            others += others >= np.searchsorted(pool, paired[row])
            clean = samples[paired[row]]
            white = draw.standard_normal(len(clean))
            babble = [samples[other] for other in pool[others]]
            noisy[row] = with_noise(clean, babble, white, draw.uniform(*_DECIBELS))
    return noisy


def _read_recording(path: Path) -> Recording:
    """Returns a recording, its digit and its part, which its name tells."""
    match = re.fullmatch(r"(\d)_[a-z]+_(\d+)", path.stem)
    require(match is not None, path.name, "be named digit_speaker_index.wav", "another name")
    digit, index = (int(group) for group in match.groups()) if match else (0, 0)
    part = _split.TEST if index <= _LAST_TEST else _split.VALIDATION if index <= _LAST_VALIDATION else _split.TRAIN
    return Recording(path.stem, digit, part, read_wav(path))


AVMNIST = Source(
    name="avmnist",
    summary="Images of MNIST (t10k), each paired with a spoken digit of FSDD; --difficulty hard: faint and noisy",
    licence="CC BY-SA 3.0 (MNIST, LeCun, Cortes, Burges), CC BY-SA 4.0 (Free Spoken Digit Dataset)",
    rows=10_000,
    labels="10 classes",
    modalities=("image", "audio"),
    folder="mnist/, fsdd/recordings/",
    load=load_avmnist,
    difficulties=("plain", "hard"),
)
