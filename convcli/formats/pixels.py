"""Arrays of pixels on their way in and out: read, turned, and brought into the form that pictures are stored in."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

import numpy as np

from convcli.errors import UsageError
from convcli.formats.failures import corrupt
from convcli.formats.layout import TURNS, samples_named, with_axes, with_row
from convcli.formats.source import check_some
from convcli.image import Grid, Image, ImageInfo, Spans
from convcli.records import record, replace

Array = np.ndarray[Any, Any]


def turned(data: Array, axes: str, turn: int) -> Array:
    """Pixels with an EXIF orientation applied (1: as stored); a view."""
    for step in TURNS.get(turn, ""):
        data = data.swapaxes(axes.index("Y"), axes.index("X")) if step == "t" else np.flip(data, axes.index(step))
    return data


def native(data: Array) -> Array:
    """Pixels in the machine's byte order, and said to be so in the one way that all libraries understand."""
    return data.view(data.dtype.name) if data.dtype.isnative else data.astype(data.dtype.name)


def filled(stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...], title: str) -> Array:
    """The next numbers of a stream, in the machine's byte order; an error where it ends too early.

    They are read, never mapped: a map of a file that is cut short kills the process that looks at it.
    """
    data = np.empty(shape, dtype)
    buffer = data.reshape(-1).view(np.uint8).data
    while buffer:
        count = cast(io.BufferedIOBase, stream).readinto(buffer)
        if not count:
            raise corrupt(title, f"it is cut short: {len(buffer):,} bytes of pixels are missing")
        buffer = buffer[count:]
    return native(data if dtype.isnative else data.byteswap(inplace=True).view(dtype.newbyteorder("=")))


@record
class Collected:
    """Pixels that are kept in memory, for a format that is written as a whole."""

    data: Array

    @classmethod
    def of(cls, info: ImageInfo) -> Collected:
        """Room for an image."""
        return cls(np.empty(info.shape, info.dtype))

    @property
    def grid(self) -> Grid:
        """Any cuts."""
        return Grid((1,) * self.data.ndim, any_box=True)

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put a window of pixels into its place."""
        self.data[tuple(slice(*span) for span in spans)] = pixels


def as_image(image: Any, axes: str | None, *, alpha: bool) -> Image:
    """An array, or an image, with its dimensions named; two are rows and columns.

    The last of 2 or 4 samples is an opacity where the format, a picture's, knows no other such samples (`alpha`).
    """
    if isinstance(image, Image):
        info = image.info
        if "Y" not in (axes or info.axes):  # as convcli.read gives a signal
            named, shape, signal = with_row(axes or info.axes, info.shape)
            return Image(replace(info, axes=named, shape=shape, signal=signal), image.data.reshape(shape))
        return Image(with_axes(info, axes, alpha=alpha), image.data)
    from convcli.arrays import as_pixels

    pixels = as_pixels(image)
    if axes is None and pixels.ndim not in (1, 2):
        raise UsageError(f"an array of {pixels.ndim} dimensions needs axes, such as axes='YXS'", "ambiguous")
    axes, shape, signal = with_row(axes or "YX"[-pixels.ndim :], pixels.shape)
    plain = ImageInfo(shape, pixels.dtype.name, axes, signal=signal)
    check_some(plain)
    return Image(replace(plain, samples=samples_named(axes, shape, alpha=alpha)), pixels.reshape(shape))


def picture(image: Image) -> Array:
    """The pixels of a single picture as rows, columns and, for more than one, samples: contiguous, in native order.

    Where the source had white as 0, values are turned around: other formats have black there. Where it had colours that
    are multiplied by their opacity, they are divided by it: other formats hold the colours themselves.
    """
    info = image.info
    samples = "S" if info.size("S") > 1 else ""
    places = [info.axes.index(axis) for axis in "YX" + samples]
    others = [place for place in range(len(info.shape)) if place not in places]
    data = image.data.transpose(others + places).reshape([info.shape[place] for place in places])
    data = np.ascontiguousarray(native(data))
    if info.sample.is_integer and info.metadata.get("tiff", {}).get("photometric") == "miniswhite":
        data = cast(Array, info.sample.whole - data)
    return divided(data) if info.premultiplied and info.has_alpha else data


def coloured(data: Array) -> Array:
    """A picture as colours, for formats that hold no grey: equal ones in place of it; an opacity stays.

    >>> coloured(np.array([[[7, 99]]])).tolist()
    [[[7, 7, 7, 99]]]
    """
    plain = data if data.ndim == 3 else data[..., None]
    return np.repeat(plain, [3, *[1] * (plain.shape[2] - 1)], axis=2) if plain.shape[2] < 3 else plain


def as_declared(title: str, data: Array, info: ImageInfo) -> Array:
    """Decoded pixels in the machine's byte order, which must be those that a header declares; else ConvError."""
    if data.shape != info.shape or data.dtype.name != info.dtype:
        raise corrupt(title, f"it decodes to {data.shape} {data.dtype}, not to {info.shape} {info.dtype}")
    return native(data)


def divided(data: Array) -> Array:
    """Samples whose colours were multiplied by the opacity, the last sample, without it; halves are rounded up."""
    if data.dtype.kind == "f":
        clear = np.zeros_like(data)
        np.divide(data, data[..., -1:], out=clear, where=data[..., -1:] > 0)
        clear[..., -1] = data[..., -1]
        return clear
    full, opacity = int(np.iinfo(data.dtype).max), data[..., -1:].astype(np.uint32)
    colours = (data[..., :-1].astype(np.uint32) * full + opacity // 2) // np.maximum(opacity, 1)
    return np.concatenate([np.minimum(colours, full).astype(data.dtype), data[..., -1:]], axis=-1)


def filling(most: int) -> Array:
    """What each value from 0 to `most` becomes where the largest fills 8 or 16 bits; halves are rounded up.

    >>> filling(3).tolist()
    [0, 85, 170, 255]
    """
    full, dtype = (255, np.uint8) if most < 2**8 else (65535, np.uint16)
    return ((np.arange(most + 1) * full + most // 2) // most).astype(dtype)
