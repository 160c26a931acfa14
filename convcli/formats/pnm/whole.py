"""The portable formats of Netpbm (PBM, PGM, PPM, PAM), read and written here: others cut their 16-bit colour to 8."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.flat import Flat
from convcli.formats.layout import SAMPLES, is_flat, picture_samples
from convcli.formats.pixels import Array, picture
from convcli.formats.pnm import text as pnm_text
from convcli.formats.source import Source, check_declared
from convcli.image import Grid, Image, ImageInfo, PixelSource, PixelTarget, Spans
from convcli.records import record, replace

KINDS = {b"1": "pbm", b"2": "pgm", b"3": "ppm", b"4": "pbm", b"5": "pgm", b"6": "ppm", b"7": "pam"}
PLAIN = b"123"  # numbers as text
LONGEST_HEADER = 65536
FULL = (255, 65535)  # of what a sample holds, in one byte or two
FIELD = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,10})")  # a number after white space and comments
SPACE = re.compile(rb"(?:#[^\n\r]*)?\s")
COMMENT, PAM_COMMENT = re.compile(rb"#([^\n\r]*)"), re.compile(rb"^[ \t]*#([^\n]*)", re.MULTILINE)
PAM_LINE = re.compile(rb"[ \t]*(?:#[^\n]*|(\w+)(?:[ \t]+([^\n]*?))?)[ \t\r]*\n")

TUPLES = b"TUPLTYPE"
TUPLE_NAMES = {
    b"GRAYSCALE": "grey",
    b"GRAYSCALE_ALPHA": "grey+alpha",
    b"RGB": "rgb",
    b"RGB_ALPHA": "rgb+alpha",
}


@record
class Header:
    """What a file declares: its kind's number, size, samples per pixel and what they are, largest value, and where the
    pixels begin.
    """

    number: bytes
    width: int
    height: int
    depth: int
    most: int
    start: int
    samples: str
    comments: tuple[bytes, ...] = ()

    @property
    def kind(self) -> str:
        """The name of the format."""
        return KINDS[self.number]

    @property
    def is_bitmap(self) -> bool:
        """True where 1 is black and 0 white."""
        return self.kind == "pbm"

    @property
    def is_plain(self) -> bool:
        """True where the samples are text."""
        return self.number in PLAIN

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.width * self.height * self.depth

    @property
    def row(self) -> int:
        """Bytes of a row of binary samples: eight to a byte in a bitmap."""
        return (self.width + 7) // 8 if self.is_bitmap else self.width * self.depth * (2 if self.most > 255 else 1)

    @property
    def end(self) -> int:
        """Where binary samples end."""
        return self.start + self.row * self.height


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a PNM file says of itself."""
    return describe(parsed(source.head(LONGEST_HEADER)), source.size)


def read(source: Source, options: ReadOptions) -> Image:
    """A PNM file with its pixels, at the values it holds; bitmaps as 0 (black) and 255."""
    content = source.read()
    header = parsed(content[:LONGEST_HEADER])
    info = describe(header, len(content))
    check_declared(info, options.max_pixels)
    data = (text if header.is_plain else samples)(content, header)
    check_most(data, header.most, header.kind.upper())
    if header.is_bitmap:
        data = np.where(data, np.uint8(0), np.uint8(255))
    return Image(info, data.reshape(info.shape))


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """A picture of binary samples, read a window at a time; None for text and bitmaps, and for what `read` refuses."""
    with source.open() as stream:
        header = parsed(stream.read(LONGEST_HEADER))
        info, dtype = describe(header, source.size), np.dtype(">u2" if header.most > 255 else np.uint8)
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        if header.is_plain or header.is_bitmap or source.in_memory or header.end > source.size:
            yield None
            return
        yield info, Bounded(Flat(stream, header.start, dtype, info.shape, header.kind.upper()), header.most)


