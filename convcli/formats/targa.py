"""Truevision's TGA through Pillow: 8 bits, grey or colours, with an opacity or without, by run lengths.

Old files have no mark at their beginning: they are known by a header that makes sense. Source: Truevision TGA File
Format Specification, version 2.0 (1991).
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
import PIL.Image
import PIL.TgaImagePlugin  # registers itself

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import picture_info
from convcli.formats.pillow import DAMAGE, pillow_tamed
from convcli.formats.pixels import as_declared, picture
from convcli.formats.source import RUN_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

TITLE = "TGA"
HEADER = struct.Struct("<BBBHHBHHHHBB")
PALETTE, COLOUR, GREY, PACKED = 1, 2, 3, 8  # kinds of pixels, and what is added where run lengths pack them
SAMPLES = {
    (COLOUR, 16): "rgb",
    (COLOUR, 24): "rgb",
    (COLOUR, 32): "rgb+alpha",
    (GREY, 8): "grey",
    (GREY, 16): "grey+alpha",
}
DEPTHS = {16: "rgb", 24: "rgb", 32: "rgb+alpha"}
"""What the colours of a palette are, by their bits."""
FOOTER, MARK = struct.Struct("<II18s"), b"TRUEVISION-XFILE.\0"
OPACITY, OF_OPACITY, MULTIPLIED = 15, 494, 4  # bits of a pixel; where the extension tells of it; multiplied by it
MODES = {"grey": "L", "grey+alpha": "LA", "rgb": "RGB", "rgb+alpha": "RGBA"}


def described(source: Source) -> ImageInfo:
    """A header, and what stands at the end of newer files, as an image. Raises ConvError: corrupt, codec-missing."""
    head, size = source.head(HEADER.size), source.size
    if len(head) < HEADER.size:
        raise corrupt(TITLE, "it is cut short")
    text, _, kind, _, colours, depth, _, _, width, height, bits, how = HEADER.unpack(head)
    plain = kind & ~PACKED
    samples = SAMPLES.get((plain, bits), "")
    if plain == PALETTE and bits == 8 and depth in DEPTHS:
        samples = DEPTHS[depth]
    if not samples:
        told = f"kind {kind} of {bits} bits" + f", a palette of {depth}" * (plain == PALETTE)
        raise ConvError(f"is a kind of {TITLE} that is not read here ({told}); convert it first", "codec-missing")
    missing = HEADER.size + text + colours * -(-depth // 8) + bits // 8 * width * height * (plain == kind) - size
    if missing > 0:
        raise corrupt(TITLE, f"it is cut short: {missing:,} bytes are missing")
    more, opacity = extension(source)
    clear = "opacity of one bit" if (plain, bits) == (COLOUR, 16) and how & OPACITY else ""
    dropped = tuple(f"TGA's {name}" for name in ("identification" * bool(text), more, clear) if name)
    info = picture_info("tga", (height, width), samples, metadata={"dropped": dropped} if dropped else {})
    return replace(info, premultiplied=info.has_alpha and opacity == MULTIPLIED)


def extension(source: Source) -> tuple[str, int]:
    """Of files since 1989: what else they say, in words, and what their opacity is."""
    if source.size < HEADER.size + FOOTER.size:
        return "", 0
    with source.open() as stream:
        stream.seek(-FOOTER.size, io.SEEK_END)
        place, developers, mark = FOOTER.unpack(stream.read(FOOTER.size))
        if mark != MARK or not (place or developers):
            return "", 0
        stream.seek(place + OF_OPACITY)
        return "extension area", int.from_bytes(stream.read(1), "little") if place else 0


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a TGA says of itself."""
    return described(source)


def read(source: Source, options: ReadOptions) -> Image:
    """A TGA with its pixels, palettes expanded."""
    info = described(source)
    check_declared(info, options.max_pixels)
    check_ratio(info.nbytes, source.size, RUN_RATIO)
    mode, content = MODES[info.samples or "grey"], source.read()
    if len(content) < 2 * FOOTER.size:  # Pillow looks for an end that so small a file has no room for
        content = (
            bytes((content[0] + FOOTER.size,)) + content[1 : HEADER.size] + bytes(FOOTER.size) + content[HEADER.size :]
        )
    with decoding(TITLE, *DAMAGE), pillow_tamed(), PIL.Image.open(io.BytesIO(content), formats=["TGA"]) as file:
        file.load()
        data = np.asarray(file if file.mode == mode else file.convert(mode))
    return Image(info, as_declared(TITLE, data, info))


def write(stream: BinaryIO, image: Image, _options: WriteOptions, _kind: str) -> None:
    """Encode a picture, packed by run lengths."""
    with pillow_tamed():
        PIL.Image.fromarray(picture(image)).save(stream, "TGA", compression="tga_rle")


FORMAT = FormatModule(probe, read, write, single=True, whole="Pillow decodes pictures as a whole")
