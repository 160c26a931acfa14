"""Pictures in a terminal, as it says by its environment that it can: Kitty's or Sixel graphics, half blocks in colours,
or shades of characters. Nothing is asked of the terminal itself, which might not answer.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from math import ceil
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from convcli.streams import visible

if TYPE_CHECKING:
    from PIL.Image import Image

    from convcli.pictures.look import Look

Way = Literal["kitty", "sixel", "blocks", "256", "shades", "ascii"]
RAMPS: Mapping[str, str] = {"shades": " ░▒▓█", "ascii": " .:-=+*#%@"}
"""Characters from dark to light."""
BLOCK = "▀"
GAP = 2
"""Columns between two pictures."""
LINES = 6
"""Lines of a window that are left for the words around a picture."""
PIECE = 4096
"""Characters that Kitty's protocol takes at a time."""
CELL = 8, 16
"""Columns and rows of pixels of a character, where the terminal does not say."""
KITTY = ("xterm-kitty", "xterm-ghostty")
SIXEL = ("foot", "foot-extra", "mlterm", "contour", "contour-latest", "yaft-256color")
PALETTE = 255
"""Colours of a Sixel picture: what terminals have."""
END = "\x1b[0m"


class Screen(NamedTuple):
    """A terminal: how it shows pictures, its columns and lines, and the pixels of a character."""

    way: Way
    columns: int
    lines: int
    cell: tuple[int, int] = CELL

    @property
    def grain(self) -> tuple[int, int]:
        """Columns and rows of pixels that a character has for a picture."""
        if self.way in ("kitty", "sixel"):
            return self.cell
        return (1, 2) if self.way in ("blocks", "256") else (1, 1)

    @property
    def room(self) -> tuple[int, int]:
        """Columns and lines of characters for one of two pictures beside each other."""
        return max(1, (self.columns - GAP - 1) // 2), max(1, self.lines - LINES)


def way_of(environment: Mapping[str, str], depth: str | None, encoding: str) -> Way:
    """How a terminal shows pictures, of whose colours rich says that their depth is "truecolor", "256" or less.

    >>> way_of({"TERM": "xterm-kitty"}, "truecolor", "utf-8"), way_of({"TERM": "vt100"}, None, "ascii")
    ('kitty', 'ascii')
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    coloured = depth is not None and not environment.get("NO_COLOR")
    through = environment.get("TMUX") or term.startswith(("screen", "tmux"))  # which passes no graphics on
    if coloured and not through:
        if environment.get("KITTY_WINDOW_ID") or term in KITTY or program in ("WezTerm", "ghostty"):
            return "kitty"
        if term in SIXEL:
            return "sixel"
    if encoding.lower().replace("-", "") != "utf8":
        return "ascii"
    if coloured and depth in ("truecolor", "256"):
        return "blocks" if depth == "truecolor" else "256"
    return "shades"


def screen() -> Screen | None:
    """The terminal that standard error is; None where it is none."""
    import sys

    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    way = way_of(os.environ, console.color_system, sys.stderr.encoding)
    columns, lines, width, height = window(sys.stderr.fileno())
    cell = (width // columns, height // lines) if width >= columns and height >= lines else CELL
    return Screen(way, columns, lines, cell)


def window(descriptor: int) -> tuple[int, int, int, int]:
    """Columns and lines of a terminal, and of its pixels, which it need not say: 0 then."""
    columns, lines, width, height = 0, 0, 0, 0
    with suppress(OSError):
        try:
            import fcntl
            import struct
            import termios
        except ImportError:  # Windows, which tells no pixels
            columns, lines = os.get_terminal_size(descriptor)
        else:
            found = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
            lines, columns, width, height = struct.unpack("4H", found)
    return columns or 80, lines or 24, width, height


def preview(looks: Sequence[Look], on: Screen) -> Iterator[str]:
    """The lines that show pictures beside each other, what they are above each."""
    images = [fitted(opened(look["views"][0]["picture"]), on) for look in looks]
    widths = [ceil(image.width / on.grain[0]) for image in images]
    texts = [list(caption(look, image.width, on.room[0])) for look, image in zip(looks, images, strict=True)]
    wide = [max(width, *map(len, text)) for width, text in zip(widths, texts, strict=True)]
    starts = [sum(wide[:n]) + GAP * n for n in range(len(wide))]
    yield from rows(texts, starts)
    if on.way in ("kitty", "sixel"):
        yield graphics(side_by_side(images, [start * on.grain[0] for start in starts]), on)
    else:
        yield from rows([list(characters(image, on.way)) for image in images], starts, widths)


def caption(look: Look, columns: int, width: int) -> Iterator[str]:
    """What a picture is that is shown in so many columns of pixels, in lines of a width."""
    times = look["size"][1] / columns
    reduced = [f"1/{times:.3g} of its size" if times > 1 else f"{1 / times:.3g} times its size"] if times != 1 else []
    yield shortened(visible(look["title"]), width)
    for text in (look["kind"], ", ".join((*reduced, *look["said"]))):
        yield from wrap(text, width)


def shortened(name: str, width: int) -> str:
    """A name that fits, with its end.

    >>> shortened("a/long/name.png", 11)
    '...name.png'
    """
    return name if len(name) <= width else f"...{name[len(name) + 3 - width :]}"[:width]


def opened(url: str) -> Image:
    """The picture in a data URL."""
    from PIL import Image

    return Image.open(BytesIO(b64decode(url.partition(",")[2]))).convert("RGB")


def fitted(image: Image, on: Screen) -> Image:
    """The picture as large as there is room for: pixels become squares of them, or means of some."""
    from PIL import Image

    (columns, lines), (wide, high) = on.room, on.grain
    shape = 1 if high > wide or on.way in ("kitty", "sixel") else 2  # a character is twice as high as wide
    across, down = columns * wide / image.width, lines * high / (image.height / shape)
    scale = min(across, down)
    if scale >= 1:
        scale = int(scale)
        size = image.width * scale, max(1, round(image.height * scale / shape))
        return image.resize(size, Image.Resampling.NEAREST if shape == 1 else Image.Resampling.BOX)
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale / shape))
    return image.resize(size, Image.Resampling.BOX)


def characters(image: Image, way: Way) -> Iterator[str]:
    """A picture as lines of characters."""
    pixels, (width, height) = image.tobytes(), image.size
    if way in RAMPS:
        grey, ramp = image.convert("L").tobytes(), RAMPS[way]
        for y in range(height):
            yield "".join(ramp[value * len(ramp) // 256] for value in grey[y * width : (y + 1) * width])
        return
    coloured = true_colour if way == "blocks" else of_256
    for y in range(0, height, 2):
        above = [coloured(pixels[3 * i : 3 * i + 3]) for i in range(y * width, (y + 1) * width)]
        below = [coloured(pixels[3 * i : 3 * i + 3]) for i in range((y + 1) * width, min(y + 2, height) * width)]
        yield "".join(cells(above, below)) + END


def cells(above: Sequence[str], below: Sequence[str]) -> Iterator[str]:
    """Characters whose upper half is of one colour and whose lower one of another; what stays is not said again.

    Below an odd last row there is nothing.
    """
    last: tuple[str, str] = "", ""
    for place, top in enumerate(above):
        bottom = below[place] if below else ""
        foreground = f"\x1b[38;{top}m" if top != last[0] else ""
        background = f"\x1b[48;{bottom}m" if bottom != last[1] else ""
        yield f"{foreground}{background}{BLOCK}"
        last = top, bottom


def true_colour(pixel: bytes) -> str:
    """A colour of 24 bits as terminals are told of it."""
    return "2;{};{};{}".format(*pixel)


def of_256(pixel: bytes) -> str:
    """The nearest of xterm's 256 colours: one of 24 greys where it is nearly grey, else of a cube of 6 x 6 x 6.

    >>> of_256(bytes((255, 0, 0))), of_256(bytes((128, 128, 128)))
    ('5;196', '5;244')
    """
    low, high = min(pixel), max(pixel)
    if high - low < 8 and low >= 8 and high < 243:
        return f"5;{232 + min(23, max(0, round((sum(pixel) / 3 - 8) / 10)))}"
    red, green, blue = (0 if value < 48 else 1 if value < 115 else (value - 35) // 40 for value in pixel)
    return f"5;{16 + 36 * red + 6 * green + blue}"


def rows(blocks: Sequence[Sequence[str]], starts: Sequence[int], widths: Sequence[int] = ()) -> Iterator[str]:
    """Lines of blocks beside each other, each from its column on; they have these widths, or those of their texts."""
    for number in range(max(map(len, blocks))):
        line, end = "", 0
        for place, (block, start) in enumerate(zip(blocks, starts, strict=True)):
            if number < len(block):
                line, text = f"{line}{' ' * (start - end)}{block[number]}", block[number]
                end = start + (widths[place] if widths else len(text))
        yield line


def side_by_side(images: Sequence[Image], starts: Sequence[int]) -> Image:
    """One picture of several, each from its column on."""
    from PIL import Image

    size = max(start + image.width for start, image in zip(starts, images, strict=True)), max(i.height for i in images)
    sheet = Image.new("RGB", size)
    for start, image in zip(starts, images, strict=True):
        sheet.paste(image, (start, 0))
    return sheet


def graphics(image: Image, on: Screen) -> str:
    """A picture in the protocol of a terminal that has one."""
    return kitty(image) if on.way == "kitty" else sixel(image)


def kitty(image: Image) -> str:
    """By Kitty's protocol (sw.kovidgoyal.net/kitty/graphics-protocol): a PNG in pieces; q=2: it answers nothing."""
    stream = BytesIO()
    image.save(stream, "PNG")
    text = b64encode(stream.getvalue()).decode()
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    more = [f"\x1b_Gq=2,m={int(n < len(pieces) - 1)};{piece}\x1b\\" for n, piece in enumerate(pieces)]
    more[0] = more[0].replace("q=2,", "a=T,f=100,q=2,", 1)
    return "".join(more)


def sixel(image: Image) -> str:
    """As DEC's Sixel graphics (VT330/VT340 manual, chapter 14): bands of six rows, in each colour after colour."""
    indexed = image.quantize(PALETTE)
    palette: list[int] = indexed.getpalette() or []
    width, height = image.size
    pixels = indexed.tobytes()
    used = sorted(set(pixels))
    parts = [f'\x1bP0;1q"1;1;{width};{height}']
    parts += ["#{};2;{};{};{}".format(c, *(round(v * 100 / 255) for v in palette[3 * c : 3 * c + 3])) for c in used]
    for top in range(0, height, 6):
        band = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        parts.append(
            "$".join(f"#{colour}{run_lengths(sixels(band, colour))}" for colour in sorted(set(b"".join(band)))) + "-"
        )
    return "".join(parts) + "\x1b\\"


def sixels(band: Sequence[bytes], colour: int) -> str:
    """The pixels of a colour in six rows: a character for each column."""
    columns: Any = zip(*band, strict=True)
    return "".join(chr(63 + sum((pixel == colour) << bit for bit, pixel in enumerate(column))) for column in columns)


def run_lengths(text: str) -> str:
    """Characters that are repeated, shorter.

    >>> run_lengths("?????@A")
    '!5?@A'
    """
    from itertools import groupby

    runs = ((letter, len(list(same))) for letter, same in groupby(text))
    return "".join(f"!{count}{letter}" if count > 3 else letter * count for letter, count in runs)
