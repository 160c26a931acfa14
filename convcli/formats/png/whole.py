"""PNG at its full depth: 8 and 16 bits, grey to RGBA; rows are read and written as they come.

The chunks are read here: the header for what the image is, the ancillary ones to be kept. What is out of the ordinary
(palettes, fewer bits, a transparent colour, interlacing) goes to libpng, the critical chunks alone: it
prints what it thinks of the others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np

from convcli import native
from convcli.errors import ConvError
from convcli.formats.animation import Animation, still
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions, always
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import is_flat
from convcli.formats.pixels import Array
from convcli.formats.png import animation
from convcli.formats.png.chunks import Chunk, chunks_of, layout_of, metadata_of
from convcli.formats.png.stream import Reader, banded
from convcli.formats.source import DEFLATE_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.records import record, replace

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3
COLOURS = {0: "grey", 2: "rgb", PALETTE: "rgb", 4: "grey+alpha", 6: "rgb+alpha"}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
STORED = {0: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}  # numbers per pixel in the file
COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}
LONGEST_SIDE = 1_000_000  # libpng's own limit
FORGIVEN = ("Extra compressed data", "Too much image data", "when using png_read_image")
"""What libpng says of bytes behind the last row, which change no pixel, and of how it is called for interlaced rows."""
OF_COLOURS = (b"PLTE", b"tRNS")
DECODED = (b"IHDR", *OF_COLOURS, b"IDAT", b"IEND")


@record
class Scan:
    """What lies in a PNG file, pixels apart: its header, its ancillary chunks, and where those to decode lie."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    chunks: tuple[Chunk, ...]
    decoded: tuple[tuple[bytes, int, int], ...]
    size: int
    dropped: tuple[str, ...]

    @property
    def stored_bytes(self) -> int:
        """Bytes of the pixels before compression."""
        return self.width * self.height * STORED[self.colour] * self.depth // 8

    @property
    def is_animated(self) -> bool:
        """Whether there are pictures beside the still one."""
        return any(kind == b"acTL" for kind, _, _ in self.chunks)

    @property
    def is_plain(self) -> bool:
        """True where the pixels lie as they are meant, row by row, and no other chunk has a say in them."""
        kinds = [kind for kind, _, _ in self.decoded]
        plain = kinds[1:-1] == [b"IDAT"] * (len(kinds) - 2)
        return plain and self.depth >= 8 and self.colour != PALETTE and not self.interlaced


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a PNG says of itself."""
    with source.open() as stream:
        found = scan(stream, source.size)
    return whole_animation(found, describe(found)) if is_wanted(found, options) else describe(found)


def is_wanted(found: Scan, options: ReadOptions) -> bool:
    """Whether the pictures of an animation are to be read, not the still one."""
    return options.frames is not None and found.is_animated


def times_of(found: Scan) -> dict[str, Animation]:
    """The times of an animation, under their key; nothing where it is damaged, which the still picture is not."""
    if not found.is_animated:
        return {}
    with suppress(ConvError):
        return {"animation": animation.frames_of(found.chunks, found.width, found.height)[1]}
    return {}


def whole_animation(found: Scan, info: ImageInfo) -> ImageInfo:
    """All pictures of an animation, of which the still one may be none."""
    count = len(animation.frames_of(found.chunks, found.width, found.height)[0])
    return replace(info, shape=(count, *info.shape), axes="T" + info.axes, notes=info.notes[1:])


def read(source: Source, options: ReadOptions) -> Image:
    """A PNG with its pixels; palettes and depths below 8 bits expanded."""
    with source.open() as stream:
        found = scan(stream, source.size)
        info = checked(found, options)
        if is_wanted(found, options):
            return animated(source.read(), found, whole_animation(found, info), options)
        if found.is_plain and native.ROWS:
            data = np.empty(info.shape, info.dtype)
            reader_of(stream, found, info).read(tuple((0, size) for size in info.shape), data)
            return Image(info, data)
    from convcli.formats.png.codec import decode
    from convcli.formats.tiff.damage import listening

    with decoding("PNG", RuntimeError, ValueError), listening() as heard:
        data = decode(critical(source.read(), found))
    serious = [line.removeprefix("PNG warning: ") for line in heard if not line.endswith(FORGIVEN)]
    if serious and not options.lenient:
        raise corrupt("PNG", serious[0])
    if data.shape != info.shape or data.dtype.name != info.dtype:
        raise corrupt("PNG", f"it decodes to {data.shape} {data.dtype}, not to {info.shape} {info.dtype}")
    return Image(replace(info, notes=(*info.notes, *serious)), data)


def animated(content: bytes, found: Scan, info: ImageInfo, options: ReadOptions) -> Image:
    """An animation with its pictures as they are seen."""
    check_declared(info, options.max_pixels)
    frames, _ = animation.frames_of(found.chunks, found.width, found.height)
    kept = [chunk(kind, data) for kind, data, _ in found.chunks if kind in OF_COLOURS]
    own = [content[start + 8 : end - 4] for kind, start, end in found.decoded if kind == b"IDAT"]

    def decode(frame: animation.Frame) -> Array:
        header = struct.pack(">IIBBBBB", frame.width, frame.height, found.depth, found.colour, 0, 0, found.interlaced)
        data = b"".join(own if frame.parts is None else frame.parts)
        parts = [SIGNATURE, chunk(b"IHDR", header), *kept, chunk(b"IDAT", data), chunk(b"IEND", b"")]
        return animation.decoded(b"".join(parts), (frame.height, frame.width, *info.shape[3:]), info.dtype)

    canvas, seen = np.zeros(info.shape[1:], info.dtype), np.empty(info.shape, info.dtype)
    for number, pixels in enumerate(animation.composed(frames, canvas, decode)):
        seen[number] = pixels
    return Image(info, seen)


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """A PNG whose rows are decoded as they are asked for; None where libpng decodes it, or its axes are renamed."""
    with source.open() as stream:
        found = scan(stream, source.size)
        info = checked(found, options)
        row_by_row = (
            found.is_plain and not is_wanted(found, options) and native.ROWS and options.axes in (None, info.axes)
        )
        yield (info, reader_of(stream, found, info)) if row_by_row else None


def checked(found: Scan, options: ReadOptions) -> ImageInfo:
    """A scanned PNG as an image whose pixels may be decoded."""
    info = describe(found)
    check_declared(info, options.max_pixels)
    check_ratio(found.stored_bytes, found.size, DEFLATE_RATIO)
    if max(found.width, found.height) > LONGEST_SIDE:
        raise ConvError(f"is larger than libpng reads: at most {LONGEST_SIDE:,} pixels wide and high", "too-large")
    return info


def reader_of(stream: BinaryIO, found: Scan, info: ImageInfo) -> Reader:
    """The rows of a plain PNG."""
    return Reader(stream, [(start, end) for kind, start, end in found.decoded if kind == b"IDAT"], info)


def critical(content: bytes, found: Scan) -> bytes:
    """The file with nothing but the chunks that its pixels need."""
    if not (found.chunks or found.dropped):
        return content
    parts = memoryview(content)
    return b"".join([SIGNATURE, *(parts[start:end] for _, start, end in found.decoded)])


def scan(stream: BinaryIO, size: int) -> Scan:
    """Walk the chunks of a PNG; every one must be whole, the first a valid header, the last the end."""
    stream.seek(len(SIGNATURE))
    header, chunks, decoded, pixels = b"", [], [], False
    for kind, start, length in chunk_places(stream, size):
        if not header and kind != b"IHDR":
            raise corrupt("PNG", "it does not begin with a header")
        if kind in DECODED:
            decoded.append((kind, start, start + 12 + length))
        if kind == b"IHDR":
            header = chunk_data(stream, kind, length)
        elif kind == b"IDAT":
            pixels = True
        elif kind not in DECODED or kind in OF_COLOURS:
            if kind not in DECODED and not kind[0] & 0x20:
                raise corrupt("PNG", f"it needs the unknown chunk {kind.decode('latin-1')}")
            chunks.append((kind, chunk_data(stream, kind, length), pixels))
    if not pixels:
        raise corrupt("PNG", "it has a header and no pixels")
    shape = parsed_header(header)
    kept: tuple[Chunk, ...] = ()
    dropped: tuple[str, ...] = ()
    if chunks:
        from convcli.formats.png.validity import Layout, sorted_out

        kept, dropped = sorted_out(chunks, Layout(*shape[2:4]))
    return Scan(*shape, kept, tuple(decoded), size, dropped)


def chunk_places(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, place and length of each chunk, the stream standing at its data; an error before a missing end."""
    place = len(SIGNATURE)
    while True:
        stream.seek(place)
        head = stream.read(8)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or place + 12 + length > size:
            raise corrupt("PNG", "it is cut short")
        yield head[4:], place, length
        if head[4:] == b"IEND":
            return
        place += 12 + length


