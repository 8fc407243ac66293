"""The readers of original formats: ARFF, IDX and wav, each strict."""

import gzip
import struct
import wave

import numpy as np
import pytest

from aecf_jax.data._arff import read_arff
from aecf_jax.data._audio import RATE, read_wav
from aecf_jax.data._idx import read_idx
from aecf_jax.errors import InputError

ARFF = """% a comment
@RELATION toy

@attribute first numeric
@ATTRIBUTE second Real
@attribute label {0, 1}

@DATA
% another
1.5, -2e3 ,1
3,4,0
"""


def sentence_of(read, path, *args):
    with pytest.raises(InputError) as error:
        read(path, *args)
    return str(error.value)


# ARFF


def test_arff(tmp_path):
    path = tmp_path / "toy.arff"
    path.write_text(ARFF)
    table = read_arff(path)
    assert table.names == ("first", "second", "label")
    assert table.values == (None, None, ("0", "1"))
    assert table.rows.tolist() == [[1.5, -2000.0, 1.0], [3.0, 4.0, 0.0]]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("3,4,0", "3,4", "`toy.arff line 11` must have 3 values; got 2."),
        ("3,4,0", "3,4,2", "`toy.arff line 11` must have one of 0, 1 for label; got 2."),
        (
            "3,4,0",
            "3,?,0",
            "`toy.arff line 11` must hold numbers; got could not convert string to float: '?'.",
        ),
        ("3,4,0", "{0 3, 1 4}", "`toy.arff line 11` must have 3 values; got 2."),
        ("Real", "string", "`toy.arff line 5` must be of type numeric, real, integer or {values}; got string."),
        ("second Real", "second", "`toy.arff line 5` must be @attribute NAME TYPE; got @ATTRIBUTE second."),
        ("@DATA", "", "`toy.arff` must have one line @data; got 0."),
        ("3,4,0", "@data", "`toy.arff` must have one line @data; got 2."),
        (ARFF[ARFF.index("% another") :], "", "`toy.arff` must have rows after @data; got none."),
    ],
)
def test_bad_arff(tmp_path, old, new, sentence):
    path = tmp_path / "toy.arff"
    path.write_text(ARFF.replace(old, new))
    assert sentence_of(read_arff, path) == sentence


def test_arff_that_is_no_text(tmp_path):
    path = tmp_path / "toy.arff"
    path.write_bytes(b"\xff\xfe\x00")
    assert sentence_of(read_arff, path).startswith("`toy.arff` must be readable text; got ")


# IDX


def idx(array, kind=8):
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_idx(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES)))
    np.testing.assert_array_equal(read_idx(path, 3), IMAGES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (idx(IMAGES)[:-1], "`images.gz` must be 40 bytes long, as it says, once unpacked; got 39."),
        (idx(IMAGES) + b"0", "`images.gz` must be 40 bytes long, as it says, once unpacked; got 41."),
        (idx(IMAGES)[:10], "`images.gz` must have a header of 16 bytes; got 10."),
        (idx(IMAGES[0]), "`images.gz` must be an IDX file of bytes in 3 dimensions; got 00000802."),
        (idx(IMAGES, kind=13), "`images.gz` must be an IDX file of bytes in 3 dimensions; got 00000d03."),
        (b"", "`images.gz` must be an IDX file of bytes in 3 dimensions; got ."),
    ],
)
def test_bad_idx(tmp_path, content, sentence):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content))
    assert sentence_of(read_idx, path, 3) == sentence


@pytest.mark.parametrize(
    "content",
    [b"nonsense", gzip.compress(idx(IMAGES))[:-9], gzip.compress(idx(IMAGES))[:3]],
    # Not the bytes: they have the time in them, and so would differ between test processes.
    ids=["nonsense", "truncated", "three bytes"],
)
def test_bad_gzip(tmp_path, content):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    assert sentence_of(read_idx, path, 3).startswith("`images.gz` must be a readable gzip file; got ")


def test_flipped_byte_of_gzip_is_found(tmp_path):
    path = tmp_path / "images.gz"
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-6] ^= 1  # of the checksum
    path.write_bytes(content)
    assert sentence_of(read_idx, path, 3).startswith("`images.gz` must be a readable gzip file; got CRC")


# wav


def write_wav(path, samples, channels=1, width=2, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


def test_wav(tmp_path):
    samples = np.array([0, 1, -1, 32767, -32768], "<i2")
    path = write_wav(tmp_path / "a.wav", samples.tobytes())
    np.testing.assert_array_equal(read_wav(path), samples / 32768)


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ({"channels": 2}, "2 channels, 16 bits, 8000 Hz"),
        ({"width": 1}, "1 channels, 8 bits, 8000 Hz"),
        ({"rate": 16000}, "1 channels, 16 bits, 16000 Hz"),
    ],
)
def test_wav_of_another_kind(tmp_path, settings, got):
    path = write_wav(tmp_path / "a.wav", bytes(8), **settings)
    assert sentence_of(read_wav, path) == f"`a.wav` must be mono, 16 bits, 8000 Hz; got {got}."


def test_bad_wav(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"nonsense")
    assert sentence_of(read_wav, path) == "`a.wav` must be a readable wav file; got file does not start with RIFF id."
    path.write_bytes(b"")
    assert sentence_of(read_wav, path) == "`a.wav` must be a readable wav file; got EOFError."
    assert sentence_of(read_wav, write_wav(path, b"")) == "`a.wav` must hold samples; got none."
