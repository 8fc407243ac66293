"""What is printed and drawn of a table of subsets."""

import io
import math

import pytest
from rich.console import Console

from aecf_jax.cli._plots import Series, draw_curves, draw_robustness
from aecf_jax.cli._tables import COLUMNS, make_console, print_table, summary_line
from aecf_jax.evaluate import SubsetRow, SubsetTable, subsets

PNG = b"\x89PNG\r\n"


def make_table(names, kind="classes", value=lambda subset: 0.5 + 0.1 * len(subset)):
    rows = [SubsetRow(one, 9, {name: value(one) for name, _ in COLUMNS[kind]}) for one in subsets(tuple(names))]
    return SubsetTable(tuple(names), kind, tuple(rows))


def printed(table, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_table(make_console(file), table)
    file.seek(0)
    return file.read()


def test_every_subset_has_a_row_with_a_mark_for_each_modality():
    text = printed(make_table(["left", "right"]))
    assert [line.split() for line in text.splitlines() if "●" in line] == [
        ["●", "·", "9", "0.6000", "0.6000", "0.6000"],
        ["·", "●", "9", "0.6000", "0.6000", "0.6000"],
        ["●", "●", "9", "0.7000", "0.7000", "0.7000"],
    ]
    assert "left" in text
    assert "accuracy" in text
    assert "NLL" in text


@pytest.mark.parametrize(("kind", "headings"), [("labels", ["mAP", "NLL", "ECE"]), ("values", ["RMSE", "R²"])])
def test_each_kind_of_label_has_its_columns(kind, headings):
    header = printed(make_table(["a", "b"], kind)).splitlines()[1]
    assert "rows" in header
    assert [heading for heading in headings if heading not in header] == []


@pytest.mark.parametrize("narrower", [0, 10])
def test_a_narrow_terminal_folds_names_and_keeps_numbers(narrower):
    file = io.StringIO()
    names = ["top_left", "top_right", "bottom_left", "bottom_right"]
    print_table(Console(file=file, width=80 - narrower, highlight=False), make_table(names))
    lines = file.getvalue().splitlines()
    assert max(len(line) for line in lines) == 80 - narrower
    assert len([line for line in lines if line.rstrip().endswith("0.6000") and "●" in line]) == 4
    assert (" bottom_right " in lines[1]) == (not narrower)


def test_intervals_stand_beside_their_metric_where_there_are_any():
    table = make_table(["a"])
    (row,) = table.rows
    shown = printed(SubsetTable(("a",), "classes", (row._replace(intervals={"nll": (0.25, math.nan)}),)))
    assert "0.6000  0.6000 [0.2500, –]  0.6000" in shown
    assert "[" not in printed(table)


def test_what_is_not_defined_is_a_dash():
    table = make_table(["a", "b"], value=lambda subset: math.nan if "b" in subset else 0.5)
    assert printed(table).count("–") == 6 + 1  # two subsets of three metrics, and the summary's "all modalities"
    assert "mean of subsets 0.5000" in summary_line(table)


def test_an_ascii_terminal_gets_ascii():
    table = make_table(["a", "b"], value=lambda subset: 0.5)
    assert printed(table, encoding="ascii").isascii()


def test_names_in_brackets_are_printed_as_they_are():
    assert "[red]" in printed(make_table(["[red]", "b"]))


def test_the_summary_names_the_worst_single():
    table = make_table(["a", "b"], value=lambda subset: {("a",): 0.5, ("b",): 0.25}.get(subset, 0.75))
    expected = (
        "accuracy: all modalities 0.7500, mean of subsets 0.5000, mean of singles 0.3750, worst single (b) 0.2500"
    )
    assert summary_line(table) == expected


@pytest.mark.parametrize("count", [1, 2, 4, 6, 7])
def test_robustness_is_drawn_for_few_and_many_modalities(tmp_path, count):
    path = tmp_path / "x.png"
    draw_robustness(path, make_table([f"m{index}" for index in range(count)]), title="title")
    assert path.read_bytes().startswith(PNG)


def test_robustness_shows_the_values(tmp_path):
    one, other, hollow = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"
    draw_robustness(one, make_table(["a", "b"]), title="x")
    draw_robustness(other, make_table(["a", "b"], value=lambda subset: 0.9 - 0.1 * len(subset)), title="x")
    draw_robustness(hollow, make_table(["a", "b"], value=lambda subset: math.nan), title="x")
    assert len({path.read_bytes() for path in (one, other, hollow)}) == 3
    draw_robustness(other, make_table(["a", "b"]), title="x")
    assert other.read_bytes() == one.read_bytes()


def test_curves_leave_out_empty_panels(tmp_path):
    one, other = tmp_path / "1.png", tmp_path / "2.png"
    panels = {"loss": [Series("train", [1.0, 2.0], [3.0, 2.0])]}
    draw_curves(one, panels, best=2.0)
    draw_curves(other, {**panels, "empty": [Series("x", [], [])]}, best=2.0)
    assert one.read_bytes() == other.read_bytes()
    draw_curves(other, panels, best=None)
    assert one.read_bytes() != other.read_bytes()
    draw_curves(other, {}, best=None)
    assert other.read_bytes().startswith(PNG)
