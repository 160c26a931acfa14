"""EXIF: the little TIFF structure that cameras hang on pictures, kept as the bytes it is.

Pictures keep it verbatim, maker notes included. Only what it says of the picture itself is ever looked at, and changed
where the picture is another one: orientation, resolution, sizes, and the thumbnail of a picture that was turned.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

from convcli.formats.tiff.ifd import (
    ORDERS,
    Directory,
    Layout,
    Tag,
    header,
    next_offset,
    read_directory,
    swapped,
    value_places,
    write_directory,
)

DESCRIPTION, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 270, 274, 282, 283, 296
EXIF_POINTER, GPS_POINTER = 34665, 34853
WIDTH, HEIGHT = 40962, 40963  # of the whole picture, in the directory behind EXIF_POINTER
THUMBNAIL, THUMBNAIL_SIZE = 513, 514
TEXT, SHORT, LONG, RATIONAL = 2, 3, 4, 5
UNITS = {1: "none", 2: "inch", 3: "cm"}
LARGEST = 2**32 - 1
EMPTY = header(Layout("little", big=False))

Resolution = tuple[float, float, str]


def is_sound(payload: bytes) -> bool:
    """True where there is a main directory to be read."""
    order = ORDERS.get(payload[:2])
    if order is None or int.from_bytes(payload[2:4], order) != 42:
        return False
    start = int.from_bytes(payload[4:8], order)
    count = int.from_bytes(payload[start : start + 2], order)
    return start >= 8 and count > 0 and start + 2 + 12 * count <= len(payload)


def layout_of(payload: bytes) -> Layout:
    """The byte order of sound EXIF."""
    return Layout(ORDERS[payload[:2]], big=False)


def start_of(payload: bytes) -> int:
    """Where the main directory is."""
    return int.from_bytes(payload[4:8], ORDERS[payload[:2]])


def main_directory(payload: bytes) -> Directory:
    """The tags that describe the picture; none where EXIF is damaged."""
    return read_directory(io.BytesIO(payload), layout_of(payload), start_of(payload)) if is_sound(payload) else {}


def orientation(payload: bytes) -> int | None:
    """How the picture is stored, 1 (upright) to 8; None where EXIF is silent or damaged."""
    held = main_directory(payload).get(ORIENTATION)
    turn = held.numbers()[0] if held is not None and held.kind == SHORT else 0
    return turn if 1 <= turn <= 8 else None


def resolution(payload: bytes) -> Resolution | None:
    """Pixels per unit in x and y; None where EXIF is silent."""
    tags = main_directory(payload)
    x, y = (ratio(tags.get(code)) for code in (X_RESOLUTION, Y_RESOLUTION))
    if not (x and y):
        return None
    unit = tags[RESOLUTION_UNIT].numbers()[0] if RESOLUTION_UNIT in tags else 2
    return x, y, UNITS.get(unit, "none")


def description(payload: bytes) -> bytes:
    """The text that describes the picture, empty where there is none."""
    held = main_directory(payload).get(DESCRIPTION)
    return b"" if held is None or held.kind != TEXT else held.data.rstrip(b"\0 ")


def ratio(tag: Tag | None) -> float:
    """The first value of a tag of ratios; 0 where there is none."""
    if tag is None or tag.kind != RATIONAL:
        return 0.0
    above, below = struct.unpack_from("<II", tag.data)
    return above / below if below else 0.0


def with_tags(payload: bytes, tags: Mapping[int, Tag]) -> bytes:
    """EXIF that says this in its main directory: in place where it said as much, else in a new one at its end.

    All else stays where it is, since maker notes count from the beginning.
    """
    if not tags:
        return payload
    sound = is_sound(payload)
    stream = io.BytesIO(payload if sound else EMPTY)
    layout = layout_of(payload if sound else EMPTY)
    directory = read_directory(stream, layout, start_of(payload)) if sound else {}
    if not put_in_place(stream, layout, start_of(payload) if sound else 0, tags):
        following = next_offset(stream, layout, start_of(payload)) if sound else 0
        place = write_directory(stream, layout, {**directory, **tags}, following)
        stream.seek(4)
        stream.write(place.to_bytes(4, layout.order))
    return stream.getvalue()


def put_in_place(stream: io.BytesIO, layout: Layout, start: int, tags: Mapping[int, Tag]) -> bool:
    """Overwrite values of a directory; False, and nothing done, where one is not there in this length."""
    places = value_places(stream, layout, start) if start else {}
    if any(code not in places or places[code][:2] != (tag.kind, tag.count) for code, tag in tags.items()):
        return False
    for code, tag in tags.items():
        stream.seek(places[code][2])
        stream.write(swapped(tag.data, tag.kind) if layout.order == "big" else tag.data)
    return True


def with_sizes(payload: bytes, width: int, height: int) -> bytes:
    """The same EXIF, with the sizes of the picture as they are now if it tells them."""
    pointer = main_directory(payload).get(EXIF_POINTER)
    if pointer is None or len(pointer.data) != 4:
        return payload
    stream, layout, start = io.BytesIO(payload), layout_of(payload), pointer.numbers()[0]
    held = read_directory(stream, layout, start)
    for code, size in ((WIDTH, width), (HEIGHT, height)):
        kind = held[code].kind if code in held else LONG
        if kind in (SHORT, LONG) and size < 2 ** (16 if kind == SHORT else 32) and code in held:
            put_in_place(stream, layout, start, {code: number(size, kind)})
    return stream.getvalue()


def thumbnail(payload: bytes) -> Directory:
    """The directory of the small picture, empty where there is none."""
    if not is_sound(payload):
        return {}
    stream, layout = io.BytesIO(payload), layout_of(payload)
    place = following(payload)
    return read_directory(stream, layout, place) if place else {}


def following(payload: bytes) -> int:
    """Where sound EXIF says that the directory of its thumbnail is; 0 for nowhere."""
    order, start = ORDERS[payload[:2]], start_of(payload)
    end = start + 2 + 12 * int.from_bytes(payload[start : start + 2], order)
    return int.from_bytes(payload[end : end + 4], order)


def without_thumbnail(payload: bytes) -> bytes:
    """The same EXIF without its small picture, whose bytes become zeros or, at the end, are cut off."""
    held = thumbnail(payload)
    if not held:
        return payload
    start = start_of(payload)
    end = start + 2 + 12 * int.from_bytes(payload[start : start + 2], ORDERS[payload[:2]])
    changed = bytearray(payload)
    changed[end : end + 4] = bytes(4)
    place, size = (held[code].numbers()[0] if code in held else 0 for code in (THUMBNAIL, THUMBNAIL_SIZE))
    stop = min(place + size, len(payload))
    if 0 < place < stop:
        changed[place:stop] = b"" if stop == len(payload) and place > end + 4 else bytes(stop - place)
    return bytes(changed)


def number(value: int, kind: int = SHORT) -> Tag:
    """A tag of one whole number."""
    return Tag(kind, value.to_bytes(2 if kind == SHORT else 4, "little"))


def rational(value: float) -> Tag:
    """A tag of one ratio, as close as two numbers of 32 bits come.

    >>> ratio(rational(118.11))
    118.11
    """
    from fractions import Fraction  # it loads decimal, which takes as long as all of this

    near = Fraction(min(max(value, 0), LARGEST)).limit_denominator(10**6 if value < 4000 else 1)
    return Tag(RATIONAL, struct.pack("<II", near.numerator, near.denominator))


def density(x: float, y: float, unit: str) -> Directory:
    """The tags of a resolution."""
    code = next(code for code, name in UNITS.items() if name == unit)
    return {X_RESOLUTION: rational(x), Y_RESOLUTION: rational(y), RESOLUTION_UNIT: number(code)}


def text(value: bytes) -> Tag:
    """A tag of text."""
    return Tag(TEXT, value + b"\0")
