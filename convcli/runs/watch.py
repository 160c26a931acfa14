"""What is seen of an input before it is filtered, and of its result after that, side by side.

The input is looked at first: in the end another file may have its name. The result is read back.
"""

from __future__ import annotations

from itertools import product
from math import ceil, floor, prod
from pathlib import Path
from typing import TYPE_CHECKING

from convcli.errors import ConvError
from convcli.formats import FORMATS, ReadOptions
from convcli.formats.atomic import is_special
from convcli.formats.source import Source, source_of
from convcli.image import ImageInfo
from convcli.operations.operation import Work
from convcli.pictures.developing import Span
from convcli.pictures.look import Look, Pictures
from convcli.records import record
from convcli.runs.looks import SPOT, SPOTS, Box, Wish, look
from convcli.stores.names import is_url
from convcli.streams import STREAM

if TYPE_CHECKING:
    from convcli.formats.source import Readable

Place = tuple[float, float]
"""Where samples lie along an axis of another image: (first, step)."""
COLOURED = 4
"""How many samples a format may make of one: a GIF of greys has colours, perhaps with an opacity."""


@record(eq=False)
class Watch:
    """An input that was looked at, and what its result will be; `boxes` of that will be shown as they are."""

    wish: Wish
    before: Look
    after: ImageInfo
    boxes: list[Box]
    grid: tuple[Place, Place]
    kernels: list[str]
    said: list[str]

    def pictures(self, target: str, sent: bytes) -> Pictures:
        """Both, with the result read back from where it is now; from what was `sent`, where it went into a pipe."""
        if target == STREAM:
            return self.beside(sent, "-")
        if not is_url(target) and is_special(Path(target)):
            return self.alone(f"{target!r} is no file: what went there cannot be read back")
        return self.beside(target, target)

    def beside(self, result: Readable, name: str) -> Pictures:
        """The input, and the result; where that cannot be read back, the reason: it is written all the same."""
        after = self.after
        options = ReadOptions(
            axes=None if FORMATS[after.format].load().names_axes else after.axes,
            alpha=after.has_alpha,
            missing="declared" if after.missing is None else after.missing,
            max_pixels=COLOURED * prod(after.shape),
        )
        like = Span(*self.before["span"])
        try:
            seen = look(source_of(result), options, self.wish, title=name, boxes=self.boxes, grid=self.grid, like=like)
        except ConvError as error:
            return self.alone(f"the result was not read back: {error}")
        return Pictures(before=self.before, after=seen, kernels=self.kernels, said=self.said)

    def alone(self, reason: str) -> Pictures:
        """The input without the result."""
        return Pictures(before=self.before, kernels=self.kernels, said=[*self.said, reason])


def watched(content: Source, work: Work, after: ImageInfo, reading: ReadOptions, wish: Wish) -> Watch:
    """An input, looked at where its result will be; `after` is that as its format holds it."""
    before = work.before
    grid = place_of("Y", before, after), place_of("X", before, after)
    here, there = ((info.size("Y"), info.size("X")) for info in (before, after))
    reduced = wish.page and any(wish.steps(size) != (1, 1) for size in (here, there))
    pairs = spots(here, there, grid) if reduced else []
    seen = look(content, reading, wish, title=content.name, boxes=[pair[0] for pair in pairs])
    drawn, said = kernel_pictures(work) if wish.page else ([], [])
    return Watch(wish, seen, after, [pair[1] for pair in pairs], grid, drawn, said)


def kernel_pictures(work: Work) -> tuple[list[str], list[str]]:
    """Each kernel once, drawn for a page; and why some are not."""
    from convcli.pictures.kernels import kernel_drawing
    from convcli.pictures.svg import svg_text

    drawn: list[str] = []
    said: list[str] = []
    for kernel in {id(each.kernel): each.kernel for each in work.filters}.values():
        try:
            drawing = kernel_drawing(kernel, spectrum=True)
        except ConvError as error:
            said.append(f"the kernel {kernel.name} is not drawn: {error.message}")
        else:
            drawn.append(svg_text(drawing, themed=True, name=f"kernel-{len(drawn)}"))
    return drawn, said


def place_of(axis: str, before: ImageInfo, after: ImageInfo) -> Place:
    """Where the samples of a result lie along an axis of its input."""
    (first, step), (other, wider) = before.grid.get(axis, (0.0, 1.0)), after.grid.get(axis, (0.0, 1.0))
    return (other - first) / step, wider / step


def spots(before: tuple[int, int], after: tuple[int, int], grid: tuple[Place, Place]) -> list[tuple[Box, Box]]:
    """The places of which all pixels are shown: boxes of the input and of the result that have the same field."""
    rows, columns = (stretches(*axis) for axis in zip(before, after, grid, strict=True))
    return [((y[0], x[0], y[1], x[1]), (y[2], x[2], y[3], x[3])) for y, x in product(rows, columns)]


def stretches(before: int, after: int, place: Place) -> list[tuple[int, int, int, int]]:
    """The same along one axis: where each begins and ends in the input, and in the result.

    >>> stretches(4000, 1000, (1.5, 4.0))
    [(556, 780, 139, 195), (1888, 2112, 472, 528), (3220, 3444, 805, 861)]
    """
    first, step = place
    length = min(after, max(1, round(SPOT / max(1.0, step))))
    middles = ((2 * n + 1) * after / (2 * SPOTS) for n in range(SPOTS))
    starts = sorted({min(max(0, round(middle - length / 2)), after - length) for middle in middles})
    found = []
    for start in starts:
        edge = first - step / 2 + 0.5
        low = min(max(0, floor(edge + step * start)), before - 1)
        high = min(max(low + 1, ceil(edge + step * (start + length))), before)
        found.append((low, high, start, start + length))
    return found
