"""The types that samples may have: one row each. Limits, widths and kinds are asked here, not spelt out of a name."""

from __future__ import annotations

import struct
import sys
from typing import Literal

from convcli.records import record

Kind = Literal["unsigned", "signed", "float"]
CODES = {16: "<e", 32: "<f", 64: "<d"}
"""How `struct` calls floats of so many bits."""


@record
class SampleType:
    """A type of samples, by NumPy's name: `bits` wide, from `least` to `most`.

    `whole` is the magnitude up to which it holds every whole number (that is not negative, if unsigned).
    """

    name: str
    kind: Kind
    bits: int
    least: float
    most: float
    whole: int

    @property
    def size(self) -> int:
        """Bytes of a sample."""
        return self.bits // 8

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers alone."""
        return self.kind != "float"

    @property
    def is_long(self) -> bool:
        """Whether it holds whole numbers that float64 does not."""
        return self.whole > 2**53

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(-self.least, self.most)


SAMPLES = {
    row.name: row
    for row in (
        SampleType("uint8", "unsigned", 8, 0, 2**8 - 1, 2**8 - 1),
        SampleType("uint16", "unsigned", 16, 0, 2**16 - 1, 2**16 - 1),
        SampleType("uint32", "unsigned", 32, 0, 2**32 - 1, 2**32 - 1),
        SampleType("uint64", "unsigned", 64, 0, 2**64 - 1, 2**64 - 1),
        SampleType("int8", "signed", 8, -(2**7), 2**7 - 1, 2**7 - 1),
        SampleType("int16", "signed", 16, -(2**15), 2**15 - 1, 2**15 - 1),
        SampleType("int32", "signed", 32, -(2**31), 2**31 - 1, 2**31 - 1),
        SampleType("int64", "signed", 64, -(2**63), 2**63 - 1, 2**63 - 1),
        SampleType("float16", "float", 16, -65504.0, 65504.0, 2**11),
        SampleType("float32", "float", 32, -(2.0 - 2.0**-23) * 2.0**127, (2.0 - 2.0**-23) * 2.0**127, 2**24),
        SampleType("float64", "float", 64, -sys.float_info.max, sys.float_info.max, 2**53),
    )
}
"""The narrowest first, unsigned before signed before floating: the order in which they are named to users."""

NAMES_ELSEWHERE = {
    **{bits: f"uint{bits} (or float{bits})" for bits in ("16", "32", "64")},
    **dict.fromkeys(("8", "8bit", "u1", "ubyte", "uchar", "byte", "cv_8u"), "uint8"),
    **dict.fromkeys(("u2", "u16", "ushort", "cv_16u", "16bit"), "uint16"),
    **dict.fromkeys(("u4", "u32", "uint"), "uint32"),
    **dict.fromkeys(("i1", "char", "sbyte", "cv_8s"), "int8"),
    **dict.fromkeys(("i2", "i16", "short", "cv_16s"), "int16"),
    **dict.fromkeys(("i4", "i32", "int", "integer", "cv_32s"), "int32"),
    **dict.fromkeys(("i64", "long"), "int64"),
    **dict.fromkeys(("f2", "f16", "half", "fp16"), "float16"),
    **dict.fromkeys(("f4", "f32", "single", "fp32", "float", "cv_32f"), "float32"),
    **dict.fromkeys(("f8", "f64", "double", "fp64", "cv_64f"), "float64"),
    "u8": "uint8 (8 bits) or uint64 (8 bytes)",
    "i8": "int8 (8 bits) or int64 (8 bytes)",
    "bool": "uint8",
}
"""What languages and libraries call sample types; u8 is one thing to Rust and another to NumPy."""


def as_sample(value: float | None, dtype: str) -> float | None:
    """A number as samples of a type hold it; None where none of them can be it, and for NaN, which equals nothing.

    >>> as_sample(-9999, "int16"), as_sample(-9999, "uint8"), as_sample(-3.4028235e38, "float32")
    (-9999, None, -3.4028234663852886e+38)
    >>> as_sample(10**9, "float16") is None
    True
    """
    if value is None or value != value:  # noqa: PLR0124 -- NaN, without an import
        return None
    held = SAMPLES[dtype]
    if held.is_integer:
        return int(value) if held.least <= value <= held.most and value == int(value) else None
    try:
        return float(struct.unpack(CODES[held.bits], struct.pack(CODES[held.bits], float(value)))[0])
    except OverflowError:
        return None
