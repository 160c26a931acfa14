"""WebP, BMP and GIF through imageio's Pillow plugin, given an open stream and never a name.

imageio would take a name for a URL, a camera or a member of an archive.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import imageio.v3 as iio
import numpy as np
import PIL.GifImagePlugin
import PIL.Image
import PIL.WebPImagePlugin  # registers itself: Pillow would load all of its formats to find it

from convcli.errors import ConvError
from convcli.formats import webp
from convcli.formats.animation import Animation, animation_of, still, stills
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding, unremarked
from convcli.formats.gif import animation as gif_animation
from convcli.formats.gif import blocks as gif
from convcli.formats.gif import metadata as gif_metadata
from convcli.formats.layout import check_series
from convcli.formats.pixels import picture
from convcli.formats.source import LZW_RATIO, RUN_RATIO, UNBOUNDED_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

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
BMP_5, EMBEDDED = b"\x7c\0\0\0", b"DEBM"  # a header of 124 bytes, and a profile in the file
RATIOS = {"webp": UNBOUNDED_RATIO, "bmp": RUN_RATIO, "gif": LZW_RATIO}
DAMAGE = (
    *(OSError, SyntaxError, ValueError, RuntimeError, EOFError, struct.error),
    *(IndexError, KeyError, TypeError, AttributeError, OverflowError),
)
"""What Pillow's readers raise on broken files; their stream is in memory, so an OSError is theirs too."""
TAMED: tuple[tuple[Any, str, Any], ...] = (
    (PIL.Image, "MAX_IMAGE_PIXELS", None),  # `--max-pixels` and the memory bound ours
    # imageio's choice shows a frame without a table of its own in the colours of the first frame's.
    (PIL.GifImagePlugin, "LOADING_STRATEGY", PIL.GifImagePlugin.LoadingStrategy.RGB_AFTER_FIRST),
    # A table that is a grey ramp is none to Pillow 13, which then shows its pixels in the colours of another table.
    (PIL.GifImagePlugin.GifImageFile, "_is_palette_needed", lambda *_: True),
)


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a file says of its first image, or of the one that `series` picks."""
    with opened(source, options) as (_, info):
        return info


def read(source: Source, options: ReadOptions) -> Image:
    """The first image of a file with its pixels, palettes expanded."""
    with opened(source, options) as (file, info):
        check_declared(info, options.max_pixels)
        check_ratio(info.size("Y") * info.size("X"), source.size, RATIOS[info.format])
        numbers = range(info.size("T")) if "T" in info.axes else [options.series or 0]
        found = [np.ascontiguousarray(file.read(index=number, mode=READ_AS[info.samples])) for number in numbers]
        data = np.stack(found) if "T" in info.axes else found[0]
        if data.shape != info.shape or data.dtype != np.uint8:
            raise corrupt(info.format.upper(), f"it decodes to {data.shape} {data.dtype}, not to {info.shape} uint8")
        return Image(info, data)


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[tuple[Any, ImageInfo]]:
    """imageio's view of a file, and what it says of the image to read."""
    content = source.read()
    name = {b"R": "webp", b"B": "bmp", b"G": "gif"}[content[:1]]
    height, width = CANVASES[name](content)
    if height and width:  # decoders take memory for a canvas before anyone can ask how large it is
        check_declared(ImageInfo((height, width), "uint8", "YX"), options.max_pixels)
        check_ratio(height * width, len(content), RATIOS[name])
    with (
        decoding(name.upper(), *DAMAGE),
        pillow_tamed(),
        iio.imopen(io.BytesIO(content), "r", plugin="pillow", extension=f".{name}") as file,
    ):
        count = frames_in(file)  # first: Pillow goes through all of them
        times = times_in(content, name, count)
        info = describe(file, name, options.series)
        info = replace(info, metadata={**info.metadata, **own_metadata(content, name), **times})
        if options.frames is not None and options.series is None and count > 1:
            yield file, animated(file, info, name)
            return
        grey = name == "gif" and gif.is_grey(content, options.series or 0)
        yield file, without_colour(info) if grey else info


def own_metadata(content: bytes, name: str) -> dict[str, Any]:
    """What Pillow does not tell of a file: the blocks of a GIF, the profile of a BMP."""
    if name == "gif":
        return gif_metadata.metadata_of(content)
    if name == "bmp" and content[14:18] == BMP_5 and content[70:74] == EMBEDDED:
        place, size = struct.unpack_from("<II", content, 126)
        return {"icc": content[14 + place : 14 + place + size]}
    return {}


