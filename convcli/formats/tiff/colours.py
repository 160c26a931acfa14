"""Colours of TIFF that are neither RGB nor ink, as RGB: CIELAB in its three codings, and YCbCr."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array
from convcli.records import record

YCBCR, CIELAB, ICCLAB, ITULAB = 6, 8, 9, 10
OLD_JPEG, JPEG = 6, 7
CONTIGUOUS = 1
FACTORS = (1, 2, 4)
"""Pixels along an axis that may share their differences of colour."""
LABS = {CIELAB: "CIELAB", ICCLAB: "ICCLAB", ITULAB: "ITULAB"}
LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
"""Compressions that know nothing of colours: none, LZW, deflate (two numbers), run lengths, LZMA, Zstandard."""
WHITE_POINT, COEFFICIENTS, REFERENCES = 318, 529, 532
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: TIFF's default
D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
TO_LINEAR_SRGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
"""From XYZ under D65. Source: IEC 61966-2-1."""
CHUNK = 2**16  # pixels at once


@record
class Space:
    """Coordinates of colours: what they are called, what they become, and how."""

    title = ""
    target = "RGB"
    keeps_profile = True
    """Whether an ICC profile describes the RGB, too."""

    def to_rgb(self, values: Array) -> Array:
        """Coordinates (n, 3) as RGB from 0 to 1, perhaps beyond."""
        raise NotImplementedError


@record
class Lab(Space):
    """CIE L*a*b* by one of TIFF's codings: `scale` and `offset` make coordinates of samples.

    `white` is the chromaticity that a = b = 0 has. Source: TIFF 6.0, section 23; TIFF Technical Note 4; ITU-T T.42.
    """

    coding: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    signed: str
    white: tuple[float, float]
    target = "sRGB"
    keeps_profile = False

    @property
    def title(self) -> str:  # type: ignore[override]
        """The name of the coding."""
        return self.coding

    @cached_property
    def matrix(self) -> Array:
        """From X, Y, Z relative to white to linear sRGB: white stays white (Bradford's adaptation)."""
        old, new = xyz(*self.white), xyz(*D65)
        adapted = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ new / (BRADFORD @ old)) @ BRADFORD
        found: Array = TO_LINEAR_SRGB @ adapted @ np.diag(old)
        return found

    def to_rgb(self, values: Array) -> Array:
        """By way of XYZ."""
        signed = values[:, 1:].astype(self.signed).astype(np.float64)
        stored = np.column_stack([values[:, 0], signed])
        lightness, a, b = (stored * np.array(self.scale) + np.array(self.offset)).T
        y = (lightness + 16) / 116
        cube = np.stack([y + a / 500, y, y - b / 200])
        relative = np.where(cube > 6 / 29, cube**3, 3 * (6 / 29) ** 2 * (cube - 4 / 29))
        linear = (self.matrix @ relative).T
        bright = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
        return np.where(linear <= 0.0031308, 12.92 * linear, bright)


@record
class YCbCr(Space):
    """Luma and two differences of colour: `references` are black and white of each, `luma` the weights of colours.

    Source: TIFF 6.0, section 21, as libtiff reads it.
    """

    luma: tuple[float, float, float]
    references: tuple[float, ...]
    full: int
    title = "YCbCr"

    def to_rgb(self, values: Array) -> Array:
        """By the weights of the colours."""
        black, white = np.array(self.references[::2]), np.array(self.references[1::2])
        half = self.full // 2
        ranges = np.where(white != black, white - black, 1)
        y, cb, cr = ((values - black) * np.array([self.full, half, half]) / ranges).T
        of_red, of_green, of_blue = self.luma
        red, blue = y + cr * (2 - 2 * of_red), y + cb * (2 - 2 * of_blue)
        green = (y - of_red * red - of_blue * blue) / of_green
        return np.stack([red, green, blue], axis=-1) / self.full


