"""PNG to samples, palettes and few bits expanded, by libpng: that of imagecodecs, or where that is missing Pillow's."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np

from convcli.formats.codecs import imagecodecs, lacking
from convcli.formats.pixels import Array

GREY, PALETTE = 0, 3


def decode(content: bytes) -> Array:
    """All samples; a palette's colours, and what is transparent as an opacity.

    Raises RuntimeError and ValueError where libpng refuses it, and ConvError, codec-missing.
    """
    module = imagecodecs()
    if module is None:
        return by_pillow(content)
    found: Array = module.png_decode(content)
    return found


def by_pillow(content: bytes) -> Array:
    """The same by Pillow, which cuts 16 bits down to 8 unless they are grey."""
    from PIL.PngImagePlugin import PngImageFile

    depth, colour = struct.unpack_from(">BB", content, 24)
    if depth == 16 and colour != GREY:
        raise lacking("PNG of 16 bits, interlaced or read without compiled code, and in colour or with an opacity,")
    try:
        with PngImageFile(BytesIO(content)) as image:
            image.load()
            key = image.info.get("transparency")
            if colour == PALETTE:
                return np.array(image.convert("RGB" if key is None else "RGBA"))
            data = np.array(image.convert("L") if image.mode == "1" else image)
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error
    data = data.astype(f"uint{max(8, depth)}")
    if key is None:
        return data
    return with_opacity(data, np.multiply(key, 255 // (2**depth - 1) if depth in (2, 4) else 1))  # 1 is scaled there


def with_opacity(data: Array, key: Any) -> Array:
    """Samples with an opacity behind them: none where they are those of the key."""
    colours = data if data.ndim == 3 else data[..., None]
    opaque = (colours != key).any(axis=2, keepdims=True) * np.iinfo(data.dtype).max
    return np.concatenate([colours, opaque.astype(data.dtype)], axis=2)
