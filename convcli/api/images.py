"""Images as callers hand them over: arrays whose dimensions are named or guessed, or what `read` gave."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.arrays import as_pixels
from convcli.errors import ConvError, UsageError
from convcli.formats.layout import with_row
from convcli.image import AXES, Image, ImageInfo
from convcli.records import replace

if TYPE_CHECKING:
    import numpy as np


class Taken(NamedTuple):
    """Pixels, and what is known of them."""

    info: ImageInfo
    pixels: np.ndarray[Any, Any]


def taken(image: Any, axes: str | None, ndim: int = 2, *, bank: bool = False) -> Taken:
    """An image with its axes: as named, as it says itself, or as filters of `ndim` axes, or a bank, would have them."""
    if isinstance(image, Image):
        pixels = as_pixels(image.data)
        info = image.info if axes is None else replace(image.info, axes=named_axes(axes, pixels.shape))
        return _with_row(info, pixels)
    pixels = as_pixels(image)
    if axes is None:
        axes = default_axes(pixels.ndim, ndim, bank=bank)
    return _with_row(ImageInfo(pixels.shape, pixels.dtype.name, named_axes(axes, pixels.shape)), pixels)


def _with_row(info: ImageInfo, pixels: np.ndarray[Any, Any]) -> Taken:
    """The same; a signal, which has no Y, with one row."""
    if "Y" in info.axes or "X" not in info.axes:
        return Taken(info, pixels)
    axes, shape, signal = with_row(info.axes, info.shape)
    return Taken(replace(info, axes=axes, shape=shape, signal=signal), pixels.reshape(shape))


def told(info: ImageInfo, pixels: np.ndarray[Any, Any]) -> Image:
    """An image as callers know it: a signal has no rows."""
    if not info.signal:
        return Image(info, pixels)
    shape = info.told_shape
    return Image(replace(info, axes=info.told_axes, shape=shape, signal=False), pixels.reshape(shape))


def named_axes(axes: str, shape: tuple[int, ...]) -> str:
    """The letters that a caller gave an array's dimensions, checked."""
    if not isinstance(axes, str) or set(axes) - set(AXES) or len(set(axes)) < len(axes) or len(axes) != len(shape):
        size = " x ".join(map(str, shape))
        raise UsageError(f"{axes!r} does not name {size}: one of {', '.join(AXES)} for each, none twice", where="axes")
    if 0 in shape:
        raise ConvError(f"the image holds no pixels: its shape is {shape}", "empty-image")
    return axes


@cache
def default_axes(dimensions: int, ndim: int, *, bank: bool) -> str:
    """The letters of an array that nobody named, for a kernel of `ndim` spatial axes."""
    space = "ZYX"[-ndim:]
    outer = "TZC" if bank else "TCZ"
    letters = "".join(letter for letter in outer if letter not in space) + space
    if dimensions == 1 and ndim == 2 and not bank:
        return "X"
    if not len(space) <= dimensions <= len(letters):
        raise UsageError(f"an array of {dimensions} dimensions needs axes, such as axes='TZCYX'", "ambiguous")
    return letters[-dimensions:]