def subsampling(page: Any) -> tuple[int, int]:
    """Columns and rows of pixels that share their differences of colour, where these are not a codec's matter."""
    if page.photometric != YCBCR or page.compression not in LOSSLESS:
        return 1, 1
    across, down = page.subsampling or (2, 2)
    if across not in FACTORS or down not in FACTORS:
        raise corrupt("TIFF", f"its colours are shared by {across} x {down} pixels")
    return across, down


def space_of(page: Any) -> Space:
    """The colours of a page.

    Raises ConvError for samples that the space has no coding for.
    """
    name = "YCbCr" if page.photometric == YCBCR else LABS[page.photometric]
    bits = page.bitspersample
    coded = page.compression in LOSSLESS or page.photometric == YCBCR
    shared = page.photometric == YCBCR and page.is_subsampled
    alone = page.planarconfig != CONTIGUOUS or page.predictor != 1 or page.samplesperpixel != 3
    if bits not in BITS[page.photometric] or page.samplesperpixel < 3 or not coded or (shared and alone):
        raise ConvError(
            f"stores its colours as {name} in {page.samplesperpixel} samples of {bits} bits, compression "
            f"{int(page.compression)}, which is not supported; convert it to RGB first",
            "dtype",
        )
    return ycbcr(page) if page.photometric == YCBCR else lab(page)


BITS = {YCBCR: (8, 16), CIELAB: (8, 16), ICCLAB: (8, 16), ITULAB: (8,)}


def lab(page: Any) -> Lab:
    """The coding of a page's L*a*b*."""
    x, y = rationals(page, WHITE_POINT, D50)[:2]
    name, bits = LABS[page.photometric], page.bitspersample
    lightness, colour, offset, signed = CODINGS[name, bits]
    return Lab(name, (100 / lightness, *colour), (0, *offset), f"{signed}{bits // 8}", (x, y))


CODINGS = {
    ("CIELAB", 8): (255, (1, 1), (0, 0), "i"),
    ("CIELAB", 16): (65535, (1 / 256, 1 / 256), (0, 0), "i"),
    ("ICCLAB", 8): (255, (1, 1), (-128, -128), "u"),
    ("ICCLAB", 16): (65280, (1 / 256, 1 / 256), (-128, -128), "u"),
    ("ITULAB", 8): (255, (170 / 255, 200 / 255), (-85, -75), "u"),
}
"""The sample of L* = 100, the steps and offsets of a* and b*, and whether their samples have a sign."""


def ycbcr(page: Any) -> YCbCr:
    """How a page's YCbCr is coded."""
    full = 2**page.bitspersample - 1
    middle = (full + 1) // 2
    luma = rationals(page, COEFFICIENTS, LUMA)
    references = rationals(page, REFERENCES, (0, full, middle, full, middle, full))
    return YCbCr((luma[0], luma[1] or 1.0, luma[2]), references, full)


def rationals(page: Any, code: int, default: tuple[float, ...]) -> tuple[float, ...]:
    """The fractions of a tag, or the default where it is absent, damaged or too short."""
    held = page.tags.valueof(code)
    if not isinstance(held, tuple) or len(held) < 2 * len(default):
        return default
    pairs = list(zip(held[::2], held[1::2], strict=False))[: len(default)]
    return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else default


def xyz(x: float, y: float) -> Array:
    """The tristimulus values of a chromaticity, at Y = 1."""
    return np.array([x / y, 1.0, (1 - x - y) / y])


def convert(pixels: Array, space: Space) -> None:
    """Make RGB of the first three samples (..., 3 or more) of integers, in place."""
    flat, full = pixels.reshape(-1, pixels.shape[-1]), np.iinfo(pixels.dtype).max
    for first in range(0, len(flat), CHUNK):
        part = flat[first : first + CHUNK, :3]
        part[...] = np.clip(np.rint(space.to_rgb(part) * full), 0, full).astype(pixels.dtype)
