"""The parts of a page: charts of any values, escaped markup, what modalities are worth, the verdict's checks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecf_jax.report import report_dict, to_html
from aecf_jax.report._answer import checks
from aecf_jax.report._blocks import Bars, Diagram, Line, Lines, Range, Strip
from aecf_jax.report._charts import range_svg, svg
from aecf_jax.report._markdown import escaped
from aecf_jax.report._markup import joined, tag
from aecf_jax.report._numbers import ticks
from aecf_jax.report._shares import shares
from tests.report.made import facts
from tests.report.test_page import Parsed

NAN = math.nan
LONG = tuple(map(float, range(30)))
CHARTS = [
    Lines("t", "x", "y", ()),
    Lines("t", "x", "y", (Line("one", (0.0,), (0.5,)),)),
    Lines("t", "x", "y", (Line("flat", (0.0, 1.0), (0.0, 0.0), (NAN, 0.0), (0.0, NAN)),)),
    Lines("t", "x", "y", (Line("unknown", (0.0, 1.0), (NAN, NAN), dashed=True),)),
    Lines(
        "t",
        "x",
        "y",
        tuple(Line(f"n{i}" * 40, tuple(map(float, range(30))), tuple(map(float, range(30)))) for i in range(9)),
    ),
    Strip("t", "x", "y", ()),
    Strip("t", "x", "y", (("1", (("a", 0.5), ("b", NAN))), ("2", ())), (("base", 0.1),)),
    Bars("t", "x", (("a", 0.1, NAN, NAN), ("b", -0.2, -0.3, -0.1), ("c", NAN, NAN, NAN))),
    Bars("t", "x", (("a", 0.0, NAN, NAN),)),
    Diagram("t", (0.0, 0.5, 1.0), (NAN, 0.7), (NAN, 0.9), (0.0, 10.0)),
    Diagram("t", (0.0, 1.0), (NAN,), (NAN,), (0.0,)),
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_chart_is_well_formed_and_finite(chart):
    drawn = svg(chart)
    Parsed(drawn)
    assert drawn.startswith("<svg")
    assert "nan" not in drawn.replace("t", "")
    assert "inf" not in drawn
    assert "<title>t</title>" in drawn


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_within(low, width):
    found = ticks(low, low + width)
    assert len(found) <= 7
    assert all(low - width / 1e3 <= tick <= low + width * 1.001 for tick in found)


def test_range_is_kept_in_its_cell():
    drawn = range_svg(Range(2.0, -1.0, NAN), (0.0, 1.0), 0.5)
    assert 'cx="107"' in drawn
    assert "whisker" not in drawn


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", joined("<", tag("b", "&")), title='"') == '<p title="&quot;">&lt;<b>&amp;</b></p>'
    assert tag("p", a=True, b=False, c=None, d=0.25) == '<p a d="0.2"></p>'


@pytest.mark.parametrize(("text", "shown"), [("- a", r"\- a"), ("1. a", r"1\. a"), ("0.5", "0.5"), ("−1", "−1")])
def test_text_starts_no_list(text, shown):
    assert escaped(text) == shown


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.booleans())
def test_mean_gains_sum_to_all_that_is_gained(values, more_is_better):
    subsets = [set(some) for size in (1, 2, 3) for some in itertools.combinations("abc", size)]
    table = [{"modalities": sorted(one), "metrics": {"m": {"value": value}}}
             for one, value in zip(subsets, values, strict=True)]  # fmt: skip
    found = shares(table, "abc", "m", more_is_better=more_is_better, nothing=0.25)
    gained = values[-1] - 0.25
    assert math.fsum(one.mean for one in found) == pytest.approx(gained if more_is_better else -gained, abs=1e-12)


def test_useless_modality_is_worth_nothing():
    table = [{"modalities": list(one), "metrics": {"m": {"value": value}}}
             for one, value in ((("a",), 0.8), (("b",), 0.1), (("a", "b"), 0.8))]  # fmt: skip
    first, second = shares(table, "ab", "m", more_is_better=True, nothing=0.1)
    assert (first.mean, second.mean, second.lost) == (pytest.approx(0.7), 0.0, 0.0)


def good_run():
    """A run that passes every check, by hand."""
    run = facts()
    for row in run.table["subsets"]:
        size = len(row["modalities"])
        row["metrics"] = {"accuracy": 0.6 + size / 10, "nll": 1 - size / 10, "brier": 0.1, "ece": 0.01}
    return run


def answers(run):
    report = report_dict([run])
    return [one.passed for one in checks(report, report["models"][0])], to_html(report)


def test_good_run_passes_every_check():
    passed, page = answers(good_run())
    assert passed == [True] * 5
    assert "Yes, on rows like these" in page


@pytest.mark.parametrize(("metric", "value", "failed"), [("accuracy", 0.05, 0), ("ece", 0.2, 1), ("nll", 5.0, 2)])
def test_one_bad_subset_fails_its_check(metric, value, failed):
    run = good_run()
    run.table["subsets"][-1]["metrics"][metric] = value
    passed, page = answers(run)
    assert [index for index, one in enumerate(passed) if not one] == [failed]
    assert "With care: 1 of 5 checks fail" in page


def test_broken_promise_fails_its_check():
    run = good_run()
    run.conformal["patterns"][0]["coverage"] = 0.8
    passed, page = answers(run)
    assert passed == [True, True, True, False, True]
    assert "too seldom with view0" in page


def test_worse_than_a_baseline_fails_its_check():
    run = good_run()
    run.robustness["effective"]["late fusion"]["accuracy"][1] = [-0.2, -0.3, -0.1]
    passed, page = answers(run)
    assert passed == [True, True, True, True, False]
    assert "worse than late fusion at 0.5 (−0.200)" in page


def test_arrays_become_plain_numbers():
    run = facts(bare=True)
    assert report_dict([run])["models"][0]["runs"][0]["table"] == run.to_dict()["table"]
    assert np.isfinite(run.table["subsets"][0]["rows"])
