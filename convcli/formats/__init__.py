"""Image files: what they say, their pixels, and writing them whole or not at all.

One line of `FORMATS` (`convcli.formats.table`) for each format; its module, imported on first use, gives what
`FormatModule` (`convcli.formats.contract`) says: how to probe, read and write it and, where images may be larger than
the memory, how to read and write it window by window.

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
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from convcli.errors import ConvError, UsageError, changed
from convcli.formats.atomic import Place, atomic_output, output_place, placed, same_file, shown
from convcli.formats.contract import FormatModule, Opening, ReadOptions, WriteOptions
from convcli.formats.failures import told
from convcli.formats.frames import PickedOpening, axis_of, cut, picked, picked_pixels, span_of
from convcli.formats.layout import (
    check_series,
    picture_samples,
    upright,
    with_axes,
    with_missing,
)
from convcli.formats.source import Readable, Source, check_some, kept_open, source_of, times
from convcli.formats.table import ADVISED, FORMATS, Format, by_suffix, format_for, recognised
from convcli.image import Grid, Image, ImageInfo, PixelSource, PixelTarget, Spans
from convcli.records import replace
from convcli.streams import STRAYS

if TYPE_CHECKING:
    import numpy as np

    from convcli.formats.atomic import Target
    from convcli.formats.table import Format

__all__ = [
    "FORMATS",
    "Format",
    "FormatModule",
    "Place",
    "ReadOptions",
    "Windows",
    "WriteOptions",
    "atomic_output",
    "check_writable",
    "encode",
    "format_for",
    "left_out",
    "output_place",
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
OF_THE_ENCODER = {"jpeg"}  # keys that say how pixels were stored, and nothing of the picture
Writable = str | os.PathLike[str] | IO[bytes]
"""A file to write: its name, or one that is open."""


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
        image = recognised(opened).load().read(opened, options)
        found = understood(image.info)
        info = finished(found, opened, options)
        turn = found.metadata.get("orientation", 1) if options.auto_orient else 1
        data = image.data if turn == 1 else import_module("convcli.formats.pixels").turned(image.data, info.axes, turn)
        return Image(info, data if options.frames is None else cut(data, info.axes, options.frames))


@contextmanager
def windows(source: str | Path | Source, *, options: ReadOptions = READ) -> Iterator[tuple[ImageInfo, Windows] | None]:
    """An image whose pixels are read a window at a time; None where its file is only read as a whole."""
    opened = source_of(source)
    with ExitStack() as stack:
        with reading(opened):
            found = stack.enter_context(recognised(opened).load().windows(opened, options))
            result = None
            info = understood(found[0]) if found else None
            if found and info and not ("orientation" in info.metadata and options.auto_orient):
                pixels = picked_pixels(found[1], options.axes or info.axes, info.shape, options.frames)
                result = finished(info, opened, options), Windows(opened, pixels)
        kept = stack.pop_all()
    with kept_open(kept):
        yield result


def opening(source: Source, info: ImageInfo, options: ReadOptions) -> Opening | None:
    """The pixels of a file, with such axes, as a value that travels to other processes; None where a name is that."""
    module = FORMATS[info.format].load()
    found = module.opening(source, options) if module.opening else None
    if found is None or options.frames is None or axis_of(info.axes) < 0:
        return found
    whole = probe(source, options=replace(options, frames=None))
    return PickedOpening(found, axis_of(whole.axes), span_of(whole.axes, whole.shape, options.frames)[0])


class Windows(NamedTuple):
    """The pixels of a file, window by window; what goes wrong is told as an error of the file."""

    source: Source
    pixels: PixelSource

    @property
    def grid(self) -> Grid:
        """The cuts that they like."""
        return self.pixels.grid

    def read(self, spans: Spans, out: np.ndarray[Any, Any]) -> None:
        """Fill `out`, of the window's shape and the image's sample type."""
        with reading(self.source):
            self.pixels.read(spans, out)

    def check(self) -> None:
        """Refuse, once all is read, a file that has changed meanwhile: what was made of it is mixed."""
        self.source.check()


@contextmanager
def streamed(
    target: Target,
    info: ImageInfo,
    *,
    format: Format,  # noqa: A002
    force: bool = False,
    synced: bool = True,
    options: WriteOptions = WRITE,
) -> Iterator[PixelTarget]:
    """A file that takes pixels window by window and appears at the end of the block, whole or not at all."""
    check_writable(format, info, options)
    held, taking = fitted(format, info), format.load().streamed
    assert taking is not None
    with (
        atomic_output(target, force=force, synced=synced) as stream,
        taking(stream, held, options, format.name) as to,
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


def finished(info: ImageInfo, source: Source, options: ReadOptions) -> ImageInfo:
    """What a module found, with the user's wishes and a note on a misleading name applied."""
    check_some(info)
    entry = FORMATS[info.format]
    if entry.load().single:
        check_series(options.series, 1)
    if options.level and not entry.load().layered:
        raise ConvError(f"has no level {options.level}: {entry.title} holds one resolution", "ambiguous")
    info = with_axes(info, options.axes, alpha=options.alpha)
    info = upright(info) if options.auto_orient else info
    info = with_missing(info, options.missing)
    if options.spacing:
        from convcli.formats.units import with_spacing

        info = with_spacing(info, options.spacing)
    info = info if options.frames is None else picked(info, options.frames)
    named = None if source.in_memory else by_suffix(source.name)
    if named is None or named.module == entry.module or source.name.lower().endswith(entry.also):
        return info
    return replace(info, notes=(*info.notes, f"is named {Path(source.name).suffix} but is {entry.title}"))


