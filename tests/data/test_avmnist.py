"""AV-MNIST on its real files: who is heard where, what the hard variant takes away, and that training sees no test."""

import gzip
import shutil

import numpy as np
import pytest

from aecf_jax.config import DataConfig
from aecf_jax.data import SOURCES, _avmnist, _split, load_splits
from aecf_jax.errors import InputError

SEED = 0


@pytest.fixture(scope="module")
def originals(data_dir):
    return _avmnist.read_originals(DataConfig(data="avmnist", root=str(data_dir)))


@pytest.fixture(scope="module")
def few(originals):
    """A tenth of the images, so that the hard variant takes a fraction of a second."""
    return originals._replace(images=originals.images[::10], digits=originals.digits[::10])


def parts_of(originals, seed=SEED):
    return _split.random_parts(np.zeros_like(originals.digits), 0.1, 0.1, seed)


def test_plain(data_dir, originals):
    splits = load_splits(DataConfig(data="avmnist", root=str(data_dir)))
    source = SOURCES["avmnist"]
    assert [len(part) for part in splits] == [8000, 1000, 1000]
    assert (splits.modalities, splits.widths) == (source.modalities, (784, 512))
    assert (splits.num_classes, splits.label_kind, splits.name) == (10, "classes", "avmnist")
    test = parts_of(originals) == _split.TEST
    np.testing.assert_array_equal(splits.test.features["image"], originals.images[test] / np.float32(255))
    np.testing.assert_array_equal(splits.test.label, originals.digits[test])


def test_original_files(originals):
    assert originals.images.shape == (10_000, 784)
    assert len(originals.recordings) == 3000
    assert np.bincount(originals.digits)[:3].tolist() == [980, 1135, 1032]  # of MNIST's test part
    by_part = np.bincount([recording.part for recording in originals.recordings])
    assert by_part.tolist() == [2400, 300, 300]


def test_no_recording_is_heard_in_two_parts(originals):
    parts = parts_of(originals)
    paired = _avmnist.paired_recordings(originals, parts, SEED)
    names = [originals.recordings[index].name for index in paired]
    index_of = np.array([int(name.rsplit("_", 1)[1]) for name in names])
    assert index_of[parts == _split.TEST].max() <= 4
    assert set(index_of[parts == _split.VALIDATION]) <= {5, 6, 7, 8, 9}
    assert index_of[parts == _split.TRAIN].min() >= 10
    heard = [{name for name, part in zip(names, parts, strict=True) if part == number} for number in range(3)]
    assert sum(map(len, heard)) == len(set.union(*heard))
    # 8,000 draws from 2,400 recordings miss a share of exp(-3.3) of them.
    assert len(heard[0]) > 2200


def test_image_and_recording_are_of_the_same_digit(originals):
    paired = _avmnist.paired_recordings(originals, parts_of(originals), SEED)
    said = [int(originals.recordings[index].name[0]) for index in paired]
    assert said == originals.digits.tolist()


