"""What a page is made of, before it is HTML or Markdown: text, tables, figures and what folds."""

from typing import Any, Literal, NamedTuple

Kind = Literal["text", "number", "code", "mark", "range", "heat"]
"""How a column is set; a mark says whether something is there, a range is drawn, a heat cell is shaded."""

Tone = Literal["good", "care", "bad", "plain"]


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        heading: its name.
        kind: how its cells are set.
    """

    heading: str
    kind: Kind = "text"


class Range(NamedTuple):
    """A value and its interval, drawn in a cell on the axis that the column shares.

    Attributes:
        value: where the dot stands.
        low: where the interval begins.
        high: where it ends.
    """

    value: float
    low: float
    high: float


class Table(NamedTuple):
    """Rows of cells.

    Attributes:
        columns: headings and kinds.
        rows: as many cells each.
        caption: what to look at.
        axis: from where to where ranges are drawn.
        level: where a line is drawn across the ranges; None: nowhere.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    axis: tuple[float, float] = (0.0, 1.0)
    level: float | None = None


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Points(NamedTuple):
    """A list of sentences."""

    items: tuple[str, ...]


class Pairs(NamedTuple):
    """Terms, and what there is to say of each.

    Attributes:
        items: term and what is said.
        wide: whether the terms are sentences.
    """

    items: tuple[tuple[str, str], ...]
    wide: bool = False


class Verdict(NamedTuple):
    """A finding that stands out.

    Attributes:
        tone: whether it is good news.
        title: the finding.
        text: what it rests on.
    """

    tone: Tone
    title: str
    text: str


class Heading(NamedTuple):
    """A heading within a section."""

    text: str


class Line(NamedTuple):
    """One series of a line chart.

    Attributes:
        name: how the legend names it.
        x: places.
        y: values, as many.
        low: where a band begins, as many or none.
        high: where it ends.
        dashed: whether it is a line to compare with.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    dashed: bool = False


class Lines(NamedTuple):
    """A line chart."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


class Strip(NamedTuple):
    """Dots in columns.

    Attributes:
        title: what the chart is of.
        x_label: what a column is.
        y_label: what is drawn.
        columns: label, and the name and value of every dot.
        levels: name and value of lines across.
    """

    title: str
    x_label: str
    y_label: str
    columns: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
    levels: tuple[tuple[str, float], ...] = ()


class Bars(NamedTuple):
    """Horizontal bars with whiskers.

    Attributes:
        title: what the chart is of.
        x_label: what is drawn.
        bars: name, value, and where its interval begins and ends.
    """

    title: str
    x_label: str
    bars: tuple[tuple[str, float, float, float], ...]


class Diagram(NamedTuple):
    """A reliability diagram: how often predictions came true, by how probable they were said to be.

    Attributes:
        title: what the chart is of.
        edges: of the bins, one more than bins.
        confidence: mean of the predictions in each bin.
        frequency: how often they came true.
        counts: how many predictions there are in it.
    """

    title: str
    edges: tuple[float, ...]
    confidence: tuple[float, ...]
    frequency: tuple[float, ...]
    counts: tuple[float, ...]


Chart = Lines | Strip | Bars | Diagram


class Figure(NamedTuple):
    """A chart with what to look at in it.

    Attributes:
        chart: its data.
        caption: what to look at.
        data: the same as a table, for who cannot see it; None: another table has it.
    """

    chart: Chart
    caption: str
    data: Table | None = None


class Figures(NamedTuple):
    """Figures side by side, where there is room."""

    figures: tuple[Figure, ...]


class Fold(NamedTuple):
    """What is shown when its summary is opened.

    Attributes:
        summary: what is in it.
        blocks: shown when open.
        open: whether it is from the start.
    """

    summary: str
    blocks: tuple["Block", ...]
    open: bool = False


Block = Text | Points | Pairs | Verdict | Heading | Table | Figures | Fold


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        name: by which it is linked.
        title: its heading.
        blocks: its content.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]


class Page(NamedTuple):
    """A whole report.

    Attributes:
        title: its heading.
        subtitle: what stands below.
        sections: its parts.
        footer: what made it.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str
