"""Charts in SVG that we write ourselves: lines with bands, strips of dots, bars, reliability diagrams."""

import math

from aecf_jax.report._axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Axes,
    clipped,
    legend,
    padded,
    picture,
    words,
)
from aecf_jax.report._blocks import Bars, Chart, Diagram, Line, Lines, Range, Strip
from aecf_jax.report._markup import Markup, joined, tag
from aecf_jax.report._numbers import number

COLOURS = 6
"""How many series have a colour of their own."""


def svg(chart: Chart) -> Markup:
    """Returns a chart as an SVG element.

    Args:
        chart: its data.
    """
    match chart:
        case Lines():
            return _lines(chart)
        case Strip():
            return _strip(chart)
        case Bars():
            return _bars(chart)
        case Diagram():
            return _diagram(chart)


def range_svg(one: Range, axis: tuple[float, float], level: float | None) -> Markup:
    """Returns a dot with its interval, for a cell of a table.

    Args:
        one: value and interval.
        axis: from where to where the cell reaches.
        level: where a line is drawn, None: nowhere.
    """
    low, high = axis

    def place(value: float) -> float:
        return 3 + 104 * min(max((value - low) / (high - low), 0.0), 1.0)

    parts = [] if level is None else [tag("line", class_="level", x1=place(level), x2=place(level), y1=0, y2=14)]
    if math.isfinite(one.low) and math.isfinite(one.high):
        parts.append(tag("line", class_="whisker", x1=place(one.low), x2=place(one.high), y1=7, y2=7))
    if math.isfinite(one.value):
        parts.append(tag("circle", class_="f0", cx=place(one.value), cy=7, r=3))
    return tag("svg", *parts, class_="range", viewBox="0 0 110 14", aria_hidden="true")


def _lines(chart: Lines) -> Markup:
    """Returns a line chart with its legend."""
    values = [v for line in chart.lines for v in (*line.y, *line.low, *line.high) if math.isfinite(v)]
    places = [x for line in chart.lines for x in line.x]
    axes = Axes(_wide(min(places, default=0.0), max(places, default=1.0)), padded(values))
    kinds = _kinds(chart.lines)
    parts = [axes.y_axis(chart.y_label), axes.x_axis(chart.x_label)]
    parts += [_band(axes, line, kind) for line, kind in zip(chart.lines, kinds, strict=True) if line.low]
    parts += [_curve(axes, line, kind) for line, kind in zip(chart.lines, kinds, strict=True)]
    names = [(line.name, f"s{kind}" + (" dashed" if line.dashed else ""))
             for line, kind in zip(chart.lines, kinds, strict=True)]  # fmt: skip
    return picture(chart.title, *parts, legend(names, HEIGHT + 6), height=HEIGHT + 4 + 15 * len(names))


def _kinds(lines: tuple[Line, ...]) -> list[int]:
    """Returns the number of each line's colour."""
    return [index % COLOURS for index in range(len(lines))]


def _wide(low: float, high: float) -> tuple[float, float]:
    """Returns a range that is not empty."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _band(axes: Axes, line: Line, kind: int) -> Markup:
    """Returns what lies between the lower and upper ends of a line's intervals."""
    ends = [(x, low, high) for x, low, high in zip(line.x, line.low, line.high, strict=True)
            if math.isfinite(low) and math.isfinite(high)]  # fmt: skip
    corners = [(x, high) for x, _, high in ends] + [(x, low) for x, low, _ in reversed(ends)]
    return tag("polygon", class_=f"b{kind}", points=_points(axes, corners))


def _curve(axes: Axes, line: Line, kind: int) -> Markup:
    """Returns a line, with a dot where it is short."""
    known = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    curve = tag("polyline", class_=f"s{kind}{' dashed' if line.dashed else ''}", points=_points(axes, known))
    if len(known) > 20:
        return curve
    dots = [tag("circle", tag("title", f"{line.name}, {x:g}: {number(y)}"), class_=f"f{kind}", cx=axes.across(x),
                cy=axes.up(y), r=2.6) for x, y in known]  # fmt: skip
    return joined(curve, *dots)


def _points(axes: Axes, pairs: list[tuple[float, float]]) -> str:
    """Returns places as a line of SVG has them."""
    return " ".join(f"{axes.across(x):.1f},{axes.up(y):.1f}" for x, y in pairs)


def _strip(chart: Strip) -> Markup:
    """Returns columns of dots, each with its mean, and lines across."""
    values = [value for _, dots in chart.columns for _, value in dots if math.isfinite(value)]
    axes = Axes((0.5, len(chart.columns) + 0.5), padded([*values, *(value for _, value in chart.levels)]))
    names = {float(place + 1): label for place, (label, _) in enumerate(chart.columns)}
    parts = [axes.y_axis(chart.y_label), axes.x_axis(chart.x_label, names)]
    for kind, (_, level) in enumerate(chart.levels, start=1):
        height = axes.up(level)
        parts.append(tag("line", class_=f"s{kind} dashed", x1=axes.left, x2=axes.right, y1=height, y2=height))
    for place, (_, dots) in enumerate(chart.columns, start=1):
        parts.append(_dots(axes, place, sorted((dot for dot in dots if math.isfinite(dot[1])), key=lambda dot: dot[1])))
    levels = [(f"{name} {number(value)}", f"s{kind} dashed")
              for kind, (name, value) in enumerate(chart.levels, start=1)]  # fmt: skip
    return picture(chart.title, *parts, legend(levels, HEIGHT + 6), height=HEIGHT + 4 + 15 * len(levels))