@record
class Bounded:
    """Samples that are no larger than declared."""

    source: Flat
    most: int

    @property
    def grid(self) -> Grid:
        """The cuts of the file."""
        return self.source.grid

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window."""
        self.source.read(spans, out)
        check_most(out, self.most, self.source.title)


def check_most(data: Array, most: int, title: str) -> None:
    """Refuse samples above the declared maximum."""
    if most not in FULL and data.size and int(data.max()) > most:
        raise corrupt(title, f"a sample is above the declared maximum of {most}")


def check_length(header: Header, length: int) -> None:
    """Refuse a file, of so many bytes, that ends before its pixels do."""
    if length < header.end:
        said = f"{header.end - header.start:,} bytes of pixels are declared, {length - header.start:,} follow"
        raise corrupt(header.kind.upper(), said)


def parsed(head: bytes) -> Header:
    """The header of any kind; the first bytes are "P" and a digit."""
    number = head[1:2]
    header = parsed_pam(head) if number == b"7" else parsed_pnm(head, number)
    found = (PAM_COMMENT if number == b"7" else COMMENT).findall(head[: header.start])
    return replace(header, comments=tuple(comment.strip() for comment in found if comment.strip()))


def parsed_pnm(head: bytes, number: bytes) -> Header:
    """Width, height and, but for bitmaps, the largest value; one white space before the pixels."""
    place, fields = 2, []
    for _ in range(2 if KINDS[number] == "pbm" else 3):
        match = FIELD.match(head, place)
        if match is None:
            raise corrupt("PNM", "its header lacks a number")
        fields.append(int(match.group(1)))
        place = match.end()
    space = SPACE.match(head, place)
    if space is None:
        raise corrupt("PNM", "it ends with its header")
    width, height, *most = fields
    depth = 3 if KINDS[number] == "ppm" else 1
    return checked(Header(number, width, height, depth, most[0] if most else 1, space.end(), SAMPLES[depth]))


def parsed_pam(head: bytes) -> Header:
    """Named fields, one a line, up to ENDHDR; each once, but for what the samples are, which may go on."""
    fields: dict[bytes, bytes] = {}
    place = head.find(b"\n") + 1
    while place and (match := PAM_LINE.match(head, place)) is not None:
        place = match.end()
        name, value = match.group(1), match.group(2) or b""
        if name == b"ENDHDR":
            break
        if name in fields and name != TUPLES:
            raise corrupt("PAM", f"its header declares {name.decode()} twice")
        if name:
            fields[name] = b" ".join(filter(None, (fields.get(name), value)))
    else:
        raise corrupt("PAM", "its header has no end")
    numbers = [fields.pop(name, b"") for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
    samples = fields.pop(TUPLES, b"")
    if fields:
        raise corrupt("PAM", f"its header has an unknown field {next(iter(fields)).decode('latin-1')!r}")
    if not all(number.isdigit() and len(number) <= 10 for number in numbers):
        raise corrupt("PAM", "its header lacks a size, depth or maximum")
    width, height, depth, most = map(int, numbers)
    return checked(Header(b"7", width, height, depth, most, place, named_samples(samples, depth)))


def named_samples(name: bytes, depth: int) -> str:
    """What the samples of a PAM are by the name of its tuples; by their number where there is none."""
    if not name:
        return SAMPLES.get(depth, "")
    known = TUPLE_NAMES.get(name.replace(b"BLACKANDWHITE", b"GRAYSCALE"), "")
    if known and known != SAMPLES.get(depth):
        raise corrupt("PAM", f"its header declares {depth} samples of {name.decode()}")
    return known


def checked(header: Header) -> Header:
    """The header, if its numbers are possible."""
    if not 0 < header.most < 65536 or header.depth < 1 or min(header.width, header.height) < 0:
        raise corrupt("PNM", f"its header declares {header.depth} samples with a maximum of {header.most}")
    return header


def describe(header: Header, length: int) -> ImageInfo:
    """The header of a file of so many bytes as an image; a maximum other than the dtype's is kept for writing."""
    size = (header.height, header.width)
    behind = 0 if header.is_plain else length - header.end
    wide = header.most > 255
    full = header.is_bitmap or header.most in FULL
    metadata: dict[str, Any] = {} if full else {"pnm": {"maxval": header.most}}
    metadata |= {"comments": header.comments} if header.comments else {}
    return ImageInfo(
        shape=size if header.depth == 1 else (*size, header.depth),
        dtype="uint16" if wide else "uint8",
        axes="YX" if header.depth == 1 else "YXS",
        format=header.kind,
        samples=header.samples if header.depth > 1 else "",
        metadata=metadata,
        notes=(f"goes on behind its first picture: the rest is not read ({behind:,} of {length:,} bytes)",)
        if behind > 0
        else (),
    )


