"""A page as Markdown: the same text and tables; charts as the tables behind them."""

import re
from typing import Any

from aecf_jax.report._blocks import Block, Column, Figures, Fold, Heading, Page, Pairs, Points, Table, Text, Verdict
from aecf_jax.report._numbers import number

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")
_START = re.compile(r"^(\d*)([-+.)]\s)")


def markdown_page(page: Page) -> str:
    """Returns the whole file.

    Args:
        page: what it says.
    """
    parts = [f"# {escaped(page.title)}", escaped(page.subtitle)]
    for section in page.sections:
        parts += [f"## {escaped(section.title)}", *(_block(block) for block in section.blocks)]
    return "\n\n".join(part for part in [*parts, "---", escaped(page.footer)] if part) + "\n"


def escaped(text: str) -> str:
    r"""Returns text that Markdown shows as it is, on one line.

    >>> print(escaped("a_b <c>|d"))
    a\_b \<c\>\|d
    """
    return _START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", " ".join(text.split())))


def _block(block: Block) -> str:
    """Returns a block."""
    match block:
        case Text():
            return escaped(block.text)
        case Points():
            return "\n".join(f"- {escaped(item)}" for item in block.items)
        case Pairs():
            return "\n".join(f"- **{escaped(term)}**: {escaped(said)}" for term, said in block.items)
        case Verdict():
            return f"> **{escaped(block.title)}** {escaped(block.text)}"
        case Heading():
            return f"### {escaped(block.text)}"
        case Table():
            return _table(block)
        case Figures():
            return "\n\n".join(_figure(figure) for figure in block.figures if figure.data is not None)
        case Fold():
            return "\n\n".join([f"*{escaped(block.summary)}*", *(_block(inside) for inside in block.blocks)])


def _figure(figure: Any) -> str:
    """Returns the table behind a chart, with its caption."""
    return f"**{escaped(figure.chart.title)}.** {escaped(figure.caption)}\n\n{_table(figure.data)}"


def _table(table: Table) -> str:
    """Returns a table; what is only drawn is left out."""
    kept = [index for index, column in enumerate(table.columns) if column.kind != "range"]
    columns = [table.columns[index] for index in kept]
    lines = [_line([escaped(column.heading) for column in columns]), _line([_rule(column) for column in columns])]
    lines += [_line([_cell(column, row[index]) for index, column in zip(kept, columns, strict=True)])
              for row in table.rows]  # fmt: skip
    return "\n".join([f"{escaped(table.caption)}\n"] * bool(table.caption) + lines)


def _line(cells: list[str]) -> str:
    """Returns one line of a table."""
    return f"| {' | '.join(cells)} |"


def _rule(column: Column) -> str:
    """Returns what stands below a heading."""
    return {"number": "--:", "heat": "--:", "mark": ":-:"}.get(column.kind, "---")


def _cell(column: Column, value: Any) -> str:
    """Returns one cell."""
    if column.kind == "mark":
        return "●" if value else "·"
    return escaped(number(value, 2) if column.kind == "heat" else str(value))
