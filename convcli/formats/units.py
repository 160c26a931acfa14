"""Units of length and time as image formats spell them."""

from __future__ import annotations

from collections.abc import Sequence

from convcli.errors import ConvError
from convcli.image import ImageInfo
from convcli.records import replace

MICROMETRE = ("µm", "μm", "\\u00B5m", "\\u00b5m", "micron", "microns", "micrometer", "micrometre")
SPELLINGS = dict.fromkeys(MICROMETRE, "um") | {
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "in",
    "sec": "s",
    "second": "s",
}
LENGTHS = {"pm": 1e-9, "nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "in": 25.4, "inch": 25.4}
"""Millimetres of each unit."""
LEAST, MOST = 1e-30, 1e30
"""Lengths and times beyond these say nothing, and formats that hold them as float32 could not."""
NO_UNITS = frozenset({"", "pixel", "pixels", "reference frame"})


def physical(value: object, unit: object) -> tuple[float, str] | None:
    """A step with its unit, as `ImageInfo.spacing` holds it; None for what is no length or time.

    >>> physical("0.25", "µm")
    (0.25, 'um')
    >>> physical(1.0, "pixel")
    """
    try:
        step = float(str(value))
    except ValueError:
        return None
    name = SPELLINGS.get(str(unit), str(unit))
    return (step, name) if LEAST < step < MOST and name not in NO_UNITS else None


def with_spacing(info: ImageInfo, given: Sequence[tuple[float, str]]) -> ImageInfo:
    """The image with its samples as far apart as given: one length for all spatial axes, or those of the last ones.

    >>> with_spacing(ImageInfo((4, 6), "uint8", "YX"), [(0.5, "um")]).spacing
    {'Y': (0.5, 'um'), 'X': (0.5, 'um')}
    """
    if not given:
        return info
    axes = [axis for axis in "ZYX" if axis in info.axes]
    if len(given) > len(axes):
        raise ConvError(f"--spacing gives {len(given)} lengths, the image has {', '.join(axes)}", "shape")
    every = [given[0]] * len(axes) if len(given) == 1 else given
    return replace(info, spacing={**info.spacing, **dict(zip(axes[-len(every) :], every, strict=True))})


def plain_unit(unit: str, micro: str = "u") -> str:
    """A unit with the prefix of a millionth written as asked.

    >>> plain_unit("um", micro="µ")
    'µm'
    """
    return micro + "m" if unit == "um" else unit
