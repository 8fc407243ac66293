"""The mechanisms that hide modalities: their rates, what they depend on, and that nothing ever changes a draw."""

import hashlib
import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aecf_jax import Dataset, make_drops
from aecf_jax.data import MECHANISMS
from aecf_jax.errors import InputError

NAMES = ("a", "b", "c")
ROWS = 4000


def made_dataset(rows=ROWS, present=None, names=NAMES):
    """Features of random bytes, so that golden hashes rest on no generator of NumPy's; sevenths, so that sums round."""
    features = {}
    for name in names:
        values = np.frombuffer(hashlib.shake_256(name.encode()).digest(rows * 4), np.uint8)
        features[name] = values.reshape(rows, 4) / np.float32(7)
    present = np.ones((rows, len(names)), bool) if present is None else present
    return Dataset(features, np.zeros(rows, np.int32), present)


DATA = made_dataset()
HOLES = made_dataset(present=np.arange(ROWS * 3).reshape(ROWS, 3) % 7 > 1)
SETTINGS = {
    "mcar": {"rate": 0.3}, "mar": {"rate": 0.3, "observed": "b"}, "mnar": {"rate": 0.3},
    "exclusive": {"rate": 0.3}, "bursts": {"rate": 0.3, "length": 4},
}  # fmt: skip
GOLDEN = {
    ("mcar", False): "f219ad8d22d704a8",
    ("mcar", True): "5b63a4aece4e53ce",
    ("mar", False): "df6dd8a17ee79f71",
    ("mar", True): "4d4fdff9f84e2e9e",
    ("mnar", False): "35ced2fea08c00fa",
    ("mnar", True): "895a67be2eff011f",
    ("exclusive", False): "f9836710f4f3ad38",
    ("exclusive", True): "041b978ca262e3b3",
    ("bursts", False): "fb990400a75ca856",
    ("bursts", True): "a3afd697a8e33ee7",
}


def share_hidden(table):
    return np.array(list(table.marginals().hidden.values()))


def binomial_error(rate, count):
    """Five standard deviations: a draw as far off by chance comes once in two million."""
    return 5 * np.sqrt(rate * (1 - rate) / count)


@pytest.mark.parametrize("allow_empty", [False, True])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_hash_is_golden(mechanism, allow_empty):
    """The draws and the table's form are promised on every machine and version: these numbers may never change."""
    table = make_drops(HOLES, mechanism, **SETTINGS[mechanism], allow_empty=allow_empty, seed=7)
    assert table.hash[:16] == GOLDEN[mechanism, allow_empty]


# Rates


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar", "bursts"])
def test_rate_is_met_where_rows_may_be_empty(mechanism, rate):
    table = make_drops(HOLES, mechanism, **{**SETTINGS[mechanism], "rate": rate}, allow_empty=True)
    wanted = np.array([rate, 0 if mechanism == "mar" else rate, rate])
    # A burst is one draw for its rows.
    count = HOLES.present.sum(axis=0) / SETTINGS[mechanism].get("length", 1)
    assert (np.abs(share_hidden(table) - wanted) <= binomial_error(wanted, count)).all()


def test_rate_is_met_where_the_data_lacks_rows_by_what_others_depend_on():
    present = np.ones((ROWS, 3), bool)
    present[:, 0] = projection("b", 0) > np.median(projection("b", 0))
    table = make_drops(made_dataset(present=present), "mar", rate=0.5, observed="b")
    assert abs(share_hidden(table)[0] - 0.5) <= binomial_error(0.5, ROWS / 2)


@pytest.mark.parametrize("mechanism", ["mcar", "mnar", "bursts"])
def test_rates_by_modality_are_met_and_others_untouched(mechanism):
    options = SETTINGS[mechanism] | {"rate": {"c": 0.8, "a": 0.2}}
    table = make_drops(DATA, mechanism, **options)
    wanted = np.array([0.2, 0, 0.8])
    assert (np.abs(share_hidden(table) - wanted) <= binomial_error(wanted, ROWS / options.get("length", 1))).all()
    assert table.parameters["rate"] == {"a": 0.2, "b": 0, "c": 0.8}


