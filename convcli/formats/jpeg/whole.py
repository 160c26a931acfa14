"""JPEG through libjpeg-turbo, with what libjpeg only mutters about made an error.

A JPEG that ends early still decodes: libjpeg fills the rest with grey. A header that declares fewer rows than there
are decodes too, and silently loses the rest. So the end of the data is held against the end of the picture.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import ceil
from typing import BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.banding import Banded
from convcli.formats.codecs import imagecodecs
from convcli.formats.contract import FormatModule, ReadOptions, Windows, WriteOptions, always
from convcli.formats.failures import corrupt, decoding
from convcli.formats.jpeg import entropy as jpeg_entropy
from convcli.formats.jpeg.codec import decode
from convcli.formats.jpeg.segments import START, metadata_of, segment, segments_of
from convcli.formats.jpeg.stream import Cutter, Packer, Reader
from convcli.formats.layout import is_flat
from convcli.formats.pixels import Array, filling
from convcli.formats.source import DEFLATE_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo, PixelTarget
from convcli.native import scans as native_scans
from convcli.records import record, replace

END, SCAN = b"\xff\xd9", 0xDA
RESTART, RESTART_INTERVAL = re.compile(rb"\xff[\xd0-\xd7]"), 0xDD
APP0, APP14, TABLES = 0xE0, 0xEE, 0xDB
FRAMES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC9: "arithmetic",
    0xCA: "arithmetic",
}
WALKED = {"baseline", "extended", "progressive", "lossless"}  # by Huffman codes
OTHER_FRAMES = {0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}  # hierarchical and the like, JPEG-LS
BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
ADOBE = b"Adobe"
SAMPLES = {1: "grey", 3: "rgb", 4: "cmyk"}
STORED = (8, 16)  # bits that fill their type; samples of others are scaled, as those of PNG and TIFF are
SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
DEFAULT_QUALITY = 95
AFTER_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # the next marker after entropy-coded data
TAIL, SHORTEST_TAIL = 128, 8  # bytes at the end of a scan: some of the last blocks
FILLER = b"\x5a" * TAIL

Places = list[tuple[int, int]]
"""Where scans begin and end, in bytes."""

STANDARD = bytes.fromhex(
    "10 0b 0c 0e 0c 0a 10 0e 0d 0e 12 11 10 13 18 28 1a 18 16 16 18 31 23 25 1d 28 3a 33 3d 3c 39 33"
    "38 37 40 48 5c 4e 40 44 57 45 37 38 50 6d 51 57 5f 62 67 68 67 3e 4d 71 79 70 64 78 5c 65 67 63"
)
"""Steps of the luminance in zigzag order at quality 50: ITU-T T.81, table K.1."""


@record
class Scan:
    """What stands before the pixels of a JPEG: its frame and the segments around it."""

    frame: str
    bits: int
    height: int
    width: int
    factors: tuple[tuple[int, int], ...]
    segments: tuple[tuple[int, bytes], ...]
    restart: int
    components: int
    data_start: int

    @property
    def units(self) -> int:
        """Number of the units that restart markers count, in the first scan: of all components, or the first alone."""
        horizontal, vertical = self.factors[0]
        most_horizontal = max(across for across, _ in self.factors)
        most_vertical = max(down for _, down in self.factors)
        if self.components > 1:
            return ceil(self.width / (8 * most_horizontal)) * ceil(self.height / (8 * most_vertical))
        columns = ceil(ceil(self.width * horizontal / most_horizontal) / 8)
        rows = ceil(ceil(self.height * vertical / most_vertical) / 8)
        return columns * rows


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a JPEG says of itself."""
    with source.open() as stream:
        return describe(scan(stream))


