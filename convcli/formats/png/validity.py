"""What the ancillary chunks of a PNG must be like to be copied: their length, their values, their place, their number.

A chunk that breaks its definition would make a sound picture one that others refuse to open.
https://www.w3.org/TR/png-3/#11Chunks
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

Chunk = tuple[bytes, bytes, bool]
"""Type, data, and whether it came after the pixels."""

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
MOST = 2**31 - 1  # of PNG's four-byte numbers
ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}  # of EXIF: the rooms of TIFF stay out
LARGEST = 2**24  # bytes that a compressed text or profile may have; more is a bomb
ANYWHERE = {b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"fcTL", b"fdAT"}  # before the pixels or behind
NUMBERED = {b"fcTL", b"fdAT"}  # frames of an animation and their data, counted together
MANY = {b"tEXt", b"zTXt", b"iTXt", b"sPLT", b"fcTL", b"fdAT"}  # as often as one likes


class Layout(NamedTuple):
    """Bits of a sample and colour type, which some chunks depend on."""

    depth: int
    colour: int


def sorted_out(chunks: list[Chunk], layout: Layout) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """The chunks that are as they should be, and the others in words."""
    kept: list[Chunk] = []
    seen: set[bytes] = set()
    dropped, frames = [], 0
    for chunk in chunks:
        kind, data, after = chunk
        reason = fault(kind, data, layout)
        if after and kind in CHECKS and kind not in ANYWHERE:
            reason = "behind the pixels"
        elif kind in NUMBERED and not reason:
            reason = "" if int.from_bytes(data[:4], "big") == frames else "out of sequence"
            frames += 1
        elif kind in seen and kind not in MANY and kind in CHECKS:
            reason = "a second one"
        seen.add(kind)
        if reason:
            dropped.append(f"{kind.decode('latin-1')} ({reason})")
        else:
            kept.append(chunk)
    return tuple(kept), tuple(dropped)


def fault(kind: bytes, data: bytes, layout: Layout) -> str:
    """What is wrong with the data of a chunk; nothing where it is as its definition says, or of an unknown type.

    >>> fault(b"gAMA", b"", Layout(8, 0)), fault(b"gAMA", (45455).to_bytes(4, "big"), Layout(8, 0))
    ('0 bytes', '')
    """
    check = CHECKS.get(kind)
    return "" if check is None or check(data, layout) else f"{len(data):,} bytes" if len(data) != 1 else "1 byte"


def numbers(data: bytes) -> tuple[int, ...]:
    """The data as four-byte numbers."""
    return struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])


def is_gamma(data: bytes, _layout: Layout) -> bool:
    return len(data) == 4 and 0 < numbers(data)[0] <= MOST


def is_chromaticities(data: bytes, _layout: Layout) -> bool:
    """White, red, green and blue, x and y, in 100,000ths: y is what Y is divided by."""
    return len(data) == 32 and all(value <= MOST for value in numbers(data)) and all(numbers(data)[1::2])


def is_intent(data: bytes, _layout: Layout) -> bool:
    return len(data) == 1 and data[0] <= 3


def is_profile(data: bytes, _layout: Layout) -> bool:
    """A name and a whole stream of zlib that holds a profile of the length that it declares itself."""
    name, end, rest = data.partition(b"\0")
    profile = inflated(rest[1:]) if is_keyword(name) and end and rest[:1] == b"\0" else None
    if profile is None or len(profile) < 128:
        return False
    return (int.from_bytes(profile[:4], "big"), profile[36:40]) == (len(profile), b"acsp")


def is_bits(data: bytes, layout: Layout) -> bool:
    count = {GREY: 1, RGB: 3, PALETTE: 3, GREY_ALPHA: 2, RGB_ALPHA: 4}[layout.colour]
    most = 8 if layout.colour == PALETTE else layout.depth
    return len(data) == count and all(1 <= value <= most for value in data)


def is_background(data: bytes, layout: Layout) -> bool:
    if layout.colour == PALETTE:
        return len(data) == 1
    count = 3 if layout.colour in (RGB, RGB_ALPHA) else 1
    values = struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
    return len(data) == 2 * count and all(value < 1 << layout.depth for value in values)


def is_histogram(data: bytes, layout: Layout) -> bool:
    return layout.colour == PALETTE and 0 < len(data) <= 512 and len(data) % 2 == 0


def is_density(data: bytes, _layout: Layout) -> bool:
    return len(data) == 9 and data[8] <= 1 and all(0 < value <= MOST for value in numbers(data))


def is_suggestion(data: bytes, _layout: Layout) -> bool:
    """A name, bits, and colours of three samples, an alpha and how often they are used."""
    name, end, rest = data.partition(b"\0")
    size = {8: 6, 16: 10}.get(rest[0] if rest else 0)
    return is_keyword(name) and bool(end) and size is not None and (len(rest) - 1) % size == 0


def is_time(data: bytes, _layout: Layout) -> bool:
    if len(data) != 7:
        return False
    _, _, month, day, hour, minute, second = data
    return 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60


def is_text(data: bytes, _layout: Layout) -> bool:
    keyword, end, text = data.partition(b"\0")
    return is_keyword(keyword) and bool(end) and b"\0" not in text


def is_packed_text(data: bytes, _layout: Layout) -> bool:
    keyword, end, text = data.partition(b"\0")
    return is_keyword(keyword) and bool(end) and text[:1] == b"\0" and inflated(text[1:]) is not None


def is_international_text(data: bytes, _layout: Layout) -> bool:
    """Keyword, whether the text is packed and how, a language, the keyword in it, the text in UTF-8."""
    keyword, end, rest = data.partition(b"\0")
    if not (is_keyword(keyword) and end and rest[:2] in (b"\0\0", b"\1\0") and rest[2:].count(b"\0") >= 2):
        return False
    language, translated, text = rest[2:].split(b"\0", 2)
    plain = inflated(text) if rest[0] else text
    return plain is not None and language.isascii() and all(map(is_utf8, (translated, plain)))


def is_exif(data: bytes, _layout: Layout) -> bool:
    """The start of a TIFF structure."""
    order = ORDERS.get(data[:2])
    return order is not None and len(data) >= 8 and int.from_bytes(data[2:4], order) == 42


def is_code_points(data: bytes, _layout: Layout) -> bool:
    """Primaries, transfer, matrix, which is that of RGB here, and whether the range is full."""
    return len(data) == 4 and data[2] == 0 and data[3] <= 1


def is_mastering(data: bytes, _layout: Layout) -> bool:
    """Eight chromaticities of two bytes, the most and the least light."""
    return len(data) == 24 and all(value <= MOST for value in numbers(data[16:]))


def is_light(data: bytes, _layout: Layout) -> bool:
    return len(data) == 8 and all(value <= MOST for value in numbers(data))


def is_animation(data: bytes, _layout: Layout) -> bool:
    return len(data) == 8 and 0 < numbers(data)[0] <= MOST and numbers(data)[1] <= MOST


def is_frame(data: bytes, _layout: Layout) -> bool:
    """Number, size, place, times, and how it is drawn."""
    return len(data) == 26 and all(numbers(data[4:12])) and data[24] <= 2 and data[25] <= 1


def is_frame_data(data: bytes, _layout: Layout) -> bool:
    return len(data) > 4


def is_offset(data: bytes, _layout: Layout) -> bool:
    return len(data) == 9 and data[8] <= 1


def is_stereo(data: bytes, _layout: Layout) -> bool:
    return len(data) == 1 and data[0] <= 1


def is_calibration(data: bytes, _layout: Layout) -> bool:
    """A name, two numbers, an equation, as many parameters as follow, the unit, and each parameter."""
    name, end, rest = data.partition(b"\0")
    if not (is_keyword(name) and end and len(rest) >= 10 and rest[8] <= 3):
        return False
    return numbers(rest[:8])[0] != numbers(rest[:8])[1] and rest[10:].count(b"\0") == rest[9]


def is_scale(data: bytes, _layout: Layout) -> bool:
    """A unit (metre or radian), and two positive numbers as text."""
    parts = data[1:].split(b"\0")
    return data[:1] in (b"\1", b"\2") and len(parts) == 2 and all(map(is_positive, parts))


def is_keyword(name: bytes) -> bool:
    """1 to 79 characters of Latin-1 that can be seen, without spaces at the ends or several in a row."""
    seen = all(32 <= code <= 126 or code >= 161 for code in name)
    return 1 <= len(name) <= 79 and seen and name.strip(b" ") == name and b"  " not in name


def is_positive(text: bytes) -> bool:
    """True for a decimal number above zero."""
    try:
        return 0 < float(text) < float("inf") and text.strip() == text and b"_" not in text
    except ValueError:
        return False


def is_utf8(text: bytes) -> bool:
    """True for what can be decoded."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def inflated(packed: bytes) -> bytes | None:
    """What a whole stream of zlib holds; None where it is damaged, cut, or holds more than `LARGEST` bytes."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, LARGEST)
    except zlib.error:
        return None
    return content if inflater.eof else None


CHECKS: dict[bytes, Callable[[bytes, Layout], bool]] = {
    b"gAMA": is_gamma,
    b"cHRM": is_chromaticities,
    b"sRGB": is_intent,
    b"iCCP": is_profile,
    b"sBIT": is_bits,
    b"bKGD": is_background,
    b"hIST": is_histogram,
    b"pHYs": is_density,
    b"sPLT": is_suggestion,
    b"tIME": is_time,
    b"tEXt": is_text,
    b"zTXt": is_packed_text,
    b"iTXt": is_international_text,
    b"eXIf": is_exif,
    b"cICP": is_code_points,
    b"mDCV": is_mastering,
    b"cLLI": is_light,
    b"acTL": is_animation,
    b"fcTL": is_frame,
    b"fdAT": is_frame_data,
    b"oFFs": is_offset,
    b"pCAL": is_calibration,
    b"sCAL": is_scale,
    b"sTER": is_stereo,
}
"""For each type of chunk that is defined, what its data must be like; tRNS is checked with the pixels."""
