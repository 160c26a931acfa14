"""MRC and CCP4 maps, of electron microscopes: a header of 1024 bytes, an extended one, numbers.

Distances are in ångström there, and in nanometres here. Rows begin at the bottom in some programs, and are left as they
lie. Statistics are not known before all numbers are, and are said not to be known, as the standard has it. Source:
https://www.ccpem.ac.uk/mrc_format/mrc2014.php
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.source import Source
from convcli.formats.units import LENGTHS, physical
from convcli.formats.volumes.raw import Layout, Opened, Order, headed, module
from convcli.image import ImageInfo
from convcli.records import replace

HEADER = 1024
MOST_EXTENDED = 2**28  # bytes of an extended header: 3 kB for each of 90,000 pictures
TYPES = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}
UNREAD = {3: "complex integers", 4: "complex numbers", 101: "numbers of 4 bits", 16: "colours"}
ORDERS: dict[int, Order] = {0x44: "<", 0x41: "<", 0x11: ">"}
FIELDS = np.dtype(
    [
        *(("n", "i4", 3), ("mode", "i4"), ("start", "i4", 3), ("m", "i4", 3), ("cell", "f4", 3), ("angles", "f4", 3)),
        *(("map", "i4", 3), ("statistics", "f4", 3), ("group", "i4"), ("extended", "i4"), ("extra", "V8")),
        *(("type", "S4"), ("version", "i4"), ("more", "V40"), ("stamp", "i4"), ("flags", "i4"), ("rest", "V36")),
        *(
            ("origin", "f4", 3),
            ("name", "S4"),
            ("machine", "V4"),
            ("rms", "f4"),
            ("count", "i4"),
            ("labels", "S80", 10),
        ),
    ]
)
IMOD, SIGNED = 1146047817, 1  # IMOD's stamp, and its flag for bytes with a sign
UNKNOWN = (0.0, -1.0, -2.0)  # least, most and mean that are not known
VOLUMES = 401  # the space group of stacks of volumes
ANGSTROM = 0.1  # nanometres
MOST_LABELS = 10


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A file as an image, and where its numbers are."""
    check_series(options.series, 1)
    with headed("MRC", source, HEADER) as file:
        block = file.block
        header = unpacked(block)
        mode, extended = int(header["mode"]), int(header["extended"])
        if mode not in TYPES:
            what = UNREAD.get(mode)
            if what is None:
                raise corrupt("MRC", f"mode {mode} is unknown")
            raise ConvError(f"holds {what} (mode {mode}), which cannot be filtered", "dtype")
        if min(header["n"]) < 1 or extended < 0:
            raise corrupt("MRC", f"sizes {header['n'].tolist()}, {extended} bytes of an extended header")
        if extended > MOST_EXTENDED:
            raise ConvError(
                f"declares an extended header of {extended:,} bytes, more than {MOST_EXTENDED:,}", "too-large"
            )
        more = file.stream.read(extended)
        if len(more) < extended:
            raise corrupt("MRC", f"its extended header has {len(more):,} of {extended:,} bytes")
        dtype = type_of(header, ORDERS[block[212]])
        info = described(header, block, more, dtype)
        yield info, file.stored(source.size, HEADER + extended, dtype, info.shape)


def unpacked(block: bytes) -> Any:
    """A header, in its byte order."""
    order = ORDERS.get(block[212])
    if order is None:
        raise corrupt("MRC", f"its machine stamp is {block[212:216].hex()}")
    return np.frombuffer(block, FIELDS.newbyteorder(order))[0]


def type_of(header: Any, order: Order) -> np.dtype[Any]:
    """The type of the numbers; bytes of older IMODs have no sign, and say so."""
    unsigned = header["mode"] == 0 and header["stamp"] == IMOD and not header["flags"] & SIGNED
    return np.dtype("uint8" if unsigned else TYPES[int(header["mode"])]).newbyteorder(order)


