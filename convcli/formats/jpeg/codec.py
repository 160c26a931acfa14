"""JPEG to samples and back, by libjpeg-turbo: that of imagecodecs, or where that is not installed Pillow's.

Both give the same samples; Pillow's knows 8 bits of Huffman codes with losses, and three ways to share colours.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np

from convcli.formats.codecs import imagecodecs, lacking
from convcli.formats.jpeg.segments import START
from convcli.formats.pixels import Array

SOF, SCAN, TABLES_OF_CODES, ARITHMETIC = range(0xC0, 0xD0), 0xDA, 0xC4, 0xCC
APP1, APP14 = 0xE1, 0xEE
NOTHING = b"\xff\xd9"
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
SHARED = {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}


def decode(content: bytes, *, luma: bool = False) -> Array:
    """The samples as they are stored, CMYK as 255 for none; `luma` alone is cheaper.

    Raises RuntimeError and ValueError where libjpeg refuses it, and ConvError, codec-missing.
    """
    module = imagecodecs()
    if module is None:
        return by_pillow(content, luma=luma)
    found: Array = module.jpeg8_decode(content, **({"outcolorspace": "GRAYSCALE"} if luma else {}))
    return found


def by_pillow(content: bytes, *, luma: bool) -> Array:
    """The same by Pillow, which is not shown what others have to say of the picture: it would mutter about that."""
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        with JpegImageFile(BytesIO(bare(content))) as image:
            if luma:
                image.draft("L", image.size)
            data = np.array(image)
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error
    return ~data if image.mode == "CMYK" else data  # it turns ink around


def bare(content: bytes) -> bytes:
    """A JPEG without the segments that say nothing of its pixels. Raises ConvError for what Pillow does not decode."""
    parts, place = [START], len(START)
    while place + 4 <= len(content):
        marker, size = content[place + 1], 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == 0xFF:
            place += 1
            continue
        if marker in SOF and marker not in (TABLES_OF_CODES, ARITHMETIC):
            check_frame(marker, content[place + 4])
        if marker < APP1 or marker == APP14:
            parts.append(content[place : place + size])
        place += size
        if marker == SCAN:
            break
    return b"".join([*parts, content[place:]])


def check_frame(marker: int, bits: int) -> None:
    """Refuse what Pillow does not decode."""
    if bits != 8:
        raise lacking(f"JPEG of {bits} bits")
    if marker not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        raise lacking("lossless JPEG")


def encode(data: Array, quality: int, subsampling: str) -> bytes:
    """A JPEG of 8-bit samples, those of ink as 0 for none; as Adobe began, these are stored inverted."""
    ink = "CMYK" if data.ndim == 3 and data.shape[2] == 4 else None
    module = imagecodecs()
    if module is not None:
        found: bytes = module.jpeg8_encode(
            ~data if ink else data, quality, subsampling=subsampling, colorspace=ink, outcolorspace=ink
        )
        return found
    from PIL import Image

    mode = MODES[data.shape[2] if data.ndim == 3 else 1]
    stream = BytesIO()
    image = Image.frombytes(mode, (data.shape[1], data.shape[0]), np.ascontiguousarray(data).tobytes())
    image.save(stream, "JPEG", quality=quality, subsampling=SHARED.get(subsampling, "4:4:4"))
    return stream.getvalue()
