"""The pixels of a DICOM file: as they lie, or frames of JPEGs and run lengths, decoded by imagecodecs.

Source: DICOM PS3.5, 8 (pixel data), A.4 (encapsulated frames); PS3.3, C.7.6.3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from convcli.errors import ConvError
from convcli.formats.codecs import function
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array
from convcli.formats.source import DEFLATE_RATIO, UNBOUNDED_RATIO, check_ratio
from convcli.records import record

NATIVE: dict[str, Literal["<", ">"]] = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.2": ">",
}
"""Transfer syntaxes of numbers as they are, with their byte order."""
REQUIRED = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation")
PHOTOMETRICS = (
    *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    *("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"),
)
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Markers of the headers of frames, that of JPEG-LS among them."""
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HIGH_THROUGHPUT = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
RUNS = "1.2.840.10008.1.2.5"
LUMA = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
"""RGB of brightness and two differences of colour around 128."""


@record
class Form:
    """How pixels are stored, the same for all of a series."""

    syntax: str
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    photometric: str
    planar: bool
    frames: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a number."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.allocated // 8}")

    @property
    def nbytes(self) -> int:
        """Bytes of a frame, decoded."""
        return self.rows * self.columns * self.samples * self.allocated // 8

    @property
    def alike(self) -> tuple[object, ...]:
        """What all pictures of a volume share."""
        return self.rows, self.columns, self.samples, self.allocated, self.signed, self.photometric


