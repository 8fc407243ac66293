"""The one form that every input error has."""

import pytest

from aecf_jax.errors import (
    InputError,
    InputTypeError,
    MissingExtraError,
    import_extra,
    nearest,
    require,
    require_type,
)


def test_a_rule_that_holds_is_silent():
    require(True, "epochs", "be positive", 3)
    require_type(True, "epochs", "be an integer", 3)


def test_values_and_types_raise_their_own_kind_in_one_sentence():
    with pytest.raises(ValueError, match=r"^`epochs` must be positive; got 0\. Give a number\.$") as refused:
        require(False, "epochs", "be positive", 0, "Give a number.")
    assert type(refused.value) is InputError
    with pytest.raises(TypeError, match=r"^`epochs` must be an integer; got str\.$") as refused:
        require_type(False, "epochs", "be an integer", "3")
    assert type(refused.value) is InputTypeError


def test_text_is_shown_without_quotes_and_other_values_as_they_are():
    with pytest.raises(InputError, match=r"got width 3\."):
        require(False, "x", "be wide", "width 3")
    with pytest.raises(InputError, match=r"got \['a'\]\."):
        require(False, "x", "be wide", ["a"])


def test_the_nearest_name_is_offered_and_all_names_where_none_is_near():
    assert nearest("epoch", ["epochs", "seed"]) == "Did you mean `epochs`?"
    assert nearest("xyz", ["epochs", "seed"]) == "Known: epochs, seed."
    assert nearest("seed", iter(["epochs", "seed"])) == ""


def test_a_missing_extra_is_named_with_its_command():
    assert import_extra("math", "cli").floor(1.5) == 1
    with pytest.raises(MissingExtraError, match=r"pip install 'aecf-jax\[cli\]'"):
        import_extra("no_such_package_anywhere.part", "cli")
