"""Masks: files, by their names, or arrays, of which every sample that is not 0 marks what is inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError, changed
from convcli.filters.selection import Mask
from convcli.formats import ReadOptions, probe, read, windows
from convcli.formats.layout import with_row
from convcli.formats.source import source_of
from convcli.image import Grid, Image, ImageInfo, PixelSource, Spans
from convcli.records import record, replace
from convcli.stores.names import is_url

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LARGE = 2**26
"""Bytes from which a mask is read a box at a time, where its file allows that; smaller ones are kept in memory."""
STACKED = {2: "YX", 3: "ZYX", 4: "CZYX", 5: "TCZYX"}
"""The letters that the dimensions of a mask without any are read with; an image of its size has its own."""


@record
class MaskFile:
    """A mask by the name of its file; `stamp` tells it from the file that takes its place.

    `named` says that the letters are those of the file, not STACKED.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: str
    samples: str = ""
    named: bool = True
    stamp: str = ""

    @property
    def options(self) -> ReadOptions:
        """How it is read."""
        return ReadOptions(axes=None if self.named else STACKED[len(self.shape)], missing="none")

    def placed(self, info: ImageInfo) -> MaskFile:
        """The mask with an image's letters where its file names none and it has the image's dimensions."""
        return self if self.named else replace(self, axes=letters_for(self.shape, self.axes, info))

    @contextmanager
    def opened(self) -> Iterator[PixelSource]:
        """Its samples. Raises ConvError: changed, where its file has changed since."""
        if self.stamp != stamp_of(self.name):
            raise changed(self.name)
        if nbytes(self) >= LARGE:
            with windows(self.name, options=self.options) as found:
                if found is not None and found[1].grid.any_box:
                    yield found[1]
                    return
        yield held_file(self)


@record(eq=False)
class MaskArray:
    """A mask in memory."""

    data: Array
    axes: str
    named: bool
    samples: str = ""
    name: str = field(default="an array", init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def dtype(self) -> str:
        """The type of its samples."""
        name: str = self.data.dtype.name
        return name

    @property
    def grid(self) -> Grid:
        """Any cuts."""
        return Grid((1,) * self.data.ndim, any_box=True)

    def placed(self, info: ImageInfo) -> MaskArray:
        """The mask with an image's letters where nobody named its own and it has the image's dimensions."""
        return self if self.named else replace(self, axes=letters_for(self.shape, self.axes, info))

    @contextmanager
    def opened(self) -> Iterator[PixelSource]:
        """Itself."""
        yield self

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box."""
        out[...] = self.data[tuple(slice(*span) for span in spans)]


def mask_file(name: str) -> MaskFile:
    """A mask by the name of its file. Raises ConvError: not-found, unknown-format, ..."""
    place = name if is_url(name) else str(Path(name).absolute())
    with_letters = True
    try:
        info = probe(place, options=ReadOptions(missing="none"))
    except ConvError as error:
        if error.code != "ambiguous":
            raise
        info, with_letters = _stacked(place, error), False
    return MaskFile(place, info.shape, info.dtype, info.axes, info.samples, with_letters, stamp_of(place))


def _stacked(place: str, error: ConvError) -> ImageInfo:
    """What a file with dimensions that have no letters holds, by as many letters as fit."""
    for axes in STACKED.values():
        try:
            return probe(place, options=ReadOptions(axes=axes, missing="none"))
        except ConvError:
            continue
    raise error


def mask_array(image: Any) -> MaskArray:
    """A mask from an array, or an `Image`, whose letters are known."""
    from convcli.arrays import as_pixels

    if isinstance(image, Image):
        data, axes = as_pixels(image.data), image.info.axes
        if "Y" not in axes:
            axes, shape, _ = with_row(axes, data.shape)
            data = data.reshape(shape)
        return MaskArray(data, axes, named=True, samples=image.info.samples)
    data = as_pixels(image)
    data = data[None] if data.ndim == 1 else data  # of a signal
    if data.ndim not in STACKED:
        raise ConvError(f"a mask has 1 to 5 dimensions, not {data.ndim}", "shape", where="mask")
    return MaskArray(data, STACKED[data.ndim], named=False)


def letters_for(shape: tuple[int, ...], axes: str, info: ImageInfo) -> str:
    """The letters of a mask that nobody named: the image's, where it has its dimensions, or all but a colour's.

    >>> letters_for((3, 4, 6), "ZYX", ImageInfo((3, 4, 6), "uint8", "CYX"))
    'CYX'
    """
    for letters in (info.axes, info.axes.replace("S", "")):
        if len(letters) == len(shape) and all(n in (1, info.size(a)) for a, n in zip(letters, shape, strict=True)):
            return letters
    return axes


def fitted(mask: Mask, info: ImageInfo, spatial: str) -> Mask:
    """The mask as it lies on an image. Raises ConvError: shape, where it is of another size."""
    placed = mask.placed(info)
    sizes = dict(zip(placed.axes, placed.shape, strict=True))
    sizes.pop("S", None)
    wrong = [letter for letter, size in sizes.items() if size != info.size(letter) and (size > 1 or letter in "YX")]
    if wrong or not set("YX") <= sizes.keys():
        found = f"{placed.axes} {'x'.join(map(str, placed.shape))}"
        there = f"{info.axes} {'x'.join(map(str, info.shape))}"
        raise ConvError(
            f"the mask is {found}, the image {there}; a mask has the image's size along {', '.join(spatial)}", "shape",
            where=mask.name,
        )  # fmt: skip
    return placed


def nbytes(mask: Mask) -> int:
    """Bytes of its samples."""
    return ImageInfo(mask.shape, mask.dtype, mask.axes).nbytes


def stamp_of(name: str) -> str:
    """What tells a file from others, and from itself once it has changed; that of a store is its metadata."""
    content = source_of(name)
    seen = content.seen
    return "" if seen is None or content.is_folder else f"{seen.st_size} {seen.st_mtime_ns}"


@lru_cache(maxsize=2)
def held_file(mask: MaskFile) -> MaskArray:
    """The samples of a mask's file, kept for the next box."""
    image = read(mask.name, options=mask.options)
    if image.info.shape != mask.shape:
        raise changed(mask.name)
    return MaskArray(image.data, mask.axes, named=True, samples=mask.samples)