def form_of(dataset: Any) -> Form:
    """What a file says of its pixels. Raises ConvError: unknown-format without any, dtype, corrupt, codec-missing."""
    if "Rows" not in dataset or "Columns" not in dataset:
        kind = dataset.get("SOPClassUID")
        what = "of no class" if kind is None else str(kind.name)
        raise ConvError(f"is a DICOM without a picture ({what})", "unknown-format")
    required = (*REQUIRED, *["PlanarConfiguration"] * (dataset.get("SamplesPerPixel") == 3))
    absent = [name for name in required if dataset.get(name) in (None, "")]
    absent += ["TransferSyntaxUID"] * ("TransferSyntaxUID" not in dataset.file_meta)
    if absent:
        raise corrupt("DICOM", f"it does not say its {', '.join(absent)}")
    numbers = {
        name: whole(dataset, name, usual)
        for name, usual in (
            *(("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1), ("BitsAllocated", 0), ("PixelRepresentation", 0)),
            *(("PlanarConfiguration", 0), ("NumberOfFrames", 1)),
        )
    }
    allocated = numbers["BitsAllocated"]
    stored = whole(dataset, "BitsStored", allocated)
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise ConvError(f"holds pixels of {stored} bits in {allocated}, which are not read here", "dtype")
    if (
        numbers["SamplesPerPixel"] not in (1, 3)
        or min(numbers["Rows"], numbers["Columns"], numbers["NumberOfFrames"]) < 1
    ):
        raise corrupt("DICOM", ", ".join(f"{name} {value}" for name, value in numbers.items()))
    if not {numbers["PixelRepresentation"], numbers["PlanarConfiguration"]} <= {0, 1}:
        raise corrupt("DICOM", ", ".join(f"{name} {value}" for name, value in numbers.items()))
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).strip()
    if photometric not in PHOTOMETRICS:
        raise corrupt("DICOM", f"PhotometricInterpretation {photometric[:40]!r} is unknown")
    if photometric == "PALETTE COLOR":
        raise ConvError("holds indices into a table of colours, which are not read here; convert it first", "dtype")
    return Form(
        syntax=str(dataset.file_meta.TransferSyntaxUID),
        rows=numbers["Rows"],
        columns=numbers["Columns"],
        samples=numbers["SamplesPerPixel"],
        allocated=allocated,
        stored=stored,
        signed=numbers["PixelRepresentation"] == 1,
        photometric=photometric,
        planar=numbers["PlanarConfiguration"] == 1,
        frames=numbers["NumberOfFrames"],
    )


def whole(dataset: Any, name: str, usual: int) -> int:
    """A whole number; what stands for none where nothing is said."""
    value = dataset.get(name)
    try:
        return usual if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        raise corrupt("DICOM", f"{name} is {str(value)[:40]!r}") from None


def check_form(form: Form, there: int) -> None:
    """Refuse, before any pixel is decoded, a transfer syntax that is not known and more pixels than a file can hold."""
    native = form.syntax in NATIVE
    if not native and form.syntax not in DECODERS:
        raise ConvError(f"is a kind of DICOM that is not read here (transfer syntax {form.syntax}); convert it first",
                        "codec-missing")  # fmt: skip
    size = form.nbytes * form.frames
    if native and size > there and form.photometric != "YBR_FULL_422":
        raise corrupt("DICOM", f"it is cut short: {size - there:,} bytes of pixels are missing")
    check_ratio(size, there, 2 if native else UNBOUNDED_RATIO if form.syntax in JPEG_2000 else DEFLATE_RATIO)


def frames_of(dataset: Any, form: Form) -> Iterator[Array]:
    """Each frame, (rows, columns) or (rows, columns, samples), in the machine's byte order."""
    content = stored_pixels(dataset, form)
    if form.syntax in NATIVE:
        if form.photometric == "YBR_FULL_422":
            raise ConvError("holds colours that pixels share (YBR_FULL_422), which are not read here", "dtype")
        if len(content) < form.nbytes * form.frames:
            raise corrupt("DICOM", f"it is cut short: {form.nbytes * form.frames - len(content):,} bytes are missing")
        for number in range(form.frames):
            part = content[number * form.nbytes : (number + 1) * form.nbytes]
            flat = np.frombuffer(part, form.dtype.newbyteorder(NATIVE[form.syntax])).astype(form.dtype)
            yield finished(laid(flat, form), form, is_rgb=False)
        return
    from pydicom.encaps import generate_frames

    given = 0
    for content_of_frame in generate_frames(content, number_of_frames=form.frames):
        given += 1
        check_frame(content_of_frame, form)
        decoded = np.asarray(DECODERS[form.syntax](content_of_frame, form))
        shape = (form.rows, form.columns, 3) if form.samples == 3 else (form.rows, form.columns)
        if decoded.shape != shape:
            raise corrupt("DICOM", f"a frame decodes to {decoded.shape}, not to {shape}")
        yield finished(decoded.astype(form.dtype, copy=False), form, is_rgb=form.syntax in CONVERTED)
        if given == form.frames:
            break
    if given < form.frames:
        raise corrupt("DICOM", f"{form.frames} frames are declared, {given} are there")


def check_frame(content: bytes, form: Form) -> None:
    """Refuse, before it is decoded, a frame of another size than the file says: it could be huge."""
    if form.syntax == RUNS:
        return
    size = size_of_codestream(content) if form.syntax in (*JPEG_2000, *HIGH_THROUGHPUT) else size_of_jpeg(content)
    if size != (form.rows, form.columns):
        found = "of no size" if size is None else f"of {size[0]} x {size[1]}"
        raise corrupt("DICOM", f"a frame {found} stands where {form.rows} x {form.columns} pixels should")


def size_of_codestream(content: bytes) -> tuple[int, int] | None:
    """Rows and columns of a JPEG 2000. Source: ISO 15444-1, A.5.1."""
    place = content.find(b"\xff\x4f\xff\x51")
    if place < 0 or len(content) < place + 24:
        return None
    across, down, left, top = struct.unpack_from(">4I", content, place + 8)
    return down - top, across - left


def size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    """Rows and columns of a JPEG or JPEG-LS, by the header of its frame. Source: ITU-T T.81, B.1.1.3."""
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in FRAMES:
            high, wide = struct.unpack_from(">HH", content, place + 5)
            return high, wide
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None


def stored_pixels(dataset: Any, form: Form) -> bytes:
    """The pixels as they lie; bytes that were written as words of the other byte order are put right."""
    element = dataset.get((0x7FE0, 0x0010))
    if element is None or not element.value:
        raise ConvError("is a DICOM without pixels, or of floating-point ones, which are not read here", "dtype")
    content: bytes = element.value
    if NATIVE.get(form.syntax) == ">" and form.allocated == 8 and element.VR == "OW":
        return np.frombuffer(content[: len(content) // 2 * 2], "<u2").byteswap().tobytes()
    return content


def laid(flat: Array, form: Form) -> Array:
    """The numbers of a frame in rows and columns, samples last."""
    if form.samples == 1:
        return flat.reshape(form.rows, form.columns)
    if form.planar:
        return np.ascontiguousarray(flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0))
    return flat.reshape(form.rows, form.columns, form.samples)


def finished(pixels: Array, form: Form, *, is_rgb: bool) -> Array:
    """Numbers without what else is in their bits; colours as red, green and blue."""
    if form.stored < form.allocated:
        spare = form.allocated - form.stored
        pixels = (pixels << spare) >> spare
    if form.photometric == "YBR_FULL" and not is_rgb and pixels.dtype == np.uint8:
        centred = pixels.astype(np.float64) - [0, 128, 128]
        pixels = np.clip(np.rint(centred @ LUMA.T), 0, 255).astype(np.uint8)
    return pixels


def jpeg(content: bytes, form: Form) -> Array:
    """A frame of a JPEG of 8 or 12 bits; colours as RGB, whatever they are stored as."""
    decode = function("jpeg8_decode", "DICOM packed as JPEG")
    if form.samples == 3:
        stored = "YCBCR" if form.photometric.startswith("YBR") else "RGB"
        return np.asarray(decode(content, colorspace=stored, outcolorspace="RGB"))
    return np.asarray(decode(content))


def lossless(content: bytes, _form: Form) -> Array:
    """A frame of a JPEG without loss; colours as stored."""
    return np.asarray(function("jpeg8_decode", "DICOM packed as lossless JPEG")(content))


def jpeg_ls(content: bytes, _form: Form) -> Array:
    """A frame of a JPEG-LS; colours as stored."""
    return np.asarray(function("jpegls_decode", "DICOM packed as JPEG-LS")(content))


def jpeg_2000(content: bytes, _form: Form) -> Array:
    """A frame of a JPEG 2000; colours as RGB."""
    return np.asarray(function("jpeg2k_decode", "DICOM packed as JPEG 2000")(content))


def runs(content: bytes, form: Form) -> Array:
    """A frame of run lengths: planes of bytes, the highest first."""
    order = form.dtype.newbyteorder("<")
    flat = np.frombuffer(function("dicomrle_decode", "DICOM packed as run lengths")(content, order), order)
    if len(flat) < form.rows * form.columns * form.samples:
        raise corrupt("DICOM", "a frame of run lengths is cut short")
    flat = flat[: form.rows * form.columns * form.samples].astype(form.dtype)
    if form.samples == 1:
        return flat.reshape(form.rows, form.columns)
    return np.ascontiguousarray(flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0))


CONVERTED = (*JPEG, *JPEG_2000, *HIGH_THROUGHPUT)
"""Transfer syntaxes whose decoders make RGB of whatever colours are stored as."""
Decoder = Callable[[bytes, Form], Array]
DECODERS: dict[str, Decoder] = {
    **dict.fromkeys(JPEG, jpeg),
    **dict.fromkeys(LOSSLESS, lossless),
    **dict.fromkeys(JPEG_LS, jpeg_ls),
    **dict.fromkeys((*JPEG_2000, *HIGH_THROUGHPUT), jpeg_2000),
    RUNS: runs,
}
