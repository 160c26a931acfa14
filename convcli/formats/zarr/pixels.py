"""The pixels of an array: any box read chunk by chunk, and boxes of whole chunks written.

Reading asks the store for the chunks that a box touches and for nothing else, of a shard for its index and those
chunks. A chunk that is not there is made of the fill value; one that is cut short is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import product
from math import prod
from threading import Lock
from time import time_ns
from typing import Any, TypeVar

import numpy as np

from convcli.errors import ConvError, changed
from convcli.formats.zarr.metadata import ArrayMeta
from convcli.formats.zarr.pipeline import NOTHING, Pipeline, cells, within
from convcli.image import Grid, Spans
from convcli.records import record, replace
from convcli.stores.contract import Seen, Store
from convcli.stores.folder import LocalStore
from convcli.system import core_count

Array = np.ndarray[Any, Any]
Given = TypeVar("Given")
Index = tuple[Seen, Array]
Cell = tuple[tuple[int, ...], Spans]
MOST_PACKED = 2**24
"""Bytes, unpacked, of the chunks that are in memory before they are unpacked."""
HANDS_HERE, HANDS_FAR = max(4, core_count()), max(16, core_count())
"""Chunks that are read, or packed, at a time, for all boxes together: of files, as many as cores unpack; of a store,
many wait."""
INDEXES = 256
"""Indexes of shards that are kept: of one with 2,048 chunks, 32 kB each."""
MOST_TAGS = 2**15
"""Chunks of stores whose tags are remembered, some 10 MB: boxes that share a chunk mostly follow each other."""
TAGS: dict[tuple[int, str, str], str | None] = {}
"""The tags of chunks that were read, by the time when their image was first looked at; None for what was not there."""
LOCK = Lock()
GAP = 2**16
"""Bytes between two chunks of a shard that are read along with them, rather than asked for apart."""


@record
class ZarrPixels:
    """The pixels of an array in a store: `path` is its place below the root, with a slash at the end if it has any.

    `order` says which of its axes each axis of the image is; `block`, of whole chunks, is what one task writes. Chunks
    that are newer than `since`, where it is a time in nanoseconds by the clock of the store, are refused: somebody
    writes them.
    """

    store: Store
    path: str
    meta: ArrayMeta
    order: tuple[int, ...]
    block: tuple[int, ...]
    since: int = 0

    @contextmanager
    def opened(self) -> Iterator[ZarrPixels]:
        """The same with no index in memory: what is there now is read."""
        yield replace(self)

    @property
    def grid(self) -> Grid:
        """What is written at once."""
        return Grid(tuple(self.block[axis] for axis in self.order), any_box=True, anew=True)

    @cached_property
    def indexes(self) -> dict[str, Index | None]:
        """The indexes of shards that were read last; None for those that are not there."""
        return {}

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box; what is true is 255. Raises ConvError: corrupt, too-large, unsafe."""
        own, corner = self.inward(spans), [first for first, _ in self.inward(spans)]
        target = out.transpose(np.argsort(self.order))
        target = target.view(bool) if self.meta.dtype == "bool" else target

        def fetch(cell: Cell) -> list[Callable[[], None]]:
            key = self.path + self.meta.keys.of(cell[0])
            with told_of(self.store, key):
                return self.pieces(key, cell, target[within(cell[1], corner)])

        def unpack(piece: Callable[[], None]) -> None:
            piece()

        for touched in self.batches(cells(own, self.meta.chunks)):
            pieces = [piece for found in self.side_by_side(fetch, touched) for piece in found]
            for _ in self.side_by_side(unpack, pieces):
                pass
        if self.meta.dtype == "bool":
            out *= 255

    def batches(self, touched: Sequence[Cell]) -> Iterator[list[Cell]]:
        """Chunks, as many at a time as may be in memory packed; of shards only what a box touches is."""
        whole, batch, size = prod(self.meta.chunks), list[Cell](), 0
        for cell in touched:
            samples = whole if self.meta.pipeline.shards is None else prod(last - first for first, last in cell[1])
            if batch and size + samples * self.meta.pipeline.type.itemsize > MOST_PACKED:
                yield batch
                batch, size = [], 0
            batch.append(cell)
            size += samples * self.meta.pipeline.type.itemsize
        yield batch

    def inward(self, spans: Spans) -> Spans:
        """A box of the image as one of the array."""
        return tuple(spans[place] for place in np.argsort(self.order))

    def side_by_side(self, function: Callable[[Given], Any], given: Sequence[Given]) -> Iterable[Any]:
        """What a function makes of each, several at a time where there are several."""
        if len(given) < 2:
            return map(function, given)
        return crew(os.getpid(), HANDS_HERE if isinstance(self.store, LocalStore) else HANDS_FAR).map(function, given)

    def pieces(self, key: str, cell: Cell, out: Array) -> list[Callable[[], None]]:
        """Read the part of a box that lies in a chunk; what remains is to unpack it, in pieces."""
        place, spans = cell
        pipeline = self.meta.pipeline
        corner = [at * step for at, step in zip(place, pipeline.shape, strict=True)]
        local = tuple((first - at, last - at) for (first, last), at in zip(spans, corner, strict=True))
        if pipeline.shards is not None and not pipeline.codecs:
            return self.pieces_of_shard(key, pipeline, local, out)
        found = self.inside(key).whole(key)
        self.check_age(key, found and found[0])
        return [self.unpacking(pipeline, key, found and found[1], local, out)]

    def check_age(self, key: str, seen: Seen | None) -> None:
        """Refuse a chunk that was written since then, and one of a store that is not what this process saw before.

        Raises ConvError: changed. Files may be of the future, where somebody has set their time.
        """
        if not self.since:
            return
        is_local = isinstance(self.store, LocalStore)
        is_new = seen is not None and self.since < seen.time and not (is_local and seen.time > time_ns())
        if is_new or not (is_local or self.is_as_before(key, seen)):
            raise changed(self.store.name)

    def is_as_before(self, key: str, seen: Seen | None) -> bool:
        """Whether a chunk has the tag that it had before in this process, where that is remembered."""
        with LOCK:
            known = TAGS.setdefault((self.since, self.store.name, key), seen and seen.tag)
            if len(TAGS) > MOST_TAGS:
                del TAGS[next(iter(TAGS))]
        return known == (seen and seen.tag)

    def unpacking(
        self, pipeline: Pipeline, key: str, data: bytes | None, local: Spans, out: Array
    ) -> Callable[[], None]:
        """What fills `out` with a box of a chunk."""

        def unpack() -> None:
            if data is None:
                out[...] = self.meta.fill
                return
            with told_of(self.store, key):
                out[...] = pipeline.decode(data, self.meta.fill)[tuple(slice(*span) for span in local)]

        return unpack

    def pieces_of_shard(self, key: str, pipeline: Pipeline, local: Spans, out: Array) -> list[Callable[[], None]]:
        """Read the chunks of a shard that a box touches."""
        assert pipeline.shards is not None
        inner, corner = pipeline.shards.inner, [first for first, _ in local]
        found = self.index(key, pipeline)
        if found is None:
            return [self.unpacking(inner, key, None, local, out)]
        seen, table = found
        wanted = cells(local, inner.shape)
        places = [(int(table[place][0]), int(table[place][1])) for place, _ in wanted]
        read = self.ranges(key, seen, [place for place in places if place[0] != NOTHING])
        made = []
        for (cell, spans), (offset, _) in zip(wanted, places, strict=True):
            first = [at * step for at, step in zip(cell, inner.shape, strict=True)]
            part = tuple((start - at, stop - at) for (start, stop), at in zip(spans, first, strict=True))
            target = out[within(spans, corner)]
            made.append(self.unpacking(inner, key, None if offset == NOTHING else read[offset], part, target))
        return made

    def ranges(self, key: str, seen: Seen, places: Sequence[tuple[int, int]]) -> dict[int, bytes]:
        """Pieces of an object, (offset, bytes), by their offsets; those that lie near each other in one request."""
        runs: list[list[tuple[int, int]]] = []
        for place in sorted(set(places)):
            if runs and place[0] - sum(runs[-1][-1]) <= GAP:
                runs[-1].append(place)
            else:
                runs.append([place])
        found = {}
        for run in runs:
            start, stop = run[0][0], max(offset + size for offset, size in run)
            data = self.store.read(key, start, stop, tag=seen.tag)
            found.update({offset: data[offset - start : offset - start + size] for offset, size in run})
        return found

    def index(self, key: str, pipeline: Pipeline) -> Index | None:
        """The index of a shard, and what was seen of it; None where there is none."""
        assert pipeline.shards is not None
        if key not in self.indexes:
            seen, found = self.inside(key).seen(key), None
            self.check_age(key, seen)
            if seen is not None:
                span = pipeline.shards.index_span(seen.size)
                found = seen, pipeline.shards.parsed(self.store.read(key, *span, tag=seen.tag), seen.size)
            while len(self.indexes) >= INDEXES:
                self.indexes.pop(next(iter(self.indexes)), None)
            self.indexes[key] = found
        return self.indexes[key]

    def inside(self, key: str) -> Store:
        """The store, in which nothing is read that lies outside. Raises ConvError: unsafe."""
        if isinstance(self.store, LocalStore):
            check_inside(self.store.path, key)
        return self.store

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put a box of whole chunks into its place; a chunk of fill values alone is not stored."""
        own, numbers = self.inward(spans), pixels.transpose(np.argsort(self.order))
        corner = [first for first, _ in own]
        for (first, last), step, size in zip(own, self.meta.chunks, self.meta.shape, strict=True):
            if first % step or (last % step and last != size):
                raise ValueError(f"the box {spans} is not made of whole chunks of {self.meta.chunks}")

        def store(cell: Cell) -> None:
            self.store_chunk(self.path + self.meta.keys.of(cell[0]), numbers[within(cell[1], corner)])

        several = map if self.meta.pipeline.shards else self.side_by_side  # the chunks of a shard are side by side
        for _ in several(store, cells(own, self.meta.chunks)):
            pass

    def store_chunk(self, key: str, numbers: Array) -> None:
        """Put a chunk, or what of it lies inside the image, into its place."""
        pipeline = self.meta.pipeline
        if not pipeline.shards:
            whole = np.ascontiguousarray(self.padded(numbers, pipeline.shape))
            data = None if self.is_empty(whole) else pipeline.encode(whole)
        else:
            inner = pipeline.shards.inner
            made = list(self.side_by_side(lambda cell: self.packed(cell, inner, numbers), self.places(pipeline)))
            data = pipeline.shards.packed(made) if any(each is not None for each in made) else None
        if data is not None:
            self.store.put(key, data)
        else:
            self.store.delete(key)  # an earlier run may have left one

    def places(self, pipeline: Pipeline) -> list[tuple[int, ...]]:
        """The chunks of a shard, in order."""
        assert pipeline.shards is not None
        return list(product(*map(range, pipeline.shards.counts)))

    def packed(self, place: tuple[int, ...], inner: Pipeline, numbers: Array) -> bytes | None:
        """A chunk of a shard of numbers; None where there is nothing in it."""
        part = numbers[tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, inner.shape, strict=True))]
        part = np.ascontiguousarray(part)
        return None if 0 in part.shape or self.is_empty(part) else inner.encode(self.padded(part, inner.shape))

    def padded(self, numbers: Array, shape: tuple[int, ...]) -> Array:
        """Numbers up to the shape of a chunk."""
        if numbers.shape == shape:
            return numbers
        whole = np.full(shape, self.meta.fill, numbers.dtype)
        whole[tuple(slice(size) for size in numbers.shape)] = numbers
        return whole

    def is_empty(self, numbers: Array) -> bool:
        """Whether all are the fill value, which is 0, bit by bit."""
        bits = numbers.view(f"u{numbers.dtype.itemsize}")
        return self.meta.fill == 0 and not bits.any()


@cache
def crew(_process: int, hands: int) -> ThreadPoolExecutor:
    """The threads of a process that read and unpack; a forked one has its own."""
    return ThreadPoolExecutor(hands, "convcli zarr")


@contextmanager
def told_of(store: Store, key: str) -> Iterator[None]:
    """What is wrong with a chunk is told with its key."""
    try:
        yield
    except ConvError as error:
        if error.code in ("corrupt", "unsafe") and error.where is None:
            raise ConvError(f"{key}: {error.message}", error.code, where=store.name) from error.__cause__
        raise


def check_inside(root: str, key: str) -> None:
    """Refuse a key of a folder whose file, by links, lies elsewhere. Raises ConvError: unsafe."""
    top, place = os.path.realpath(root), os.path.realpath(f"{root}/{key}")
    if place != top and not place.startswith(top.rstrip("/") + "/"):
        raise ConvError("is a link out of the folder, and is not followed", "unsafe")
