"""EXIF in TIFF files, which hold its directories in their own structure: taken apart there, put together for others."""

from __future__ import annotations

import io
from typing import BinaryIO, NamedTuple

from convcli.formats.tiff.exif import EXIF_POINTER, GPS_POINTER, is_sound
from convcli.formats.tiff.ifd import ORDERS, Directory, Layout, Tag, header, read_directory, write_directory

INTEROPERABILITY_POINTER = 40965
POINTERS = (EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER)
LONG, LONG8 = 4, 18  # the types of an offset
SHARED = (271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096), 50341)
"""Tags both EXIF and TIFF keep in the main directory: maker, model, software, date, author, computer, ratings, rights,
Windows' texts, printing. The orientation, the resolution and the description go their own ways."""
STRUCTURE = frozenset(
    {
        *(
            *range(254, 269),
            270,
            *range(273, 285),
            *range(288, 293),
            296,
            297,
            301,
            317,
            *range(320, 331),
            *range(336, 348),
        ),
        *(*range(512, 522), *range(529, 533), 559, 700, 32781, 33421, 33422, 33723, 34377, 34675, 65000, 65001),
    }
)
"""Tags about how pixels are stored, and those that go their own ways."""


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
    if not is_sound(payload):
        return {}
    order = ORDERS[payload[:2]]
    source = File(io.BytesIO(payload), Layout(order, big=False))
    main = read_directory(*source, int.from_bytes(payload[4:8], order))
    wanted = {code: tag for code, tag in main.items() if code not in STRUCTURE}
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
