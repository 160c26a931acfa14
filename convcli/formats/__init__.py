"""Image files: what they say, their pixels, and writing them whole or not at all.

One line of `FORMATS` for each format; its module, imported on first use, has

    probe(source, options) -> ImageInfo         what the file says, no pixel decoded
    read(source, options) -> Image              the same, and the pixels
    write(stream, image, options, name)         into a seekable stream

and, where images may be larger than the memory,

    windows(source, options)                    a context: the image, and its pixels window by window, or None
    streamed(stream, info, options, name)       a context: what takes pixels window by window

A file is known by its first bytes; its name only chooses what is written. Metadata that formats share stands under
`icc` (bytes), `exif` (bytes, a TIFF structure), `xmp` and `xmp_more` (bytes; JPEG has two parts), `iptc`, `photoshop`
(bytes), `orientation` (2 to 8), `resolution` (x, y, "inch", "cm" or "none" (pixels per unit, or just their ratio)),
`description` (text, or bytes that are no UTF-8), `comments` (several of these), `background` (numbers from 0 to 1) and
`scaling` (slope, inter: what makes measurements of samples); `dropped` names what is not even read. The rest stands
under the name of the format that it came from. A module tells what it finds; `formats.metadata` makes sure of it, and
fits it to the format that is written; `formats.kinds` has the table of what each format holds.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from math import prod
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from convcli.errors import ConvError, UsageError
from convcli.formats.atomic import Place, atomic_output, placed, same_file
from convcli.formats.carried import fitted, left_out, lost, understood
from convcli.formats.failures import told
from convcli.formats.layout import (
    check_series,
    picture_samples,
    upright,
    with_axes,
    with_missing,
)
from convcli.formats.limits import check_some, times
from convcli.formats.options import ReadOptions, WriteOptions
from convcli.formats.source import Readable, Source, changed, kept_open, source_of
from convcli.formats.units import with_spacing
from convcli.image import Image, ImageInfo, PixelSource, PixelTarget, Spans
from convcli.records import replace
from convcli.streams import STRAYS

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "FORMATS",
    "Format",
    "Place",
    "ReadOptions",
    "Windows",
    "WriteOptions",
    "atomic_output",
    "check_writable",
    "encode",
    "format_for",
    "left_out",
    "placed",
    "probe",
    "read",
    "remarks",
    "same_file",
    "streamed",
    "windows",
    "write",
]

READ, WRITE = ReadOptions(), WriteOptions()
Writable = str | os.PathLike[str] | IO[bytes]
"""A file to write: its name, or one that is open."""
INTEGERS = ("uint8", "uint16")
NUMBERS = (
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
)
HELD_BY_NIFTI = tuple(name for name in NUMBERS if name != "float16")
GREY, COLOUR = ("grey",), ("grey", "rgb")
TRANSPARENT = ("grey", "grey+alpha", "rgb", "rgb+alpha")


class Format(NamedTuple):
    """A file format: the module that reads and writes it, how it is recognised, and what it holds.

    `magic` matches the first bytes; `samples` is empty where an image of any dimensions is held; `side` is the largest
    width and height. A format without `dtypes` is read only; one that `streams` is written as its pixels come.
    """

    name: str
    title: str
    module: str
    suffixes: tuple[str, ...]
    magic: bytes = rb"(?!)"
    dtypes: tuple[str, ...] = NUMBERS
    samples: tuple[str, ...] = ()
    side: int = 2**31 - 1
    streams: bool = False

    def takes(self, info: ImageInfo) -> bool:
        """True where such an image is written as its pixels come: a picture if these come row by row."""
        return self.streams and (not self.samples or prod(info.shape[: info.axes.index("Y")]) == 1)

    @property
    def family(self) -> str:
        """What formats of one module share.

        >>> FORMATS["pgm"].family
        'pnm'
        """
        return self.module.partition(".")[0]

    def load(self) -> ModuleType:
        """The format's module."""
        return import_module(f"convcli.formats.{self.module}")


