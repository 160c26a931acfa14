"""An output of many objects, each a box of an image: what is to be done for it, pass by pass.

The first pass is what was asked for; each of the next makes a coarser level of the one before, read back from where
it was written. Sources that can be read in any boxes are; others are in memory as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convcli.engine.blocks import Rows
from convcli.engine.boxes import Boxed, boxes_of, run_boxes
from convcli.engine.samples import Counts
from convcli.errors import ConvError, UsageError, changed
from convcli.formats import FORMATS, ReadOptions, WriteOptions, check_writable, opening, read, windows
from convcli.formats.frames import PickedOpening
from convcli.formats.source import Source
from convcli.formats.zarr.output import Output, planned
from convcli.formats.zarr.pixels import ZarrPixels
from convcli.formats.zarr.replacing import check_place, emptied
from convcli.formats.zarr.whole import SKEW
from convcli.image import Grid, Image, ImageInfo, PixelSource, Spans
from convcli.operations.halved import Coarser
from convcli.operations.operation import Limits, Work
from convcli.planner import DEFAULT_MEMORY
from convcli.records import record, replace
from convcli.runs.chunked import ChunkedJob
from convcli.runs.cuts import best_block, most_of_all, most_of_one
from convcli.runs.names import anywhere
from convcli.stores.address import Address
from convcli.stores.contract import MARK, Store
from convcli.stores.names import is_remote
from convcli.stores.store import ObjectStore, store_at
from convcli.system import core_count

if TYPE_CHECKING:
    from convcli.engine.boxes import Opening
    from convcli.engine.slabs import Stage
    from convcli.formats import Format

Array = np.ndarray[Any, Any]
SMALL = 2**25
"""Bytes of an image that is read as a whole where its file has no boxes of its own."""


@record
class Named:
    """The pixels of a file by its name, which has such a `stamp`; those of whole rows, of which any box is cut."""

    name: str
    options: ReadOptions
    info: ImageInfo
    stamp: str

    @contextmanager
    def opened(self) -> Iterator[PixelSource]:
        """The pixels. Raises ConvError: changed, where the file is not, or no longer, the one that was named."""
        with windows(self.name, options=self.options) as found:
            if found is None or (found[0].bare, found[1].source.stamp) != (self.info, self.stamp):
                raise changed(self.name)
            yield Rows(found[1], self.info.axes.index("Y") + 1, self.info.shape)
            found[1].check()


def named(content: Source, info: ImageInfo, options: ReadOptions) -> Named:
    """The pixels of a file as it is now, which is the one that was looked at. Raises ConvError: changed."""
    with windows(content.name, options=options) as found:
        if found is None or content.has_changed():
            raise changed(content.name)
        return Named(content.name, options, info.bare, found[1].source.stamp)


@record(eq=False)
class Held:
    """Pixels in memory."""

    data: Array

    @property
    def grid(self) -> Grid:
        """Any cuts."""
        return Grid((1,) * self.data.ndim, any_box=True)

    @contextmanager
    def opened(self) -> Iterator[PixelSource]:
        """Themselves."""
        yield self

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box."""
        out[...] = self.data[tuple(slice(*span) for span in spans)]


class Passes(NamedTuple):
    """What is to be done for an output, and why its source is in memory as a whole, if it is."""

    passes: tuple[Boxed, ...]
    output: Output
    whole: tuple[str, ...]


def passes_to(
    target: str, format_: Format, source: tuple[Opening[PixelSource], str], work: Work, options: WriteOptions,
    limits: Limits, verify: int = 0,
) -> Passes:  # fmt: skip
    """The passes from a source, and why it is in memory if it is, to an output."""
    opening, whole = source
    output = planned(work.after, format_.name, store_at(target.rstrip("/")), options, limits.memory)
    first = Boxed(work.stages, opening, blocks_of(output, 0, work.stages, opening, limits), verify)
    return Passes((first, *coarser(output, work.after, limits, verify)), output, (whole,) if whole else ())


def blocks_of(
    output: Output, number: int, stages: Sequence[Stage], source: Opening[PixelSource], limits: Limits
) -> ZarrPixels:
    """A level of an output, to be written in shards, or else in the blocks of chunks that cost least."""
    target = output.opening(number)
    if output.is_sharded(number):
        return target
    with source.opened() as found:
        chunks = found.grid.block
    block = best_block(stages, chunks, target.grid.block, most_of_one(limits), far=is_far(source))
    return output.in_blocks(number, block)


def is_far(source: Opening[PixelSource]) -> bool:
    """Whether pixels come through a network."""
    named = source.store if isinstance(source, ZarrPixels) else source
    return isinstance(named, Named | ObjectStore) and is_remote(named.name)


def opening_of(content: Source, info: ImageInfo, work: Work, options: ReadOptions) -> tuple[Opening[PixelSource], str]:
    """The pixels of a source as a value; and the reason why they are in memory, if they are and are many."""
    if (found := opening(content, info, options)) is not None:
        return found, ""
    reason = unfit(content, info, work, options)
    if reason or info.nbytes < SMALL:
        image = read(content, options=options)
        if image.info.bare != info.bare:
            raise changed(content.name)
        return Held(image.data), reason if info.nbytes >= SMALL else ""
    return named(content, info, options), ""


