"""A part of an image filtered, and the rest as it is: boxes of it, samples of a colour, its luma, what a mask marks.

Whatever is not chosen has the bits of the input, or is converted as the results are where they have another type. What
is chosen is what the filter alone makes of it, since any box that stages compute alone is that box of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from convcli.engine.boxes import Course
from convcli.engine.samples import Counts, put, store, to_linear, to_srgb
from convcli.engine.slabs import Slab, Span, Stage, runs, touched
from convcli.engine.stages.elementwise import Remade, ToNumbers
from convcli.engine.stages.masked import inside
from convcli.engine.windows import distinct
from convcli.engine.workers import Crew, run_all
from convcli.filters.filter import Numbers
from convcli.filters.selection import Chosen, Mask
from convcli.image import Grid, ImageInfo, Spans
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
LUMA = (0.2126, 0.7152, 0.0722)
"""The weights of R, G and B. Source: ITU-R BT.709."""
PIECE = 2**18
"""Results that are numbers at a time, where they become samples one by one: each takes some 30 bytes with its mask."""


@record
class ToLuma(ToNumbers):
    """The luma of RGB as floating point, with the opacity behind it, if there is one; with `linear`, that of light."""

    linear: bool = False

    def compute(self, pixels: Array, values: Array) -> Counts:
        """Fill luma from colours."""
        numbers = np.empty(pixels.shape, np.float64)
        super().compute(pixels, numbers)
        place = self.info.axes.index("S")
        colours, stored = np.moveaxis(numbers, place, -1), np.moveaxis(values, place, -1)
        with np.errstate(over="ignore", invalid="ignore"):  # of infinities
            stored[..., 0] = luma_of(colours, linear=self.linear)
        if self.info.has_alpha:
            stored[..., 1] = colours[..., -1]
        return Counts(values.size)


@record
class ToSome(ToNumbers):
    """Some of the samples of S as floating point: the others are not read, whatever they hold."""

    chosen: tuple[int, ...] = ()

    def compute(self, pixels: Array, values: Array) -> Counts:
        """Fill numbers from the chosen samples."""
        return super().compute(np.take(pixels, self.chosen, axis=self.info.axes.index("S")), values)


def luma_of(colours: Array, *, linear: bool) -> Array:
    """The luma of colours (..., 3 or more), which become linear light in place where that is asked for."""
    rgb = colours[..., :3]
    if linear:
        to_linear(rgb)
    return LUMA[0] * rgb[..., 0] + LUMA[1] * rgb[..., 1] + LUMA[2] * rgb[..., 2]


@record
class Part:
    """What becomes of a part of an image: by `stages` from its pixels, in the boxes and samples that are `chosen`.

    With `numbers` these end in floating point, `scale` times too small, which become samples of the chosen alone; of
    `luma` where that was filtered. The chosen samples may be `alone` in the stages.
    """

    stages: tuple[Stage, ...]
    chosen: Chosen
    numbers: bool = False
    scale: float = 1.0
    luma: bool = False
    alone: bool = False

    def inside(self, box: Spans) -> Iterator[Spans]:
        """The chosen boxes as far as they lie in another."""
        for each in self.chosen.boxes:
            found = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(each, box, strict=True))
            if all(start < stop for start, stop in found):
                yield found

    def last_box(self, box: Spans) -> Spans:
        """A box as the last stage has it: with all of its samples, which are fewer than colours where it is of luma."""
        after = self.stages[-1].after
        return tuple(
            (0, after.size("S")) if letter == "S" else span for letter, span in zip(after.axes, box, strict=True)
        )


@record(eq=False)
class HeldPart:
    """The pixels that a slab holds, by their places in the image."""

    slab: Slab
    pixels: Array

    @property
    def grid(self) -> Grid:
        """Any cuts."""
        return Grid((1,) * self.pixels.ndim, any_box=True)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box, all of which is held."""
        out[...] = self.at(spans)

    def at(self, spans: Spans) -> Array:
        """A view of a box."""
        layout = self.slab.stage.layout
        first = {letter: start for letter, (start, _) in zip(layout.loops, self.slab.loops, strict=True)}
        rows = self.slab.cut
        starts = (
            int(np.searchsorted(rows[letter], start)) if letter in rows else start - first.get(letter, 0)
            for letter, (start, _) in zip(self.slab.stage.info.axes, spans, strict=True)
        )
        sizes = (stop - start for start, stop in spans)
        return self.pixels[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]


