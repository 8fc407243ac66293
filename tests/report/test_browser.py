"""The page in a browser, where there is one: no overflow at any width, no word in the console, light and dark."""

import pytest

from aecf_jax.report import report_dict, to_html
from tests.report.browser import DRIVER, browser
from tests.report.made import HOSTILE, facts, names

LIGHT = "return parseInt(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]) > 127"
SCREENS = [(1280, 900, False), (390, 844, True), (320, 568, True)]


@pytest.mark.skipif(DRIVER is None, reason="needs chromedriver")
def test_page_fits_every_screen_and_says_nothing_in_the_console(tmp_path):
    long = ("a modality whose name is much longer than anybody would like it to be", *HOSTILE)
    pages = {"long": report_dict([facts(modalities=long)]), "wide": report_dict([facts(modalities=names(9))])}
    with browser() as window:
        for name, report in pages.items():
            page = tmp_path / f"{name}.html"
            page.write_text(to_html(report), encoding="utf-8")
            for width, height, phone in SCREENS:
                for dark in (False, True):
                    window.open(page, width=width, height=height, dark=dark, phone=phone)
                    assert window.run("return document.scrollingElement.scrollWidth") == width
                    assert window.errors() == []
                    assert window.run(LIGHT) != dark
