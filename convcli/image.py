"""An image as the commands see it: what is known without its pixels, and the same with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from convcli.records import record
from convcli.samples import SAMPLES, SampleType

if TYPE_CHECKING:
    import numpy as np

AXES = "TZCYXS"
"""Time, depth, channel, row, column, and S for the samples of a colour. Every dimension of an image has one letter."""


Spans = tuple[tuple[int, int], ...]
"""A window of an image: [start, stop) along each of its axes."""


@record
class ImageInfo:
    """What a file says of an image, pixels apart.

    `axes` has one letter of `AXES` for each entry of `shape`; `dtype` is a NumPy name ("uint8").
    `samples` says what S means: "" without an S axis or for plain data, else "grey", "rgb", "cmyk", or with "+alpha".
    `premultiplied` tells that colour is already multiplied by alpha (TIFF's associated alpha).
    `missing` is the value of samples that nobody measured: as the file says, or the user.
    `spacing` maps an axis to (distance between samples, unit), e.g. {"Z": (2.0, "um")}.
    `grid` says where an axis that was resampled since reading has its samples, in samples of the file: (first, step).
    A `signal` has no rows: its Y, of length 1, stands for none, and files and arrays of signals do not have it.
    `metadata` is what the formats carry over, under the keys of `convcli.formats`; `notes` are warnings from reading,
    `remarks` what was understood in the usual way where the file says nothing.
    """

    shape: tuple[int, ...]
    dtype: str
    axes: str
    format: str = ""
    samples: str = ""
    premultiplied: bool = False
    missing: float | None = None
    spacing: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    grid: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    signal: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape):
            raise ValueError(f"axes {self.axes!r} do not name the {len(self.shape)} dimensions of {self.shape}")

    def __hash__(self) -> int:
        """By what tells most kinds of images apart; the mappings have no hash."""
        return hash((self.shape, self.dtype, self.axes, self.samples))

    @property
    def bare(self) -> ImageInfo:
        """What pixels are computed by, alone: it can be compared, whatever arrays the metadata hold."""
        return ImageInfo(
            self.shape,
            self.dtype,
            self.axes,
            samples=self.samples,
            premultiplied=self.premultiplied,
            missing=self.missing,
        )

    def size(self, axis: str) -> int:
        """Samples along an axis; 1 where the image has no such axis.

        >>> ImageInfo((4, 6, 3), "uint8", "YXS").size("X")
        6
        """
        place = self.axes.find(axis)
        return 1 if place < 0 else self.shape[place]

    @property
    def told_axes(self) -> str:
        """The dimensions that people know of: a signal has no rows.

        >>> ImageInfo((1, 6), "uint8", "YX", signal=True).told_axes
        'X'
        """
        return self.axes.replace("Y", "") if self.signal else self.axes

    @property
    def told_shape(self) -> tuple[int, ...]:
        """Their sizes."""
        return tuple(self.size(axis) for axis in self.told_axes)

    @property
    def sample(self) -> SampleType:
        """What is known of the type of its samples."""
        return SAMPLES[self.dtype]

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels.

        >>> ImageInfo((4, 6, 3), "uint16", "YXS").nbytes
        144
        """
        return prod(self.shape) * self.sample.size

    @property
    def steps(self) -> dict[str, tuple[float, str]]:
        """The distance between samples along each axis: the spacing, else by the resolution in pixels per unit.

        >>> ImageInfo((4, 6), "uint8", "YX", metadata={"resolution": (300.0, 150.0, "inch")}).steps["Y"]
        (0.006666666666666667, 'inch')
        """
        x, y, unit = self.metadata.get("resolution", (0, 0, "none"))
        known = {} if unit == "none" else {"X": x, "Y": y}
        return {axis: (1 / density, unit) for axis, density in known.items() if density > 0} | dict(self.spacing)

    @property
    def has_alpha(self) -> bool:
        """True where the last sample is an opacity."""
        return self.samples.endswith("+alpha")


@record
class Image:
    """Pixels with what is known of them."""

    info: ImageInfo
    data: np.ndarray[Any, Any]


@record
class Grid:
    """The cuts that the pixels of a file like: blocks of so many samples along each axis, counted from the first.

    A block is what is read, decoded or compressed at once; windows that are made of whole ones cost nothing twice.
    Where rows are only had `in_order`, one from the first on, all that lie before it are decoded for one of them, too.
    `any_box` may be read or written where it is said, else windows are whole rows: cut by planes and by rows alone.
    Where blocks are unpacked `anew` for each window that touches them, a part of one costs as much as all of it.
    """

    block: tuple[int, ...]
    in_order: bool = False
    any_box: bool = False
    anew: bool = False


class PixelSource(Protocol):
    """Pixels that can be had a window at a time: of whole rows, or any box where the grid says so."""

    @property
    def grid(self) -> Grid:
        """The cuts that they like."""

    def read(self, spans: Spans, out: np.ndarray[Any, Any]) -> None:
        """Fill `out`, of the window's shape and the image's sample type."""


class PixelTarget(Protocol):
    """A place for pixels that come a window at a time: of whole rows, or in any boxes where the grid says so."""

    @property
    def grid(self) -> Grid:
        """The cuts that it likes; where it is `in_order`, rows of a plane must come so."""

    def write(self, spans: Spans, pixels: np.ndarray[Any, Any]) -> None:
        """Put a window of pixels into its place."""