FORMATS = {
    entry.name: entry
    for entry in (
        Format("png", "PNG", "png.whole", (".png",), rb"\x89PNG\r\n\x1a\n", INTEGERS, TRANSPARENT, 1_000_000, True),
        Format("jpeg", "JPEG", "jpeg.whole", (".jpg", ".jpeg"), rb"\xff\xd8\xff", ("uint8",), (*COLOUR, "cmyk"), 65500),
        Format("tiff", "TIFF", "tiff.read", (".tif", ".tiff"), rb"II[\*+]\0|MM\0[\*+]", streams=True),
        Format("ome", "OME-TIFF", "tiff.read", (".ome.tif", ".ome.tiff"), streams=True),
        Format("imagej", "ImageJ TIFF", "tiff.read", (), streams=True),
        Format("webp", "WebP", "pillow", (".webp",), rb"RIFF....WEBP", ("uint8",), TRANSPARENT, 16383),
        Format("bmp", "BMP", "pillow", (".bmp",), rb"BM", ("uint8",), COLOUR),
        Format("gif", "GIF", "pillow", (".gif",), rb"GIF8[79]a", ("uint8",), GREY, 65535),
        Format("pgm", "PGM", "pnm.whole", (".pgm",), rb"P[25]\s", INTEGERS, GREY),
        Format("ppm", "PPM", "pnm.whole", (".ppm",), rb"P[36]\s", INTEGERS, ("rgb",)),
        Format("pnm", "PNM", "pnm.whole", (".pnm",), dtypes=INTEGERS, samples=COLOUR),
        Format("pam", "PAM", "pnm.whole", (".pam",), rb"P7\s", INTEGERS, TRANSPARENT),
        Format("pbm", "PBM", "pnm.whole", (".pbm",), rb"P[14]\s", ()),
        Format(
            "nifti",
            "NIfTI",
            "nifti.whole",
            (".nii",),
            rb"\x5c\x01\0\0|\0\0\x01\x5c|\x1c\x02\0\0|\0\0\x02\x1c",
            HELD_BY_NIFTI,
            streams=True,
        ),
        Format("nifti-gz", "compressed NIfTI", "nifti.whole", (".nii.gz",), rb"\x1f\x8b", HELD_BY_NIFTI),
        Format("npy", "NumPy array", "npy", (".npy",), rb"\x93NUMPY", streams=True),
        Format("npz", "NumPy archive", "npy", (".npz",), rb"PK\x03\x04"),
    )
}
ONE_IMAGE = ("png", "jpeg", "pnm")  # modules whose files hold a single one; the others count theirs
HEAD = 16  # bytes that are enough to tell the formats apart


def probe(source: Readable | Source, *, axes: str | None = None, options: ReadOptions = READ) -> ImageInfo:
    """What a file, or the bytes from standard input, say of the image in them; no pixel is decoded.

    Raises ConvError, with the file as its place: see `read`.
    """
    opened, options = source_of(source), named(options, axes)
    with reading(opened):
        found = recognised(opened)
        return finished(understood(found.load().probe(opened, options)), opened, options)


def read(source: Readable | Source, *, axes: str | None = None, options: ReadOptions = READ) -> Image:
    """An image with its pixels, in the machine's byte order.

    `source` is a name, a file's content as bytes, or a file opened for reading; `axes` names the dimensions, as --axes.
    Raises ConvError: not-found, permission, is-directory, not-regular, empty, unknown-format, corrupt, too-large, bomb,
    memory, empty-image, ambiguous, shape, dtype, unsafe, codec-missing, changed.
    """
    opened, options = source_of(source), named(options, axes)
    with reading(opened):
        image: Image = recognised(opened).load().read(opened, options)
        found = understood(image.info)
        info = finished(found, opened, options)
        turn = found.metadata.get("orientation", 1) if options.auto_orient else 1
        data = image.data if turn == 1 else import_module("convcli.formats.pixels").turned(image.data, info.axes, turn)
        return Image(info, data)


@contextmanager
def windows(source: str | Path | Source, *, options: ReadOptions = READ) -> Iterator[tuple[ImageInfo, Windows] | None]:
    """An image whose pixels are read a window at a time; None where its file is only read as a whole."""
    opened = source_of(source)
    with ExitStack() as stack:
        with reading(opened):
            module = recognised(opened).load()
            found = stack.enter_context(module.windows(opened, options)) if hasattr(module, "windows") else None
            result = None
            info = understood(found[0]) if found else None
            if found and info and not ("orientation" in info.metadata and options.auto_orient):
                result = finished(info, opened, options), Windows(opened, found[1])
        kept = stack.pop_all()
    with kept_open(kept):
        yield result


class Windows(NamedTuple):
    """The pixels of a file, window by window; what goes wrong is told as an error of the file."""

    source: Source
    pixels: PixelSource

    def read(self, spans: Spans, out: np.ndarray[Any, Any]) -> None:
        """Fill `out`, of the window's shape and the image's sample type."""
        with reading(self.source):
            self.pixels.read(spans, out)

    def check(self) -> None:
        """Refuse, once all is read, a file that has changed meanwhile: what was made of it is mixed."""
        self.source.check()


