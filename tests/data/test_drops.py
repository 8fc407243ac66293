"""Drop tables: what they hold, their hash, and the file that gives them back or refuses to."""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aecf_jax import Dataset, DropTable
from aecf_jax.errors import InputError


def table(**changes):
    present = np.array([[1, 1], [1, 1], [0, 1], [0, 0]], bool)
    visible = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], bool)
    fields = {"modalities": ("a", "é"), "present": present, "visible": visible, "mechanism": "mine", "seed": 3}
    return DropTable(**{**fields, "parameters": {"rate": 0.1}, **changes})


def rows(present, names=("a", "é")):
    return Dataset({m: np.ones((len(present), 1)) for m in names}, np.zeros(len(present), np.int32), present)


def test_hash_is_golden_and_what_its_docstring_says():
    """Of a form that neither a machine nor a version of anything changes: this number may never change."""
    head = (
        '{"allow_empty":false,"format":"aecf_jax drop table 1","mechanism":"mine","modalities":["a","\\u00e9"],'
        '"parameters":{"rate":0.1},"rows":4,"seed":3}\n'
    )
    assert table().hash == hashlib.sha256(head.encode() + bytes([0b11110100, 0b10110100])).hexdigest()
    assert table().hash == "65da7e6e45da29571f5aa9fd21a94b806bd048d94c88505ecface2f7e0c30e5e"


CHANGES = [
    {"modalities": ("a", "e")}, {"visible": table().present}, {"mechanism": "yours"}, {"parameters": {}}, {"seed": 4},
    {"allow_empty": True}, {"parameters": {"rate": 0.1 + 1e-16}},
    {"present": table().present | [[0, 0], [0, 0], [1, 0], [0, 0]]},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(changes))
def test_whatever_differs_changes_the_hash(changes):
    assert table(**changes) != table()
    assert len({table(**changes), table(), table()}) == 2


def test_hash_does_not_depend_on_how_arrays_lie_in_memory():
    present, visible = np.asfortranarray(table().present), table().visible[:, ::-1][:, ::-1]
    assert table(present=present, visible=visible, parameters={"rate": np.float64(0.1)}) == table()


def test_marginals_count_what_was_there_to_hide():
    found = table(present=table().present & [True, True]).marginals()
    assert found == ({"a": 0.0, "é": 1 / 3}, (0.25, 0.5, 0.25), 1)
    lacking = table(present=table().present & [False, True], visible=table().visible & [False, True], allow_empty=True)
    assert np.isnan(lacking.marginals().hidden["a"])


def test_table_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        table().visible[0, 0] = False
    original = np.array(table().visible)
    made = table(visible=original)
    original[:] = False
    assert made == table()


def test_apply_hides_and_keeps_everything_else():
    dataset = rows(table().present)
    applied = table().apply(dataset)
    np.testing.assert_array_equal(applied.present, table().visible)
    assert applied.features == dataset.features
    swapped = table().apply(rows(table().present[:, ::-1], ("é", "a")))
    np.testing.assert_array_equal(swapped.present, table().visible)
    assert swapped.modalities == ("a", "é")


@pytest.mark.parametrize(
    ("present", "error"),
    [
        (np.ones((3, 2), bool), "`drop table` must have 3 rows, as data has; got 4."),
        (
            np.ones((4, 2), bool),
            "`drop table` must be made for what is present in data; got one that differs in rows 2, 3.",
        ),
    ],
)
def test_apply_refuses_other_rows(present, error):
    with pytest.raises(InputError) as raised:
        table().apply(rows(present))
    assert str(raised.value) == error


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"visible": np.ones((4, 2), bool)}, "`visible` must hold only what is present; got more in rows 2, 3."),
        ({"visible": np.ones((4, 3), bool)}, r"`visible` must have the shape \(rows, modalities\), \(4, 2\); got"),
        ({"visible": np.zeros((4, 2), bool)}, "must leave every row a modality; got none in rows 0, 1, 2. Or allow it"),
        ({"parameters": {"rate": float("nan")}}, "`parameters` must be what JSON can hold; got Out of range float"),
        ({"parameters": {"rate": object()}}, "`parameters` must be what JSON can hold; got Object of type object"),
    ],
)
def test_table_refuses_what_cannot_be(changes, error):
    with pytest.raises(InputError, match=error):
        table(**changes)


@settings(max_examples=25)
@given(
    present=arrays(bool, (5, 3)), kept=arrays(bool, (5, 3)), seed=st.integers(0, 2**70),
    parameters=st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False) | st.text()),
)  # fmt: skip
def test_file_gives_the_table_back(present, kept, seed, parameters):
    made = DropTable(("a", "b", "c"), present, present & kept, "mine", parameters, seed, allow_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "t.json")
        again = DropTable.load(Path(folder) / "t.json")
    assert again == made
    np.testing.assert_array_equal(again.visible, made.visible)
    np.testing.assert_array_equal(again.present, made.present)


DAMAGE = [
    ({"hash": "0" * 64}, "must hold what its hash says; got a table of "),
    ({"seed": 4}, "must hold what its hash says"),
    ({"visible": "9A=="}, "must hold what its hash says"),
    ({"visible": "////"}, "must hold a whole drop table; got ValueError: 3 bytes for 8 bits."),
    ({"visible": "*"}, "must hold a whole drop table; got Error: "),
    ({"visible": 1}, "must hold a whole drop table; got TypeError: "),
    ({"rows": 5}, "must hold a whole drop table; got ValueError: 1 bytes for 10 bits."),
    ({"parameters": [1]}, "must hold a whole drop table; got "),
    ({"present": "AA=="}, "must hold only what is present"),
    ({"format": "another"}, "must be a file of the format 'aecf_jax drop table 1'; got another."),
]


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(("changes", "error"), DAMAGE)
def test_damaged_file_is_refused(tmp_path, changes, error):
    path = tmp_path / "t.json"
    table().save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError) as raised:
        DropTable.load(path)
    assert str(raised.value).startswith(f"`{path}` must ")
    assert error in str(raised.value)


def test_file_without_a_part_is_refused(tmp_path):
    content = {"format": "aecf_jax drop table 1", "rows": 1}
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="must hold a whole drop table; got KeyError: 'modalities'."):
        DropTable.load(tmp_path / "t.json")
    with pytest.raises(InputError, match="must exist; got no such file"):
        DropTable.load(tmp_path / "u.json")
