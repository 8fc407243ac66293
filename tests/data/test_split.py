"""Random parts: seeded, disjoint, of the size asked for, with every class in proportion; and parts read from a file."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from aecf_jax.data._split import random_parts, random_stream, read_parts
from aecf_jax.errors import InputError
from aecf_jax.rng import Stream

FRACTIONS = st.floats(0.05, 0.45)


@hypothesis.given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=6), validation=FRACTIONS, test=FRACTIONS,
                  seed=st.integers(0, 3))  # fmt: skip
def test_sizes_are_exact_and_every_class_in_proportion(counts, validation, test, seed):
    strata = np.repeat(np.arange(len(counts)), counts)
    parts = random_parts(strata, validation, test, seed)
    rows = len(strata)
    assert (parts == 2).sum() == round(rows * test)
    assert (parts == 1).sum() == round(rows * validation)
    for stratum, count in enumerate(counts):
        chosen = parts[strata == stratum]
        # One row for the rounding of the whole, one for where the class begins and ends among the ordered rows.
        assert abs((chosen == 2).sum() - count * test) < 2
        assert abs((chosen == 1).sum() - count * validation) < 4  # from rows of which the test part took its own


def test_same_seed_same_parts_and_another_seed_others():
    strata = np.arange(100) % 5
    first = random_parts(strata, 0.2, 0.2, seed=1)
    np.testing.assert_array_equal(first, random_parts(strata, 0.2, 0.2, seed=1))
    assert (first != random_parts(strata, 0.2, 0.2, seed=2)).any()


def test_rows_are_drawn_at_random_within_a_class():
    test = np.mean([random_parts(np.zeros(20, int), 0.2, 0.25, seed) == 2 for seed in range(400)], axis=0)
    # Every row is in the test part with probability 0.25: six standard errors of 400 draws are 0.13.
    np.testing.assert_allclose(test, 0.25, atol=0.13)


def test_rows_must_be_left_to_train_on():
    with pytest.raises(InputError, match=r"must be below 1, to leave rows to train on; got 1\.1"):
        random_parts(np.zeros(10, int), 0.9, 0.2, seed=0)


def test_streams_and_positions_are_apart():
    streams = [(0, Stream.SPLIT), (1, Stream.SPLIT), (0, Stream.NOISE, 0), (0, Stream.NOISE, 1)]
    assert len({random_stream(*stream).random() for stream in streams}) == len(streams)
    assert random_stream(3, Stream.NOISE, 1).random() == random_stream(3, Stream.NOISE, 1).random()


@pytest.mark.parametrize(
    "split",
    [
        np.array(["train", "test", "validation", "train"]),
        np.array([b"train", b"test", b"validation", b"train"]),
        np.array([0, 2, 1, 0]),
        np.array([0.0, 2.0, 1.0, 0.0]),
    ],
)
def test_parts_of_a_file(split):
    assert read_parts(split, 4).tolist() == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (np.array([0, 1, 3]), "`split` must hold 0, 1, 2 or train, validation, test; got 3 in row 2."),
        (np.array([0.5, 1, 2]), "`split` must hold 0, 1, 2 or train, validation, test; got 0.5 in row 0."),
        (
            np.array(["train", "val", "test"]),
            "`split` must hold 0, 1, 2 or train, validation, test; got val in row 1.",
        ),
        (np.array([0, 1]), "`split` must have shape (3,), a part for every row; got shape (2,)."),
        (np.zeros((3, 1)), "`split` must have shape (3,), a part for every row; got shape (3, 1)."),
    ],
)
def test_bad_parts_of_a_file(split, sentence):
    with pytest.raises(InputError) as error:
        read_parts(split, 3)
    assert str(error.value) == sentence
