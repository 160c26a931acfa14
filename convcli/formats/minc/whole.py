"""MINC, versions 1 and 2, as volumes: the same names in netCDF and in HDF5.

A dimension has a step, a start and a direction. An image has integers and, for all of it or for each plane, the line
that makes measurements of them: `valid_range` of the integers is `image-min` to `image-max`. As with DICOM, the stored
numbers are what is filtered where one line serves all, and it goes along; else the measurements are. MINC is not
written.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import inf, prod
from typing import Any, BinaryIO, cast

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, Windows, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.flat import Flat
from convcli.formats.layout import check_series
from convcli.formats.minc import hdf, netcdf
from convcli.formats.nifti.whole import scaling_text
from convcli.formats.pixels import Array
from convcli.formats.source import DEFLATE_RATIO, Source, check_declared, check_ratio, kept_open
from convcli.formats.units import physical
from convcli.formats.volumes.raw import GZIP, Stored
from convcli.formats.volumes.space import kept_affine
from convcli.image import Grid, Image, ImageInfo, PixelSource, Spans
from convcli.records import record
from convcli.samples import SAMPLES

DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, EOFError, OSError, RuntimeError),
    *(struct.error, zlib.error, UnicodeError),
)
LETTERS = {"time": "T", "zspace": "Z", "yspace": "Y", "xspace": "X", "vector_dimension": "C"}
COSINES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
MOST_LINES = 2**24  # bytes of what makes measurements
SAYS = ("patient, study and acquisition",)


@record(eq=False)
class Found:
    """The image in a file: its dimensions by their names, what is said of each, and of the image; its numbers' type.

    `lows` and `highs` are what the ends of the valid range stand for, along the first dimensions; None if nobody says.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    dimensions: Mapping[str, Mapping[str, Any]]
    image: Mapping[str, Any]
    dtype: np.dtype[Any]
    lows: Array | None
    highs: Array | None

    @property
    def axes(self) -> str:
        """The letters of its dimensions."""
        letters = "".join(LETTERS.get(name, "?") for name in self.names)
        if "?" in letters or not set("YX") <= set(letters) or len(set(letters)) < len(letters):
            raise ConvError(f"holds {', '.join(self.names)}; space, time and a vector can be filtered", "shape")
        return letters

    @property
    def lines(self) -> tuple[Array, Array]:
        """(slope, inter), of each plane or of all, that make measurements of the stored numbers."""
        if self.lows is None or self.highs is None or self.dtype.kind == "f":  # which are measurements
            return np.array(1.0), np.array(0.0)
        ends = np.iinfo(self.dtype)
        least, most = valid_range(self.image, (float(ends.min), float(ends.max)))
        with np.errstate(over="ignore", invalid="ignore"):  # of damaged numbers; what comes of them is looked at
            slopes = (self.highs - self.lows) / (most - least)
            inters = self.lows - least * slopes
        if not (np.isfinite(slopes).all() and np.isfinite(inters).all()):
            raise corrupt("MINC", "what makes measurements of its numbers is no number")
        return slopes, inters

    @property
    def line(self) -> tuple[float, float] | None:
        """The one line of all planes; None where each has its own."""
        slopes, inters = self.lines
        if slopes.size and (slopes == slopes.flat[0]).all() and (inters == inters.flat[0]).all():
            return float(slopes.flat[0]), float(inters.flat[0])
        return None

    def info(self) -> ImageInfo:
        """All of it as an image."""
        if self.dtype.name not in SAMPLES:
            raise ConvError(f"holds {self.dtype.name}, which cannot be filtered; convert it to numbers first", "dtype")
        line, axes, remarks = self.line, self.axes, tuple[str, ...]()
        wide = self.dtype.itemsize > np.dtype(np.int16).itemsize
        if line is None:
            remarks = ("each picture has a line of its own that makes measurements: these are filtered",)
        elif line != (1, 0):
            remarks = (f"the stored numbers are filtered; {scaling_text(line)} makes measurements of them, as before",)
        uneven = [letter for letter, said in self.each() if str(said.get("spacing", "")) == "irregular"]
        return ImageInfo(
            self.shape,
            self.dtype.name if line else "float64" if wide else "float32",
            axes,
            "minc",
            spacing=self.spacing(uneven),
            metadata={"minc": {"says": SAYS}}
            | ({} if uneven else self.affine())
            | ({"scaling": line} if line not in (None, (1, 0)) else {}),
            remarks=remarks,
            notes=tuple(f"its samples lie unevenly along {letter}: they are filtered as if even" for letter in uneven),
        )

    def each(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The letter of each dimension, and what is said of it."""
        return [(LETTERS[name], self.dimensions.get(name, {})) for name in self.names]

    def spacing(self, uneven: Sequence[str]) -> dict[str, tuple[float, str]]:
        """The step along each axis that has one."""
        found = {
            letter: physical(abs(number(said, "step", 0.0)), said.get("units", "mm" if letter in "ZYX" else ""))
            for letter, said in self.each()
            if letter in "TZYX" and letter not in uneven
        }
        return {letter: step for letter, step in found.items() if step}

    def affine(self) -> dict[str, Any]:
        """Where samples lie in a patient: the start and the step of each axis lie along its direction."""
        there = dict(self.each())
        if not set("XYZ") <= there.keys() or not any("step" in there[axis] for axis in "XYZ"):
            return {}
        directions = np.column_stack([directed(there[axis], COSINES[axis]) for axis in "XYZ"])
        steps = np.array([number(there[axis], "step", 1.0) for axis in "XYZ"])
        starts = np.array([number(there[axis], "start", 0.0) for axis in "XYZ"])
        return kept_affine(np.column_stack([directions * steps, directions @ starts]))


def valid_range(image: Mapping[str, Any], ends: tuple[float, float]) -> tuple[float, float]:
    """The stored numbers that the lowest and the highest measurement stand at, by default the ends of the type."""
    usual = number(image, "valid_min", ends[0]), number(image, "valid_max", ends[1])
    given = np.ravel(image.get("valid_range", usual)).astype(np.float64)
    least, most = given if given.size == len(usual) else usual
    if not ends[0] <= least < most <= ends[1]:
        raise corrupt("MINC", f"valid numbers from {least:g} to {most:g}")
    return float(least), float(most)


def number(said: Mapping[str, Any], name: str, usual: float) -> float:
    """A number that is said of a dimension."""
    return float(np.ravel(said[name])[0]) if name in said else usual


def directed(said: Mapping[str, Any], usual: Sequence[float]) -> Array:
    """The direction of a dimension, of length 1."""
    vector = np.ravel(said.get("direction_cosines", usual)).astype(np.float64)
    largest = np.abs(vector).max(initial=0)
    if vector.size != len(usual) or not 0 < largest < inf:
        raise corrupt("MINC", "a direction is none")
    vector /= largest  # whose square may be no number
    return vector / np.linalg.norm(vector)


@record(eq=False)
class Measured:
    """Measurements, made of stored numbers by the line of each plane."""

    stored: PixelSource
    dtype: np.dtype[Any]
    slopes: Array
    inters: Array

    @property
    def grid(self) -> Grid:
        """That of what is stored."""
        return self.stored.grid

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box."""
        held = np.empty(out.shape, self.dtype)
        self.stored.read(spans, held)
        measure(held, spans, self.slopes, self.inters, out)


def measure(held: Array, spans: Spans, slopes: Array, inters: Array, out: Array) -> None:
    """Fill `out` with the measurements that stored numbers of a box stand for."""
    own = tuple(slice(*span) for span in spans[: slopes.ndim])
    there = own + (None,) * (held.ndim - slopes.ndim)
    with np.errstate(over="ignore"):  # some may be beyond float32
        out[...] = held * slopes[there] + inters[there]


Opened = tuple[Found, Stored | hdf.Chunked]


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """The image in a file, and where its numbers are."""
    check_series(options.series, 1)
    with source.open() as raw:
        if source.head(4)[1:] == b"HDF":
            with hdf.opened(raw) as group:
                yield in_hdf(group)
        else:
            yield in_netcdf(raw, source, packed=source.head(2) == GZIP)


def in_hdf(group: Any) -> Opened:
    """The finest resolution of the one image that MINC-2 knows of."""
    dataset = hdf.member(group, "image/0/image")
    said, every = hdf.said(dataset), hdf.member(group, "dimensions")
    names = tuple(str(said.get("dimorder", "")).split(","))[: dataset.ndim]
    dimensions = {name: hdf.said(hdf.member(every, name)) for name in names if name in every}
    lows, highs = (
        np.asarray(few(hdf.member(group, f"image/0/{name}")), np.float64) if name in group["image/0"] else None
        for name in ("image-min", "image-max")
    )
    check_parts(names, dataset.shape, lows, highs)
    check_ratio(dataset.nbytes, dataset.id.get_storage_size(), DEFLATE_RATIO)
    return Found(names, dataset.shape, dimensions, said, dataset.dtype, lows, highs), hdf.Chunked(dataset)


def few(dataset: Any) -> Any:
    """All numbers of an array that has few of them."""
    if dataset.nbytes > MOST_LINES:
        raise corrupt("MINC", f"{dataset.size:,} numbers where a few are expected")
    return dataset[()]


def in_netcdf(raw: BinaryIO, source: Source, *, packed: bool) -> Opened:
    """The variables that MINC-1 names."""
    stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
    variables = netcdf.parsed(stream)
    if "image" not in variables:
        raise ConvError("is a netCDF, but no MINC inside; convert it first", "unknown-format")
    image = variables["image"]
    if 0 in image.shape[:1]:
        raise ConvError("has its numbers in records of netCDF, which are not read here; convert it", "codec-missing")
    kind = image.dtype
    if kind.kind == "i" and "unsigned" in str(image.attributes.get("signtype", "unsigned" * (kind.itemsize == 1))):
        kind = np.dtype(f">u{kind.itemsize}")
    if packed:
        check_ratio(prod(image.shape) * kind.itemsize, source.size, DEFLATE_RATIO)
    lows, highs = (
        variables[name].read(stream, MOST_LINES).astype(np.float64) if name in variables else None
        for name in ("image-min", "image-max")
    )
    check_parts(image.dimensions, image.shape, lows, highs)
    dimensions = {name: variables[name].attributes for name in image.dimensions if name in variables}
    found = Found(image.dimensions, image.shape, dimensions, image.attributes, kind, lows, highs)
    if packed:
        return found, Stored(raw, source.size, 0, kind, image.shape, "gzip", image.begin)
    return found, Stored(raw, source.size, image.begin, kind, image.shape)


def check_parts(names: Sequence[str], shape: tuple[int, ...], lows: Array | None, highs: Array | None) -> None:
    """Refuse names, or lines of planes, that are not those of the image."""
    if len(names) != len(shape) or not shape:
        raise corrupt("MINC", f"{len(shape)} dimensions, {len(names)} names of them")
    for each in (lows, highs):
        if each is not None and each.shape != shape[: each.ndim]:
            raise corrupt("MINC", f"its measurements are of {each.shape} planes, the image has {shape}")
    if lows is not None and highs is not None and lows.shape != highs.shape:
        raise corrupt("MINC", "its lowest and highest measurements are not of the same planes")


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a file says."""
    with decoding("MINC", *DAMAGE), opened(source, options) as (found, _):
        return found.info()


def read(source: Source, options: ReadOptions) -> Image:
    """The stored numbers, or the measurements where each plane has a line of its own."""
    with decoding("MINC", *DAMAGE), opened(source, options) as (found, stored):
        info, whole = found.info(), tuple((0, size) for size in found.shape)
        check_declared(info, options.max_pixels)
        if isinstance(stored, Stored):
            stored.check_length("MINC")
            held = stored.read("MINC")
        else:
            held = np.empty(found.shape, found.dtype.newbyteorder("="))
            stored.read(whole, held)
        if found.line:
            return Image(info, held)
        data = np.empty(info.shape, info.dtype)
        measure(held, whole, *found.lines, data)
        return Image(info, data)


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[Windows | None]:
    """Numbers that are read a window at a time; None where the whole file is packed."""
    with ExitStack() as stack:
        with decoding("MINC", *DAMAGE):
            found, stored = stack.enter_context(opened(source, options))
            info = found.info()
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        pixels = windowed(found, stored)
        kept = stack.pop_all()
    with kept_open(kept):
        yield None if pixels is None or source.in_memory else (info, pixels)


def windowed(found: Found, stored: Stored | hdf.Chunked) -> PixelSource | None:
    """The pixels, where they are had in windows."""
    if isinstance(stored, Stored):
        stored.check_length("MINC")
        if stored.packing:
            return None
    pixels: PixelSource = (
        Flat(stored.stream, stored.start, stored.dtype, stored.shape, "MINC") if isinstance(stored, Stored) else stored
    )
    return pixels if found.line else Measured(pixels, found.dtype.newbyteorder("="), *found.lines)


def write(_stream: BinaryIO, _image: Image, _options: WriteOptions, _kind: str) -> None:
    """MINC is not written; the table says so, and nobody gets here."""
    raise ConvError("MINC is only read here", "unknown-format")


FORMAT = FormatModule(probe, read, write, windows, scales=True, whole="gzip is unpacked as a whole")
