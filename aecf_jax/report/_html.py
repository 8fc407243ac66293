"""A page as one HTML file that needs nothing else: no script, no network, styles and charts inside."""

from importlib.resources import files
from typing import Any

from aecf_jax.report._blocks import (
    Block,
    Column,
    Figure,
    Figures,
    Fold,
    Heading,
    Page,
    Pairs,
    Points,
    Section,
    Table,
    Text,
    Verdict,
)
from aecf_jax.report._charts import range_svg, svg
from aecf_jax.report._markup import Markup, joined, tag
from aecf_jax.report._numbers import number


def html_page(page: Page) -> str:
    """Returns the whole file.

    Args:
        page: what it says.
    """
    style = Markup((files("aecf_jax.report") / "style.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", page.title),
        tag("style", style),
    )
    links = [tag("li", tag("a", section.title, href=f"#{section.name}")) for section in page.sections]
    main = tag(
        "main",
        tag("header", tag("h1", page.title), tag("p", page.subtitle, class_="subtitle")),
        tag("nav", tag("ol", *links), aria_label="Contents"),
        *(_section(section) for section in page.sections),
        tag("footer", page.footer),
        class_="page",
    )
    return "<!doctype html>\n" + tag("html", head, "\n", tag("body", main), lang="en") + "\n"


def _section(section: Section) -> Markup:
    """Returns one part of the page."""
    return joined("\n", tag("section", tag("h2", section.title), *map(_block, section.blocks), id=section.name))


def _block(block: Block) -> Markup:
    """Returns a block, a line of its own."""
    match block:
        case Text():
            found = tag("p", block.text)
        case Points():
            found = tag("ul", *(tag("li", item) for item in block.items))
        case Pairs():
            pairs = (joined(tag("dt", term), tag("dd", said)) for term, said in block.items)
            found = tag("dl", *pairs, class_="wide" if block.wide else None)
        case Verdict():
            found = tag("div", tag("strong", block.title), tag("p", block.text), class_=f"verdict {block.tone}")
        case Heading():
            found = tag("h3", block.text)
        case Table():
            found = _table(block)
        case Figures():
            found = tag("div", *map(_figure, block.figures), class_="figures")
        case Fold():
            inside = map(_block, block.blocks)
            found = tag("details", tag("summary", block.summary), *inside, open=block.open)
    return joined("\n", found)


def _figure(figure: Figure) -> Markup:
    """Returns a chart with its caption, and its data in a fold."""
    data = [] if figure.data is None else [_block(Fold("The figures as a table", (figure.data,)))]
    caption = tag("figcaption", figure.caption)
    return tag("figure", tag("strong", figure.chart.title), svg(figure.chart), caption, *data)


def _table(table: Table) -> Markup:
    """Returns a table in a box of its own, which scrolls where it is too narrow."""
    caption = tag("p", table.caption, class_="caption") if table.caption else Markup()
    head = tag("tr", *(tag("th", _heading(column), scope="col", class_=column.kind) for column in table.columns))
    body = [tag("tr", *(_cell(table, *pair) for pair in zip(table.columns, row, strict=True))) for row in table.rows]
    inside = tag("table", tag("thead", head), tag("tbody", *body))
    label = table.caption or ", ".join(column.heading for column in table.columns)
    return joined(caption, tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label=label))


def _heading(column: Column) -> Markup:
    """Returns the heading of a column, which style turns upright where the column is narrow."""
    return tag("span", column.heading) if column.kind == "mark" else joined(column.heading)


def _cell(table: Table, column: Column, value: Any) -> Markup:
    """Returns one cell."""
    if column.kind == "mark":
        return tag("td", "●" if value else "·", class_=f"mark {'on' if value else 'off'}")
    if column.kind == "range":
        return tag("td", "" if value is None else range_svg(value, table.axis, table.level), class_="range-cell")
    if column.kind == "heat":
        share = min(max(float(value), 0.0), 1.0) if value == value else 0.0
        return tag("td", number(value, 2), class_="heat", style=f"--v:{share:.2f}")
    return tag("td", str(value), class_=None if column.kind == "text" else column.kind)
