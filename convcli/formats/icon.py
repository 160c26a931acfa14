"""ICO: icons of Windows, several sizes of a picture in one file; the largest is read, and one is written, as a PNG.

Source: Microsoft, "Icons" (1995), and the PNG entries of Windows Vista.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, NamedTuple

import numpy as np
import PIL.IcoImagePlugin
import PIL.Image

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import check_series, picture_info
from convcli.formats.pillow import DAMAGE, pillow_tamed
from convcli.formats.pixels import as_declared, coloured, picture
from convcli.formats.png import whole as png
from convcli.formats.png.whole import SIGNATURE
from convcli.formats.source import Source, check_declared, from_bytes, times
from convcli.image import Image, ImageInfo
from convcli.records import replace

TITLE = "ICO"
HEAD, ENTRY = struct.Struct("<HHH"), struct.Struct("<BBBBHHII")
DIB, DIB_HEAD, SMALLEST = struct.Struct("<IiiHHI"), 40, 40
DEPTHS, WITH_OPACITY = (1, 4, 8, 24, 32), 32
ALL = 256  # pixels that a 0 stands for


class Entry(NamedTuple):
    """One picture: its rows and columns, and its content, a PNG or a DIB with a mask behind it; what the list says."""

    height: int
    width: int
    content: bytes
    listed: tuple[int, int]

    @property
    def is_png(self) -> bool:
        """Whether it is a PNG."""
        return self.content.startswith(SIGNATURE)


def entries(content: bytes) -> list[Entry]:
    """The pictures of a file. Raises ConvError: corrupt, codec-missing."""
    count = int.from_bytes(content[4 : HEAD.size], "little")
    if not count or len(content) < HEAD.size + count * ENTRY.size:
        raise corrupt(TITLE, "it is cut short, or holds no picture")
    found = []
    for number in range(count):
        across, down, *_, size, start = ENTRY.unpack_from(content, HEAD.size + number * ENTRY.size)
        part = content[start : start + size]
        if len(part) < size or size < SMALLEST:
            raise corrupt(TITLE, "it is cut short")
        height, width = struct.unpack_from(">4xII", part, 12)[::-1] if part.startswith(SIGNATURE) else masked(part)
        if width <= 0 or height <= 0:
            raise corrupt(TITLE, f"a picture has a size of {width} x {height}")
        found.append(Entry(height, width, part, (down or ALL, across or ALL)))
    return found


def masked(part: bytes) -> tuple[int, int]:
    """Rows and columns of a DIB whose rows are followed by those of a mask."""
    head, width, height, _, bits, packing = DIB.unpack_from(part)
    if head != DIB_HEAD or bits not in DEPTHS or packing:
        told = f"a header of {head} bytes, {bits} bits a pixel, packed as {packing}"
        raise ConvError(f"holds a kind of picture that is not read here ({told}); convert it first", "codec-missing")
    return height // 2, width


def trimmed(entry: Entry) -> bytes:
    """A DIB up to the end of its mask, where Pillow looks for it. Raises ConvError: corrupt."""
    bits, used = (int.from_bytes(entry.content[place : place + 2], "little") for place in (14, 32))
    table = 4 * (used or (1 << bits if bits <= 8 else 0))
    rows = (entry.width * bits + 31) // 32 * 4 + ((entry.width + 31) // 32 * 4 if bits < WITH_OPACITY else 0)
    end = DIB_HEAD + table + rows * entry.height
    if end > len(entry.content):
        raise corrupt(TITLE, f"it is cut short: {end - len(entry.content):,} bytes are missing")
    return entry.content[:end]


def picked(content: bytes, options: ReadOptions) -> tuple[Entry, tuple[str, ...]]:
    """The picture to read, and notes: the largest, unless another one is asked for."""
    found = entries(content)
    check_series(options.series, len(found))
    largest = max(found, key=lambda entry: entry.height * entry.width)
    entry = largest if options.series is None else found[options.series]
    notes = []
    if options.series is None and len(found) > 1:
        notes.append(f"1 of {len(found)} pictures is read, the largest; --series N picks another")
    if entry.listed != (entry.height, entry.width):
        listed, true = times(entry.listed), times((entry.height, entry.width))
        notes.append(f"the icon's list says {listed} pixels of a picture that has {true}")
    return entry, tuple(notes)


def alone(options: ReadOptions) -> ReadOptions:
    """The options for a PNG, which holds one picture."""
    return replace(options, series=None, frames=None)


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What an icon says of itself."""
    entry, notes = picked(source.read(), options)
    if entry.is_png:
        info = png.probe(from_bytes(entry.content), alone(options))
        return replace(info, format="ico", notes=(*info.notes, *notes))
    trimmed(entry)
    return picture_info("ico", (entry.height, entry.width), "rgb+alpha", notes=notes)


def read(source: Source, options: ReadOptions) -> Image:
    """A picture of an icon with its pixels: as its PNG has them, or with an opacity that its mask tells."""
    entry, _ = picked(source.read(), options)
    info = probe(source, options)
    if entry.is_png:
        return Image(info, png.read(from_bytes(entry.content), alone(options)).data)
    check_declared(info, options.max_pixels)
    content = trimmed(entry)
    bits = int.from_bytes(content[14:16], "little")
    icon = HEAD.pack(0, 1, 1) + ENTRY.pack(0, 0, 0, 0, 1, bits, len(content), HEAD.size + ENTRY.size) + content
    with decoding(TITLE, *DAMAGE), pillow_tamed():
        data = np.asarray(PIL.IcoImagePlugin.IcoFile(io.BytesIO(icon)).frame(0).convert("RGBA"))
    return Image(info, as_declared(TITLE, data, info))


def write(stream: BinaryIO, image: Image, _options: WriteOptions, _kind: str) -> None:
    """Encode a picture as an icon of one size: colours with an opacity, in a PNG."""
    data, made = coloured(picture(image)), io.BytesIO()
    if data.shape[2] == 3:
        data = np.concatenate([data, np.full_like(data[..., :1], 255)], axis=2)
    PIL.Image.fromarray(data).save(made, "PNG")
    content = made.getvalue()
    sides = [side % ALL for side in (data.shape[1], data.shape[0])]
    stream.write(HEAD.pack(0, 1, 1))
    stream.write(ENTRY.pack(*sides, 0, 0, 1, 32, len(content), HEAD.size + ENTRY.size) + content)


FORMAT = FormatModule(probe, read, write, whole="Pillow decodes pictures as a whole")
