"""The page: well-formed, self-contained, nothing forged, every section that applies and no other, and not too large."""

import json
import math
import re
from html.parser import HTMLParser

import pytest

from aecf_jax.report import report_dict, to_html, to_markdown
from tests.report.made import HOSTILE, METRICS, facts, names

ALWAYS = ["answer", "card", "subsets", "costs", "protocol"]
VOID = {"meta", "hr"}
LIMIT = 2_000_000


class Parsed(HTMLParser):
    """Checks that every element is closed, and keeps what tests ask for."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def one_report(*runs, **parts):
    return report_dict(runs or [facts(**parts)])


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("bare", [False, True])
def test_page_is_well_formed_and_needs_nothing_else(kind, bare):
    page = to_html(one_report(kind=kind, modalities=HOSTILE, bare=bare))
    parsed = Parsed(page)
    assert not {"script", "link", "img", "iframe", "b"} & set(parsed.seen)
    assert not re.search(r"https?:|@import|url\(", page)
    assert not parsed.values("src")
    assert [link[1:] for link in parsed.values("href")] == parsed.values("id")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(name):
    page = to_html(one_report(modalities=HOSTILE))
    assert name in Parsed(page).text
    assert "<script" not in page


@pytest.mark.parametrize(
    ("kind", "bare", "more"),
    [
        ("classes", True, []),
        ("embedding", True, []),
        ("values", False, ["robustness", "monotonicity", "gate"]),
        ("classes", False, ["robustness", "calibration", "conformal", "monotonicity", "gate"]),
    ],
)
def test_sections_are_those_that_apply(kind, bare, more):
    found = Parsed(to_html(one_report(kind=kind, bare=bare))).values("id")
    assert set(found) == {*ALWAYS, *more}
    assert len(found) == len(set(found))


@pytest.mark.parametrize("count", [6, 10])
def test_page_stays_small(count):
    page = to_html(one_report(modalities=names(count)))
    assert len(page.encode()) < LIMIT
    Parsed(page)


def test_markdown_has_the_sections_and_whole_tables():
    report = one_report(modalities=HOSTILE)
    text = to_markdown(report)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert len(headings) == len(Parsed(to_html(report)).values("id"))
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) > 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "<script>" not in text.replace(r"\<", "")


def test_page_is_made_from_the_dictionary_alone():
    report = one_report()
    again = json.loads(json.dumps(report, allow_nan=False))
    assert to_html(again) == to_html(report)
    assert to_markdown(again) == to_markdown(report)


def test_thirteen_points_are_stated():
    terms = re.findall(r"<dt>(\d+)\. ", to_html(one_report(bare=True)))
    assert list(map(int, terms)) == list(range(1, 14))


def test_what_is_absent_is_said():
    text = to_markdown(one_report(bare=True))
    for part in ("robustness curves", "reliability diagrams", "baselines", "the scatter of training", "intervals"):
        assert part in text.partition("Not done")[2]


def test_a_hash_of_every_drop_table_is_shown():
    text = to_markdown(one_report())
    assert all(digit * 16 in text for digit in "012")


def test_undefined_figures_are_dashes():
    run = facts(bare=True)
    for row in run.table["subsets"]:
        row["metrics"] = dict.fromkeys(row["metrics"])
    page = to_html(report_dict([run]))
    Parsed(page)
    assert "nan" not in page.lower().replace("nano", "")


def test_subsets_are_folded_where_there_are_many():
    assert to_html(one_report(modalities=names(6))).count("<details") > to_html(one_report(modalities=names(3))).count(
        "<details"
    )


def test_replicates_are_a_mean_and_a_spread():
    report = one_report(facts(seed=0, name="a"), facts(seed=1, name="b"))
    (model,) = report["models"]
    values = [run["table"]["subsets"][-1]["metrics"]["accuracy"] for run in model["runs"]]
    figure = model["table"][-1]["metrics"]["accuracy"]
    assert figure["value"] == pytest.approx(sum(values) / 2)
    assert figure["spread"] == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2))
    assert figure["low"] < figure["value"] < figure["high"]
    assert f"{figure['value']:.4f} ± {figure['spread']:.4f}" in to_html(report)


def test_other_settings_are_another_model():
    report = report_dict([facts(), facts(name="other", gate_disabled=True)], [facts(name="base", embed_dim=8)])
    assert [model["name"] for model in report["models"]] == ["run", "other"]
    assert report["models"][1]["changes"] == {"gate_disabled": [False, True]}
    assert [model["name"] for model in report["baselines"]] == ["base"]
    text = " ".join(Parsed(to_html(report)).text)
    assert all(name in text for name in ("other", "base (baseline)"))
    assert to_markdown(report)


def test_models_of_one_name_are_told_apart():
    report = report_dict([facts(), facts(gate_disabled=True)])
    assert [model["name"] for model in report["models"]] == ["run", "run (2)"]


def test_other_rows_are_refused():
    other = facts(name="other")
    other.data["sha256"]["test"] = "f" * 64
    with pytest.raises(ValueError, match="must have the same test rows as run; got other rows in other"):
        report_dict([facts(), other])


def test_other_tasks_are_refused():
    with pytest.raises(ValueError, match="must predict classes, as run does; got labels"):
        report_dict([facts(), facts("labels")])