def unfit(content: Source, info: ImageInfo, work: Work, options: ReadOptions) -> str:
    """Why boxes of a file cannot be read by its name; "" where they can."""
    if content.in_memory:
        return "what comes through a pipe is read as a whole"
    if not work.streams:
        return "its columns lie before its rows"
    with windows(content, options=options) as found:
        if found is None:
            return FORMATS[info.format].load().whole
        return "its rows are decoded one after the other" if found[1].grid.in_order else ""


def identity(content: Source, info: ImageInfo, opening: Opening[PixelSource]) -> str:
    """What tells an input from others, and from itself once it has changed; a Zarr's chunks are looked at when read."""
    stamp = opening.stamp if isinstance(opening, Named) else content.stamp
    said = info.metadata if content.is_folder else ""
    return f"{content.name} {stamp} {info.shape} {info.dtype} {info.axes} {said}"


def begun(content: Source, output: Store) -> int:
    """When a job began, by its source's clock: a store's is that of the mark, if the output lies in the same kind."""
    source, target = content.name, output.name
    if not is_remote(source):
        return content.since
    mark = output.seen(MARK) if is_remote(target) and Address.of(source).scheme == Address.of(target).scheme else None
    return mark.time if mark else content.since + SKEW


def since(passes: tuple[Boxed, ...], time: int) -> tuple[Boxed, ...]:
    """The passes, of whose source nothing is read that is newer; a file by its name has a stamp for that."""
    first, *others = passes
    return replace(first, source=dated(first.source, time)), *others


def dated(source: Opening[PixelSource], time: int) -> Opening[PixelSource]:
    """A source that refuses chunks that are newer."""
    if isinstance(source, PickedOpening):
        return replace(source, opening=dated(source.opening, time))
    return replace(source, since=time) if isinstance(source, ZarrPixels) else source


def root_of(name: str) -> str:
    """The place that a name means, by whatever links: a path, or a URL."""
    return Address.of(name).url if is_remote(name) else os.path.realpath(name)


def check_output(source: str, target: str, *, force: bool) -> None:
    """Refuse an output that is there, or in its input ("" for none), before any work. Raises ConvError: exists, ..."""
    mine, other = root_of(target), root_of(source) if source else ""
    if other and (f"{mine}/".startswith(f"{other}/") or f"{other}/".startswith(f"{mine}/")):
        way = "a Zarr is not replaced in place: write elsewhere"
        raise ConvError(f"is the input, or lies in it; {way}", "exists", where=target)
    if not is_remote(target) and not (outer := Path(mine).parent).is_dir():
        raise ConvError(f"the folder {str(outer)!r} does not exist", "not-found", where=target)
    check_place(store_at(target.rstrip("/")), target, force=force)


def job_of(made: Passes, content: Source, info: ImageInfo, finished: Callable[[Counts], object]) -> ChunkedJob:
    """The passes as a job. What is `finished` hears what was clipped, before the output becomes one for readers."""
    output = made.output

    def finish(counts: Counts) -> None:
        finished(counts)
        output.finish()

    return ChunkedJob(
        made.passes,
        tuple(output.back(number) for number in range(len(made.passes))),
        output.store,
        identity(content, info, made.passes[0].source),
        partial(begun, content, output.store),
        since,
        partial(check_place, output.store, output.store.name, force=False),
        partial(emptied, output.store),
        finish,
    )


def sent(source: tuple[Opening[PixelSource], str]) -> tuple[Opening[PixelSource], str]:
    """A source as workers of a cluster can open it. Raises UsageError where it would have to be sent as a whole."""
    opening, reason = source
    if isinstance(opening, Held) and opening.data.nbytes >= SMALL:
        way = "make a Zarr of it first: convcli conv2d INPUT -k identity -o FILE.zarr"
        raise UsageError(f"{reason}, and workers need boxes of it; {way}", where="--scheduler")
    return (replace(opening, name=anywhere(opening.name)) if isinstance(opening, Named) else opening), reason


def store_image(image: Image, target: str, entry: Format, *, force: bool) -> None:
    """Write an image that is in memory, with its coarser levels. Raises ConvError: exists, dtype, shape, ..."""
    check_writable(entry, image.info)
    check_output("", target, force=force)
    output = planned(image.info, entry.name, store_at(target.rstrip("/")), WriteOptions(), DEFAULT_MEMORY)
    limits = Limits()
    with claimed(output.store), output.opening(0).opened() as pixels:
        pixels.write(tuple((0, size) for size in image.info.shape), image.data)
        for job in coarser(output, image.info, limits):
            with job.target.opened() as level:
                boxes = boxes_of(job.stages, level.grid)
            for _ in run_boxes(job, boxes, memory=most_of_all(limits, core_count()), threads=core_count()):
                pass
        output.finish()


@contextmanager
def claimed(store: Store) -> Iterator[None]:
    """An output that is marked as unfinished, and empty otherwise, until all is well at the end of the block."""
    store.put(MARK, b"{}")
    emptied(store)
    yield
    store.delete(MARK)


def coarser(output: Output, info: ImageInfo, limits: Limits, verify: int = 0) -> list[Boxed]:
    """The passes that make each level of an output but the finest, which is an image like this."""
    passes = []
    for number, placed in enumerate(output.levels[1:], 1):
        mean, finer = Coarser.by(placed.factors).on(info, limits), output.back(number - 1)
        target = blocks_of(output, number, mean.stages, finer, limits)
        passes.append(Boxed(mean.stages, finer, target, verify))
        info = mean.after
    return passes