def _dots(axes: Axes, place: int, dots: list[tuple[str, float]]) -> Markup:
    """Returns one column of a strip: the dots from low to high side by side, and a line at their mean."""
    if not dots:
        return Markup()
    mean = axes.up(math.fsum(value for _, value in dots) / len(dots))
    parts = [tag("line", class_="mean", x1=axes.across(place - 0.36), x2=axes.across(place + 0.36), y1=mean, y2=mean)]
    for index, (name, value) in enumerate(dots):
        offset = 0.6 * (index / (len(dots) - 1) - 0.5) if len(dots) > 1 else 0.0
        title = tag("title", f"{name}: {number(value)}")
        parts.append(tag("circle", title, class_="f0 dot", cx=axes.across(place + offset), cy=axes.up(value),
                         r=3.2 if len(dots) < 40 else 2.0))  # fmt: skip
    return joined(*parts)


def _bars(chart: Bars) -> Markup:
    """Returns horizontal bars with whiskers, the name of each above it."""
    ends = [v for _, value, low, high in chart.bars for v in (value, low, high) if math.isfinite(v)]
    low, high = padded([0.0, *ends])
    bottom = 6.0 + 34 * len(chart.bars)
    axes = Axes((min(low, 0.0) if min(ends, default=0.0) < 0 else 0.0, high), (0, 1), 12.0, WIDTH - RIGHT, 4.0, bottom)
    zero = axes.across(0.0)
    parts = [axes.x_axis(chart.x_label), tag("line", class_="axis", x1=zero, x2=zero, y1=4.0, y2=bottom)]
    for row, (name, value, low, high) in enumerate(chart.bars):
        top = 6.0 + 34 * row
        value = value if math.isfinite(value) else 0.0
        start, end = sorted((zero, axes.across(value)))
        parts.append(words(clipped(f"{name}  {number(value)}", WIDTH - 20), 14.0, top + 10, kind="name"))
        parts.append(tag("rect", class_="f0", x=start, y=top + 14, width=end - start, height=12))
        if math.isfinite(low) and math.isfinite(high):
            parts.append(tag("line", class_="whisker", x1=axes.across(low), x2=axes.across(high), y1=top + 20,
                             y2=top + 20))  # fmt: skip
    return picture(chart.title, *parts, height=bottom + BOTTOM)


def _diagram(chart: Diagram) -> Markup:
    """Returns a reliability diagram: dots against the diagonal, and below it how many predictions there are."""
    axes = Axes((0.0, 1.0), (0.0, 1.0), LEFT, WIDTH - RIGHT, 12.0, 250.0)
    counts = Axes((0.0, 1.0), (0.0, max([*chart.counts, 1.0])), LEFT, WIDTH - RIGHT, 268.0, 318.0)
    whole = max(math.fsum(chart.counts), 1.0)
    parts = [axes.y_axis("how often it came true"),
             tag("line", class_="diagonal", x1=axes.left, y1=axes.bottom, x2=axes.right, y2=axes.top)]  # fmt: skip
    known: list[tuple[float, float]] = []
    for index, (said, true, count) in enumerate(zip(chart.confidence, chart.frequency, chart.counts, strict=True)):
        start, end = counts.across(chart.edges[index]), counts.across(chart.edges[index + 1])
        top = counts.up(count)
        parts.append(tag("rect", tag("title", f"{count:g} predictions"), class_="count", x=start + 0.5, y=top,
                         width=max(end - start - 1, 0.5), height=counts.bottom - top))  # fmt: skip
        if count <= 0 or not math.isfinite(said) or not math.isfinite(true):
            continue
        known.append((said, true))
        place = axes.across(said)
        parts.append(tag("line", class_="gap", x1=place, x2=place, y1=axes.up(said), y2=axes.up(true)))
        title = tag("title", f"said {number(said, 3)}, came true {number(true, 3)}, {count:g} times")
        parts.append(tag("circle", title, class_="f0", cx=place, cy=axes.up(true),
                         r=2.0 + 3.5 * math.sqrt(count / whole)))  # fmt: skip
    parts.append(tag("polyline", class_="s0 thin", points=_points(axes, known)))
    parts.append(counts.x_axis("probability that was said"))
    parts.append(words(f"{max(chart.counts, default=0):,.0f}", LEFT - 5, 275.0, "end"))
    parts.append(words("count", LEFT - 5, 318.0, "end"))
    return picture(chart.title, *parts, height=318.0 + BOTTOM)