@contextmanager
def streamed(
    target: Path | Place,
    info: ImageInfo,
    *,
    format: Format,  # noqa: A002
    force: bool = False,
    synced: bool = True,
    options: WriteOptions = WRITE,
) -> Iterator[PixelTarget]:
    """A file that takes pixels window by window and appears at the end of the block, whole or not at all."""
    check_writable(format, info)
    held = fitted(format, info)
    with (
        atomic_output(target, force=force, synced=synced) as stream,
        format.load().streamed(stream, held, options, format.name) as to,
    ):
        yield to


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """What goes wrong inside the block is told as an error of the file; what decoders print is not."""
    try:
        with STRAYS.muted():
            yield
    except ConvError as error:
        found = changed(source.name) if error.code == "corrupt" and source.has_changed() else error
        raise found.at(source.name) from error.__cause__
    except MemoryError as error:
        raise ConvError("needs more memory than there is", "memory", where=source.name) from error
    except OSError as error:
        raise told(error, source.name, unknown="corrupt") from error


def named(options: ReadOptions, axes: str | None) -> ReadOptions:
    """The options, with the dimensions named."""
    return options if axes is None else replace(options, axes=axes)


def recognised(source: Source) -> Format:
    """The format that the first bytes show."""
    head = source.head(HEAD)
    for entry in FORMATS.values():
        if re.match(entry.magic, head, re.DOTALL):
            return entry
    known = ", ".join(entry.title for entry in FORMATS.values() if entry.magic != Format._field_defaults["magic"])
    shown = "text" if head.isascii() and head.decode().isprintable() else "data"
    raise ConvError(
        f"is not an image in a known format, but {shown} beginning {head[:8]!r}; known are {known}", "unknown-format"
    )


def finished(info: ImageInfo, source: Source, options: ReadOptions) -> ImageInfo:
    """What a module found, with the user's wishes and a note on a misleading name applied."""
    check_some(info)
    entry = FORMATS[info.format]
    if entry.family in ONE_IMAGE:
        check_series(options.series, 1)
    info = with_axes(info, options.axes, alpha=options.alpha)
    info = upright(info) if options.auto_orient else info
    info = with_spacing(with_missing(info, options.missing), options.spacing)
    named = None if source.path is None else by_suffix(source.name)
    if named is None or named.family == entry.family:
        return info
    return replace(info, notes=(*info.notes, f"is named {Path(source.name).suffix} but is {entry.title}"))


def by_suffix(name: str) -> Format | None:
    """The format that the end of a name stands for: the longest that fits."""
    fitting = [
        (suffix, entry) for entry in FORMATS.values() for suffix in entry.suffixes if name.lower().endswith(suffix)
    ]
    return max(fitting, key=lambda pair: len(pair[0]))[1] if fitting else None


def format_for(name: str, override: str | None = None) -> Format:
    """The format to write: by `--format`, or by the end of the output's name.

    >>> format_for("out.jpg").name
    'jpeg'
    >>> format_for("-", "png").title
    'PNG'
    """
    if override is not None:
        entry = FORMATS.get(override.lower()) or by_suffix(f".{override}")
        if entry is None or not entry.dtypes:
            raise unknown_format(f"unknown format {override!r}", override, "--format")
        return entry
    entry = by_suffix(name)
    if entry is not None and entry.dtypes:
        return entry
    if name == "-":
        raise UsageError(
            "standard output has no name to tell the format: add --format png, tiff, npy ...", "unknown-format"
        )
    suffix = Path(name).suffix
    given = (
        f"no format is known by the ending {suffix!r}"
        if suffix
        else f"the name has no ending that tells the format; add one ({name}.png), or --format"
    )
    raise unknown_format(given, suffix.removeprefix("."), name)


def unknown_format(given: str, word: str, where: str) -> UsageError:
    """The error that lists the formats, the nearest name first."""
    from difflib import get_close_matches

    known = [suffix[1:] for entry in FORMATS.values() if entry.dtypes for suffix in entry.suffixes]
    near = get_close_matches(word.lower(), known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"{given}; {meant}known are {', '.join(known)}", "unknown-format", where=where)