def chunk_data(stream: BinaryIO, kind: bytes, length: int) -> bytes:
    """The data of the chunk that the stream stands at, its checksum verified."""
    data = stream.read(length)
    if int.from_bytes(stream.read(4), "big") != zlib.crc32(data, zlib.crc32(kind)):
        raise corrupt("PNG", f"{kind.decode('latin-1')}: CRC error")
    return data


def parsed_header(data: bytes) -> tuple[int, int, int, int, bool]:
    """Width, height, depth, colour type, and whether the rows are interlaced."""
    if len(data) != 13:
        raise corrupt("PNG", f"its header has {len(data)} bytes, not 13")
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise corrupt("PNG", f"its header declares colour type {colour} with {depth} bits")
    return width, height, depth, colour, interlace == 1


def describe(found: Scan) -> ImageInfo:
    """A scanned PNG as an image."""
    samples = COLOURS[found.colour]
    transparent = [data for kind, data, _ in found.chunks if kind == b"tRNS"]
    if transparent:
        check_transparency(found, transparent[0])
        samples += "+alpha"
    count = COUNTS[samples]
    size = (found.height, found.width)
    told = times_of(found)
    animated = (
        ("animated: its first or still picture is read; --frames picks other pictures",) if found.is_animated else ()
    )
    left_out = (f"holds chunks that break PNG's rules and are left out: {', '.join(found.dropped)}",) * bool(
        found.dropped
    )
    return ImageInfo(
        shape=size if count == 1 else (*size, count),
        dtype="uint16" if found.depth == 16 else "uint8",
        axes="YX" if count == 1 else "YXS",
        format="png",
        samples=samples if count > 1 else "",
        metadata=metadata_of(found.chunks, (found.depth, found.colour)) | told,
        notes=(*animated, *left_out),
    )


