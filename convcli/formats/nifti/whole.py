"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz), their headers by nibabel, which the extra `nifti` installs.

NIfTI counts its dimensions X, Y, Z, T and a fifth, the fastest first; here they are C, T, Z, Y, X in the order of the
file. The numbers that are stored are what is filtered: the line slope x + inter that makes measurements of them stands
under `scaling` and goes back into the header, as do the affine, brought up to the grid, all other fields and the
extensions.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from math import isclose, isfinite, prod
from typing import Any, BinaryIO, cast

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.flat import Flat, Reordered, in_order
from convcli.formats.layout import check_series
from convcli.formats.nifti.geometry import mended
from convcli.formats.pixels import filled
from convcli.formats.source import DEFLATE_RATIO, Source, check_declared, check_ratio, kept_open, times
from convcli.formats.table import FORMATS
from convcli.formats.units import LENGTHS
from convcli.formats.volumes.space import affine_of, kept_affine
from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.records import record

DAMAGE = (ValueError, TypeError, KeyError, ArithmeticError, EOFError, OSError, zlib.error)
GZIP = b"\x1f\x8b"
AXES = "CTZYX"  # the dimensions of a file, the slowest first; the last ones where there are fewer
COLOURS = {128: "rgb", 2304: "rgb+alpha"}
SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}  # bytes of a header: nibabel's name of its version
MOST_EXTENSIONS = 2**25  # bytes: the headers of a thousand DICOM files
LONGEST_SIDE = 2**15 - 1  # samples of a dimension in NIfTI-1
REST = 2**20  # bytes that are read at a time of what lies behind the pixels
SCANNER = 1  # the code of an affine to the place in the scanner
FLAG = 4  # bytes behind the header that tell of extensions
UNITS = {"meter": "m", "mm": "mm", "micron": "um", "sec": "s", "msec": "ms", "usec": "us"}