@pytest.mark.parametrize("mechanism", ["mcar", "bursts"])
@pytest.mark.parametrize("rate", [0.3, {"a": 0.9, "b": 0.5, "c": 0.7}, {"a": 1.0, "b": 0.99, "c": 1.0}])
def test_patterns_have_the_conditional_distribution(mechanism, rate):
    """P(S) = prod of r over the hidden, of 1 - r over the visible, divided by P(not empty)."""
    rates = np.array(list(rate.values()) if isinstance(rate, dict) else [rate] * 3)
    table = make_drops(DATA, mechanism, **SETTINGS[mechanism] | {"rate": rate})
    for pattern in list(product([False, True], repeat=3))[1:]:
        chance = np.where(pattern, 1 - rates, rates).prod() / (1 - rates.prod())
        found = (table.visible == pattern).all(axis=1).mean()
        assert abs(found - chance) <= binomial_error(chance, ROWS / SETTINGS[mechanism].get("length", 1))
    assert table.marginals().empty == 0


def test_patterns_of_rows_that_lack_a_modality_are_conditional_too():
    table = make_drops(HOLES, "mcar", rate=0.6)
    for presence in np.unique(HOLES.present, axis=0):
        of = (HOLES.present == presence).all(axis=1)
        for pattern in np.unique(table.visible[of], axis=0):
            chance = 0.6 ** (presence.sum() - pattern.sum()) * 0.4 ** pattern.sum() / (1 - 0.6 ** presence.sum())
            assert pattern.any()
            assert abs((table.visible[of] == pattern).all(axis=1).mean() - chance) <= binomial_error(chance, of.sum())


@pytest.mark.parametrize("rate", [None, 0.4])
def test_exclusive_keeps_one_of_what_is_present_each_as_likely(rate):
    table = make_drops(HOLES, "exclusive", rate=rate)
    had, kept = HOLES.present.sum(axis=1), table.visible.sum(axis=1)
    assert ((kept == had) | (kept == 1)).all()
    reduced = kept[had > 1] == 1
    share = 1.0 if rate is None else rate
    assert abs(reduced.mean() - share) <= binomial_error(share, len(reduced))
    for size in (2, 3):
        one = (had == size) & (kept == 1)
        for column in range(3):
            found = table.visible[one & HOLES.present[:, column], column].mean()
            assert abs(found - 1 / size) <= binomial_error(1 / size, (one & HOLES.present[:, column]).sum())


def test_bursts_hide_whole_blocks_of_rows():
    table = make_drops(DATA, "bursts", rate=0.5, length=8)
    blocks = table.visible.reshape(-1, 8, 3)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(blocks[:, 0], axis=0)) == 7
    single = make_drops(DATA, "bursts", rate=0.5, length=1)
    np.testing.assert_array_equal(single.visible, make_drops(DATA, "mcar", rate=0.5).visible)


def test_uniforms_do_not_depend_on_the_other_modalities_or_on_the_rows_after():
    whole = make_drops(DATA, "mcar", rate=0.5, allow_empty=True).visible
    part = make_drops(made_dataset(100, names=("c", "b")), "mcar", rate=0.5, allow_empty=True).visible
    np.testing.assert_array_equal(part, whole[:100, [2, 1]])


def test_a_higher_rate_hides_more_of_the_same():
    low, high = (make_drops(DATA, "mcar", rate=rate, allow_empty=True).visible for rate in (0.2, 0.6))
    assert not (high & ~low).any()
    other = make_drops(DATA, "mcar", rate=0.2, allow_empty=True, seed=1).visible
    hidden_twice = (~low & ~other).mean()
    assert abs(hidden_twice - 0.04) <= binomial_error(0.04, other.size)


# What hiding depends on


