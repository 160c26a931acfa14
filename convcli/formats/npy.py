"""NumPy's .npy and .npz: one array, never a pickle; the header is held against the file before memory is taken."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding, error_named, unremarked
from convcli.formats.flat import Flat
from convcli.formats.layout import DTYPES, check_series, samples_named, with_row
from convcli.formats.pixels import Array, filled, native
from convcli.formats.source import (
    BZIP2_RATIO,
    DEFLATE_RATIO,
    UNBOUNDED_RATIO,
    Source,
    check_declared,
    check_ratio,
    times,
)
from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.records import record

DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, EOFError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError),
)
BZIP2 = (OSError, ValueError)  # bzip2 has no error of its own
UNPACKING: tuple[type[Exception], ...] = (
    *(zlib.error, *BZIP2, NotImplementedError, RuntimeError),
    *(*error_named("lzma", "LZMAError"), *error_named("compression.zstd", "ZstdError")),
)
ZIP_DAMAGE: tuple[type[Exception], ...] = (zipfile.BadZipFile, KeyError, *UNPACKING, *DAMAGE)
"""What reading a member of an archive raises, however it is packed."""
PACKINGS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO, zipfile.ZIP_BZIP2: BZIP2_RATIO}
"""How far each can expand."""
LONGEST_HEADER = 2**16  # bytes; NumPy evaluates 10,000
ZIP = b"PK"
MEMBER = "image"
EXAMPLES = {3: "CYX, ZYX or YXS", 4: "CZYX or ZYXS", 5: "TZCYX"}


@record
class Header:
    """What an array file declares, and where its numbers begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return prod(self.shape) * self.dtype.itemsize


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What an array file says of its array."""
    with opened(source, options) as (_, header, name):
        return describe(header, options, name)


def read(source: Source, options: ReadOptions) -> Image:
    """The array."""
    with opened(source, options) as (stream, header, name):
        info = describe(header, options, name)
        return Image(info, numbers(stream, header, info, options))


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """An array file whose numbers are read a window at a time; None where it is packed, or of bits or columns."""
    with opened(source, options) as (stream, header, name):
        plain = name == "npy" and not source.in_memory and header.dtype != bool and not header.fortran
        info = describe(header, options, name)
        pixels = Flat(stream, header.start, header.dtype, info.shape, "NPY")
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        yield (info, pixels) if plain else None


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, _options: WriteOptions, _kind: str) -> Iterator[PixelTarget]:
    """An array file whose numbers are written as they come."""
    dtype = np.dtype(info.dtype)
    head = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": info.told_shape}
    npy_format.write_array_header_1_0(stream, head)
    target = Flat(stream, stream.tell(), dtype, info.shape, "NPY")
    stream.truncate(target.offset + info.nbytes)
    yield target


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[tuple[BinaryIO, Header, str]]:
    """A stream standing at the numbers, its header, and the format: of the file itself, or of its member."""
    with source.open() as stream:
        if source.head(2) == ZIP:
            with decoding("NPZ", *ZIP_DAMAGE), zipfile.ZipFile(stream) as archive:
                member = chosen(archive, options)
                with cast(BinaryIO, archive.open(member)) as inner:
                    yield inner, parsed(inner, member.file_size), "npz"
        else:
            check_series(options.series, 1)
            yield stream, parsed(stream, source.size), "npy"


def chosen(archive: zipfile.ZipFile, options: ReadOptions) -> zipfile.ZipInfo:
    """The one array of an archive, or the one that `series` picks."""
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    if not members:
        raise ConvError("is a ZIP archive without a NumPy array", "unknown-format")
    names = ", ".join(member.filename.removesuffix(".npy") for member in members)
    if len(members) > 1 and options.series is None:
        last = len(members) - 1
        raise ConvError(f"holds {len(members)} arrays ({names}); --series 0 to {last} picks one", "ambiguous")
    member = members[check_series(options.series, len(members))]
    check_ratio(member.file_size, member.compress_size, PACKINGS.get(member.compress_type, UNBOUNDED_RATIO))
    return member


def parsed(stream: BinaryIO, size: int) -> Header:
    """The header of an .npy stream, its numbers found to be there."""
    with decoding("NPY", *DAMAGE):
        shape, fortran, dtype = parsed_header(stream)
    if dtype.hasobject:
        raise ConvError("holds Python objects (a pickle), which are never loaded: they can run any program", "unsafe")
    header = Header(tuple(int(length) for length in shape), dtype, fortran, stream.tell())
    if min(header.shape, default=0) < 0 or header.start + header.size > size:
        held = f"{times(header.shape)} {dtype} = {header.size:,} bytes are declared, {size - header.start:,} are there"
        raise corrupt("NPY", held)
    return header


def parsed_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, column order and type from the start of an .npy stream; its length is looked at before it is read."""
    magic = stream.read(npy_format.MAGIC_LEN)
    version = npy_format.read_magic(BytesIO(magic))
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} is unknown")
    size = stream.read(2 if version == (1, 0) else 4)
    if int.from_bytes(size, "little") > LONGEST_HEADER:
        raise ValueError(f"its header is said to have {int.from_bytes(size, 'little'):,} bytes")
    header = BytesIO(size + stream.read(int.from_bytes(size, "little")))
    with unremarked():  # a header written by Python 2 is read all the same
        if version == (1, 0):
            return npy_format.read_array_header_1_0(header)
        return npy_format.read_array_header_2_0(header)


