"""What is seen of an image file, before and after: read back a part at a time, whatever way it was filtered.

So a streamed result is never in memory as a whole, and what is shown of a lossy format is what its file holds.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np

from convcli.formats import ReadOptions, read, windows
from convcli.formats.source import Source
from convcli.image import Grid, ImageInfo, PixelSource, Spans
from convcli.pictures.developing import Span, as_floats, as_jpeg, as_png, developed, span_of
from convcli.pictures.histogram import Histogram
from convcli.pictures.look import Look, View
from convcli.records import record
from convcli.report import describe

Array = np.ndarray[Any, Any]
Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""
PART = 2**18
"""Samples that are looked at at a time."""
COUNTED = 2**28
"""Samples up to which all of an image are counted; of a larger one, those of the plane that is shown."""
WHOLE = 480_000
"""Pixels of a plane up to which a page has all of them as they are."""
SPOTS = 3
"""Rows and columns of places of which a page has the pixels as they are, where it does not have all."""
SPOT = 224
"""Pixels along a side of such a place."""
LARGE = 16
"""How many times as large as a part a block may be that is read as a whole."""
COLOURS = {"rgb": ("red", "green", "blue"), "cmyk": ("cyan", "magenta", "yellow", "black")}
ENOUGH = 4
"""Pixels along a side of whose mean is taken for one that stands for many more."""


@record
class Wish:
    """What is wanted to be seen: a picture of so many rows and columns at most; for a `page` also pixels as they are
    and how often samples have which values; `lossy` where it should be small above all.
    """

    rows: int
    columns: int
    page: bool = False
    lossy: bool = False

    def steps(self, size: tuple[int, int]) -> tuple[int, int]:
        """Which pixels are taken along a side, every n-th, and of how many of these each in the picture is the mean."""
        if self.page and size[0] * size[1] <= WHOLE:
            return 1, 1
        factor = max(1, ceil(size[0] / self.rows), ceil(size[1] / self.columns))
        taken = 1 if self.page else max(1, factor // ENOUGH)
        return taken, ceil(factor / taken)


@record(eq=False)
class Whole:
    """Pixels that are in memory, as a source."""

    data: Array
    grid: Grid

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window."""
        out[...] = self.data[tuple(slice(*span) for span in spans)]


def look(source: Source, options: ReadOptions, wish: Wish, **known: Any) -> Look:
    """What is seen of an image file; `known` are fields of `Sight`."""
    with windows(source, options=options) as found:
        if found is not None and "X" not in found[0].axes[: found[0].axes.index("Y")]:
            return Sight(*found, wish, **known).look()
    image = read(source, options=options)
    return Sight(image.info, Whole(image.data, Grid(image.info.shape, any_box=True)), wish, **known).look()