def permutation_p(cause, hidden, draws=200):
    """The share of shuffles in which rows with and without a modality differ as much in the mean of a cause."""
    rng = np.random.default_rng(0)

    def gap(hidden):
        return abs(cause[hidden].mean() - cause[~hidden].mean())

    found = gap(hidden)
    return (1 + sum(gap(rng.permutation(hidden)) >= found for _ in range(draws))) / (1 + draws)


def signs(name, seed, width=4):
    """The random signs of a projection, by the definition in the docstrings."""
    message = json.dumps(["aecf_jax drops", seed, "signs", name]).encode()
    first_bits = [byte >> 7 for byte in hashlib.shake_256(message).digest(8 * width)[7::8]]
    return np.where(first_bits, 1.0, -1.0)


def projection(name, seed):
    return DATA.features[name] @ signs(name, seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_mar_depends_on_the_observed_modality_alone(seed):
    table = make_drops(DATA, "mar", rate=0.3, observed="b", seed=seed)
    assert table.visible[:, 1].all()
    for column in (0, 2):
        hidden = ~table.visible[:, column]
        assert permutation_p(projection("b", seed), hidden) < 0.005
        assert permutation_p(projection(NAMES[column], seed), hidden) > 0.01


@pytest.mark.parametrize("seed", [0, 1])
def test_mnar_depends_on_the_hidden_modality_alone(seed):
    table = make_drops(DATA, "mnar", rate=0.3, seed=seed, allow_empty=True)
    for column, name in enumerate(NAMES):
        hidden = ~table.visible[:, column]
        assert permutation_p(projection(name, seed), hidden) < 0.005
        assert permutation_p(projection(NAMES[column - 1], seed), hidden) > 0.01


@pytest.mark.parametrize(
    ("mechanism", "options"), [("mcar", {}), ("bursts", {"length": 1}), ("mnar", {"strength": 0.0})]
)
def test_others_depend_on_no_modality(mechanism, options):
    table = make_drops(DATA, mechanism, rate=0.3, **options)
    for column, name in product(range(3), NAMES):
        assert permutation_p(projection(name, 0), ~table.visible[:, column]) > 0.01


@pytest.mark.parametrize(("mechanism", "cause"), [("mar", "a"), ("mnar", "b")])
@pytest.mark.parametrize("rate", [0.25, 0.8])
def test_probability_is_the_stated_one(mechanism, cause, rate):
    """rate + strength min(rate, 1 - rate) place: many rows of few values, of which one is a tie and one is absent."""
    value = np.tile([3.0, 1.0, 2.0, 2.0, 9.0, 0.0], 2000)[:, None]
    present = np.repeat([[True, True]], len(value), axis=0)
    present[5::6, 0] = False
    dataset = Dataset({"a": value, "b": value}, np.zeros(len(value), np.int32), present)
    options = {"observed": "a"} if mechanism == "mar" else {}
    hidden = ~make_drops(dataset, mechanism, rate=rate, strength=0.5, allow_empty=True, **options).visible[:, 1]
    # Of n equal groups the k-th is at (2 k - 1 - n) / n.
    place = np.array([2, -4, -1, -1, 4, 0]) / 5 if mechanism == "mar" else np.array([3, -3, 0, 0, 5, -5]) / 6
    wanted = rate + 0.5 * min(rate, 1 - rate) * place * signs(cause, 0, 1)
    assert (np.abs(hidden.reshape(-1, 6).mean(axis=0) - wanted) <= binomial_error(wanted, 2000)).all()


def test_a_lone_row_has_the_plain_rate():
    """Its place is 0, the mean: an error of one rank would hide it always or never."""
    lone = made_dataset(1)
    hidden = [make_drops(lone, "mnar", rate=0.5, seed=seed, allow_empty=True).visible.sum() for seed in range(60)]
    assert abs(np.mean(hidden) / 3 - 0.5) <= binomial_error(0.5, 180)


# Properties


@settings(max_examples=60)
@given(
    present=arrays(bool, (6, 3)), mechanism=st.sampled_from(MECHANISMS), rate=st.floats(0, 0.999),
    seed=st.integers(0, 2**65), allow_empty=st.booleans(), strength=st.floats(0, 1), length=st.integers(1, 9),
)  # fmt: skip
def test_any_table_is_one_of_its_data(present, mechanism, rate, seed, allow_empty, strength, length):
    dataset = made_dataset(6, present)
    options = {"mar": {"observed": "b", "strength": strength}, "mnar": {"strength": strength},
               "bursts": {"length": length}}.get(mechanism, {})  # fmt: skip
    table, again = (
        make_drops(dataset, mechanism, rate=rate, seed=seed, allow_empty=allow_empty, **options) for _ in range(2)
    )
    assert table == again
    assert not (table.visible & ~present).any()
    if not allow_empty:
        np.testing.assert_array_equal(table.visible.any(axis=1), present.any(axis=1))
    if mechanism == "mar":
        np.testing.assert_array_equal(table.visible[:, 1], present[:, 1])
    nothing = make_drops(dataset, mechanism, rate=0.0, seed=seed, allow_empty=allow_empty, **options)
    np.testing.assert_array_equal(nothing.visible, present)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar", "bursts"])
def test_rate_1_hides_all_where_empty_rows_may_be(mechanism):
    table = make_drops(HOLES, mechanism, **SETTINGS[mechanism] | {"rate": 1.0}, allow_empty=True)
    assert not table.visible[:, [0, 2]].any()


def test_absent_values_are_never_read():
    features = {name: np.where(HOLES.present[:, [i]], HOLES.features[name], np.nan) for i, name in enumerate(NAMES)}
    poisoned = Dataset(features, HOLES.label, HOLES.present)
    for mechanism in ("mar", "mnar"):
        options = SETTINGS[mechanism]
        assert make_drops(poisoned, mechanism, **options) == make_drops(HOLES, mechanism, **options)


# What is refused


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(
    ("mechanism", "options", "error"),
    [
        ("mcra", {}, "`mechanism` must be one of mcar, mar, mnar, exclusive, bursts; got mcra. Did you mean `mcar`?"),
        ("mcar", {}, "`rate` must be given for mcar drops; got None."),
        ("mcar", {"rate": 1.1}, "`rate` must be a number from 0 to 1; got 1.1."),
        ("mcar", {"rate": float("nan")}, "`rate` must be a number from 0 to 1; got nan."),
        ("mcar", {"rate": True}, "`rate` must be a number from 0 to 1; got True."),
        ("mcar", {"rate": {"d": 0.5}}, "`rate` must name modalities that may be hidden, a, b, c; got d."),
        ("mcar", {"rate": {"a": -1}}, "`rate of a` must be a number from 0 to 1; got -1."),
        ("mcar", {"rate": 1}, "`rate` must leave every row a modality; got 1 for all that is present in rows 0, 1, 2 "),
        ("mcar", {"rate": 0.5, "seed": -1}, "`seed` must be a whole number from 0; got -1."),
        ("mcar", {"rate": 0.5, "length": 3}, "`length` must not be given for mcar drops; got 3."),
        ("mar", {"rate": 0.5}, "`observed` must be a modality of data; got None."),
        ("mar", {"rate": {"b": 0.5}, "observed": "b"}, "`rate` must name modalities that may be hidden, a, c; got b."),
        ("mnar", {"rate": 0.5, "strength": 2}, "`strength` must be a number from 0 to 1; got 2."),
        ("bursts", {"rate": 0.5}, "`length` must be a number of rows from 1; got None."),
        ("exclusive", {"rate": {"a": 1}}, "`rate` must be one number for exclusive drops; got {'a': 1}."),
    ],
)
def test_wrong_arguments_are_one_sentence(mechanism, options, error):
    with pytest.raises(InputError) as raised:
        make_drops(DATA, mechanism, **options)
    assert str(raised.value).startswith(error)


def test_mar_needs_another_modality():
    with pytest.raises(InputError, match="`data` must have a modality beside the observed one; got none."):
        make_drops(made_dataset(3, names=("a",)), "mar", rate=0.5, observed="a")
