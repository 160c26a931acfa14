"""Which pictures of an animation or a stack are read: a stretch along T, or along Z where there is no T."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError
from convcli.image import Grid, ImageInfo, PixelSource, Spans
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.formats.contract import Opening

Frames = tuple[int | None, int | None]
"""(first, end) as NumPy has them."""


def axis_of(axes: str) -> int:
    """The place of the axis that pictures follow each other along; -1 where there is one picture.

    >>> axis_of("CTZYX"), axis_of("CZYX"), axis_of("YXS")
    (1, 1, -1)
    """
    return axes.find("T" if "T" in axes else "Z")


def span_of(axes: str, shape: tuple[int, ...], frames: Frames) -> tuple[int, int]:
    """The first of the pictures that are meant, and the end of them. Raises ConvError where there are none.

    >>> span_of("TYX", (5, 4, 6), (1, -1)), span_of("YX", (4, 6), (0, 1))
    ((1, 4), (0, 1))
    """
    axis = axis_of(axes)
    count = shape[axis] if axis >= 0 else 1
    start, stop, _ = slice(*frames).indices(count)
    if start >= stop:
        held = "1 picture, 0" if count == 1 else f"{count} pictures, 0 to {count - 1}"
        ends = ("" if end is None else str(end) for end in frames)
        raise ConvError(f"has no pictures {':'.join(ends)} ({axes}); it holds {held}", "ambiguous")
    return start, stop


def picked(info: ImageInfo, frames: Frames) -> ImageInfo:
    """An image of these pictures alone; it keeps the axis, be it of one."""
    start, stop = span_of(info.axes, info.shape, frames)
    axis = axis_of(info.axes)
    if axis < 0 or (start, stop) == (0, info.shape[axis]):
        return info
    metadata = info.metadata
    if (told := metadata.get("animation")) is not None:
        metadata = {**metadata, "animation": replace(told, times=told.times[start:stop])}
    letter, shape = info.axes[axis], (*info.shape[:axis], stop - start, *info.shape[axis + 1 :])
    grid = {**info.grid, letter: (float(start), 1.0)} if letter == "Z" and start else info.grid
    return replace(info, shape=shape, grid=grid, metadata=metadata)


def cut(data: np.ndarray[Any, Any], axes: str, frames: Frames) -> np.ndarray[Any, Any]:
    """The pixels of these pictures."""
    axis = axis_of(axes)
    part: np.ndarray[Any, Any] = data if axis < 0 else data[(slice(None),) * axis + (slice(*frames),)]
    return part


@record(eq=False)
class Picked:
    """Pixels of which some pictures are left out: those before the first one, and some at the end."""

    pixels: PixelSource
    axis: int
    first: int

    @property
    def grid(self) -> Grid:
        """The source's."""
        return self.pixels.grid

    def read(self, spans: Spans, out: np.ndarray[Any, Any]) -> None:
        """Fill `out` with a window of those that are left."""
        start, stop = spans[self.axis]
        moved = (*spans[: self.axis], (start + self.first, stop + self.first), *spans[self.axis + 1 :])
        self.pixels.read(moved, out)


def picked_pixels(pixels: PixelSource, axes: str, shape: tuple[int, ...], frames: Frames | None) -> PixelSource:
    """The pixels of these pictures of an image with such axes."""
    if frames is None or axis_of(axes) < 0:
        return pixels
    return Picked(pixels, axis_of(axes), span_of(axes, shape, frames)[0])


@record
class PickedOpening:
    """The same of some pictures."""

    opening: Opening
    axis: int
    first: int

    @contextmanager
    def opened(self) -> Iterator[PixelSource]:
        """The pixels, until the end of the block."""
        with self.opening.opened() as pixels:
            yield Picked(pixels, self.axis, self.first)