def test_pairs_are_seeded(originals):
    parts = parts_of(originals)
    first, again, other = (_avmnist.paired_recordings(originals, parts, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_babble_is_of_the_same_part(few, monkeypatch):
    parts = parts_of(few)
    paired = _avmnist.paired_recordings(few, parts, SEED)
    part_of = {id(recording.samples): recording.part for recording in few.recordings}
    heard, decibels = [], []

    def listening(samples, babble, white, ratio):
        heard.append((id(samples), [id(voice) for voice in babble]))
        decibels.append(ratio)
        return samples

    monkeypatch.setattr(_avmnist, "with_noise", listening)
    _avmnist._noisy(few, parts, paired, SEED)
    assert len(heard) == len(parts)
    for own, voices in heard:
        assert {part_of[voice] for voice in voices} == {part_of[own]}
        assert len({own, *voices}) == 4
    assert -14 <= min(decibels) < -13
    assert 1 < max(decibels) <= 2


def test_hard(few):
    splits = _avmnist.built(few, hard=True, seed=SEED)
    image, audio = splits.widths
    assert 3 <= image <= 5  # a quarter of the variance is about four components
    assert audio == 64
    assert splits.name == "avmnist (hard)"
    images = few.images[parts_of(few) == _split.TRAIN] / 255.0
    kept = splits.train.features["image"].var(axis=0).sum() / images.var(axis=0).sum()
    least = splits.train.features["image"].var(axis=0)[:-1].sum() / images.var(axis=0).sum()
    assert least < 0.25 <= kept + 1e-4  # scores are rounded to four decimals


@pytest.mark.parametrize("changed", [_split.VALIDATION, _split.TEST])
def test_other_parts_change_nothing_in_training(few, changed):
    rows = parts_of(few) == changed
    images = few.images.copy()
    images[rows] = 255 - images[rows]
    recordings = [
        recording._replace(samples=recording.samples[::-1]) if recording.part == changed else recording
        for recording in few.recordings
    ]
    before = _avmnist.built(few, hard=True, seed=SEED)
    after = _avmnist.built(few._replace(images=images, recordings=recordings), hard=True, seed=SEED)
    for name in before.modalities:
        np.testing.assert_array_equal(after.train.features[name], before.train.features[name])
        moved = "test" if changed == _split.TEST else "validation"
        assert (after.parts[moved].features[name] != before.parts[moved].features[name]).any()


def test_variants_have_the_same_rows_and_pairs(few):
    plain, hard = (_avmnist.built(few, hard=hard, seed=SEED) for hard in (False, True))
    np.testing.assert_array_equal(plain.test.label, hard.test.label)


def test_noise_is_seeded(few):
    parts = parts_of(few)
    paired = _avmnist.paired_recordings(few, parts, SEED)
    first, again, other = (np.concatenate(_avmnist._noisy(few, parts, paired, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


# Bad originals


def test_digit_that_nobody_says(few):
    recordings = [recording for recording in few.recordings if (recording.digit, recording.part) != (3, _split.TEST)]
    with pytest.raises(InputError) as error:
        _avmnist.built(few._replace(recordings=recordings), hard=False, seed=SEED)
    assert str(error.value) == "`fsdd/recordings` must have test recordings of digit 3; got none."


def test_too_few_recordings_for_babble(few):
    ones = few._replace(images=few.images[few.digits == 1], digits=few.digits[few.digits == 1])
    heard = [recording for recording in few.recordings if recording.digit == 1]
    kept = [recording for recording in heard if recording.part != _split.TEST]
    kept += [recording for recording in heard if recording.part == _split.TEST][:3]
    with pytest.raises(InputError) as error:
        _avmnist.built(ones._replace(recordings=kept), hard=True, seed=SEED)
    assert str(error.value) == "`fsdd/recordings` must have more than 3 test recordings; got 3."


@pytest.fixture
def copied_root(tmp_path, data_dir):
    shutil.copytree(data_dir / "mnist", tmp_path / "mnist")
    (tmp_path / "fsdd" / "recordings").mkdir(parents=True)
    return tmp_path


def sentence_of(root):
    with pytest.raises(InputError) as error:
        load_splits(DataConfig(data="avmnist", root=str(root)))
    return str(error.value)


def test_no_recordings(copied_root):
    folder = copied_root / "fsdd" / "recordings"
    assert sentence_of(copied_root) == f"`root` must hold wav files in fsdd/recordings; got {folder} without any."


def test_recording_with_another_name(copied_root):
    (copied_root / "fsdd" / "recordings" / "seven.wav").write_bytes(b"")
    assert sentence_of(copied_root) == "`seven.wav` must be named digit_speaker_index.wav; got another name."


def test_images_and_labels_of_different_files(copied_root):
    labels = copied_root / "mnist" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 7])))
    assert sentence_of(copied_root) == "`t10k-labels-idx1-ubyte.gz` must have 10000 labels, one for each image; got 2."
