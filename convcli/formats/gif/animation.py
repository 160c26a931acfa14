"""Colours and animations of GIF: a table of its own for each picture, their times, and how often all are shown.

A picture of at most 256 colours keeps them; of more, the nearest of 256 that are made for it are mixed. Opacity is all
or nothing. How often an animation is shown stands in a block of Netscape's, as the number of times after the first.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import PIL.Image

from convcli.formats.animation import FOR_EVER, Animation
from convcli.formats.gif import blocks as gif
from convcli.formats.gif.metadata import APPLICATION, joined
from convcli.formats.pixels import Array, coloured

CONTROL = 0xF9
NETSCAPE = b"NETSCAPE2.0"
TICK = 10.0  # milliseconds
MOST = 65535
COLOURS, OPAQUE = 256, 128
KEPT, CLEARED = 1, 2  # what becomes of a picture when its time is over


def animation_of(content: bytes) -> Animation:
    """The times that a file tells of."""
    times, plays, time = [], 1, 0.0
    for block in gif.blocks(content):
        if block.kind == gif.FRAME:
            times.append(time)
            time = 0.0
        elif block.label == CONTROL:
            time = TICK * int.from_bytes(content[block.start + 2 : block.start + 4], "little")
        elif block.label == APPLICATION and content[block.start + 1 : block.start + 12] == NETSCAPE:
            more = joined(content, block.start + 12)
            if more[:1] == b"\1" and len(more) >= 3:
                repeats = int.from_bytes(more[1:3], "little")
                plays = repeats + 1 if repeats else FOR_EVER
    return Animation(tuple(times), plays)


def packed(pictures: Iterable[Array], width: int, height: int, told: Animation | None) -> bytes:
    """A file of pictures (rows, columns, samples of 8 bits), shown for such times; one where there are none."""
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x70, 0, 0)]
    if told is not None and told.plays != 1:
        repeats = min(max(told.plays - 1, 0), MOST)
        parts.append(bytes((0x21, APPLICATION, 11)) + NETSCAPE + b"\3\1" + struct.pack("<H", repeats) + b"\0")
    for number, pixels in enumerate(pictures):
        indices, table, clear = indexed(pixels)
        time = min(round(told.times[number] / TICK), MOST) if told is not None else 0
        if told is not None or clear is not None:
            disposal = KEPT if clear is None else CLEARED
            flags = disposal << 2 | (clear is not None)
            parts.append(struct.pack("<BBBBHBB", 0x21, CONTROL, 4, flags, time, clear or 0, 0))
        parts.append(b"," + struct.pack("<HHHHB", 0, 0, width, height, 0x87) + table.tobytes() + coded(indices))
    return b"".join((*parts, gif.TRAILER))


def indexed(pixels: Array) -> tuple[Array, Array, int | None]:
    """The index of each pixel in a table of 256 colours, the table, and the index of what is clear, if anything is."""
    if pixels.ndim == 2:
        return pixels, np.repeat(np.arange(COLOURS, dtype=np.uint8)[:, None], 3, axis=1), None
    wide = coloured(pixels)
    hidden = wide[..., 3] < OPAQUE if wide.shape[2] == 4 else np.zeros(wide.shape[:2], bool)
    room = COLOURS - bool(hidden.any())
    colours = np.where(hidden[..., None], 0, wide[..., :3]).astype(np.uint32)
    codes = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    ordered = np.sort(codes[~hidden])
    known = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered
    table = np.zeros((COLOURS, 3), np.uint8)
    if known.size <= room:
        table[: known.size] = np.stack([known >> 16, known >> 8 & 255, known & 255], axis=-1)
        indices = np.searchsorted(known, codes).astype(np.uint8)
    else:
        indices, found = mixed(colours.astype(np.uint8), room)
        table[: len(found)] = found
    clear = room if hidden.any() else None
    return np.where(hidden, np.uint8(room & 255), indices), table, clear


def mixed(colours: Array, count: int) -> tuple[Array, Array]:
    """Pixels as mixtures of a number of colours that are made for them, and these."""
    picture: Any = PIL.Image.fromarray(colours)
    palette = picture.quantize(count, PIL.Image.Quantize.MEDIANCUT)
    shown = picture.quantize(palette=palette, dither=PIL.Image.Dither.FLOYDSTEINBERG)
    return np.asarray(shown), np.array(palette.getpalette("RGB"), np.uint8).reshape(-1, 3)[:count]


def coded(indices: Array) -> bytes:
    """The data of a picture as they stand behind its table, packed by Pillow."""
    picture, stream = PIL.Image.fromarray(np.ascontiguousarray(indices)), io.BytesIO()
    picture.save(stream, "GIF", interlace=0, optimize=False)
    content = stream.getvalue()
    frame = next(block for block in gif.blocks(content) if block.kind == gif.FRAME)
    return content[frame.start - 1 : gif.end_of_sub_blocks(content, frame.start)]