def samples(content: bytes, header: Header) -> Array:
    """Binary samples: big-endian where they have two bytes, packed bits in a bitmap."""
    check_length(header, len(content))
    raw = np.frombuffer(content, np.uint8, header.row * header.height, header.start)
    if header.is_bitmap:
        return np.unpackbits(raw.reshape(header.height, header.row), axis=1, count=header.width)
    return raw.view(">u2").astype(np.uint16) if header.most > 255 else raw.copy()


def text(content: bytes, header: Header) -> Array:
    """Samples as text."""
    held, title = content[header.start :], header.kind.upper()
    if header.is_bitmap:
        return pnm_text.bits(held, header.count, title)
    values = pnm_text.numbers(held, header.count, header.most, title)
    return values if header.most > 255 else values.astype(np.uint8)


def is_plain(info: ImageInfo, _kind: str) -> bool:
    """True for a single picture whose largest value is that of its type: another is declared as the pixels are."""
    return is_flat(info) and not info.metadata.get("pnm")


def place(_info: ImageInfo, _kind: str) -> str:
    """All kinds hold the same beside the pixels."""
    return "pnm"


def write(stream: BinaryIO, image: Image, _options: WriteOptions, kind: str) -> None:
    """Encode a picture of 8 or 16 bits: PGM or PPM, or PAM where asked for."""
    data = picture(image)
    most = largest(data, image.info)
    stream.write(head_of(image.info, kind, most))
    stream.write(data.data if most < 256 else data.astype(">u2").data)


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, _options: WriteOptions, kind: str) -> Iterator[PixelTarget]:
    """The same file, whose rows are written as they come."""
    head = head_of(info, kind, info.sample.whole)
    stream.write(head)
    shape = (info.size("Y"), info.size("X"), info.size("S"))
    target = Flat(stream, len(head), np.dtype(info.dtype).newbyteorder(">"), shape, "PNM")
    stream.truncate(len(head) + info.nbytes)
    yield Rows(target, info)


@record
class Rows:
    """Rows of a picture on their way into a file: as `picture` makes them."""

    target: Flat
    info: ImageInfo

    @property
    def grid(self) -> Grid:
        """Rows."""
        return Grid(tuple(1 if axis == "Y" else self.info.size(axis) for axis in self.info.axes))

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put rows into their place."""
        rows = picture(Image(replace(self.info, shape=pixels.shape), pixels))
        _, *across = self.target.shape
        span = spans[self.info.axes.index("Y")]
        self.target.write((span, *((0, size) for size in across)), rows.reshape(-1, *across))


def head_of(info: ImageInfo, kind: str, most: int) -> bytes:
    """What stands before the pixels."""
    width, height, depth = (info.size(axis) for axis in "XYS")
    if kind == "pam":
        names = {samples: name.decode() for name, samples in TUPLE_NAMES.items()}
        tuples = names[picture_samples(info) or "grey"]
        head = f"P7\n%sWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {most}\nTUPLTYPE {tuples}\nENDHDR\n"
    else:
        head = f"P{6 if depth == 3 else 5}\n%s{width} {height}\n{most}\n"
    lines = [line for comment in info.metadata.get("comments", ()) for line in comment.splitlines()]
    return head.encode() % b"".join(b"# " + line + b"\n" for line in lines)


def largest(data: Array, info: ImageInfo) -> int:
    """The maximum to declare: the source's if all values still fit under it, else that of the dtype."""
    full = info.sample.whole
    own: int = info.metadata.get("pnm", {}).get("maxval", full)
    return own if own <= full and own > 255 * (full > 255) and int(data.max()) <= own else full


FORMAT = FormatModule(
    probe,
    read,
    write,
    windows,
    streamed,
    takes=is_plain,
    place=place,
    single=True,
    whole="text and bitmaps are decoded as a whole",
)