def check_writable(entry: Format, info: ImageInfo, options: WriteOptions = WRITE) -> None:
    """Refuse, before any work, an image that a format cannot hold, or not so, with what would work.

    >>> check_writable(FORMATS["png"], ImageInfo((4, 6), "float32", "YX"))
    Traceback (most recent call last):
    convcli.errors.ConvError: PNG holds uint8 or uint16, not float32; use --dtype uint8 or a .tif output [dtype]
    """
    if info.dtype not in entry.dtypes:
        way = f"use --dtype {entry.dtypes[0]} or a {advised(info)} output" if entry.dtypes else "it is only read here"
        message = f"{entry.title} holds {' or '.join(entry.dtypes) or 'nothing'}, not {info.dtype}; {way}"
        raise ConvError(message, "dtype")
    if entry.samples and (samples := picture_samples(info, entry.stacked)) not in entry.samples:
        raise ConvError(misfit(entry, info, samples), "shape")
    if entry.samples and max(info.size("X"), info.size("Y")) > entry.side:
        size = f"{info.size('X'):,} x {info.size('Y'):,}"
        raise ConvError(
            f"{entry.title} holds at most {entry.side:,} pixels a side, not {size}; use a {advised(info)} output",
            "too-large",
        )
    entry.load().check(info, entry.name)
    check_heeded(entry, options)
    entry.load().suits(info, options, entry.name)


def check_heeded(entry: Format, options: WriteOptions) -> None:
    """Refuse an option that says nothing about files of a format.

    >>> check_heeded(FORMATS["png"], WriteOptions(compression="deflate"))
    Traceback (most recent call last):
    convcli.errors.UsageError: --compression is for TIFF or Zarr outputs; PNG takes --png [usage]
    """
    for option in options.given:
        if option not in entry.heeds:
            takes = " and ".join(f"--{each}" for each in entry.heeds)
            way = f"{entry.title} takes {takes}" if takes else f"leave it out for {entry.title}"
            raise UsageError(f"--{option} is for {heeding(option)} outputs; {way}")


def heeding(option: str) -> str:
    """The formats that heed an option, as people say it.

    >>> heeding("compression")
    'TIFF or Zarr'
    """
    titles: dict[str, str] = {}
    for entry in FORMATS.values():
        if option in entry.heeds:
            titles.setdefault(entry.module.split(".")[0], entry.title)
    *others, last = titles.values()
    return f"{', '.join(others)} or {last}" if others else last


def advised(info: ImageInfo) -> str:
    """The ending of a format that holds an image without loss and is read everywhere.

    >>> advised(ImageInfo((400, 600), "uint16", "YX")), advised(ImageInfo((400, 600), "float32", "YX"))
    ('.png', '.tif')
    """
    return next(FORMATS[name].suffixes[0] for name in ADVISED if holds(FORMATS[name], info))


