"""Numbers as the pixels of a PNG file, for what has too many to draw each of them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow

from convcli.pictures.colours import ABOVE, BELOW

RISING = ((255, 255, 255), (140, 200, 235), (0, 114, 178), (0, 40, 75))
"""From nothing to the most: white through blue to almost black, which is also in order in print."""


def diverging_png(rows: Sequence[Sequence[float]], most: float) -> bytes:
    """Rows of numbers, blue below 0 and vermillion above, as a PNG file of a pixel for each."""
    values = np.array([np.asarray(row) for row in rows]) / (most or 1)
    ends = np.where(values[..., None] < 0, BELOW, ABOVE)
    return png(255 + (ends - 255.0) * np.minimum(1, abs(values))[..., None])


def rising_png(values: np.ndarray[Any, Any], most: float) -> bytes:
    """Numbers from 0 to `most`, the darker the larger, as a PNG file of a pixel for each."""
    stops = np.linspace(0, 1, len(RISING))
    shares = np.clip(values / (most or 1), 0, 1)
    return png(np.stack([np.interp(shares, stops, channel) for channel in zip(*RISING, strict=True)], axis=-1))


def png(colours: np.ndarray[Any, Any]) -> bytes:
    """Red, green and blue of 0 to 255 as a PNG file."""
    stream = BytesIO()
    Pillow.fromarray(colours.round().astype(np.uint8)).save(stream, "PNG", optimize=True)
    return stream.getvalue()
