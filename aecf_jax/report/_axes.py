"""The frame of a chart in SVG: scales, grid lines, ticks and labels; colours come from the page's style."""

from dataclasses import dataclass

from aecf_jax.report._markup import Markup, joined, tag
from aecf_jax.report._numbers import ticks

WIDTH, HEIGHT = 360.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 10.0, 12.0, 40.0
"""Room around the axes; on the left for a number of seven characters, such as -0.0025, and the label beside it."""
_LETTER = 5.8
"""Mean width of a letter of the size in charts."""


@dataclass(frozen=True)
class Axes:
    """A rectangle with values along its sides.

    Attributes:
        x: values at its left and right side.
        y: values at its bottom and top.
        left: place of its left side.
        right: place of its right side.
        top: place of its top.
        bottom: place of its bottom.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM

    def across(self, value: float) -> float:
        """Returns the place of a value along the x axis."""
        low, high = self.x
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def up(self, value: float) -> float:
        """Returns the place of a value along the y axis."""
        low, high = self.y
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def y_axis(self, label: str) -> Markup:
        """Returns grid lines with their values, and the axis' label."""
        lines: list[Markup] = []
        for value in ticks(*self.y):
            place = self.up(value)
            lines.append(tag("line", class_="grid", x1=self.left, x2=self.right, y1=place, y2=place))
            lines.append(words(f"{value:g}", self.left - 5, place + 3.5, "end"))
        middle = (self.top + self.bottom) / 2
        turned = tag("text", label, class_="label", text_anchor="middle",
                     transform=f"translate(11 {middle:.0f}) rotate(-90)")  # fmt: skip
        return joined(*lines, turned)

    def x_axis(self, label: str, values: dict[float, str] | None = None) -> Markup:
        """Returns ticks with their values, and the axis' label.

        Args:
            label: what the axis shows.
            values: place -> what is written there; None: round numbers.
        """
        marks = {value: f"{value:g}" for value in ticks(*self.x)} if values is None else values
        parts = [tag("line", class_="axis", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom)]
        for value, text in marks.items():
            place = self.across(value)
            parts.append(tag("line", class_="axis", x1=place, x2=place, y1=self.bottom, y2=self.bottom + 4))
            parts.append(words(text, place, self.bottom + 15, "middle"))
        return joined(*parts, words(label, (self.left + self.right) / 2, self.bottom + 33, "middle", "label"))


def words(text: str, x: float, y: float, anchor: str = "start", kind: str = "tick") -> Markup:
    """Returns text in a chart.

    Args:
        text: what is written.
        x: where.
        y: where its base line is.
        anchor: start, middle or end.
        kind: its class.
    """
    return tag("text", text, class_=kind, x=x, y=y, text_anchor=anchor)


def picture(title: str, *parts: Markup, height: float = HEIGHT) -> Markup:
    """Returns a chart, with a title for who cannot see it.

    Args:
        title: what it shows.
        *parts: of the chart.
        height: in its own units, in which it is 360 wide.
    """
    box = f"0 0 {WIDTH:g} {height:g}"
    return tag("svg", tag("title", title), *parts, viewBox=box, role="img", aria_label=title)


def padded(values: list[float], room: float = 0.06) -> tuple[float, float]:
    """Returns a range with some room around finite values.

    Args:
        values: what it must hold.
        room: share of the range on each side.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    gap = (high - low) * room or abs(high) * room or room
    return low - gap, high + gap


def legend(names: list[tuple[str, str]], top: float) -> Markup:
    """Returns the names of series with their colours, one below the other.

    Args:
        names: name and class of each.
        top: place of the first.
    """
    parts: list[Markup] = []
    for row, (name, kind) in enumerate(names):
        place = top + 15 * row
        parts.append(tag("line", class_=kind, x1=LEFT, x2=LEFT + 18, y1=place, y2=place))
        parts.append(words(clipped(name, WIDTH - LEFT - 30), LEFT + 24, place + 3.5))
    return joined(*parts)


def clipped(text: str, width: float) -> str:
    """Returns text that fits a width, the end of it left out if need be.

    Args:
        text: to be written.
        width: in the units of a chart.
    """
    most = max(int(width / _LETTER), 2)
    return text if len(text) <= most else text[: most - 1] + "…"
