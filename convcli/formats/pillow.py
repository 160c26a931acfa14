"""WebP, BMP and GIF through imageio's Pillow plugin, given an open stream and never a name.

imageio would take a name for a URL, a camera or a member of an archive.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, BinaryIO

import imageio.v3 as iio
import numpy as np
import PIL.Image
import PIL.WebPImagePlugin  # registers itself: Pillow would load all of its formats to find it

from convcli.errors import ConvError
from convcli.formats.exif import orientation
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import check_series, fitting_profile
from convcli.formats.limits import LZW_RATIO, RUN_RATIO, UNBOUNDED_RATIO, check_declared, check_ratio
from convcli.formats.options import ReadOptions, WriteOptions
from convcli.formats.pixels import picture
from convcli.formats.source import Source
from convcli.image import Image, ImageInfo

MODES = {
    "1": "grey",
    "L": "grey",
    "LA": "grey+alpha",
    "P": "rgb",
    "PA": "rgb+alpha",
    "RGB": "rgb",
    "RGBX": "rgb",
    "RGBA": "rgb+alpha",
}
"""What the samples are of each way in which Pillow holds pixels."""
READ_AS = {"": "L", "grey+alpha": "LA", "rgb": "RGB", "rgb+alpha": "RGBA"}
COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}
RATIOS = {"webp": UNBOUNDED_RATIO, "bmp": RUN_RATIO, "gif": LZW_RATIO}
DAMAGE = (
    *(OSError, SyntaxError, ValueError, RuntimeError, EOFError, struct.error),
    *(IndexError, KeyError, TypeError, AttributeError, OverflowError),
)
"""What Pillow's readers raise on broken files; their stream is in memory, so an OSError is theirs too."""
one_at_a_time = Lock()


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a file says of its first image, or of the one that `series` picks."""
    with opened(source, options) as (_, info):
        return info


def read(source: Source, options: ReadOptions) -> Image:
    """The first image of a file with its pixels, palettes expanded."""
    with opened(source, options) as (file, info):
        check_declared(info, 1, options.max_pixels)
        check_ratio(info.size("Y") * info.size("X"), source.size, RATIOS[info.format])
        data = np.ascontiguousarray(file.read(index=options.series or 0, mode=READ_AS[info.samples]))
        if data.shape != info.shape or data.dtype != np.uint8:
            raise corrupt(info.format.upper(), f"it decodes to {data.shape} {data.dtype}, not to {info.shape} uint8")
        return Image(info, data)


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[tuple[Any, ImageInfo]]:
    """imageio's view of a file, and what it says of the image to read."""
    content = source.read()
    name = {b"R": "webp", b"B": "bmp", b"G": "gif"}[content[:1]]
    if name == "webp":  # libwebp takes memory for two canvases before anyone can ask how large they are
        check_ratio(webp_pixels(content), len(content), UNBOUNDED_RATIO)
    with (
        decoding(name.upper(), *DAMAGE),
        pillow_tamed(),
        iio.imopen(io.BytesIO(content), "r", plugin="pillow", extension=f".{name}") as file,
    ):
        yield file, describe(file, name, options.series)


def webp_pixels(content: bytes) -> int:
    """The pixels that the header of a WebP declares; 0 for a header that is unknown, which libwebp will refuse.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    head = content[12:30].ljust(18, b"\0")
    match head[:4]:
        case b"VP8X":
            return (int.from_bytes(head[12:15], "little") + 1) * (int.from_bytes(head[15:18], "little") + 1)
        case b"VP8L":
            sizes = int.from_bytes(head[9:13], "little")
            return ((sizes & 0x3FFF) + 1) * ((sizes >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 14)
            return int(width & 0x3FFF) * int(height & 0x3FFF)
    return 0


@contextmanager
def pillow_tamed() -> Iterator[None]:
    """Pillow without its own size limit (`--max-pixels` and the memory bound ours) and its remarks on broken EXIF.

    Both are settings of the whole process, so one thread at a time changes them and puts them back.
    """
    with one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before


def describe(file: Any, name: str, series: int | None) -> ImageInfo:
    """An opened file as an image."""
    frames = file.properties(index=...).n_images
    check_series(series, frames)
    found = file.metadata(index=series or 0, exclude_applied=False)
    if found["mode"] not in MODES:
        raise ConvError(f"holds samples of kind {found['mode']!r}, which are not supported; convert it first", "dtype")
    samples = MODES[found["mode"]]
    if found["mode"] == "P" and "transparency" in found:
        samples = "rgb+alpha"
    width, height = found["shape"]
    count = COUNTS[samples]
    return ImageInfo(
        shape=(height, width) if count == 1 else (height, width, count),
        dtype="uint8",
        axes="YX" if count == 1 else "YXS",
        format=name,
        samples=samples if count > 1 else "",
        metadata=metadata_of(found),
        notes=(f"animated: 1 of {frames} frames is read; --series N picks one",)
        if frames > 1 and series is None
        else (),
    )


def metadata_of(found: dict[str, Any]) -> dict[str, Any]:
    """The shared keys of what Pillow found."""
    metadata: dict[str, Any] = {}
    if found.get("icc_profile"):
        metadata["icc"] = found["icc_profile"]
    if found.get("exif"):
        metadata["exif"] = found["exif"].removeprefix(b"Exif\0\0")
        metadata |= {"orientation": turn} if (turn := orientation(metadata["exif"])) != 1 else {}
    if "dpi" in found:
        x, y = found["dpi"]
        metadata["resolution"] = (float(x), float(y), "inch")
    return metadata


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Encode a picture of 8 bits; WebP without loss unless a quality is asked for."""
    encoded = io.BytesIO()
    with pillow_tamed(), iio.imopen(encoded, "w", plugin="pillow", extension=f".{kind}") as file:
        file.write(picture(image), **settings(image.info, options, kind))
    stream.write(encoded.getbuffer())


def settings(info: ImageInfo, options: WriteOptions, kind: str) -> dict[str, Any]:
    """What Pillow's encoder is told."""
    chosen: dict[str, Any] = {}
    if kind == "webp":
        chosen = {"lossless": True, "exact": True} if options.quality is None else {"quality": options.quality}
        chosen["icc_profile"] = fitting_profile(info) or b""
        chosen["exif"] = info.metadata.get("exif", b"")
    elif kind == "bmp" and "resolution" in info.metadata:
        x, y, unit = info.metadata["resolution"]
        scale = {"inch": 1.0, "cm": 2.54, "none": 0.0}[unit]
        chosen = {"dpi": (x * scale, y * scale)} if scale else {}
    return chosen