def describe(header: Header, options: ReadOptions, name: str) -> ImageInfo:
    """A header as an image; more than two dimensions need names."""
    if header.dtype.name not in DTYPES:
        raise ConvError(
            f"holds {header.dtype}, which cannot be filtered; convert it to integers or floats first", "dtype"
        )
    if not header.shape:
        raise ConvError("holds a single number; an image has one dimension or more", "shape")
    axes = options.axes
    if axes is None and len(header.shape) > 2:
        examples = EXAMPLES.get(len(header.shape), "TZCYXS")
        raise ConvError(
            f"is an array of {times(header.shape)}: name its dimensions with --axes, as in {examples}", "ambiguous"
        )
    axes, shape, signal = with_row(axes or "YX"[-len(header.shape) :], header.shape)
    is_bool = header.dtype == bool
    return ImageInfo(
        shape=shape,
        dtype="uint8" if is_bool else header.dtype.name,
        axes=axes,
        format=name,
        samples=samples_named(axes, shape, alpha=options.alpha),
        signal=signal,
        notes=("true and false are read as 255 and 0",) if is_bool else (),
    )


def numbers(stream: BinaryIO, header: Header, info: ImageInfo, options: ReadOptions) -> Array:
    """The numbers of an array, in native byte order and C order."""
    check_declared(info, options.max_pixels)
    shape = header.shape[::-1] if header.fortran else header.shape
    data = filled(stream, header.dtype, shape, "NPY")
    data = np.ascontiguousarray(data.T) if header.fortran else data
    return (data.view(np.uint8) * np.uint8(255) if data.dtype == bool else data).reshape(info.shape)


def is_plain(_info: ImageInfo, kind: str) -> bool:
    """True where the array is the file, and no member of an archive."""
    return kind == "npy"


def place(_info: ImageInfo, _kind: str) -> str:
    """Archives hold what arrays do."""
    return "npy"


def write(stream: BinaryIO, image: Image, _options: WriteOptions, kind: str) -> None:
    """Write the array; its dimensions lose their names."""
    data = np.ascontiguousarray(native(image.data)).reshape(image.info.told_shape)
    if kind == "npy":
        npy_format.write_array(stream, data, allow_pickle=False)
        return
    undated = zipfile.ZipInfo(f"{MEMBER}.npy")  # the same image gives the same bytes
    with zipfile.ZipFile(stream, "w") as archive, archive.open(undated, "w", force_zip64=True) as member:
        npy_format.write_array(member, data, allow_pickle=False)


FORMAT = FormatModule(
    probe,
    read,
    write,
    windows,
    streamed,
    takes=is_plain,
    place=place,
    names_axes=False,
    whole="archives, bits and columns first are read as a whole",
)