def webp_canvas(content: bytes) -> tuple[int, int]:
    """Rows and columns that the header of a WebP declares; none for a header that is unknown, which libwebp refuses.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    head = content[12:30].ljust(18, b"\0")
    match head[:4]:
        case b"VP8X":
            return int.from_bytes(head[15:18], "little") + 1, int.from_bytes(head[12:15], "little") + 1
        case b"VP8L":
            sizes = int.from_bytes(head[9:13], "little")
            return (sizes >> 14 & 0x3FFF) + 1, (sizes & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 14)
            return height & 0x3FFF, width & 0x3FFF
    return 0, 0


def bmp_canvas(content: bytes) -> tuple[int, int]:
    """Rows and columns that the header of a BMP declares, in its old form or the later ones; rows may count down."""
    if content[14:18] == b"\x0c\0\0\0":
        width, height = struct.unpack_from("<HH", content.ljust(22, b"\0"), 18)
    else:
        width, height = struct.unpack_from("<ii", content.ljust(26, b"\0"), 18)
    return abs(height), abs(width)


CANVASES = {"webp": webp_canvas, "bmp": bmp_canvas, "gif": gif.canvas}


@contextmanager
def pillow_tamed() -> Iterator[None]:
    """Pillow with the settings of `TAMED`, and without its remarks on broken EXIF.

    They are those of the whole process, so one thread at a time changes them and puts them back.
    """
    with unremarked():
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in TAMED]
        try:
            for owner, name, value in TAMED:
                setattr(owner, name, value)
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)


def frames_in(file: Any) -> int:
    """How many images an opened file holds."""
    count: int = file.properties(index=...).n_images
    return count


def describe(file: Any, name: str, series: int | None) -> ImageInfo:
    """An opened file as an image."""
    frames = frames_in(file)
    check_series(series, frames)
    found = file.metadata(index=series or 0)
    if found["mode"] not in MODES:
        raise ConvError(f"holds samples of kind {found['mode']!r}, which are not supported; convert it first", "dtype")
    samples = MODES[found["mode"]]
    if "transparency" in found and not samples.endswith("+alpha"):
        samples += "+alpha"
    width, height = found["shape"]
    count = COUNTS[samples]
    return ImageInfo(
        shape=(height, width) if count == 1 else (height, width, count),
        dtype="uint8",
        axes="YX" if count == 1 else "YXS",
        format=name,
        samples=samples if count > 1 else "",
        metadata=metadata_of(found),
        notes=(f"animated: 1 of {frames} pictures is read; --frames or --series N picks others",)
        if frames > 1 and series is None
        else (),
    )


def times_in(content: bytes, name: str, count: int) -> dict[str, Animation]:
    """The times of an animation of so many pictures, under their key; nothing of a single one."""
    if count < 2:
        return {}
    told = {"gif": gif_animation, "webp": webp}[name].animation_of(content)
    return {"animation": told} if len(told.times) == count else {}


def animated(file: Any, first: ImageInfo, name: str) -> ImageInfo:
    """All frames of a file as an image with T: colours, with an opacity where one of the frames has it."""
    frames = frames_in(file)
    every = [describe(file, name, number) for number in range(frames)]
    opaque = not any(each.has_alpha for each in every)
    samples = "rgb" if opaque else "rgb+alpha"
    shape = (frames, *first.shape[:2], COUNTS[samples])
    return replace(first, shape=shape, axes="TYXS", samples=samples, notes=())


def without_colour(info: ImageInfo) -> ImageInfo:
    """The image with one grey in place of its colours."""
    samples = {"rgb": "", "rgb+alpha": "grey+alpha"}.get(info.samples, info.samples)
    count = (2,) if samples else ()
    return replace(info, shape=info.shape[:2] + count, axes="YXS"[: 2 + len(count)], samples=samples)


def metadata_of(found: dict[str, Any]) -> dict[str, Any]:
    """The shared keys of what Pillow found."""
    metadata: dict[str, Any] = {}
    if found.get("icc_profile"):
        metadata["icc"] = found["icc_profile"]
    if found.get("exif"):
        metadata["exif"] = found["exif"].removeprefix(b"Exif\0\0")
    if isinstance(found.get("xmp"), bytes):
        metadata["xmp"] = found["xmp"]
    if "dpi" in found:
        x, y = found["dpi"]
        metadata["resolution"] = (float(x), float(y), "inch")
    return metadata


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Encode a picture of 8 bits, or an animation; WebP without loss unless a quality is asked for."""
    info, several = image.info, image.info.size("T") > 1
    if kind == "gif" and (several or info.samples):
        told = animation_of(info) if several else None
        content = gif_animation.packed(map(picture, stills(image)), info.size("X"), info.size("Y"), told)
    elif several:
        bare = replace(still(info), metadata={})
        parts = (encoded(Image(bare, each.data), options, kind) for each in stills(image))
        size = info.size("Y"), info.size("X")
        content = webp.packed(parts, size, animation_of(info), info.metadata, clear=info.has_alpha)
    else:
        content = encoded(image, options, kind)
    stream.write(gif_metadata.with_metadata(content, info.metadata) if kind == "gif" else content)


def encoded(image: Image, options: WriteOptions, kind: str) -> bytes:
    """A single picture, as Pillow encodes it."""
    stream = io.BytesIO()
    with pillow_tamed(), iio.imopen(stream, "w", plugin="pillow", extension=f".{kind}") as file:
        file.write(picture(image), **settings(image.info, options, kind))
    return stream.getvalue()


def settings(info: ImageInfo, options: WriteOptions, kind: str) -> dict[str, Any]:
    """What Pillow's encoder is told."""
    chosen: dict[str, Any] = {}
    if kind == "webp":
        chosen = {"lossless": True, "exact": True} if options.quality is None else {"quality": options.quality}
        chosen |= {"icc_profile": info.metadata.get("icc", b""), "exif": info.metadata.get("exif", b"")}
        chosen["xmp"] = info.metadata.get("xmp", b"")
    elif kind == "bmp" and "resolution" in info.metadata:
        x, y, unit = info.metadata["resolution"]
        scale = {"inch": 1.0, "cm": 2.54, "none": 0.0}[unit]
        chosen = {"dpi": (x * scale, y * scale)} if scale else {}
    return chosen


def remarks(info: ImageInfo, _options: WriteOptions, kind: str) -> tuple[str, ...]:
    """What GIF does to colours."""
    if kind != "gif" or not info.samples:
        return ()
    clear = "; opacity is all or nothing" * info.has_alpha
    return (f"GIF holds 256 colours: more in a picture are mixed from 256{clear}; a .png output holds all",)


FORMAT = FormatModule(probe, read, write, remarks=remarks, whole="Pillow decodes pictures as a whole")
