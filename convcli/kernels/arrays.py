"""Kernels from arrays (.npy, .npz) and from images of a point spread function (.tif, .png).

What a file declares is checked before anything is allocated, and nothing is ever unpickled.
"""

from __future__ import annotations

import logging
import struct
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import prod
from types import ModuleType
from typing import IO, Any, TypeAlias
from zipfile import BadZipFile, ZipFile

import numpy as np

from convcli.errors import ConvError, KernelError
from convcli.formats.npy import UNPACKING, parsed_header
from convcli.kernels.inline import MOST_BYTES, layout
from convcli.kernels.kernel import Kernel
from convcli.streams import STRAYS

Array: TypeAlias = np.ndarray[Any, Any]

REAL = "biuf"  # NumPy's kinds of real numbers; booleans count as 0 and 1
DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, SyntaxError, MemoryError),
    *(OSError, EOFError, tokenize.TokenError, struct.error, BadZipFile),
    *UNPACKING,
)  # what NumPy, zipfile, tifffile and imagecodecs raise on mutated files
PNG_GREY = 0  # colour type in the header of a PNG: a single grey channel without alpha


def from_array(taps: Array, ndim: int) -> Kernel:
    """A kernel, or a bank, from an array of real numbers."""
    if taps.dtype.kind not in REAL:
        raise KernelError(f"holds {taps.dtype} values; a kernel needs real numbers")
    shape, bank = layout(taps.shape, ndim)
    return Kernel.from_array("", taps.reshape(shape), bank=bank)


def check_image(shape: Sequence[int], itemsize: int, ndim: int) -> None:
    """Refuse an image, before it is decoded, that has other axes than the kernel or is too large for one."""
    if len(shape) != ndim:
        wanted = "a plane" if ndim == 2 else "a stack"
        raise KernelError(f"is an image of shape {tuple(shape)}; conv{ndim}d takes {wanted}")
    if prod(shape) * itemsize > MOST_BYTES:
        raise ConvError(f"declares an image of shape {tuple(shape)}, too large for a kernel", "too-large")


def check_sound(picture: ModuleType, data: bytes) -> None:
    """Refuse a damaged or hostile picture as its format does for images, before a decoder sees it."""
    from convcli.formats.contract import ReadOptions
    from convcli.formats.source import source_of

    picture.probe(source_of(data), ReadOptions())


def read_npy(data: bytes, ndim: int) -> Kernel:
    """A kernel from the bytes of a NumPy file."""
    return from_array(npy_array(BytesIO(data)), ndim)


def read_npz(data: bytes, ndim: int, key: str = "") -> Kernel:
    """A kernel from one array of a NumPy archive; `key` may be left out where there is only one."""
    with decoding("NumPy archive"), ZipFile(BytesIO(data)) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if not names:
            raise KernelError("holds no arrays")
        if not key and len(names) > 1:
            raise KernelError(f"holds several arrays; add one of them: {', '.join(f':{name}' for name in names)}")
        if key and key not in names:
            raise KernelError(f"has no array {key!r}; it has {', '.join(names)}")
        member = archive.infolist()[names.index(key) if key else 0]
        with archive.open(member) as stream:
            return from_array(npy_array(stream), ndim)


def npy_array(stream: IO[bytes]) -> Array:
    """The array of a NumPy stream, its header checked before its data are read."""
    with decoding("NumPy file"):
        shape, is_fortran, dtype = parsed_header(stream)
        if dtype.kind not in REAL:
            raise KernelError(f"holds {dtype} values; a kernel needs real numbers")
        size = prod(shape) * dtype.itemsize
        if min(shape, default=1) < 0 or size > MOST_BYTES:
            raise ConvError(f"declares an array of shape {shape}, too large for a kernel", "too-large")
        data = stream.read(size)
        if len(data) < size:
            raise ConvError(f"is cut short: {len(data)} of {size} bytes are there", "corrupt")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def read_tiff(data: bytes, ndim: int) -> Kernel:
    """A kernel from a grey TIFF: one page, or for three axes a stack of pages."""
    import tifffile

    from convcli.formats.tiff import read as tiff

    check_sound(tiff, data)
    with decoding("TIFF", tifffile.TiffFileError), logged_damage("tifffile"), tifffile.TiffFile(BytesIO(data)) as file:
        if not file.series:
            raise KernelError("holds no image")
        series, page = file.series[0], file.series[0].keyframe
        if len(file.series) > 1 or "S" in series.axes or page.photometric != tifffile.PHOTOMETRIC.MINISBLACK:
            raise KernelError("is not one grey image; a kernel has one value for each tap")
        check_image(series.shape, series.dtype.itemsize, ndim)
        if len(page.dataoffsets) != prod(page.chunked):  # tifffile would spend seconds on a million missing strips
            raise ConvError(f"has {len(page.dataoffsets)} of {prod(page.chunked):,} strips", "corrupt")
        return from_array(series.asarray(), ndim)


def read_png(data: bytes, ndim: int) -> Kernel:
    """A kernel from a grey PNG of 8 or 16 bits."""
    from convcli.formats.png import whole as png
    from convcli.formats.png.codec import decode

    with decoding("PNG"), logged_damage("imagecodecs"):
        width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ConvError("is not a PNG", "corrupt")
        if colour != PNG_GREY or depth < 8:
            raise KernelError("is not a grey PNG of 8 or 16 bits; a kernel has one value for each tap")
        check_image((height, width), depth // 8, ndim)
        check_sound(png, data)
        return from_array(decode(data), ndim)


@contextmanager
def decoding(title: str, *raised: type[Exception]) -> Iterator[None]:
    """Turn what decoders raise on damaged data into one error."""
    expected = DAMAGE + raised
    try:
        with STRAYS.muted():
            yield
    except expected as error:
        raise ConvError(f"is no {title}, or a damaged one ({' '.join(str(error).split())[:120]})", "corrupt") from error


@contextmanager
def logged_damage(logger: str) -> Iterator[None]:
    """Turn what a library only logs, and then leaves out, into an error; it comes before errors that follow from it."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(logger)
    log.addHandler(handler)
    try:
        yield
    except ConvError:
        if not lines:
            raise
    finally:
        log.removeHandler(handler)
    if lines:
        raise ConvError(f"is damaged ({lines[0][:120]})", "corrupt")
