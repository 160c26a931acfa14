"""Volumes whose numbers lie in one piece, plain or packed, behind their header or in a file beside it."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from math import prod
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from convcli.formats.contract import FormatModule, ReadOptions, Windows, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.flat import Flat, Reordered, in_order
from convcli.formats.pixels import Array, filled
from convcli.formats.source import BZIP2_RATIO, DEFLATE_RATIO, Source, check_declared, check_ratio, kept_open
from convcli.image import Image, ImageInfo, PixelTarget
from convcli.records import record

REST = 2**20  # bytes that are read at a time of what lies behind the pixels
DAMAGE = (ValueError, TypeError, KeyError, ArithmeticError, EOFError, OSError, zlib.error, UnicodeError)
GZIP = b"\x1f\x8b"
Order = Literal["<", ">"]
"""Of bytes, as NumPy writes it."""


@record
class Stored:
    """Where numbers lie: a stream, `size` bytes of it, the first of them, their type with its byte order, their shape.

    `packing` is "", "gzip", "bzip2", "zlib", or "text" for numbers that people can read; what is packed begins at
    `start`, and after `skipped` bytes the numbers do.
    """

    stream: BinaryIO
    size: int
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    packing: str = ""
    skipped: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return prod(self.shape) * self.dtype.itemsize

    def check_length(self, title: str) -> None:
        """Refuse a file that ends before its numbers do."""
        if not self.packing and (missing := self.start + self.nbytes - self.size) > 0:
            raise corrupt(title, f"it is cut short: {missing:,} bytes of pixels are missing")

    def read(self, title: str) -> Array:
        """All numbers, in the machine's byte order."""
        self.stream.seek(self.start)
        if self.packing == "text":
            return self.spelt(title)
        stream = PACKINGS[self.packing].opened(self.stream)
        skip(stream, self.skipped)
        data = filled(stream, self.dtype, self.shape, title)
        while self.packing and stream.read(REST):  # the checksum stands at the end
            pass
        return data

    def spelt(self, title: str) -> Array:
        """Numbers in words."""
        words = self.stream.read().split()
        if len(words) != prod(self.shape):
            raise corrupt(title, f"{prod(self.shape):,} numbers are declared, {len(words):,} are there")
        kind = self.dtype.newbyteorder("=")
        return np.array([int(word) if kind.kind in "iu" else float(word) for word in words], kind).reshape(self.shape)


class Inflated:
    """What a zlib stream holds, as a stream that is read once."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.inflate = zlib.decompressobj()
        self.waiting = b""

    def readinto(self, buffer: memoryview) -> int:
        """Fill some of a buffer; 0 at the end."""
        content = b""
        while not content and not self.inflate.eof:
            self.waiting = self.waiting or self.stream.read(REST)
            if not self.waiting:
                raise EOFError("it is cut short")
            content = self.inflate.decompress(self.waiting, len(buffer))
            self.waiting = self.inflate.unconsumed_tail
        buffer[: len(content)] = content
        return len(content)

    def read(self, count: int) -> bytes:
        """Some bytes; none at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.readinto(memoryview(buffer))])


class Packing(NamedTuple):
    """A compression: what reads it, and how far it expands at the most."""

    opened: Callable[[BinaryIO], Any]
    ratio: int


PACKINGS = {
    "": Packing(lambda stream: stream, 1),
    "gzip": Packing(lambda stream: gzip.GzipFile(fileobj=stream), DEFLATE_RATIO),
    "zlib": Packing(Inflated, DEFLATE_RATIO),
    "bzip2": Packing(bz2.BZ2File, BZIP2_RATIO),
    "text": Packing(lambda stream: stream, 8),
}


def skip(stream: Any, count: int) -> None:
    """Read past some bytes."""
    while count > 0 and (part := stream.read(min(REST, count))):
        count -= len(part)


Opened = tuple[ImageInfo, Stored]
Opening = Callable[[Source, ReadOptions], AbstractContextManager[Opened]]


