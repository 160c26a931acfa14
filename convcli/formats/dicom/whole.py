"""DICOM files, and series of files in a folder, as pictures and volumes; headers by pydicom, of the extra `dicom`.

Planes are put into the order of their positions; what makes no even volume is refused. The numbers that are stored are
what is filtered, and the line that makes measurements of them goes along, as in NIfTI; where it differs between planes,
as that of PET does, the measurements themselves are filtered. DICOM is not written: a result is no scan any more, and
nobody knows which of the patient's data still holds for it.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.dicom.pixels import Form, check_form, form_of, frames_of
from convcli.formats.dicom.planes import Plane, geometry, in_order, planes_of
from convcli.formats.failures import decoding, unremarked
from convcli.formats.layout import check_series
from convcli.formats.nifti.whole import scaling_text
from convcli.formats.source import Source, check_declared
from convcli.formats.units import physical
from convcli.image import Image, ImageInfo
from convcli.records import record

DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, EOFError, OSError, RuntimeError),
    *(struct.error, zlib.error, NotImplementedError, UnicodeError, AssertionError),
)
MARK = slice(128, 132)
LONGEST_META = 4096  # bytes; the transfer syntax stands among the first
DEFLATED = re.compile(rb"\x02\0\x10\0UI..1\.2\.840\.10008\.1\.2\.1\.99", re.DOTALL)
"""The element for a transfer syntax that packs all else of a file: how large it gets would be known too late."""
MOST_NAMED = 4
SAYS = ("patient, study and equipment",)


@record
class Volume:
    """The planes of an image in their order, how their pixels are stored, and all of it as an image."""

    planes: tuple[Plane, ...]
    form: Form
    info: ImageInfo

    @property
    def measures(self) -> bool:
        """Whether each plane has a line of its own that makes measurements of numbers, which are what is read then."""
        return len({plane.scaling for plane in self.planes}) > 1


class Clipped:
    """A stream that is asked for no more than it has: a value that is said to be huge takes no memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.tell = stream.seek, stream.tell
        self.stream = stream
        self.size = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    def read(self, count: int = -1) -> bytes:
        """Some bytes, or all that are left."""
        left = max(self.size - self.tell(), 0)
        return self.stream.read(left if count < 0 else min(count, left))


def library() -> Any:
    """pydicom, where it is installed; values against the rules are left to us."""
    try:
        pydicom = import_module("pydicom")
    except ImportError:
        raise ConvError("DICOM needs pydicom: pip install 'convcli[dicom]'", "codec-missing") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom


@contextmanager
def opened(source: Source, part: str, *, pixels: bool = False) -> Iterator[Any]:
    """What a file, or a part of a folder, says; with its pixels, packed as they are, or without.

    What pydicom remarks upon is found here where it matters.
    """
    pydicom = library()
    damage = (*DAMAGE, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException)
    with source.open(part) as stream, decoding("DICOM", *damage), unremarked():
        if DEFLATED.search(stream.read(LONGEST_META)):
            raise ConvError("is a deflated DICOM, which is not read here; convert it first", "codec-missing")
        yield pydicom.dcmread(Clipped(stream), stop_before_pixels=not pixels)


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a file or the files of a folder say."""
    return volume_of(source, options).info


def read(source: Source, options: ReadOptions) -> Image:
    """The stored numbers, or the measurements where each plane has a line of its own."""
    volume = volume_of(source, options)
    check_declared(volume.info, options.max_pixels)
    data = np.empty(
        (len(volume.planes), *volume.info.shape[-3 if "S" in volume.info.axes else -2 :]), volume.info.dtype
    )
    places = {(plane.part, plane.frame): place for place, plane in enumerate(volume.planes)}
    for part in dict.fromkeys(plane.part for plane in volume.planes):
        with opened(source, part, pixels=True) as dataset:
            for frame, pixels in enumerate(frames_of(dataset, form_of(dataset))):
                place = places[part, frame]
                slope, inter = volume.planes[place].scaling
                data[place] = pixels * slope + inter if volume.measures else pixels
    return Image(volume.info, data.reshape(volume.info.shape))


def volume_of(source: Source, options: ReadOptions) -> Volume:
    """The picture or volume of a file, or of one series in a folder."""
    if not source.is_folder:
        check_series(options.series, 1)
        with opened(source, "") as dataset:
            form = form_of(dataset)
            check_form(form, source.size)
            return described(planes_of(dataset, "", form.frames), form, dataset)
    series: dict[str, tuple[str, list[Plane], list[Form], Any]] = {}
    for part in source.names():
        if source.head(MARK.stop, part)[MARK] != b"DICM":
            continue
        with opened(source, part) as dataset:
            if "Rows" not in dataset:  # a directory of the folder, or a report
                continue
            form = form_of(dataset)
            check_form(form, source.parts[part].st_size)
            name = str(dataset.get("SeriesDescription", "")) or f"series {dataset.get('SeriesNumber', '')}".strip()
            _, planes, forms, _ = series.setdefault(str(dataset.get("SeriesInstanceUID")), (name, [], [], dataset))
            planes += planes_of(dataset, part, form.frames)
            forms.append(form)
    if not series:
        raise ConvError("is a folder of DICOM files without a picture", "unknown-format")
    found = list(series.values())
    if len(found) > 1 and options.series is None:
        names = ", ".join(f"{number}: {name!r} of {len(planes)}" for number, (name, planes, *_) in enumerate(found))
        raise ConvError(f"holds {len(found)} series ({names}); --series N picks one", "ambiguous")
    _, planes, forms, dataset = found[check_series(options.series, len(found))]
    if len({form.alike for form in forms}) > 1:
        raise ConvError("its pictures differ in size or in kind of numbers: they make no volume", "ambiguous")
    return described(planes, forms[0], dataset)


def described(planes: list[Plane], form: Form, dataset: Any) -> Volume:
    """Planes as an image."""
    film = len(planes) > 1 and not any(plane.is_placed for plane in planes)
    if film and len({plane.part for plane in planes}) > 1:
        raise ConvError("its pictures do not say where they lie: they make no volume", "ambiguous")
    ordered = in_order(planes)
    spacing, affine = geometry(ordered)
    if film:
        spacing.pop("Z", None)
        time = physical(dataset.get("FrameTime"), "ms")
        spacing |= {"T": time} if time else {}
    axes = ("T" if film else "Z") * (len(planes) > 1) + "YX" + "S" * (form.samples == 3)
    lines = {plane.scaling for plane in planes}
    scaling = next(iter(lines)) if len(lines) == 1 else (1.0, 0.0)
    metadata = {"dicom": {"says": SAYS}} | affine | ({"scaling": scaling} if scaling != (1, 0) else {})
    shape = (*([len(planes)] if len(planes) > 1 else []), form.rows, form.columns, *([3] if form.samples == 3 else []))
    dtype = form.dtype.name if len(lines) == 1 else "float32"
    info = ImageInfo(shape, dtype, axes, "dicom", "rgb" * (form.samples == 3), spacing=spacing, metadata=metadata,
                     remarks=tuple(remarks_of(lines, scaling, form)))  # fmt: skip
    return Volume(tuple(ordered), form, info)


def remarks_of(lines: set[tuple[float, float]], scaling: tuple[float, float], form: Form) -> Iterator[str]:
    """What was understood in the usual way."""
    if len(lines) > 1:
        yield "each picture has a line of its own that makes measurements: these are filtered, as float32"
    elif scaling != (1, 0):
        yield f"the stored numbers are filtered; {scaling_text(scaling)} makes measurements of them, as before"
    if form.photometric == "MONOCHROME1":
        yield "low numbers are shown bright (MONOCHROME1); they are left as they are"


def write(_stream: BinaryIO, _image: Image, _options: WriteOptions, _kind: str) -> None:
    """DICOM is not written; the table says so, and nobody gets here."""
    raise ConvError("DICOM is only read here", "unknown-format")


FORMAT = FormatModule(probe, read, write, whole="pictures of DICOM are decoded as a whole")
