"""Radiance's pictures (.hdr): colours of light, as 8 bits of each and one exponent for the three.

The header is text, read and written here; run lengths are the codec's. What is written is rounded to the nearest number
that the format has, which the codec does not do by itself. Source: G. Ward, "Real Pixels", Graphics Gems II (1991), and
the file formats of Radiance, https://radsite.lbl.gov/radiance/refer/filefmts.pdf.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import picture_info
from convcli.formats.pixels import Array, coloured, picture
from convcli.formats.source import RUN_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import record

NAME, TITLE = "RGBE", "Radiance HDR"
LONGEST_HEADER = 65536
SIZES = re.compile(rb"([-+])([XY]) +(\d{1,9}) +([-+])([XY]) +(\d{1,9})\n")
STARTS, HELD = b"#?", b"32-bit_rle_rgbe"
SHORTEST, LONGEST = 8, 32767  # pixels of a row that run lengths are for
PIXEL = 4  # bytes
MOST = float(np.float32(255 * 2.0**119))  # the largest number
SMALLEST = -127  # exponent of the smallest pixels that are not 0


@record
class Header:
    """What a file declares: its lines, the axis and direction of rows and of what is in a row, where pixels begin."""

    lines: tuple[bytes, ...]
    comments: tuple[bytes, ...]
    rows: tuple[str, int, int]
    columns: tuple[str, int, int]
    start: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        sizes = {axis: size for axis, _, size in (self.rows, self.columns)}
        return sizes["Y"], sizes["X"]


def parsed(content: bytes) -> Header:
    """The header: lines up to an empty one, and a line of sizes."""
    text, gap, _ = content.partition(b"\n\n")
    found = SIZES.match(content, len(text) + 2)
    if not gap or not found or found[2] == found[5]:
        raise corrupt(TITLE, "it has no line of sizes behind its header")
    lines = [line.strip() for line in text.split(b"\n")[1:]]
    kinds = [line.partition(b"=")[2].strip() for line in lines if line.startswith(b"FORMAT=")]
    if kinds and kinds[-1] != HELD:
        shown = kinds[-1][:40].decode("latin-1")
        raise ConvError(f"is a kind of {TITLE} that is not read here ({shown}); convert it first", "codec-missing")
    directions = {b"-": -1, b"+": 1}
    return Header(
        tuple(line for line in lines if b"=" in line and not line.startswith((b"#", b"FORMAT="))),
        tuple(line[1:].strip() for line in lines if line.startswith(b"#") and not line.startswith(STARTS)),
        (found[2].decode(), directions[found[1]], int(found[3])),
        (found[5].decode(), directions[found[4]], int(found[6])),
        found.end(),
    )


def described(header: Header) -> ImageInfo:
    """A header as an image."""
    metadata: dict[str, Any] = {"radiance": header.lines} if header.lines else {}
    metadata |= {"comments": header.comments} if header.comments else {}
    return picture_info("hdr", header.size, "rgb", "float32", metadata=metadata)


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a picture of Radiance says of itself."""
    return described(parsed(source.head(LONGEST_HEADER)))


def read(source: Source, options: ReadOptions) -> Image:
    """A picture of Radiance with its pixels, upright, as they stand in the file."""
    content = source.read()
    header = parsed(content[:LONGEST_HEADER])
    info = described(header)
    check_declared(info, options.max_pixels)
    check_ratio(info.size("Y") * info.size("X") * PIXEL, len(content), RUN_RATIO)
    data = decoded(memoryview(content)[header.start :], header.rows[2], header.columns[2])
    steps = {header.rows[0]: -header.rows[1], header.columns[0]: header.columns[1]}  # rows are told from below
    if header.rows[0] == "X":
        data = data.swapaxes(0, 1)
        steps = {"X": header.rows[1], "Y": -header.columns[1]}
    return Image(info, np.ascontiguousarray(data[:: steps["Y"], :: steps["X"]]))


def decoded(content: memoryview, rows: int, columns: int) -> Array:
    """The pixels, row after row."""
    marked = bytes((2, 2, columns >> 8, columns & 255)) if SHORTEST <= columns <= LONGEST else None
    if marked is None or content[:PIXEL] != marked:
        missing = rows * columns * PIXEL - len(content)
        if missing < 0:
            raise corrupt(TITLE, "it holds more data than the picture that its header declares")
        if missing > 0 and marked and len(content) > PIXEL:
            reason = "its run lengths are those of before 1991"
            raise ConvError(f"is a kind of {TITLE} that is not read here ({reason}); convert it first", "codec-missing")
        if missing > 0:
            raise corrupt(TITLE, f"it is cut short: {missing:,} bytes of pixels are missing")
        return from_bytes(np.frombuffer(content, np.uint8, rows * columns * PIXEL).reshape(rows, columns, PIXEL))
    data = np.empty((rows, columns, 3), np.float32)
    with decoding(TITLE, RuntimeError, ValueError):
        codec(NAME, TITLE).rgbe_decode(content, header=False, rle=True, out=data)
    return data


def from_bytes(pixels: Array) -> Array:
    """Colours from their mantissas and exponents."""
    exponents = pixels[..., 3:].astype(np.int32)
    colours = np.ldexp(pixels[..., :3].astype(np.float32), exponents - (128 + 8))
    return np.where(exponents == 0, np.float32(0), colours).astype(np.float32)


def rounded(colours: Array) -> Array:
    """The nearest numbers that a pixel of one exponent holds: at most a half of 1/256 of its largest sample away.

    What is below 0, and what is no number, becomes 0; what is too large the largest.
    """
    held = np.clip(np.nan_to_num(colours, nan=0, posinf=MOST, neginf=0), 0, MOST)
    largest = held.max(axis=2, keepdims=True)
    exponents = np.frexp(largest)[1]
    steps = np.ldexp(np.float32(1), exponents - 8)
    carried = np.rint(largest / steps) == 256  # where the largest rounds up to the next power of 2
    steps = np.where(carried, 2 * steps, steps)
    whole: Array = np.minimum(np.rint(held / steps) * steps, np.float32(MOST))
    return np.where(exponents + carried <= SMALLEST, np.float32(0), whole)


def write(stream: BinaryIO, image: Image, _options: WriteOptions, _kind: str) -> None:
    """Encode a picture; grey as equal colours."""
    metadata = image.info.metadata
    lines = [b"#?RADIANCE", *(b"# " + line for each in metadata.get("comments", ()) for line in each.splitlines())]
    lines += [*metadata.get("radiance", ()), b"FORMAT=" + HELD, b""]
    data = rounded(coloured(picture(image)))
    rows, columns, _ = data.shape
    lines.append(b"-Y %d +X %d\n" % (rows, columns))
    room = rows * PIXEL * (columns + columns // 64 + 4)  # of run lengths that save nothing
    stream.write(b"\n".join(lines))
    stream.write(codec(NAME, TITLE).rgbe_encode(data, header=False, rle=SHORTEST <= columns <= LONGEST, out=room))


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


def remarks(_info: ImageInfo, _options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What the format does to numbers, wherever there are some like that."""
    return (f"{TITLE} keeps 8 bits of a pixel's largest sample, and nothing below 0: that becomes 0",)


FORMAT = FormatModule(
    probe, read, write, check=check, remarks=remarks, single=True, whole="pictures of Radiance are decoded as a whole"
)