def check_transparency(found: Scan, data: bytes) -> None:
    """A transparency chunk has one size for each colour type, and none where the pixels have an alpha."""
    colours = sum(end - start - 12 for kind, start, end in found.decoded if kind == b"PLTE") // 3
    if not {0: len(data) == 2, 2: len(data) == 6, PALETTE: 0 < len(data) <= colours}.get(found.colour, False):
        kind = f"a palette of {colours} colours" if found.colour == PALETTE else f"colour type {found.colour}"
        raise corrupt("PNG", f"{len(data)} bytes of transparency do not fit {kind}")


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Encode a picture of 8 or 16 bits, or an animation."""
    if image.info.size("T") > 1:
        info = still(image.info)
        with around(stream, info):
            animation.written(image, options.png, lambda kind, data: stream.write(chunk(kind, data)))
        return
    with streamed(stream, image.info, options, kind) as target:
        target.write(tuple((0, size) for size in image.info.shape), image.data)


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, options: WriteOptions, _kind: str) -> Iterator[PixelTarget]:
    """A PNG that is whole at the end of the block, when all rows have been written; its kept chunks around them."""
    with (
        around(stream, info),
        banded(info, options.png, lambda content: stream.write(chunk(b"IDAT", content))) as rows,
    ):
        yield rows


@contextmanager
def around(stream: BinaryIO, info: ImageInfo) -> Iterator[None]:
    """What stands before the pixels of a PNG, and behind them."""
    depth, colour = layout_of(info)
    chunks = chunks_of(info, (depth, colour))
    stream.write(SIGNATURE)
    stream.write(chunk(b"IHDR", struct.pack(">IIBBBBB", info.size("X"), info.size("Y"), depth, colour, 0, 0, 0)))
    stream.writelines(chunk(kind, content) for kind, content, after in chunks if not after)
    yield
    stream.writelines(chunk(kind, content) for kind, content, after in chunks if after)
    stream.write(chunk(b"IEND", b""))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


WHOLE = (
    "palettes, bits and interlaced rows are decoded as a whole"
    if native.ROWS
    else "without its compiled code, convcli decodes PNG as a whole"
)
FORMAT = FormatModule(probe, read, write, windows, streamed, takes=is_flat, packs=always, single=True, whole=WHOLE)