def check_writable(entry: Format, info: ImageInfo) -> None:
    """Refuse, before any work, an image that a format cannot hold, with what would work.

    >>> check_writable(FORMATS["png"], ImageInfo((4, 6), "float32", "YX"))
    Traceback (most recent call last):
    convcli.errors.ConvError: PNG holds uint8 or uint16, not float32; use --dtype uint8 or a .tif output [dtype]
    """
    if info.dtype not in entry.dtypes:
        wanted = f"use --dtype {entry.dtypes[0]} or a .tif output" if entry.dtypes else "it is only read here"
        message = f"{entry.title} holds {' or '.join(entry.dtypes) or 'nothing'}, not {info.dtype}; {wanted}"
        raise ConvError(message, "dtype")
    if entry.samples and (samples := picture_samples(info)) not in entry.samples:
        raise ConvError(misfit(entry, info, samples), "shape")
    if entry.samples and max(info.size("X"), info.size("Y")) > entry.side:
        size = f"{info.size('X'):,} x {info.size('Y'):,}"
        raise ConvError(
            f"{entry.title} holds at most {entry.side:,} pixels a side, not {size}; use a .tif output", "too-large"
        )
    if entry.family == "tiff":
        import_module("convcli.formats.tiff.write").check(info, entry.name)
    if entry.family == "nifti":
        entry.load().check(info)


def misfit(entry: Format, info: ImageInfo, samples: str | None) -> str:
    """Why the samples or dimensions of an image are not those of a picture format."""
    held = ", ".join(entry.samples)
    if samples is None:
        found = f"one picture ({held}), not {info.axes} of {times(info.shape)}"
        unsaid = info.size("S") in (2, 4) and all(info.size(axis) == 1 for axis in "TZC")
        opaque = "say --alpha premultiply where the last sample is an opacity, or " * unsaid
        return f"{entry.title} holds {found}; {opaque}use a .tif or .npy output"
    if samples.endswith("+alpha") and samples.removesuffix("+alpha") in entry.samples:
        return f"{entry.title} holds no transparency; use --alpha drop, or a .png output"
    return f"{entry.title} holds {held}, not {samples}; use a .{'tif' if samples == 'cmyk' else 'png'} output"


def remarks(entry: Format, info: ImageInfo, options: WriteOptions = WRITE) -> tuple[str, ...]:
    """What writing in this format will change beside the pixels; warnings for the report, known before any work."""
    notes: tuple[str, ...] = lost(entry, info)
    if "scaling" in info.metadata and entry.family != "nifti":
        slope, inter = info.metadata["scaling"]
        line = f"{entry.title} holds no scaling ({slope:g} x {inter:+g}): the samples are the stored numbers alone"
        notes = (line, *notes)
    if entry.family == "tiff":
        notes = (*import_module("convcli.formats.tiff.write").remarks(info, options, entry.name), *notes)
    return notes


def write(
    target: Writable | Place,
    image: Image | Any,
    *,
    axes: str | None = None,
    format: Format | str | None = None,  # noqa: A002 - the word of the command line
    force: bool = False,
    in_place: bool = False,
    synced: bool = True,
    options: WriteOptions = WRITE,
) -> None:
    """Write an image whole or not at all; `in_place` allows, like `force`, to replace the file that was read.

    `target` is a name, or a file opened for writing, which needs a `format` where its name tells none. `image` is an
    `Image`, or an array whose dimensions `axes` names (YX where it has two). The new name is on the disk when this
    returns, unless it is not to be `synced` yet.
    Raises ConvError: exists, is-directory, not-found, permission, disk-full, and those of `check_writable`.
    """
    path = target if isinstance(target, Place) else Path(target) if isinstance(target, (str, os.PathLike)) else None
    name = str(path) if path else getattr(target, "name", None)
    entry = format if isinstance(format, Format) else format_for(name if isinstance(name, str) else "-", format)
    made = import_module("convcli.formats.pixels").as_image
    image = image if isinstance(image, Image) and axes is None else made(image, axes, alpha=bool(entry.samples))
    if path is None:
        cast("IO[bytes]", target).write(encode(image, entry, options))
        return
    check_writable(entry, image.info)
    held = Image(fitted(entry, image.info), image.data)
    with atomic_output(path, force=force or in_place, synced=synced) as stream, STRAYS.muted():
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            entry.load().write(stream, held, options, entry.name)
        else:
            stream.write(encode(image, entry, options))  # a pipe cannot go back to fill in offsets


def encode(image: Image, format: Format | str, options: WriteOptions = WRITE) -> bytes:  # noqa: A002
    """The bytes of an image file, for standard output."""
    entry = format if isinstance(format, Format) else format_for("-", format)
    check_writable(entry, image.info)
    stream = io.BytesIO()
    entry.load().write(stream, Image(fitted(entry, image.info), image.data), options, entry.name)
    return stream.getvalue()
