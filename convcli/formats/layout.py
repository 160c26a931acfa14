"""How the dimensions of an image lie: their letters, what its samples mean, and which way is up."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from convcli.errors import ConvError, UsageError
from convcli.image import AXES, ImageInfo
from convcli.records import replace
from convcli.samples import SAMPLES as SAMPLE_TYPES
from convcli.samples import as_sample

DTYPES = frozenset({*SAMPLE_TYPES, "bool"})
"""What the samples of an image may be in a file; bool is read as 0 and 255."""
SAMPLES = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgb+alpha"}
COUNTS = {samples: count for count, samples in SAMPLES.items()} | {"cmyk": 4}
TURNS = {2: "X", 3: "XY", 4: "Y", 5: "t", 6: "tX", 7: "tXY", 8: "tY"}
"""What makes a picture of each EXIF orientation upright: swap rows and columns (t), then reverse an axis."""


def check_axes(axes: str, shape: tuple[int, ...]) -> str:
    """Axis letters given by the user, if they can name the dimensions of `shape`.

    >>> check_axes("ZYX", (5, 64, 64))
    'ZYX'
    """
    return lettered(axes, shape, "YX")


def with_row(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], bool]:
    """Axis letters given by the user, and sizes; those of a signal, which has no Y, with one row, and True.

    X alone says of a table that its rows are signals.

    >>> with_row("CX", (3, 100)), with_row("YX", (1, 100))
    (('CYX', (3, 1, 100), True), ('YX', (1, 100), False))
    """
    if "Y" in axes:
        return check_axes(axes, shape), shape, False
    axes = "CX" if axes == "X" and len(shape) == 2 else lettered(axes, shape, "X")
    place = axes.index("X")
    return axes[:place] + "Y" + axes[place:], (*shape[:place], 1, *shape[place:]), True


def lettered(axes: str, shape: tuple[int, ...], needed: str) -> str:
    """Axis letters, if they can name the dimensions of `shape` and those that are needed are among them."""
    if set(axes) - set(AXES) or len(set(axes)) < len(axes) or not set(needed) <= set(axes):
        there = " and ".join(needed)
        raise UsageError(f"axes {axes!r}: each letter once, {there} among them, of {', '.join(AXES)}", where="--axes")
    if len(axes) != len(shape):
        size = " x ".join(map(str, shape))
        raise ConvError(f"--axes {axes} names {len(axes)} dimensions, but there are {len(shape)} ({size})", "shape")
    return axes


def with_axes(info: ImageInfo, axes: str | None, *, alpha: bool = False) -> ImageInfo:
    """The image with its dimensions named by the user; see `samples_named`."""
    if axes is None or axes in (info.axes, info.told_axes) or (info.signal and axes == "X"):
        return info
    check_axes(axes, info.shape)
    samples = samples_named(axes, info.shape, alpha=alpha)
    spacing = {axis: step for axis, step in info.spacing.items() if axis in axes}
    return replace(info, axes=axes, samples=samples, spacing=spacing)


def samples_named(axes: str, shape: tuple[int, ...], *, alpha: bool = False) -> str:
    """What samples mean that only the user named S: a colour; with an opacity where somebody says `alpha`, else none.

    >>> samples_named("YXS", (4, 6, 3)), samples_named("YXS", (4, 6, 4)), samples_named("YXS", (4, 6, 4), alpha=True)
    ('rgb', '', 'rgb+alpha')
    """
    count = shape[axes.index("S")] if "S" in axes else 0
    return SAMPLES.get(count, "") if alpha or count % 2 else ""


def picture_info(
    kind: str,
    size: tuple[int, int],
    samples: str,
    dtype: str = "uint8",
    *,
    metadata: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> ImageInfo:
    """A single picture as a file of a kind declares it: rows and columns, and what its samples mean.

    >>> picture_info("qoi", (4, 6), "rgb").shape, picture_info("qoi", (4, 6), "grey").axes
    ((4, 6, 3), 'YX')
    """
    count = COUNTS[samples]
    return ImageInfo(
        shape=size if count == 1 else (*size, count),
        dtype=dtype,
        axes="YX" if count == 1 else "YXS",
        format=kind,
        samples=samples if count > 1 else "",
        metadata=metadata or {},
        notes=notes,
    )


def check_series(series: int | None, count: int) -> int:
    """The number of the image to read, from 0: the first unless `series` says otherwise."""
    if series is not None and not 0 <= series < count:
        held = "1 image, --series 0" if count == 1 else f"{count} images, --series 0 to {count - 1}"
        raise ConvError(f"has no image {series}; it holds {held}", "ambiguous")
    return series or 0


def upright(info: ImageInfo) -> ImageInfo:
    """The image as it is once its EXIF orientation is applied."""
    from convcli.formats import metadata as said

    turn = info.metadata.get("orientation", 1)
    if turn not in TURNS:
        return info
    metadata = said.turned(info.metadata)
    lay = "the EXIF thumbnail shows the picture before it was turned, and was left out"
    remarks = (*info.remarks, lay) if said.has_thumbnail(info.metadata) else info.remarks
    if "t" not in TURNS[turn]:
        return replace(info, metadata=metadata, remarks=remarks)
    if "resolution" in metadata:
        x, y, unit = metadata["resolution"]
        metadata["resolution"] = (y, x, unit)
    swapped = {"Y": info.size("X"), "X": info.size("Y")}
    shape = tuple(swapped.get(axis, size) for axis, size in zip(info.axes, info.shape, strict=True))
    return replace(info, shape=shape, metadata=metadata, remarks=remarks)


def with_missing(info: ImageInfo, asked: float | str) -> ImageInfo:
    """The image with its missing samples as the user wants them: those that the file declares, none, or others."""
    if asked != "declared":
        return replace(info, missing=None if isinstance(asked, str) else as_sample(asked, info.dtype))
    if info.missing is None:
        return info
    remark = f"samples of {info.missing:.15g} are missing, as the file says; --nodata none filters them as data"
    return replace(info, remarks=(*info.remarks, remark))


def is_flat(info: ImageInfo, _kind: str = "") -> bool:
    """True for a single picture whose rows come one after the other, samples apart or together.

    >>> is_flat(ImageInfo((1, 4, 6), "uint8", "ZYX")), is_flat(ImageInfo((3, 4, 6), "uint8", "SYX"))
    (True, False)
    """
    return prod(info.shape[: info.axes.index("Y")]) == 1


def picture_samples(info: ImageInfo, others: str = "TZC") -> str | None:
    """What the samples of a single picture mean; None for a stack, or for data that no picture format can name.

    `others` are the axes that a stack has: pictures of an animation follow each other along T.

    >>> picture_samples(ImageInfo((1, 4, 6), "uint8", "ZYX"))
    'grey'
    """
    if any(info.size(axis) > 1 for axis in others):
        return None
    return "grey" if info.size("S") == 1 else info.samples or None