def probe(title: str, opening: Opening, source: Source, options: ReadOptions) -> ImageInfo:
    """What the header says."""
    with decoding(title, *DAMAGE), opening(source, options) as (info, _):
        return info


def read(title: str, opening: Opening, source: Source, options: ReadOptions) -> Image:
    """All numbers."""
    with decoding(title, *DAMAGE), opening(source, options) as (info, stored):
        stored.check_length(title)
        check_declared(info, options.max_pixels)
        check_ratio(stored.nbytes, stored.size - stored.start, PACKINGS[stored.packing].ratio)
        return Image(info, stored.read(title))


@contextmanager
def windows(title: str, opening: Opening, source: Source, options: ReadOptions) -> Iterator[Windows | None]:
    """Numbers that are read a window at a time; None where they are packed."""
    with ExitStack() as stack:
        with decoding(title, *DAMAGE):
            info, stored = stack.enter_context(opening(source, options))
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        stored.check_length(title)
        pixels = Flat(stored.stream, stored.start, stored.dtype, stored.shape, title)
        kept = stack.pop_all()
    with kept_open(kept):
        yield None if stored.packing or source.in_memory else (info, pixels)


class Layout(NamedTuple):
    """A file to be written: what stands before the numbers, their type, the image's axes in their order, what follows.

    The axes are places among the image's.
    """

    head: bytes
    dtype: np.dtype[Any]
    order: list[int]
    tail: bytes = b""


LaidOut = Callable[[ImageInfo, str], Layout]


def write(title: str, laid_out: LaidOut, stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Write an image that is there as a whole."""
    with streamed(title, laid_out, stream, image.info, options, kind) as target:
        target.write(tuple((0, size) for size in image.info.shape), image.data)


@contextmanager
def streamed(
    title: str, laid_out: LaidOut, stream: BinaryIO, info: ImageInfo, _options: WriteOptions, kind: str
) -> Iterator[PixelTarget]:
    """A file whose numbers are written as they come."""
    layout = laid_out(info, kind)
    start, shape = stream.tell(), tuple(info.shape[place] for place in layout.order)
    stream.write(layout.head)
    end = start + len(layout.head) + info.nbytes
    stream.truncate(end)
    stream.seek(end)
    stream.write(layout.tail)
    yield Reordered(Flat(stream, start + len(layout.head), layout.dtype, shape, title), layout.order, len(info.shape))


def write_packed(laid_out: LaidOut, stream: BinaryIO, image: Image, kind: str) -> None:
    """The same file through gzip; the same image gives the same bytes."""
    layout = laid_out(image.info, kind)
    pixels = in_order(image.data, layout.order)
    with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(layout.head)
        for part in pixels if pixels.ndim > 2 else (pixels,):
            file.write(np.ascontiguousarray(part, layout.dtype).data)
        file.write(layout.tail)


def module(title: str, opening: Opening, laid_out: LaidOut) -> FormatModule:
    """A format whose files `opening` opens, as an image and where its numbers are, and which are laid out so."""
    return FormatModule(
        partial(probe, title, opening),
        partial(read, title, opening),
        partial(write, title, laid_out),
        partial(windows, title, opening),
        partial(streamed, title, laid_out),
        whole="numbers that are packed are read as a whole",
    )


class Headed(NamedTuple):
    """A file with a header of a fixed length, read: the file, its content where gzip packs it, and the header."""

    raw: BinaryIO
    stream: BinaryIO
    packed: bool
    block: bytes

    def stored(self, size: int, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Stored:
        """The numbers, which begin `start` bytes into the content; the file has `size`."""
        if self.packed:
            return Stored(self.raw, size, 0, dtype, shape, "gzip", start)
        return Stored(self.raw, size, start, dtype, shape)


@contextmanager
def headed(title: str, source: Source, length: int) -> Iterator[Headed]:
    """A file with a header of so many bytes; refused where it is shorter."""
    with source.open() as raw:
        packed = source.head(2) == GZIP
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
        block = stream.read(length)
        if len(block) < length:
            raise corrupt(title, f"its header has {len(block)} of {length} bytes")
        yield Headed(raw, stream, packed, block)
