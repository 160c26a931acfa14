"""Animated PNG: pictures that change parts of a canvas, put together when read; written whole, one after the other.

Source: W3C, PNG specification, third edition (2025), 5.3.4 and 11.3.6.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from convcli.formats.animation import Animation, animation_of, still, stills
from convcli.formats.failures import corrupt, decoding
from convcli.formats.pixels import Array
from convcli.formats.png.codec import decode
from convcli.formats.png.stream import banded
from convcli.image import Image
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.formats.png.chunks import Chunk

CONTROL = struct.Struct(">IIIIIHHBB")
KEPT, CLEARED, RESTORED = 0, 1, 2  # what becomes of a picture when its time is over
OVER = 1  # it is laid over what is there
HUNDREDTHS = 100  # of a second, where no unit is told
MOST = 65535


@record
class Frame:
    """A picture: its place on the canvas, its time in milliseconds, and its data; None for that of the still one."""

    width: int
    height: int
    left: int
    top: int
    time: float
    disposal: int
    over: bool
    parts: tuple[bytes, ...] | None

    @property
    def region(self) -> tuple[slice, slice]:
        """Its place, as rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def frames_of(chunks: tuple[Chunk, ...], width: int, height: int) -> tuple[list[Frame], Animation]:
    """The pictures that chunks tell of, and their times."""
    count, plays = next((struct.unpack(">II", data) for kind, data, _ in chunks if kind == b"acTL"), (0, 0))
    frames: list[Frame] = []
    parts: list[list[bytes]] = []
    for kind, data, after in chunks:
        if kind == b"fcTL":
            _, across, down, left, top, delay, unit, disposal, blend = CONTROL.unpack(data)
            time = 1000 * delay / (unit or HUNDREDTHS)
            frames.append(Frame(across, down, left, top, time, disposal, blend == OVER, () if after else None))
            parts.append([])
        elif kind == b"fdAT" and frames:
            parts[-1].append(data[4:])
    whole = [
        frame if frame.parts is None else replace(frame, parts=tuple(own))
        for frame, own in zip(frames, parts, strict=True)
    ]
    if len(whole) != count or any(frame.parts == () for frame in whole):
        raise corrupt("PNG", f"its animation declares {count} pictures, and holds others")
    if any(f.left + f.width > width or f.top + f.height > height or not f.width * f.height for f in whole):
        raise corrupt("PNG", "a picture of its animation lies outside of it")
    return whole, Animation(tuple(frame.time for frame in whole), plays)


def composed(frames: list[Frame], canvas: Array, decode: Callable[[Frame], Array]) -> Iterator[Array]:
    """What is seen at each time; `decode` gives the pixels of a picture. The canvas begins empty, and is changed."""
    for number, frame in enumerate(frames):
        before = canvas.copy() if frame.disposal == RESTORED and number else None
        pixels = decode(frame)
        place = frame.region
        clear = frame.over and canvas.ndim == 3 and canvas.shape[2] in (2, 4)
        canvas[place] = laid_over(canvas[place], pixels) if clear else pixels
        yield canvas
        if before is not None:
            canvas = before
        elif frame.disposal != KEPT:
            canvas[place] = 0


def laid_over(below: Array, above: Array) -> Array:
    """Colours with an opacity, the last sample, over others; halves are rounded up."""
    most = float(np.iinfo(below.dtype).max)
    under, over = below.astype(np.float64), above.astype(np.float64)
    front, back = over[..., -1:] / most, under[..., -1:] / most
    opacity = front + back * (1 - front)
    mixed = over[..., :-1] * front + under[..., :-1] * back * (1 - front)
    colours = np.divide(mixed, opacity, out=np.zeros_like(mixed), where=opacity > 0)
    seen = np.floor(np.concatenate([colours, opacity * most], axis=-1) + 0.5).astype(below.dtype)
    return np.where(front == 1, above, np.where(front == 0, below, seen))


def decoded(content: bytes, shape: tuple[int, ...], dtype: str) -> Array:
    """The pixels of a part of an animation, as a PNG of its own."""
    with decoding("PNG", RuntimeError, ValueError):
        data = decode(content)
    if data.shape != shape or data.dtype.name != dtype:
        raise corrupt("PNG", f"a picture of its animation decodes to {data.shape} {data.dtype}")
    return data


def written(image: Image, speed: str, chunk: Callable[[bytes, bytes], object]) -> None:
    """The chunks of an animation: how many pictures, and of each its place, time and data."""
    told, info = animation_of(image.info), still(image.info)
    chunk(b"acTL", struct.pack(">II", len(told.times), told.plays))
    size = info.size("X"), info.size("Y")
    number = 0
    for index, each in enumerate(stills(image)):
        chunk(b"fcTL", CONTROL.pack(number, *size, 0, 0, *delay(told.times[index]), KEPT, 0))
        number += 1
        data: list[bytes] = []
        with banded(info, speed, data.append) as rows:
            rows.write(tuple((0, length) for length in info.shape), each.data)
        for part in data:
            chunk(b"fdAT" if index else b"IDAT", (struct.pack(">I", number) if index else b"") + part)
            number += bool(index)


def delay(time: float) -> tuple[int, int]:
    """A time in milliseconds as a ratio of numbers with 16 bits.

    >>> delay(100 / 3), delay(40)
    ((1, 30), (1, 25))
    """
    from fractions import Fraction  # it loads decimal, which a picture does not need

    ratio = Fraction(time / 1000).limit_denominator(1000)
    return (ratio.numerator, ratio.denominator) if ratio.numerator <= MOST else (min(round(time / 1000), MOST), 1)
