"""Markup that cannot be forged: whatever is not markup already is escaped when it is put into an element."""

import html

_EMPTY = ("path", "line", "rect", "circle", "polyline", "polygon", "meta", "hr")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """Returns an element.

    Args:
        name: of the element.
        *children: markup, or text, which is escaped.
        **attributes: by name, a trailing underscore removed and others turned into dashes; those of None or False are
            left out, those of True have no value, floats get one decimal.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _EMPTY and not children:
        return Markup(f"<{name}{given}>" if name in ("meta", "hr") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Markup:
    """Returns markup and text, which is escaped, one after the other.

    Args:
        *parts: markup or text.
    """
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def _attribute(key: str, value: object) -> str:
    """Returns one attribute, with a space before it."""
    name = key.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if value is False:
        return ""
    text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'
