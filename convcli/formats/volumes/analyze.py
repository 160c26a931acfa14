"""Analyze 7.5: a header (.hdr) beside its numbers (.img). Only read: a pair of files cannot appear whole or not at all.

Its headers do not say which side is left: distances are kept, and no directions. Source: the format's own description,
Mayo Clinic, https://eeg.sourceforge.net/ANALYZE75.pdf
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.source import Source, times
from convcli.formats.units import physical
from convcli.formats.volumes.raw import Layout, Opened, Stored, module
from convcli.image import ImageInfo

HEADER = 348
TYPES = {2: "uint8", 4: "int16", 8: "int32", 16: "float32", 64: "float64"}
AXES = "TZYX"
FIELDS = np.dtype(
    {
        "names": ["size", "n", "type", "steps", "offset", "text"],
        "formats": ["i4", ("i2", 8), "i2", ("f4", 8), "f4", "S80"],
        "offsets": [0, 40, 70, 76, 108, 148],
        "itemsize": HEADER,
    }
)


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A pair of files as an image, and where its numbers are."""
    check_series(options.series, 1)
    block = source.head(HEADER)
    if len(block) < HEADER:
        raise corrupt("Analyze", f"its header has {len(block)} of {HEADER} bytes")
    header = np.frombuffer(block, FIELDS.newbyteorder("<" if block[0] else ">"))[0]
    count, code = int(header["n"][0]), int(header["type"])
    sizes = tuple(int(size) for size in header["n"][1 : count + 1]) if 1 <= count <= 7 else ()
    if min(sizes, default=0) < 1:
        raise corrupt("Analyze", f"dimensions {header['n'].tolist()}")
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if code not in TYPES or not 2 <= len(sizes) <= len(AXES):
        raise ConvError(f"holds {times(sizes)} numbers of type {code}, which are not read here", "dtype")
    dtype = np.dtype(TYPES[code]).newbyteorder("<" if block[0] else ">")
    offset = float(header["offset"])
    start = int(offset) if 0 <= offset < 2**31 else 0
    with source.beside(f"{PurePath(source.name).stem}.img") as (stream, size):
        yield described(header, sizes, dtype), Stored(stream, size, start, dtype, sizes[::-1])


def described(header: Any, sizes: tuple[int, ...], dtype: np.dtype[Any]) -> ImageInfo:
    """A header as an image."""
    steps = {axis: physical(abs(float(step)), "mm") for axis, step in zip("XYZ", header["steps"][1:4], strict=True)}
    axes = AXES[-len(sizes) :]
    text = bytes(header["text"]).strip(b"\0 ")
    return ImageInfo(
        shape=sizes[::-1],
        dtype=dtype.name,
        axes=axes,
        format="analyze",
        spacing={axis: step for axis, step in steps.items() if step is not None and axis in axes},
        metadata={"analyze": {"says": ("description",)}} if text else {},
    )


def unwritten(_info: ImageInfo, _kind: str) -> Layout:
    """Analyze is not written; the table says so, and nobody gets here."""
    raise ConvError("Analyze is only read here", "unknown-format")


FORMAT = module("Analyze", opened, unwritten)