@record(eq=False)
class Sight:
    """An image on its way to a look: its pixels, what is wanted, and its name.

    The pixels in each of the `boxes` of its plane are shown as they are. `grid` says where its pixels are in another
    image; `like` is how that one is shown, and this one, too, if all that it has can be seen so: else a smoothed
    picture would seem to have as much contrast.
    """

    info: ImageInfo
    source: PixelSource
    wish: Wish
    title: str = ""
    boxes: Sequence[Box] = ()
    grid: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (0.0, 1.0))
    like: Span | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the plane."""
        return self.info.size("Y"), self.info.size("X")

    @property
    def plane(self) -> dict[str, int]:
        """Which plane is shown: the middle one in depth and time, the first channel."""
        return {axis: self.info.size(axis) // 2 * (axis != "C") for axis in self.info.axes if axis in "TZC"}

    @property
    def is_one_plane(self) -> bool:
        """Whether there is no other."""
        return all(self.info.size(axis) == 1 for axis in self.plane)

    def look(self) -> Look:
        """Read what is shown, and count."""
        info = self.info
        taken, side = self.wish.steps(self.size)
        means, crops = Means(side), [Crop(box) for box in self.boxes]
        counts = Counts.of(info)
        counted = self.wish.page and (self.is_one_plane or prod(info.shape) > COUNTED)
        for top, pixels in self.rows():
            means.add(as_floats(info, pixels[-top % taken :: taken, ::taken]))
            for crop in crops:
                crop.add(top, pixels)
            if counted:
                counts.add(pixels)
        if self.wish.page and not counted:
            for part in self.parts():
                counts.add(part)
        values = means.result()
        span = span_of(info, values)
        span = self.like if self.like and span.stretched and self.like.stretched and self.like.holds(span) else span
        shown = View(box=(0, 0, *self.size), picture=self.picture(values, span))
        return Look(
            title=self.title,
            kind=describe(info),
            size=self.size,
            grid=self.grid,
            factor=taken * side,
            span=span,
            views=[shown, *(View(box=c.box, picture=self.picture(as_floats(info, c.pixels), span)) for c in crops)],
            histogram=[each.bins() for each in counts.histograms] if self.wish.page else [],
            said=[*self.said(span, unknown=bool(np.isnan(values).any()))],
        )

    def picture(self, values: Array, span: Span) -> str:
        """Values as a data URL."""
        pixels = developed(self.info, values, span)
        if self.wish.lossy:
            return f"data:image/jpeg;base64,{b64encode(as_jpeg(pixels)).decode()}"
        return f"data:image/png;base64,{b64encode(as_png(pixels)).decode()}"

    def said(self, span: Span, *, unknown: bool) -> Iterator[str]:
        """What is not as it seems."""
        info = self.info
        for axis, place in self.plane.items():
            if info.size(axis) > 1:
                yield f"{axis} {place} of 0 to {info.size(axis) - 1}"
        if "S" in info.axes and not info.samples and info.size("S") > 1:
            yield f"sample 0 of 0 to {info.size('S') - 1}"
        if span.stretched:
            yield span.words
        if info.has_alpha:
            yield "opacity over a checkerboard"
        if info.samples == "cmyk":
            yield "inks without their profile"
        if unknown:
            yield "magenta: no number"
        if self.wish.page and not self.is_one_plane and prod(info.shape) > COUNTED:
            yield "samples are counted in this plane alone"

    def rows(self) -> Iterator[tuple[int, Array]]:
        """The plane from top to bottom: some rows (rows, columns, samples), and which is the first."""
        for top, bottom in self.stretches(1):
            yield top, self.pixels(self.plane, (top, bottom))

    def parts(self) -> Iterator[Array]:
        """All pixels, samples last: planes that lie in the same blocks at a time."""
        block, letters = (
            self.source.grid.block,
            [axis for axis in self.info.axes if axis in "TZC" and self.is_cut(axis)],
        )
        steps = {axis: block[self.info.axes.index(axis)] for axis in letters}
        while (
            prod(steps.values()) * block[self.info.axes.index("Y")] * self.info.size("X") > PART
            and max(steps.values(), default=1) > 1
        ):
            widest = max(steps, key=steps.__getitem__)
            steps[widest] = ceil(steps[widest] / 2)
        starts = (range(0, self.info.size(axis), step) for axis, step in steps.items())
        for firsts in product(*starts):
            spans = {axis: (first, min(first + steps[axis], self.info.size(axis)))
                     for axis, first in zip(letters, firsts, strict=True)}  # fmt: skip
            for rows in self.stretches(prod(steps.values())):
                yield self.window({**spans, "Y": rows})

    def stretches(self, planes: int) -> Iterator[tuple[int, int]]:
        """Rows that are read at a time, of so many planes: whole blocks where these are not too large."""
        whole = prod(self.info.shape) // self.info.size("Y")
        cut = prod(self.info.size(axis) for axis in self.plane if self.is_cut(axis))
        most = max(1, PART // (whole // cut * planes))
        block = self.source.grid.block[self.info.axes.index("Y")]
        step = max(block, most // block * block) if block <= LARGE * most else most
        rows = self.info.size("Y")
        return ((top, min(top + step, rows)) for top in range(0, rows, step))

    def is_cut(self, axis: str) -> bool:
        """Whether windows may have a part of an axis."""
        return self.source.grid.any_box or self.info.axes.index(axis) < self.info.axes.index("Y")

    def pixels(self, plane: Mapping[str, int], rows: tuple[int, int]) -> Array:
        """Rows of a plane: (rows, columns, samples)."""
        spans = {axis: (place, place + 1) for axis, place in plane.items() if self.is_cut(axis)}
        found = self.window({**spans, "Y": rows})
        others = [axis for axis in self.info.axes if axis in plane]
        picked = tuple(0 if axis in spans else plane[axis] for axis in others)
        axes = self.info.axes.replace("S", "")
        order = [axes.index(axis) for axis in (*others, "Y", "X")]
        pixels: Array = np.moveaxis(found, order, range(len(order)))[picked]
        return pixels

    def window(self, spans: Mapping[str, tuple[int, int]]) -> Array:
        """A window with its samples last, one if there is no such axis; axes that are not named are whole."""
        info = self.info
        every = tuple(spans.get(axis, (0, info.size(axis))) for axis in info.axes)
        pixels = np.empty([stop - start for start, stop in every], info.dtype)
        self.source.read(every, pixels)
        return np.moveaxis(pixels, info.axes.index("S"), -1) if "S" in info.axes else pixels[..., None]


@record(frozen=False, eq=False)
class Means:
    """Means of squares of `side` pixels, of rows that come from top to bottom; of what is known in each."""

    side: int
    waiting: list[tuple[Array, Array]] = field(default_factory=list)
    done: list[Array] = field(default_factory=list)

    def add(self, rows: Array) -> None:
        """Take in rows (rows, columns, samples)."""
        if self.side == 1:
            self.done.append(rows)
            return
        starts, known = range(0, rows.shape[1], self.side), ~np.isnan(rows)
        sums = np.add.reduceat(np.where(known, rows, 0), starts, 1)
        self.waiting += zip(sums, np.add.reduceat(known, starts, 1, dtype=np.int64), strict=True)
        while len(self.waiting) >= self.side:
            self._finish(self.side)

    def result(self) -> Array:
        """All means (rows, columns, samples)."""
        if self.waiting:
            self._finish(len(self.waiting))
        return np.concatenate(self.done) if self.side == 1 else np.array(self.done)

    def _finish(self, rows: int) -> None:
        """A row of means."""
        sums, counts = (sum(part) for part in zip(*self.waiting[:rows], strict=True))
        del self.waiting[:rows]
        with np.errstate(invalid="ignore"):
            self.done.append(sums / counts)


@record(frozen=False, eq=False)
class Crop:
    """The pixels of a box, of rows that come from top to bottom."""

    box: Box
    parts: list[Array] = field(default_factory=list)

    def add(self, top: int, rows: Array) -> None:
        """Take what is in the box."""
        first, left, last, right = self.box
        part = rows[max(0, first - top) : max(0, last - top), left:right]
        self.parts += [part.copy()] if len(part) else []

    @property
    def pixels(self) -> Array:
        """All of them."""
        return np.concatenate(self.parts)


@record(eq=False)
class Counts:
    """How often samples have which values: all alike, or each colour by itself; an opacity is none."""

    histograms: list[Histogram]
    missing: float | None
    coloured: bool

    @classmethod
    def of(cls, info: ImageInfo) -> Counts:
        """Those of a kind of image."""
        names = COLOURS.get(info.samples.removesuffix("+alpha"), ("",))
        return cls([Histogram(name) for name in names], info.missing, bool(info.samples))

    def add(self, pixels: Array) -> None:
        """Count pixels, samples last."""
        parts = [pixels[..., n] for n in range(len(self.histograms))] if self.coloured else [pixels]
        for histogram, part in zip(self.histograms, parts, strict=True):
            histogram.add(part if self.missing is None else part[part != self.missing])