def read(source: Source, options: ReadOptions) -> Image:
    """A JPEG with its pixels; ink values of CMYK as 0 for none."""
    with source.open() as stream:
        found = scan(stream)
        stream.seek(0)
        content = stream.read()
    info = checked(found, options, len(content))
    is_walked = native_scans.AVAILABLE and found.frame in WALKED
    scans = [] if is_walked else scan_places(content, found.data_start)
    with ThreadPoolExecutor(1) as helper:  # libjpeg decodes on one core; another checks
        walked = helper.submit(jpeg_entropy.check, content) if is_walked else None
        needs_tail = None if is_walked else helper.submit(is_tail_needed, content, scans, found)
        with decoding("JPEG", RuntimeError, ValueError):
            data = decode(content)
    if data.shape != info.shape or data.dtype.name != info.dtype:
        raise corrupt("JPEG", f"it decodes to {data.shape} {data.dtype}, not to {info.shape} {info.dtype}")
    try:
        if walked is not None:
            walked.result()
        if needs_tail is not None:
            check_whole(content, found, scans, data, needs_tail.result)
    except ConvError as error:
        if not options.lenient:
            raise
        info = replace(info, notes=(*info.notes, error.message))
    if found.bits not in STORED:
        data = filling(2**found.bits - 1)[data]
    return Image(info, ~data if is_inverted(found) else data)


def scan(stream: BinaryIO) -> Scan:
    """Read the segments up to the pixels."""
    frame: tuple[str, int, int, int, tuple[tuple[int, int], ...]] | None = None
    kept, restart, components = [], 0, 0
    for marker, data in segments(stream):
        if marker in FRAMES:
            frame = (FRAMES[marker], *parsed_frame(data))
        elif marker in OTHER_FRAMES:
            raise ConvError("is a kind of JPEG that libjpeg does not decode; convert it first", "codec-missing")
        elif marker == SCAN:
            components = data[0]
        elif marker == RESTART_INTERVAL:
            restart = int.from_bytes(data[:2], "big")
        elif marker >= APP0 or marker == TABLES:
            kept.append((marker, data))
    if frame is None:
        raise corrupt("JPEG", "it declares no picture before its pixels")
    return Scan(*frame, tuple(kept), restart, components, stream.tell())


def segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and data of each segment before the pixels, the start of the first scan included."""
    stream.seek(len(START))
    while True:
        marker = next_marker(stream)
        if marker in BARE:
            continue
        length = int.from_bytes(stream.read(2), "big")
        data = stream.read(max(length - 2, 0))
        if length < 3 or len(data) < length - 2 or marker == END[1]:
            raise corrupt("JPEG", "it is cut short before its pixels")
        yield marker, data
        if marker == SCAN:
            return


def next_marker(stream: BinaryIO) -> int:
    """The code of the marker that must follow; any number of fill bytes may stand before it."""
    if stream.read(1) != b"\xff":
        raise corrupt("JPEG", "a segment has the wrong length")
    code = b"\xff"
    while code == b"\xff":
        code = stream.read(1)
    if not code:
        raise corrupt("JPEG", "it is cut short before its pixels")
    return code[0]


def parsed_frame(data: bytes) -> tuple[int, int, int, tuple[tuple[int, int], ...]]:
    """Bits, height, width and the sampling factors of each component."""
    if len(data) < 6 or len(data) != 6 + 3 * data[5]:
        raise corrupt("JPEG", "its frame header has the wrong length")
    bits, height, width = struct.unpack(">BHH", data[:5])
    if data[5] not in SAMPLES:
        raise corrupt("JPEG", f"it declares {data[5]} components")
    return bits, height, width, tuple((data[i] >> 4, data[i] & 15) for i in range(7, len(data), 3))


def describe(found: Scan) -> ImageInfo:
    """A scanned JPEG as an image."""
    count = len(found.factors)
    size = (found.height, found.width)
    dtype = "uint8" if found.bits <= 8 else "uint16"
    blind = ("its codes are arithmetic ones, in which damage is not found everywhere",) * (found.frame == "arithmetic")
    scaled = f"{found.bits}-bit samples are scaled to {dtype[4:]} bits, 0 to {2 ** int(dtype[4:]) - 1}"
    return ImageInfo(
        shape=size if count == 1 else (*size, count),
        dtype=dtype,
        axes="YX" if count == 1 else "YXS",
        format="jpeg",
        samples=SAMPLES[count] if count > 1 else "",
        metadata={
            **metadata_of(found.segments),
            "jpeg": {"quality": quality(found), "subsampling": subsampling(found)},
        },
        notes=(*blind, *([] if found.bits in STORED else [scaled])),
    )


def quality(found: Scan) -> int | None:
    """The quality setting (1 to 100) whose table of steps is closest to the one used for the luminance."""
    tables = b"".join(data for marker, data in found.segments if marker == TABLES)
    if len(tables) < 65 or tables[0] != 0:
        return None
    return nearest_quality(tables[1:65])


@cache  # a picture is described more than once, and this takes longer than to decode a small one
def nearest_quality(steps: bytes) -> int:
    """The setting whose steps of the luminance are closest to these."""
    return min(range(1, 101), key=lambda q: sum(abs(a - b) for a, b in zip(steps, scaled_steps(q), strict=True)))


def scaled_steps(setting: int) -> list[int]:
    """The luminance's steps at a quality, as every libjpeg makes them.

    >>> scaled_steps(100)[:3]
    [1, 1, 1]
    """
    scale = 5000 // setting if setting < 50 else 200 - 2 * setting
    return [min(max((step * scale + 50) // 100, 1), 255) for step in STANDARD]


def subsampling(found: Scan) -> str | None:
    """How coarsely colour is stored against brightness, in the usual notation; None for grey and odd ones."""
    (horizontal, vertical), *others = found.factors
    if len(others) != 2 or set(others) != {(1, 1)}:
        return None
    return SUBSAMPLINGS.get((horizontal, vertical))


def is_inverted(found: Scan) -> bool:
    """True for CMYK: 0 means full ink, as Adobe began; every reader takes it so, whether Adobe is named or not."""
    return len(found.factors) == 4


def check_whole(content: bytes, found: Scan, scans: Places, data: Array, needs_tail: Callable[[], bool]) -> None:
    """The data end with the picture: neither cut short nor followed by more than the header declares.

    This is for files whose codes are not walked through, as `jpeg_entropy` does where it can: for want of the compiled
    code, or since they are arithmetic. Restart markers can be counted. Without them, bytes added after honest data
    change nothing, and bytes taken from the end of every scan change something; `needs_tail` knows where that shows
    already.
    """
    if not scans:
        raise corrupt("JPEG", "it is cut short: it has no end marker")
    if found.frame == "lossless":
        return  # without blocks, missing data leave no trace
    start, end = scans[0]
    if found.restart:
        missing = (found.units - 1) // found.restart - len(RESTART.findall(content, start, end))
        ends_early, goes_on = missing > 0, missing < 0
        if not missing and found.frame == "baseline" and len(found.factors) != 4 and is_refused_by_jpegxl(content):
            raise corrupt("JPEG", "the data between two restart markers are not those of as many units")
    elif is_undecoded(data):
        ends_early, goes_on = not is_same(content[: scans[-1][1]] + FILLER + END, data), False
    else:
        can_lose = end - start > 4 * SHORTEST_TAIL and not needs_tail()
        ends_early, goes_on = False, can_lose and is_same(without_tails(content, scans), data)
    if ends_early:
        raise corrupt("JPEG", "its data end before the picture that its header declares")
    if goes_on:
        raise corrupt("JPEG", "it holds more data than the picture that its header declares")


def is_refused_by_jpegxl(content: bytes) -> bool:
    """True where JPEG XL, which packs a JPEG losslessly, finds that its codes are not those of a picture."""
    module = imagecodecs()
    if module is None or not module.JPEGXL.available:
        return False
    try:
        module.jpegxl_encode_jpeg(content)
    except RuntimeError:
        return True
    return False


def scan_places(content: bytes, start: int) -> Places:
    """Where the data of each scan begin and end, the first at `start`; none without an end marker."""
    places = []
    place: int | None = start
    match = AFTER_MARKER.search(content, start)
    while match is not None:
        if place is not None:
            places.append((place, match.start()))
        if match.group() == END:
            return places
        following = match.end() + int.from_bytes(content[match.end() : match.end() + 2], "big")
        place = following if match.group()[1] == SCAN else None
        match = AFTER_MARKER.search(content, following)
    return []


def is_undecoded(data: Array) -> bool:
    """True where the last block looks like one that libjpeg had no data for: mid-grey throughout."""
    corner = data[(data.shape[0] - 1) // 8 * 8 :, (data.shape[1] - 1) // 8 * 8 :].astype(np.int32)
    level = 128 if data.dtype == np.uint8 else 2048
    return bool((abs(corner - level) <= 1).all())


def is_tail_needed(content: bytes, scans: Places, found: Scan) -> bool:
    """True where the brightness of the last block, cheaper to decode, shows that the scan needs its last bytes.

    False says nothing.
    """
    if len(found.factors) != 3 or len(scans) != 1 or found.restart or found.frame == "lossless":
        return False
    with contextlib.suppress(RuntimeError, ValueError):
        return is_undecoded(decode(without_tails(content, scans), luma=True))
    return False


def without_tails(content: bytes, scans: Places) -> bytes:
    """The picture without the last bytes of every scan."""
    parts, place = [], 0
    for start, end in scans:
        parts.append(content[place : end - min(TAIL, (end - start) // 4)])
        place = end
    return b"".join(parts) + END


def is_same(variant: bytes, data: Array) -> bool:
    """True where another version of the file shows the same picture."""
    try:
        return np.array_equal(decode(variant), data)
    except (RuntimeError, ValueError):
        return False  # a variant that does not decode tells nothing


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Encode a picture: at the quality asked for, else that of the JPEG it came from, else 95."""
    with streamed(stream, image.info, options, kind) as target:
        target.write(tuple((0, size) for size in image.info.shape), image.data)


