"""The kinds of files that a drawing can become, by the endings of names."""

from __future__ import annotations

from collections.abc import Sequence

from convcli.errors import UsageError
from convcli.pictures.drawing import Drawing
from convcli.pictures.svg import svg_text

SHARP = 4e6
"""The area up to which a drawing has two pixels for one, down and across: 200 MB while it is drawn, as of any other."""


def kind_of(name: str, kinds: Sequence[str], option: str) -> str:
    """The ending of a file's name, one of `kinds`; raises UsageError that names the option.

    >>> kind_of("cost.SVG", (".svg", ".html"), "--draw")
    '.svg'
    """
    kind = name[name.rfind(".") :].lower() if "." in name else ""
    if kind not in kinds:
        known = ", ".join(kinds[:-1]) + f" or {kinds[-1]}" if len(kinds) > 1 else kinds[0]
        raise UsageError(f"a picture's name ends in {known}; {name!r} does not", "unknown-format", where=option)
    return kind


def encoded(drawing: Drawing, kind: str) -> bytes:
    """A drawing as the bytes of an .svg or .png file; raises UsageError for more pixels than anybody looks at.

    A larger drawing has one pixel for one, and one still larger is not smoothed.
    """
    if kind == ".svg":
        return svg_text(drawing).encode()
    from convcli.pictures.raster import png_bytes

    area = drawing.width * drawing.height
    if area > 16 * SHARP:
        size = f"{drawing.width:,.0f} x {drawing.height:,.0f}"
        raise UsageError(f"the drawing is too large for a .png, {size} pixels; use .svg", "too-large")
    return png_bytes(drawing, 2 if area <= SHARP else 1, 2 if area <= 4 * SHARP else 1)