def holds(entry: Format, info: ImageInfo) -> bool:
    """Whether a format holds samples of an image as they are: of that type, with that meaning, so many side by side."""
    if info.dtype not in entry.dtypes:
        return False
    fits = max(info.size("X"), info.size("Y")) <= entry.side
    return not entry.samples or (picture_samples(info, entry.stacked) in entry.samples and fits)


def misfit(entry: Format, info: ImageInfo, samples: str | None) -> str:
    """Why the samples or dimensions of an image are not those of a picture format."""
    held = ", ".join(entry.samples)
    if samples is None:
        found = f"one picture ({held}), not {info.axes} of {times(info.shape)}"
        unsaid = info.size("S") in (2, 4) and all(info.size(axis) == 1 for axis in "TZC")
        opaque = "say --alpha premultiply where the last sample is an opacity, or " * unsaid
        return f"{entry.title} holds {found}; {opaque}use a .tif or .npy output"
    if samples.endswith("+alpha") and samples.removesuffix("+alpha") in entry.samples:
        return f"{entry.title} holds no transparency; use --alpha drop, or a {advised(info)} output"
    return f"{entry.title} holds {held}, not {samples}; use a {advised(info)} output"


def remarks(entry: Format, info: ImageInfo, options: WriteOptions = WRITE) -> tuple[str, ...]:
    """What writing in this format will change beside the pixels; warnings for the report, known before any work."""
    module, notes = entry.load(), lost(entry, info)
    if "scaling" in info.metadata and not module.scales:
        slope, inter = info.metadata["scaling"]
        line = f"{entry.title} holds no scaling ({slope:g} x {inter:+g}): the samples are the stored numbers alone"
        notes = (line, *notes)
    return (*module.remarks(info, options, entry.name), *notes)


def write(
    target: Writable | Target,
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
    path = place_of(target)
    name = shown(path) if path else getattr(target, "name", None)
    entry = format if isinstance(format, Format) else format_for(name if isinstance(name, str) else "-", format)
    made = import_module("convcli.formats.pixels").as_image
    if not isinstance(image, Image) or axes is not None or "Y" not in image.info.axes:
        image = made(image, axes, alpha=bool(entry.samples))
    if path is None:
        cast("IO[bytes]", target).write(encode(image, entry, options))
        return
    entry = entry.laid_out(options)
    check_writable(entry, image.info, options)
    held = Image(fitted(entry, image.info), image.data)
    with atomic_output(path, force=force or in_place, synced=synced) as stream, STRAYS.muted():
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            entry.load().write(stream, held, options, entry.name)
        else:
            stream.write(encode(image, entry, options))  # a pipe cannot go back to fill in offsets


def place_of(target: Writable | Target) -> Target | None:
    """Where an output goes; None for a file that is open."""
    if isinstance(target, (str, os.PathLike)):
        return output_place(os.fspath(target))
    return target if isinstance(target, tuple) else None


def encode(image: Image, format: Format | str, options: WriteOptions = WRITE) -> bytes:  # noqa: A002
    """The bytes of an image file, for standard output."""
    entry = format if isinstance(format, Format) else format_for("-", format)
    entry = entry.laid_out(options)
    check_writable(entry, image.info, options)
    stream = io.BytesIO()
    entry.load().write(stream, Image(fitted(entry, image.info), image.data), options, entry.name)
    return stream.getvalue()


def is_silent(info: ImageInfo) -> bool:
    """True for an image without a word beside its pixels."""
    return info.metadata.keys() <= OF_THE_ENCODER and not info.spacing and info.axes in ("YX", "YXS")


def understood(info: ImageInfo) -> ImageInfo:
    """What a module found, with what it says beside the pixels made sure of."""
    found: ImageInfo = info if is_silent(info) else import_module("convcli.formats.metadata").understood(info)
    return found


def fitted(entry: Format, info: ImageInfo) -> ImageInfo:
    """The image with what it says beside the pixels in the form that a format has."""
    if is_silent(info):
        return info
    found: ImageInfo = import_module("convcli.formats.metadata").fitted(info, entry.place(info))
    return found


def lost(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """What matters and is lost in a format; a warning, or none."""
    found: tuple[str, ...] = () if is_silent(info) else import_module("convcli.formats.kinds").lost(entry, info)
    return found


def left_out(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """What hardly matters and is lost in a format; a remark, or none."""
    found: tuple[str, ...] = () if is_silent(info) else import_module("convcli.formats.kinds").lost_quietly(entry, info)
    return found