@contextlib.contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, options: WriteOptions, _kind: str) -> Iterator[PixelTarget]:
    """A JPEG that is whole at the end of the block, when all rows have been written."""
    own = info.metadata.get("jpeg", {})
    setting = options.quality or own.get("quality") or DEFAULT_QUALITY
    stream.write(START)
    stream.writelines(segment(marker, content) for marker, content in segments_of(info))
    with Banded.on(info, Packer(info, setting, own.get("subsampling") or "444", stream)) as rows:
        yield rows


@contextlib.contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[Windows | None]:
    """A JPEG whose rows are decoded as they are asked for; None where libjpeg has to decode it as a whole."""
    with source.open() as stream:
        found = scan(stream)
        stream.seek(0)
        content = stream.read()
    info = checked(found, options, len(content))
    if not is_cut(found, content) or options.lenient or options.axes not in (None, info.axes):
        yield None
        return
    with contextlib.closing(Reader(content, info, is_inverted(found))) as rows:
        yield info, rows


def is_cut(found: Scan, content: bytes) -> bool:
    """True for a single scan of all components whose codes are walked through, coded one after the other."""
    return (
        native_scans.AVAILABLE
        and found.frame in ("baseline", "extended")
        and (found.bits, found.components) == (8, len(found.factors))
        and len(scan_places(content, found.data_start)) == 1
        and Cutter.of(content) is not None
    )


def checked(found: Scan, options: ReadOptions, size: int) -> ImageInfo:
    """A scanned JPEG of so many bytes as an image whose pixels may be decoded."""
    info = describe(found)
    check_declared(info, options.max_pixels)
    check_ratio(found.width * found.height * len(found.factors), size, DEFLATE_RATIO)
    return info


FORMAT = FormatModule(
    probe,
    read,
    write,
    windows,
    streamed,
    takes=is_flat,
    packs=always,
    single=True,
    whole="a JPEG of several scans, of arithmetic codes or of more than 8 bits is decoded as a whole"
    if native_scans.AVAILABLE
    else "without its compiled code, convcli decodes JPEG as a whole",
)
