"""Windows of pixels in a file where they lie one after the other, without compression: read and written in place.

Positioned reads go into the caller's own memory. A memory map would count every page it touched as the process's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, BinaryIO

import numpy as np

from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array
from convcli.image import Grid, PixelTarget, Spans
from convcli.records import record, replace
from convcli.stores.stream import RemoteFile
from convcli.system import read_into


@record
class Flat:
    """An array in a file: the offset of its first number, its type with the byte order, its shape."""

    stream: BinaryIO
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    title: str

    @property
    def grid(self) -> Grid:
        """Rows, or their pixels: whatever lies in one piece."""
        return Grid((1,) * (len(self.shape) - 1) + self.shape[-1:], any_box=True)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window of the array, in the machine's byte order."""
        if isinstance(self.stream, RemoteFile) and len(stretches := list(self._stretches(spans))) > 1:
            self.stream.fetch(stretches)
        for offset, place in pieces(self.shape, spans):
            part = out[place]
            whole = part if part.flags.c_contiguous else np.empty(part.shape, out.dtype)
            self._fill(whole.reshape(-1).view(np.uint8).data, self.offset + offset * self.dtype.itemsize)
            if whole is not part:
                part[...] = whole
        if not self.dtype.isnative:
            out.byteswap(inplace=True)

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put a window of the array into its place."""
        for offset, place in pieces(self.shape, spans):
            self.stream.seek(self.offset + offset * self.dtype.itemsize)
            self.stream.write(np.ascontiguousarray(pixels[place], self.dtype).reshape(-1).view(np.uint8).data)

    def _stretches(self, spans: Spans) -> Iterator[tuple[int, int]]:
        """The bytes of a window in the file: the first of each piece, and that behind it."""
        for offset, place in pieces(self.shape, spans):
            start = self.offset + offset * self.dtype.itemsize
            yield start, start + prod(stop - first for first, stop in spans[len(place) :]) * self.dtype.itemsize

    def _fill(self, buffer: memoryview, offset: int) -> None:
        """Read all bytes of a buffer."""
        stream: Any = self.stream
        while buffer:
            remote = isinstance(stream, RemoteFile)
            count = stream.read_at(buffer, offset) if remote else read_into(stream.fileno(), buffer, offset)
            if count == 0:
                raise corrupt(self.title, f"it is cut short: {len(buffer):,} bytes of pixels are missing")
            buffer, offset = buffer[count:], offset + count


@record
class Reordered:
    """A target whose axes are in another order: `places` says where each of its axes is among the image's."""

    target: PixelTarget
    places: list[int]
    ndim: int

    @property
    def grid(self) -> Grid:
        """The target's cuts, by the axes of the image; of one that is left out, there is one sample."""
        held = dict(zip(self.places, self.target.grid.block, strict=True))
        return replace(self.target.grid, block=tuple(held.get(place, 1) for place in range(self.ndim)))

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put a window into its place."""
        self.target.write(tuple(spans[place] for place in self.places), in_order(pixels, self.places))


def in_order(pixels: Array, places: list[int]) -> Array:
    """A view of pixels with their axes in the order of `places`; an axis of length 1 may be left out."""
    left_out = [place for place in range(pixels.ndim) if place not in places]
    return pixels.transpose(places + left_out).reshape([pixels.shape[place] for place in places])


def pieces(shape: Sequence[int], spans: Spans) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The stretches of a window that lie in one piece in an array: where each begins, and its index in the window.

    >>> list(pieces((4, 3, 5), ((1, 3), (0, 3), (0, 5))))
    [(15, ())]
    >>> list(pieces((4, 3, 5), ((1, 3), (2, 3), (0, 5))))
    [(25, (0,)), (40, (1,))]
    """
    if all(span == (0, size) for span, size in zip(spans[1:], shape[1:], strict=True)):
        yield (spans[0][0] * prod(shape[1:]) if spans else 0), ()
        return
    for place, index in enumerate(range(*spans[0])):
        for offset, inner in pieces(shape[1:], spans[1:]):
            yield index * prod(shape[1:]) + offset, (place, *inner)