@record
class SelectedStage(Remade):
    """Parts of an image filtered, the rest unchanged; what its `mask` does not mark, if it has one, is rest, too.

    So is what would change by less than `least`: unsharp masking that leaves noise alone.

    Cut as the first part's last filter.
    """

    parts: tuple[Part, ...]
    mask: Mask | None = None
    least: float = 0.0

    @property
    def wraps(self) -> bool:
        """Whether any filter reads rows at one end for results at the other."""
        return any(stage.wraps for part in self.parts for stage in part.stages)

    def reads(self, axis: int, span: Span) -> Array:
        """The positions that any filter reads, and those of the results themselves."""
        found = [np.arange(*span)]
        for part in self.parts:
            rows = found[0]
            for stage in reversed(part.stages):
                spans = [(int(each[0]), int(each[-1]) + 1) for _, each in runs(rows)]
                rows = distinct(np.concatenate([stage.reads(axis, each) for each in spans]))
            found.append(rows)
        return distinct(np.concatenate(found))

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Convert what is left, and filter the rest."""
        held, box = HeldPart(slab, pixels), slab.written
        rest = np.ones(values.shape, bool)
        for part in self.parts:
            for each in part.inside(box):
                at = tuple(slice(a - c, b - c) for (a, b), (c, _) in zip(each, box, strict=True))
                for place, piece in self.pieces(part, each):
                    there = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(at, place, strict=True))
                    self.compute(part, piece, held, values[there], rest[there], crew)
        own = held.at(box)
        if self.least:
            rest |= change(values, own) < self.least
        crew.add(kept(own, values, rest, self.info, self.made))

    def pieces(self, part: Part, box: Spans) -> Iterator[tuple[tuple[slice, ...], Spans]]:
        """A box cut along its first spatial axis, so that what lies between pixels and samples is never much."""
        axis = self.info.axes.index(self.letter)
        (first, last), size = box[axis], prod(stop - start for start, stop in box)
        tile = self.plan.tile[self.axis]
        rows = max(1, PIECE * (last - first) // (size * tile)) * tile if part.numbers else last
        for start, stop in touched((first, last), rows, last):
            low = max(start, first)
            place = tuple(
                slice(low - first, stop - first) if number == axis else slice(0, b - a)
                for number, (a, b) in enumerate(box)
            )
            yield place, tuple((low, stop) if number == axis else each for number, each in enumerate(box))

    def compute(self, part: Part, box: Spans, held: HeldPart, values: Array, rest: Array, crew: Crew) -> None:
        """Fill the samples of a box that are chosen, and say that they are no rest any more."""
        marked: Any = Ellipsis
        if self.mask is not None:
            sizes = (
                1 if letter == "S" else stop - start for letter, (start, stop) in zip(self.info.axes, box, strict=True)
            )
            marked = np.broadcast_to(inside(self.mask, self.info.axes, box), tuple(sizes))
            if not marked.any():
                return
        made, counts = Course(part.stages, held, crew.execute).results(part.last_box(box))
        if not part.numbers:
            values[...], rest[...] = made, False
            crew.add(counts)
            return
        made = made.astype(np.float64, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):  # of infinities
            crew.add(self.samples(part, made, held.at(box), values, rest, marked))

    def samples(self, part: Part, made: Array, own: Array, values: Array, rest: Array, marked: Any) -> Counts:
        """Numbers as samples, as far as they are chosen and marked."""
        place, numbers = self.info.axes.find("S"), self.filter.numbers
        if part.luma:
            made = with_luma(made, own, self.info, part.scale, numbers)
            numbers = replace(numbers, scale=1.0)
        made, values, rest, *mark = (
            np.moveaxis(each, place, -1) if place >= 0 else each[..., None]
            for each in (made, values, rest, *([] if marked is Ellipsis else [marked]))
        )
        at = mark[0][..., 0] if mark else Ellipsis
        alpha = values.shape[-1] - 1 if self.info.has_alpha and self.filter.each else None
        counts = Counts()
        for number, sample in enumerate(part.chosen.samples or range(values.shape[-1])):
            results = made[..., number if part.alone else sample][at][None] * part.scale
            stored = np.empty(results.shape, values.dtype)
            if sample != alpha:
                counts.add(store(results, stored, numbers, numbers.bias, self.made.missing))
            elif part.luma:
                continue
            else:
                counts.add(put(results, stored))
            values[..., sample][at], rest[..., sample][at] = stored[0], False
        return counts

    def points(self, count: int) -> list[list[Sequence[Any]]]:
        """Some results of every stage of every part."""
        return [[stage.points(count) for stage in part.stages] for part in self.parts]

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[list[Sequence[Any]]]) -> None:  # noqa: ARG002
        """Compute the chosen boxes again, with a look at the points in them."""
        for part, each in zip(self.parts, points, strict=True):
            for box in part.inside(slab.written):
                Course(part.stages, HeldPart(slab, pixels), run_all, each).results(part.last_box(box))


def with_luma(made: Array, own: Array, info: ImageInfo, scale: float, numbers: Numbers) -> Array:
    """Colours with another luma: each gets what the luma, multiplied as `numbers` say, has more than before.

    What comes out is divided by `scale`.
    """
    colours = np.array(np.moveaxis(own, info.axes.index("S"), -1), np.float64)
    if info.missing is not None:
        colours[..., :3][colours[..., :3] == info.missing] = np.nan
    colours /= scale
    luma = np.moveaxis(made, info.axes.index("S"), -1)[..., 0] * numbers.scale
    change = luma - luma_of(colours, linear=numbers.linear)
    rgb = colours[..., :3]
    rgb += change[..., None]
    if numbers.linear:
        to_srgb(rgb)
    return np.moveaxis(colours, -1, info.axes.index("S"))


def change(values: Array, own: Array) -> Array:
    """By how much results differ from samples; 64-bit integers of one type exactly."""
    if values.dtype == own.dtype and values.dtype.kind in "iu":
        unsigned = f"u{values.itemsize}"
        exact: Array = np.maximum(values, own).view(unsigned) - np.minimum(values, own).view(unsigned)
        return exact
    with np.errstate(over="ignore", invalid="ignore"):  # of infinities
        difference: Array = np.abs(values.astype(np.float64) - own.astype(np.float64))
    return difference


def kept(own: Array, values: Array, rest: Array, before: ImageInfo, after: ImageInfo) -> Counts:
    """Put what is rest where it was, bit for bit, or as the type of the results has it."""
    count = int(np.count_nonzero(rest))
    if before.dtype == after.dtype:
        np.copyto(values, own, where=rest)
        return Counts(count)
    chosen = own[rest]
    if values.dtype.kind in "iu" and own.dtype.kind in "iu":
        ends = np.iinfo(values.dtype)
        stored = np.clip(chosen, max(ends.min, np.iinfo(own.dtype).min), min(ends.max, np.iinfo(own.dtype).max))
        below, above = int(np.count_nonzero(stored > chosen)), int(np.count_nonzero(stored < chosen))
        counts = Counts(count, below, above)
    else:
        stored = np.empty((1, count), values.dtype)
        numbers = chosen.astype(np.float64)
        if before.missing is not None and after.missing != before.missing:
            numbers[chosen == before.missing] = np.nan
        counts = put(numbers[None], stored, after.missing)
        counts.mistaken = 0
    values[rest] = stored.reshape(-1)
    return counts
