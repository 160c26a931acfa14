"""Samples as a screen shows them: stretched where they are no 8-bit colours, over a checkerboard where they let light
through, and in a colour of their own where nothing was measured.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from convcli.image import ImageInfo

Array = np.ndarray[Any, Any]
MISSING = 255, 0, 255
"""Red, green and blue of samples that are no numbers: no grey, and far from all that a stretched picture has."""
CHECKS = 160, 210
"""The two greys of what is seen through a transparent pixel."""
CHECK = 8
"""Pixels along a side of a check."""
TAILS = 0.1, 99.9
"""Percentiles that become black and white: one hot pixel must not darken all others."""


class Span(NamedTuple):
    """What is shown as black and as white; `stretched` tells that it is not the whole range of the samples' type."""

    low: float
    high: float
    stretched: bool = False

    @property
    def words(self) -> str:
        """What is said of it."""
        return f"stretched: black is {self.low:.6g}, white {self.high:.6g}" if self.stretched else ""

    def holds(self, other: Span) -> bool:
        """Whether all of another one is in it."""
        return self.low <= other.low and other.high <= self.high


def is_colour(info: ImageInfo) -> bool:
    """True where the samples of a pixel are red, green and blue."""
    return info.samples in ("rgb", "rgb+alpha")


def as_floats(info: ImageInfo, pixels: Array) -> Array:
    """Pixels (rows, columns, samples) as numbers whose means mean something: NaN where nothing is known, colours
    multiplied by their opacity, inks as light.
    """
    values = pixels.astype(np.float64)
    if not info.sample.is_integer:
        values[~np.isfinite(values)] = np.nan
    if info.missing is not None:
        values[pixels == info.missing] = np.nan
    if info.samples == "cmyk":
        limit = opaque(info)
        return (limit - values[..., :3]) * (limit - values[..., 3:]) / limit
    if info.has_alpha and not info.premultiplied:
        values[..., :-1] *= values[..., -1:] / opaque(info)
    return values if info.samples else values[..., :1]


def opaque(info: ImageInfo) -> float:
    """The opacity that lets no light through."""
    return float(info.sample.most) if info.sample.is_integer else 1.0


def span_of(info: ImageInfo, values: Array) -> Span:
    """What becomes black and white of such values: the range of the type for 8-bit samples, colours and opacities."""
    if info.sample.is_integer and (info.dtype == "uint8" or info.has_alpha or info.samples in ("rgb", "cmyk")):
        return Span(0, opaque(info))
    known = values[np.isfinite(values)]
    if not known.size:
        return Span(0, 1)
    if info.has_alpha or (is_colour(info) and known.min() >= 0 and known.max() <= 1):
        return Span(0, 1)
    low, high = (float(end) for end in np.percentile(known, TAILS, method="nearest"))
    if low == high:
        low, high = float(known.min()), float(known.max())
    return Span(low, high, stretched=True)


def developed(info: ImageInfo, values: Array, span: Span) -> Array:
    """What `as_floats` made of pixels, or means of it, as red, green and blue of 8 bits: (rows, columns, 3)."""
    unknown = np.isnan(values).any(-1)
    light = _scaled(values[..., :-1] if info.has_alpha else values, span)
    if info.has_alpha:
        alpha = np.clip(values[..., -1:] / opaque(info), 0, 1)
        light = np.minimum(light, 1) + _checks(*values.shape[:2])[..., None] / 255 * (1 - alpha)
    light = np.broadcast_to(light if light.shape[-1] == 3 else light[..., :1], (*values.shape[:2], 3))
    rounded: Array = np.rint(255 * np.clip(np.nan_to_num(light), 0, 1)).astype(np.uint8)
    rounded[unknown] = MISSING
    return rounded


def _scaled(values: Array, span: Span) -> Array:
    """Values from 0 (black) to 1 (white); one half where all are the same."""
    if span.low == span.high:
        return np.where(np.isnan(values), np.nan, 0.5)
    scale = max(abs(span.low), abs(span.high))  # the width of a range of the largest float64 is none
    return (values / scale - span.low / scale) / (span.high / scale - span.low / scale)


def _checks(rows: int, columns: int) -> Array:
    """A checkerboard."""
    y, x = np.ogrid[:rows, :columns]
    return np.where((y // CHECK + x // CHECK) % 2, *CHECKS)


def as_png(pixels: Array) -> bytes:
    """Red, green and blue as a PNG."""
    return _encoded(pixels, format="PNG", compress_level=6)


def as_jpeg(pixels: Array) -> bytes:
    """The same as a small JPEG, whose pixels are other ones."""
    return _encoded(pixels, format="JPEG", quality=70)


def _encoded(pixels: Array, **settings: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, **settings)
    return stream.getvalue()
