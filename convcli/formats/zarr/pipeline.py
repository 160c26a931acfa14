"""From the bytes of a chunk to its numbers and back: byte order, order of axes, codecs, and chunks within shards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.source import SMALL, times
from convcli.formats.zarr.codecs import Codec
from convcli.image import Spans
from convcli.records import record
from convcli.system import memory

Array = np.ndarray[Any, Any]
NOTHING = 2**64 - 1
"""Offset and size of a chunk that a shard does not have."""
ENTRY = 16
"""Bytes of a chunk in the index of a shard: where it begins, and how long it is."""
SPARE = 1024
"""Bytes that a codec may add at most, beside a 64th, to what it cannot pack."""


@record
class Pipeline:
    """How chunks of a shape are stored, as numbers of `dtype` (NumPy's name with its byte order).

    The axes are stored in this `order`; then `codecs` pack the bytes, the first one first. A chunk with `shards` is
    made of smaller ones.
    """

    shape: tuple[int, ...]
    dtype: str
    order: tuple[int, ...]
    codecs: tuple[Codec, ...]
    shards: Shards | None = None

    @cached_property
    def type(self) -> np.dtype[Any]:
        """The type of the numbers as they are stored."""
        return np.dtype(self.dtype)

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return prod(self.shape) * self.type.itemsize

    @property
    def grain(self) -> tuple[int, ...]:
        """The shape of what is unpacked at once."""
        return self.shards.inner.grain if self.shards else self.shape

    def decode(self, data: bytes, fill: float) -> Array:
        """The numbers of a chunk, in the byte order they were stored in; those that are not there are `fill`.

        Raises ConvError: corrupt, too-large.
        """
        if self.size > SMALL and self.size > memory() // 2:
            raise ConvError(f"has chunks of {times(self.shape)}, more than the memory holds", "too-large")
        for place in reversed(range(len(self.codecs))):
            most = self.size if place == 0 and self.shards is None else self.size + self.size // 64 + SPARE
            data = self.codecs[place].unpack(data, most)
        if self.shards:
            return self.shards.decode(data, self.shape, fill)
        if len(data) != self.size:
            raise corrupt("chunk", f"it holds {len(data):,} bytes of numbers, not {self.size:,}")
        stored = np.frombuffer(data, self.type).reshape([self.shape[axis] for axis in self.order])
        return stored.transpose(np.argsort(self.order))

    def encode(self, numbers: Array) -> bytes:
        """The bytes of a chunk that is no shard."""
        data = np.ascontiguousarray(numbers.transpose(self.order), self.type).tobytes()
        for codec in self.codecs:
            data = codec.pack(data)
        return data


@record
class Shards:
    """How chunks lie in a shard: each packed by itself, with an index of all of them at the shard's end or start."""

    inner: Pipeline
    counts: tuple[int, ...]
    index: tuple[Codec, ...]
    order: str = "<"
    at_end: bool = True

    @property
    def index_size(self) -> int:
        """Bytes of the index."""
        return prod(self.counts) * ENTRY + 4 * len(self.index)

    def index_span(self, size: int) -> tuple[int, int]:
        """Where the index lies in a shard of so many bytes. Raises ConvError: corrupt."""
        if size < self.index_size:
            raise corrupt("shard", f"it is cut short: {size:,} bytes cannot hold its index")
        return (size - self.index_size, size) if self.at_end else (0, self.index_size)

    def parsed(self, data: bytes, size: int) -> Array:
        """The index of a shard of so many bytes: (offset, bytes) for each chunk. Raises ConvError: corrupt."""
        for codec in reversed(self.index):
            data = codec.unpack(data, self.index_size)
        table = np.frombuffer(data, f"{self.order}u8").astype(np.uint64).reshape(*self.counts, 2)
        offsets, sizes = table[..., 0], table[..., 1]
        there = (offsets != NOTHING) | (sizes != NOTHING)
        limit = np.uint64(size)
        if (there & ((offsets > limit) | (sizes > limit - np.minimum(offsets, limit)))).any():
            raise corrupt("shard", "it is cut short, or its index is wrong")
        return table

    def decode(self, data: bytes, shape: tuple[int, ...], fill: float) -> Array:
        """All numbers of a shard that is unpacked as a whole."""
        first, last = self.index_span(len(data))
        table, numbers = self.parsed(data[first:last], len(data)), np.full(shape, fill, self.inner.type)
        for place in product(*map(range, self.counts)):
            offset, size = map(int, table[place])
            if offset != NOTHING:
                corner = zip(place, self.inner.shape, strict=True)
                part = tuple(slice(at * step, (at + 1) * step) for at, step in corner)
                numbers[part] = self.inner.decode(data[offset : offset + size], fill)
        return numbers

    def packed(self, chunks: Sequence[bytes | None]) -> bytes:
        """A shard of its chunks, in order; None for those that it does not have."""
        table = np.full((len(chunks), 2), NOTHING, np.uint64)
        position = 0 if self.at_end else self.index_size
        for place, chunk in enumerate(chunks):
            if chunk is not None:
                table[place] = position, len(chunk)
                position += len(chunk)
        index = table.astype(f"{self.order}u8").tobytes()
        for codec in self.index:
            index = codec.pack(index)
        body = [chunk for chunk in chunks if chunk is not None]
        return b"".join([*body, index] if self.at_end else [index, *body])


def cells(spans: Spans, steps: Sequence[int]) -> list[tuple[tuple[int, ...], Spans]]:
    """The cells of a regular grid that a box touches, by their numbers, each with the part of the box in it.

    >>> cells(((3, 9),), (4,))
    [((0,), ((3, 4),)), ((1,), ((4, 8),)), ((2,), ((8, 9),))]
    """
    along = [
        [(number, (max(first, number * step), min(last, (number + 1) * step)))
         for number in range(first // step, -(-last // step))]
        for (first, last), step in zip(spans, steps, strict=True)
    ]  # fmt: skip
    every = product(*along)
    return [(tuple(number for number, _ in cell), tuple(span for _, span in cell)) for cell in every]


def within(spans: Spans, corner: Sequence[int]) -> tuple[slice, ...]:
    """A box as slices of an array whose first sample lies in a corner."""
    return tuple(slice(start - first, stop - first) for (start, stop), first in zip(spans, corner, strict=True))