def described(header: Any, block: bytes, more: bytes, dtype: np.dtype[Any]) -> ImageInfo:
    """A header as an image."""
    across, down, deep = (int(size) for size in header["n"])
    each = int(header["m"][2])
    volumes = deep // each if int(header["group"]) >= VOLUMES and each > 0 and deep % each == 0 else 1
    shape = (volumes, each, down, across) if volumes > 1 else (deep, down, across) if deep > 1 else (down, across)
    steps: dict[str, tuple[float, str]] = {}
    for number, axis in enumerate("XYZ"[: min(len(shape), 3)]):
        place = int(header["map"][number]) - 1
        place = place if sorted(header["map"].tolist()) == [1, 2, 3] else number
        samples, length = int(header["m"][place]), float(header["cell"][place])
        found = physical(length / samples * ANGSTROM, "nm") if samples > 0 else None
        steps |= {axis: found} if found else {}
    labels = [label for label in header["labels"].tolist() if label.strip()]
    says = tuple(name for name, held in (("labels", labels), ("extended header", more)) if held)
    return ImageInfo(
        shape=shape,
        dtype=dtype.name,
        axes="TZYX"[-len(shape) :],
        format="mrc",
        spacing=steps,
        metadata={"mrc": {"header": block, "extended": more, "says": says, "shape": shape}},
    )


def laid_out(info: ImageInfo, _kind: str) -> Layout:
    """The header of a file, that of the source where it was one, and the order of the numbers."""
    kept = info.metadata.get("mrc", {})
    block = kept.get("header") or new_header()
    header = np.frombuffer(block, FIELDS.newbyteorder(ORDERS[block[212]])).copy()
    order = [axis for axis in "TZYX" if axis in info.axes]
    extended = kept.get("extended", b"") if fits_planes(info) else b""
    place_samples(header[0], info)
    header["n"] = info.size("X"), info.size("Y"), info.size("Z") * info.size("T")
    header["mode"] = {name: mode for mode, name in TYPES.items()}[info.dtype]
    header["flags"] |= SIGNED
    header["statistics"], header["rms"], header["extended"] = UNKNOWN, -1, len(extended)
    if "T" in info.axes:
        header["group"] = max(int(header["group"][0]), VOLUMES)
    elif int(header["group"][0]) >= VOLUMES:
        header["group"] = 1
    dtype = np.dtype(info.dtype).newbyteorder(ORDERS[block[212]])
    return Layout(header.tobytes() + extended, dtype, [info.axes.index(axis) for axis in order])


def new_header() -> bytes:
    """A header that says nothing yet."""
    header = np.zeros(1, FIELDS.newbyteorder("<"))
    header["angles"], header["map"], header["group"] = 90, (1, 2, 3), 1
    header["name"], header["machine"], header["version"] = b"MAP ", b"\x44\x44\0\0", 20140
    return header.tobytes()


def place_samples(header: Any, info: ImageInfo) -> None:
    """The size of the cell, and where it begins, of samples as they are now."""
    old = [float(cell) / int(m) if int(m) > 0 else 0.0 for cell, m in zip(header["cell"], header["m"], strict=True)]
    places = [int(place) - 1 for place in header["map"]]
    places = places if sorted(places) == [0, 1, 2] else [0, 1, 2]
    origin = header["origin"].copy() if header["origin"].any() else np.zeros(3)
    shifted = not header["origin"].any() and header["start"].any() and bool(info.grid)
    for number, axis in enumerate("XYZ"):
        place = places[number]
        step, unit = info.steps.get(axis, (0.0, ""))
        length = step * LENGTHS[unit] / LENGTHS["nm"] / ANGSTROM if unit in LENGTHS else 0.0
        first, apart = info.grid.get(axis, (0.0, 1.0))
        before = length / apart if length else old[place]
        origin[place] += (first + (float(header["start"][number]) if shifted else 0.0)) * before
        header["m"][place] = info.size(axis)
        header["cell"][place] = length * info.size(axis)
    if info.grid:
        header["origin"] = origin
        header["start"] = 0 if shifted else header["start"]


def fits_planes(info: ImageInfo) -> bool:
    """True where what an extended header says of planes still holds for them."""
    return info.metadata.get("mrc", {}).get("shape", ())[:-2] == info.shape[:-2] and "Z" not in info.grid


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse what has channels."""
    if "S" in info.axes or "C" in info.axes:
        raise ConvError(f"MRC holds T, Z, Y and X, not {info.axes}; use a .tif output", "shape")


def remarks(info: ImageInfo, _options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What no longer holds."""
    lost = info.metadata.get("mrc", {}).get("extended") and not fits_planes(info)
    return ("the extended header describes other planes, and is left out",) if lost else ()


FORMAT = replace(module("MRC", opened, laid_out), check=check, remarks=remarks, whole="gzip is unpacked as a whole")