@record
class Opened:
    """A stream of a NIfTI file, standing behind its header; `extensions` are the bytes up to the pixels."""

    stream: BinaryIO
    header: Any
    extensions: bytes
    packed: bool
    faults: tuple[str, ...]

    @property
    def code(self) -> int:
        """NIfTI's number for the type of the pixels."""
        return int(self.header["datatype"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one sample, in the file's byte order."""
        return np.dtype(np.uint8) if self.code in COLOURS else cast("np.dtype[Any]", self.header.get_data_dtype())

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions as they lie in the file, the slowest first."""
        sizes = tuple(int(n) for n in reversed(self.header.get_data_shape()))
        return sizes + {128: (3,), 2304: (4,)}.get(self.code, ())

    @property
    def start(self) -> int:
        """Where the pixels begin."""
        return int(self.header["vox_offset"])


def library() -> Any:
    """nibabel, where it is installed."""
    try:
        return import_module("nibabel")
    except ImportError:
        raise ConvError("NIfTI needs nibabel: pip install 'convcli[nifti]'", "codec-missing") from None


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What the header says."""
    with opened(source, options) as file:
        return describe(file)


def read(source: Source, options: ReadOptions) -> Image:
    """The stored numbers."""
    with opened(source, options) as file:
        info, dtype, size = describe(file), file.dtype, prod(file.shape) * file.dtype.itemsize
        if not file.packed:
            check_length(file.start + size, source.size)
        check_declared(info, options.max_pixels)
        check_ratio(size, source.size, DEFLATE_RATIO)
        file.stream.seek(file.start)
        data = filled(file.stream, dtype, file.shape, "NIfTI")
        while file.packed and file.stream.read(REST):  # the checksum stands at the end
            pass
        return Image(info, data)


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """A volume whose numbers are read a window at a time; None where it is compressed."""
    with ExitStack() as opening:
        file = opening.enter_context(opened(source, options))
        info = describe(file)
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        if not file.packed:
            check_length(file.start + prod(file.shape) * file.dtype.itemsize, source.size)
        pixels = Flat(file.stream, file.start, file.dtype, file.shape, "NIfTI")
        kept = opening.pop_all()
    with kept_open(kept):
        yield None if file.packed or source.in_memory else (info, pixels)


def check_length(needed: int, there: int) -> None:
    """Refuse a file that ends before its pixels do."""
    if there < needed:
        raise corrupt("NIfTI", f"it is cut short: {needed - there:,} bytes of pixels are missing")


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A NIfTI file whose header has been read and found to make sense."""
    check_series(options.series, 1)
    with source.open() as raw, decoding("NIfTI", *DAMAGE):
        packed = source.head(2) == GZIP
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        header = parsed(stream, packed=packed)
        faults = mended(header)
        behind = int(header["vox_offset"]) - header.template_dtype.itemsize - FLAG
        flag = stream.read(FLAG)
        has_extensions = flag[:1] not in (b"", b"\0")
        if has_extensions and behind > MOST_EXTENSIONS:
            raise ConvError(f"declares {behind:,} bytes of extensions, more than {MOST_EXTENSIONS:,}", "too-large")
        extensions = stream.read(behind) if has_extensions else b""
        yield Opened(stream, header, extensions, packed, faults)


def parsed(stream: BinaryIO, *, packed: bool) -> Any:
    """The header, checked."""
    head = stream.read(4)
    size = next((n for n in SIZES if n in (int.from_bytes(head, "little"), int.from_bytes(head, "big"))), None)
    if size is None:
        raise ConvError("is compressed by gzip, but no NIfTI inside" if packed else "is no NIfTI", "unknown-format")
    block = head + stream.read(size - len(head))
    if len(block) < size:
        raise corrupt("NIfTI", f"its header has {len(block)} of {size} bytes")
    header = getattr(library(), SIZES[size])(block, check=False)
    magic = bytes(header["magic"])
    if magic[:2] == b"ni":
        raise ConvError("is one half of a pair (.hdr, .img); join them into a .nii first", "unknown-format")
    if magic[:1] != b"n" or not 1 <= int(header["dim"][0]) <= 7 or min(header["dim"][1 : header["dim"][0] + 1]) < 0:
        raise corrupt("NIfTI", f"magic {magic!r}, dimensions {header['dim'].tolist()}")
    if int(header["vox_offset"]) < size + FLAG:
        raise corrupt("NIfTI", f"its pixels begin at byte {int(header['vox_offset'])}, inside the header")
    return header


def describe(file: Opened) -> ImageInfo:
    """A header as an image."""
    sizes = file.header.get_data_shape()
    if not 2 <= len(sizes) <= len(AXES):
        raise ConvError(f"holds {len(sizes)} dimensions ({times(sizes)}); 2 to {len(AXES)} can be filtered", "shape")
    if file.code not in COLOURS and file.dtype.name not in FORMATS["nifti"].dtypes:
        raise ConvError(f"holds {file.dtype.name}, which cannot be filtered; convert it to numbers first", "dtype")
    scaling = scaling_of(file.header)
    colours = COLOURS.get(file.code, "")
    header = {"header": file.header.binaryblock, "extensions": file.extensions, "says": told(file)}
    line = scaling_text(scaling) if scaling else ""
    return ImageInfo(
        shape=file.shape,
        dtype=file.dtype.name,
        axes=AXES[-len(sizes) :] + "S" * bool(colours),
        format="nifti-gz" if file.packed else "nifti",
        samples=colours,
        spacing=spacing_of(file.header, len(sizes)),
        notes=(f"its header has {', '.join(file.faults)}: set aside",) if file.faults else (),
        metadata={"nifti": header} | ({"scaling": scaling} if scaling else {}) | affine_in(file.header),
        remarks=tuple(remarks_of(file.header, line)),
    )


def remarks_of(header: Any, line: str) -> Iterator[str]:
    """What was understood in the usual way."""
    if line:
        yield f"the stored numbers are filtered; {line} makes measurements of them, as before"
    if is_unsaid(header):
        yield "its header names no unit of length: millimetres, as of its place in space"


def affine_in(header: Any) -> dict[str, Any]:
    """Where samples lie, in millimetres, by the first of the two affines that the header has."""
    for matrix, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        if code and matrix is not None:
            return kept_affine(matrix[:3] * LENGTHS[UNITS.get(header.get_xyzt_units()[0], "mm")])
    return {}


def told(file: Opened) -> tuple[str, ...]:
    """What the header says that no other format has a place for."""
    facts = {
        "description": bytes(file.header["descrip"]).strip(b"\0 "),
        "intent": file.header["intent_code"],
        "extensions": file.extensions,
    }
    return tuple(name for name, fact in facts.items() if fact)


def scaling_of(header: Any) -> tuple[float, float] | None:
    """(slope, inter) where they change anything; a slope of 0 says that there is none."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not isfinite(slope) or slope == 0 or (slope, inter) == (1, 0):
        return None
    return slope, inter if isfinite(inter) else 0.0


def scaling_text(scaling: tuple[float, float]) -> str:
    """The line that makes measurements of stored numbers.

    >>> scaling_text((2.0, -1024.0))
    '2 x - 1024'
    """
    slope, inter = scaling
    return f"{slope:g} x {'-' if inter < 0 else '+'} {abs(inter):g}"


def spacing_of(header: Any, ndim: int) -> dict[str, tuple[float, str]]:
    """The step along each axis whose unit is known."""
    length, time = (UNITS.get(unit) for unit in header.get_xyzt_units())
    length = length or ("mm" if is_unsaid(header) else None)
    steps = {axis: (float(header["pixdim"][place]), length) for place, axis in enumerate("XYZ"[:ndim], 1)}
    if ndim > 3:
        steps["T"] = (float(header["pixdim"][4]), time)
    return {axis: (step, unit) for axis, (step, unit) in steps.items() if unit and isfinite(step) and step > 0}


def is_unsaid(header: Any) -> bool:
    """True where a header has a place in space but no unit of length: nibabel writes such, and all take millimetres."""
    return header.get_xyzt_units()[0] == "unknown" and bool(header["sform_code"] > 0 or header["qform_code"] > 0)


def is_plain(_info: ImageInfo, kind: str) -> bool:
    """True where the file is not compressed."""
    return kind == "nifti"


def place(_info: ImageInfo, _kind: str) -> str:
    """Compressed or not, the header is the same."""
    return "nifti"


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse, before any work, what NIfTI cannot hold; it needs nibabel, too."""
    library()
    if "S" in info.axes and (info.samples not in COLOURS.values() or info.dtype != "uint8"):
        raise ConvError(f"NIfTI holds colours as uint8 rgb only, not {info.dtype} {info.samples}; use a .tif", "dtype")


def write(stream: BinaryIO, image: Image, _options: WriteOptions, kind: str) -> None:
    """Write header, extensions and pixels, as the file was that the image came from."""
    head, dtype, order = laid_out(image.info)
    pixels = in_order(image.data, order)
    with packing(stream, packed=kind == "nifti-gz") as out:
        out.write(head)
        for part in pixels if pixels.ndim > 2 else (pixels,):
            out.write(np.ascontiguousarray(part, dtype).data)


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, _options: WriteOptions, _kind: str) -> Iterator[PixelTarget]:
    """The same file, not compressed, whose numbers are written as they come."""
    head, dtype, order = laid_out(info)
    stream.write(head)
    shape = tuple(info.shape[place] for place in order)
    stream.truncate(len(head) + info.nbytes)
    yield Reordered(Flat(stream, len(head), dtype, shape, "NIfTI"), order, len(info.shape))


def laid_out(info: ImageInfo) -> tuple[bytes, np.dtype[Any], list[int]]:
    """What stands before the pixels, their type with its byte order, and the places of an image's axes in the file."""
    kept = info.metadata.get("nifti", {})
    header, extensions = renewed(info, kept.get("header")), kept.get("extensions", b"")
    header["vox_offset"] = header.template_dtype.itemsize + FLAG + len(extensions)
    head = header.binaryblock + bytes([bool(extensions), 0, 0, 0]) + extensions
    dtype = np.dtype(info.dtype).newbyteorder(header.endianness)
    return head, dtype, [info.axes.index(axis) for axis in AXES + "S" if axis in info.axes]


@contextmanager
def packing(stream: BinaryIO, *, packed: bool) -> Iterator[BinaryIO]:
    """The stream itself, or one that compresses into it; the same image gives the same bytes."""
    if not packed:
        yield stream
        return
    with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as file:
        yield cast(BinaryIO, file)


def renewed(info: ImageInfo, block: bytes | None) -> Any:
    """The header of the file that was read, or a new one, with all that describes the pixels as it is now."""
    nibabel = library()
    header = nibabel.Nifti1Header() if block is None else getattr(nibabel, SIZES[len(block)])(block, check=False)
    if max(info.shape) > LONGEST_SIDE and header["sizeof_hdr"] != 540:
        header = nibabel.Nifti2Header.from_header(header, check=False)
        header["sizeof_hdr"] = 540
    colours = {name: code for code, name in COLOURS.items()}
    header.set_data_dtype(colours[info.samples] if "S" in info.axes else np.dtype(info.dtype))
    old = np.array(header["pixdim"])
    axes = [axis for axis in reversed(AXES) if axis in info.axes or AXES.index(axis) > leading(info)]
    header.set_data_shape([info.size(axis) for axis in axes])
    header["pixdim"] = old
    header["scl_slope"], header["scl_inter"] = info.metadata.get("scaling", (1.0, 0.0))
    if block is None:
        set_spacing(header, info)
        set_space(header, info)
    else:
        set_grid(header, info)
        set_given(header, info)
    return header


def leading(info: ImageInfo) -> int:
    """The place in `AXES` of the slowest axis that an image has: those behind it must be there, too."""
    return min(AXES.index(axis) for axis in info.axes if axis in AXES)


def set_spacing(header: Any, info: ImageInfo) -> None:
    """Lengths in millimetres, or in micrometres or metres where the image has these; a time in seconds."""
    names = {unit: name for name, unit in UNITS.items()}
    steps = {axis: info.steps[axis] for axis in "XYZ" if axis in info.steps and info.steps[axis][1] in LENGTHS}
    unit = next(iter({unit for _, unit in steps.values() if unit in names}), "mm")
    for axis, (step, own) in steps.items():
        header["pixdim"]["XYZ".index(axis) + 1] = step * LENGTHS[own] / LENGTHS[unit]
    time, second = info.steps.get("T", (1.0, ""))
    header["pixdim"][4] = time
    header.set_xyzt_units(names[unit] if steps else "unknown", names.get(second, "unknown"))


def set_space(header: Any, info: ImageInfo) -> None:
    """Where samples lie, as another format told it."""
    affine = affine_of(info)
    if affine is None:
        return
    length, time = header.get_xyzt_units()
    header.set_xyzt_units(length if length in UNITS else "mm", time)
    matrix = np.vstack([affine / LENGTHS[UNITS.get(length, "mm")], [0, 0, 0, 1]])
    header.set_sform(matrix, SCANNER)
    header.set_qform(matrix, SCANNER, strip_shears=True)


def set_given(header: Any, info: ImageInfo) -> None:
    """Steps that are not the header's own, where the user gave others; affines keep their directions and origins."""
    there, given = spacing_of(header, 3), {axis: step for axis, step in info.spacing.items() if step[1] in LENGTHS}
    steps = {axis: step * LENGTHS[unit] for axis, (step, unit) in given.items()}
    held = {axis: step * LENGTHS[unit] for axis, (step, unit) in there.items()}
    if all(isclose(step, held.get(axis, 0), rel_tol=1e-6) for axis, step in steps.items()):
        return
    length, time = header.get_xyzt_units()
    unit = UNITS.get(length, "mm")
    header.set_xyzt_units({own: name for name, own in UNITS.items()}[unit], time)
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    scale = np.ones(3)
    for axis, step in steps.items():
        place = "XYZ".index(axis)
        scale[place] = step / LENGTHS[unit] / (header["pixdim"][place + 1] or 1.0)
    header["pixdim"][1:4] *= scale
    for (affine, code), put in ((sform, header.set_sform), (qform, header.set_qform)):
        if code:
            put(np.hstack([affine[:, :3] * scale, affine[:, 3:]]), int(code))


def set_grid(header: Any, info: ImageInfo) -> None:
    """Steps and affines of samples that lie elsewhere than in the file: each axis at `first + step i`."""
    first, step = (np.array([info.grid.get(axis, (0.0, 1.0))[part] for axis in "XYZT"], np.float64) for part in (0, 1))
    if not info.grid:
        return
    move = np.diag([*step[:3], 1.0])
    move[:3, 3] = first[:3]
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    header["pixdim"][1:5] *= step
    if sform[1]:
        header.set_sform(sform[0] @ move, int(sform[1]))
    if qform[1]:
        header.set_qform(qform[0] @ move, int(qform[1]))
    header["toffset"] += first[3] * header["pixdim"][4] / step[3]


FORMAT = FormatModule(
    probe,
    read,
    write,
    windows,
    streamed,
    takes=is_plain,
    check=check,
    place=place,
    scales=True,
    whole="gzip is unpacked as a whole",
)
