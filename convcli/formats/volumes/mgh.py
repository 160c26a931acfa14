"""MGH, FreeSurfer's volumes (.mgh, and .mgz through gzip): a header of 284 bytes, numbers, and how they were scanned.

Source: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.pixels import Array
from convcli.formats.source import DEFLATE_RATIO, Source, check_declared, check_ratio
from convcli.formats.units import LEAST, MOST
from convcli.formats.volumes.raw import Layout, Opened, Stored, headed, module, skip, write_packed
from convcli.formats.volumes.space import affine_of, is_sheared, kept_affine, millimetres
from convcli.image import Image, ImageInfo
from convcli.records import replace

HEADER = 284
TYPES = {0: "uint8", 1: "int32", 3: "float32", 4: "int16", 10: "uint16"}
FIELDS = np.dtype(
    [
        *(("version", ">i4"), ("n", ">i4", 4), ("type", ">i4"), ("freedom", ">i4"), ("placed", ">i2")),
        *(("steps", ">f4", 3), ("directions", ">f4", (3, 3)), ("centre", ">f4", 3)),
    ]
)
"""Rows of `directions` are where a step along X, Y and Z leads, to the right, front and top."""
LONGEST_TAIL = 2**24  # bytes of how a volume was scanned, and by which commands it was made
AXES = "TZYX"
USUAL = np.array([[-1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)  # FreeSurfer's, where nobody knows


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A file as an image, and where its numbers are."""
    check_series(options.series, 1)
    with headed("MGH", source, HEADER) as file:
        header = np.frombuffer(file.block, FIELDS, 1)[0]
        if int(header["type"]) not in TYPES:
            raise corrupt("MGH", f"type {int(header['type'])} is unknown")
        if min(header["n"]) < 1:
            raise corrupt("MGH", f"sizes {header['n'].tolist()}")
        dtype = np.dtype(TYPES[int(header["type"])]).newbyteorder(">")
        shape = tuple(int(size) for size in header["n"][::-1])
        shape = shape if shape[0] > 1 else shape[1:] if shape[1] > 1 else shape[2:]
        stored = file.stored(source.size, HEADER, dtype, shape)
        yield described(header, shape, dtype, tail_of(file.stream, stored, options)), stored


def tail_of(stream: BinaryIO, stored: Stored, options: ReadOptions) -> bytes:
    """What stands behind the numbers, up to some length; behind packed ones they are unpacked for it."""
    if not stored.packing:
        stream.seek(stored.start + stored.nbytes)
        return stream.read(LONGEST_TAIL)
    check_declared(ImageInfo(stored.shape, stored.dtype.name, AXES[-len(stored.shape) :]), options.max_pixels)
    check_ratio(stored.nbytes, stored.size, DEFLATE_RATIO)
    skip(stream, stored.nbytes)
    return stream.read(LONGEST_TAIL)


def described(header: Any, shape: tuple[int, ...], dtype: np.dtype[Any], tail: bytes) -> ImageInfo:
    """A header as an image."""
    axes = AXES[-len(shape) :]
    steps = [float(step) for step in header["steps"]]
    known = header["placed"] == 1
    spacing = {
        axis: (step, "mm")
        for axis, step in zip("XYZ", steps, strict=True)
        if known and axis in axes and LEAST < step < MOST
    }
    if "T" in axes and len(tail) >= 4 and LEAST < (time := float(np.frombuffer(tail, ">f4", 1)[0])) < MOST:
        spacing["T"] = (time, "ms")
    affine = kept_affine(placed(header)) if known else {}
    lost = "its header has a place in space that cannot be calculated with: set aside"
    return ImageInfo(
        shape=shape,
        dtype=dtype.name,
        axes=axes,
        format="mgh",
        spacing=spacing,
        notes=(lost,) if known and not affine else (),
        metadata={"mgh": {"tail": tail, "says": ("scan",) if tail.strip(b"\0") else ()}} | affine,
    )


def placed(header: Any) -> Array:
    """The affine, of which the file has the middle."""
    with np.errstate(all="ignore"):  # of damaged numbers; what comes of them is looked at
        columns = header["directions"].astype(np.float64).T * header["steps"].astype(np.float64)
        first = header["centre"].astype(np.float64) - columns @ (header["n"][:3] / 2)
    matrix: Array = np.column_stack([columns, first])
    return matrix


def laid_out(info: ImageInfo, _kind: str) -> Layout:
    """The header of a file, the order of its numbers, and what stood behind them."""
    header = np.zeros(1, FIELDS)
    header["version"] = 1
    header["n"] = [info.size(axis) for axis in reversed(AXES)]
    header["type"] = {name: code for code, name in TYPES.items()}[info.dtype]
    affine, steps = affine_of(info), millimetres(info)
    if affine is None:
        header["placed"] = bool(steps)
        header["steps"] = [steps.get(axis, 1.0) for axis in "XYZ"]
        header["directions"] = USUAL
    else:
        header["placed"] = 1
        lengths = np.linalg.norm(affine[:, :3], axis=0)
        header["steps"], header["directions"] = lengths, (affine[:, :3] / lengths).T
        header["centre"] = affine[:, 3] + affine[:, :3] @ (np.array([info.size(axis) for axis in "XYZ"]) / 2)
    tail = info.metadata.get("mgh", {}).get("tail", b"")
    order = [info.axes.index(axis) for axis in AXES if axis in info.axes]
    return Layout(header.tobytes().ljust(HEADER, b"\0"), np.dtype(info.dtype).newbyteorder(">"), order, tail)


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse what has channels, and axes that are not at right angles, which MGH cannot tell."""
    if "S" in info.axes or "C" in info.axes:
        raise ConvError(f"MGH holds T, Z, Y and X, not {info.axes}; use a .tif output", "shape")
    affine = affine_of(info)
    if affine is not None and is_sheared(affine):
        raise ConvError("MGH holds axes at right angles, and these are not; use a .nii or .nrrd output", "shape")


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Write a volume, through gzip where asked for."""
    if kind == "mgz":
        write_packed(laid_out, stream, image, kind)
    else:
        PLAIN.write(stream, image, options, kind)


def takes(_info: ImageInfo, kind: str) -> bool:
    """True where the file is not compressed."""
    return kind == "mgh"


def place(_info: ImageInfo, _kind: str) -> str:
    """Compressed or not, the header is the same."""
    return "mgh"


PLAIN = module("MGH", opened, laid_out)
FORMAT = replace(PLAIN, write=write, takes=takes, check=check, place=place, whole="gzip is unpacked as a whole")
