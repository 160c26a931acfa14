"""The colours of pictures: by what they mean, on light paper and on dark, safe for colour-blind readers.

The hues are those of Okabe and Ito ("Color Universal Design", 2008): blue, orange, bluish green, vermillion, purple. A
colour of a shape is one of these names, which pages turn light or dark, or "#rrggbb", which stays as it is.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14181d"),
    "ink": ("#1b2229", "#e9edf1"),
    "faint": ("#56616c", "#a4afba"),
    "line": ("#7d8893", "#6f7a85"),
    "panel": ("#f3f5f7", "#1f252c"),
    "input": ("#b5d8f0", "#1d4f76"),
    "padding": ("#f4f1ea", "#2b2f35"),
    "zero": ("#e6e1d6", "#3a3d40"),
    "dropped": ("#c9cdd1", "#4b5157"),
    "kernel": ("#f6c064", "#8f5a00"),
    "output": ("#a5dcc8", "#0f5f49"),
    "mark": ("#d55e00", "#ff8b3d"),
    "hole": ("#ffffff", "#14181d"),
    "blue": ("#0072b2", "#4ba6dd"),
    "sky": ("#56b4e9", "#7cc6f0"),
    "green": ("#009e73", "#2fc39a"),
    "orange": ("#e69f00", "#f0b429"),
    "purple": ("#cc79a7", "#de95bd"),
    "yellow": ("#f0e442", "#f0e442"),
}
"""Name -> (on light paper, on dark)."""

SERIES = ("blue", "orange", "green", "purple", "sky", "mark", "yellow")
"""Things side by side that are told apart by colour: filters, layers, designs."""

BELOW, ABOVE = (0, 114, 178), (213, 94, 0)  # blue and vermillion


def light(colour: str) -> str:
    """A colour on light paper, as #rrggbb.

    >>> light("blue"), light("#102030")
    ('#0072b2', '#102030')
    """
    return colour if colour.startswith("#") else COLOURS[colour][0]


def dark(colour: str) -> str:
    """The same on dark paper."""
    return colour if colour.startswith("#") else COLOURS[colour][1]


def diverging(value: float) -> str:
    """Blue below 0, white at 0, vermillion above; -1 and 1 are the ends of the scale.

    >>> diverging(-1), diverging(0), diverging(0.5)
    ('#0072b2', '#ffffff', '#eaae80')
    """
    share = min(1.0, abs(value))
    end = BELOW if value < 0 else ABOVE
    return hexed(tuple(255 + (channel - 255) * share for channel in end))


def grey(value: float) -> str:
    """0 is black, 1 is white.

    >>> grey(0.5)
    '#808080'
    """
    return hexed((255 * min(1.0, max(0.0, value)),) * 3)


def hexed(channels: tuple[float, ...]) -> str:
    """Red, green and blue of 0 to 255 as #rrggbb."""
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


def readable_on(colour: str) -> str:
    """Black or white, whichever is read better on a #rrggbb (relative luminance of WCAG 2).

    >>> readable_on("#0072b2"), readable_on("#f6c064")
    ('#ffffff', '#000000')
    """
    linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"
