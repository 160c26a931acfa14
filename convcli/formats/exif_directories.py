"""EXIF in TIFF files, which hold its directories in their own structure: taken apart there, put together for others."""

from __future__ import annotations

import io
from typing import BinaryIO, NamedTuple

from convcli.formats.exif import ORDERS
from convcli.formats.ifd import Directory, Layout, Tag, header, read_directory, write_directory

EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 34665, 34853, 40965
POINTERS = (EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER)
LONG, LONG8 = 4, 18  # the types of an offset
SHARED = (271, 272, 274, 305, 306, 315, 33432)
"""Tags both EXIF and TIFF keep in the main directory: maker, model, orientation, software, date, author, rights."""


class File(NamedTuple):
    """A stream of TIFF structure and how it is laid out."""

    stream: BinaryIO
    layout: Layout


def from_tiff(stream: BinaryIO, layout: Layout, main: Directory) -> bytes | None:
    """The EXIF of a TIFF page as a payload of its own; None where it has none."""
    pointed = {code: main[code] for code in (EXIF_POINTER, GPS_POINTER) if code in main}
    if not pointed:
        return None
    shared = {code: main[code] for code in SHARED if code in main}
    target = io.BytesIO()
    plain = Layout("little", big=False)
    target.write(header(plain))
    copied = copy_pointed(File(stream, layout), {**shared, **pointed}, File(target, plain))
    first = write_directory(target, plain, copied)
    target.seek(4)
    target.write(first.to_bytes(4, "little"))
    return target.getvalue()


def into_tiff(payload: bytes, target: BinaryIO, layout: Layout) -> Directory:
    """Append EXIF's sub-directories to a TIFF file; the tags that its main directory needs then."""
    order = ORDERS.get(payload[:2])
    if order is None:
        return {}
    source = File(io.BytesIO(payload), Layout(order, big=False))
    main = read_directory(*source, int.from_bytes(payload[4:8], order))
    wanted = {code: tag for code, tag in main.items() if code in (EXIF_POINTER, GPS_POINTER, *SHARED)}
    return copy_pointed(source, wanted, File(target, layout))


def copy_pointed(source: File, directory: Directory, target: File, depth: int = 2) -> Directory:
    """A directory whose sub-directories have been appended to `target`; deeper or damaged ones are left out."""
    width, kind = (8, LONG8) if target.layout.big else (4, LONG)
    copied: Directory = {}
    for code, tag in directory.items():
        if code not in POINTERS:
            copied[code] = tag
        elif depth and len(tag.data) in (4, 8):
            inner = read_directory(*source, int.from_bytes(tag.data, "little"))
            place = write_directory(*target, copy_pointed(source, inner, target, depth - 1))
            copied[code] = Tag(kind, place.to_bytes(width, "little"))
    return copied
