"""Numbers as people type and read them.

What is typed has ASCII digits, a point, an exponent. Python's int() and float() take more: `1_0`, fullwidth digits,
`nan` are no numbers here. Blanks around one do not matter. What is none is a ValueError, whose message completes "'2x'
is ...".
"""

from __future__ import annotations

import re
from math import isinf

BLANKS = " \t"
WHOLE = r"[+-]?[0-9]+"
DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""Patterns, compiled on first use: that takes as long as a small answer. Each matches in one way, so in linear time."""
UNKNOWN = ("nan", "inf", "-inf")
"""What is no number, and yet may be a sample's value."""
MOST = 2**31 - 1
"""The largest number of pixels that one is apart from another, or of threads: no image is as large."""
LONGEST = 100  # digits: int() takes long for thousands of them


def whole(text: str) -> int:
    """A whole number.

    >>> whole("12"), whole(" -3")
    (12, -3)
    """
    word = text.strip(BLANKS)
    if not is_whole(word):
        raise ValueError("not a whole number")
    if len(word) > LONGEST:
        raise ValueError("too large")
    return int(word)


def decimal(text: str) -> float:
    """A finite number.

    >>> decimal("-.5"), decimal("1e-3")
    (-0.5, 0.001)
    """
    word = text.strip(BLANKS)
    if not is_decimal(word):
        raise ValueError("not a number")
    value = float(word)
    if isinf(value):
        raise ValueError("too large for a number")
    return value


def is_whole(word: str) -> bool:
    """True for a whole number."""
    return re.fullmatch(WHOLE, word) is not None


def is_decimal(word: str) -> bool:
    """True for a number."""
    return re.fullmatch(DECIMAL, word) is not None


def is_number(text: str) -> bool:
    """True for a number, or several with commas between them.

    >>> is_number("2,1"), is_number("2.png")
    (True, False)
    """
    return all(is_decimal(part.strip(BLANKS)) for part in text.split(","))


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.00123), seconds(2.5)
    ('1.23 ms', '2.5 s')
    """
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def size(count: float) -> str:
    """Bytes.

    >>> size(1.5e12), size(2e6), size(34_000)
    ('1.5 TB', '2 MB', '0.034 MB')
    """
    unit, name = next(((unit, name) for unit, name in ((1e12, "TB"), (1e9, "GB")) if count >= unit), (1e6, "MB"))
    return f"{count / unit:.3g} {name}"


def amount(count: float) -> str:
    """A number of things, in three digits and a prefix.

    >>> amount(118_013_952), amount(9_472), amount(64), amount(0), amount(999_999)
    ('118 M', '9.47 k', '64', '0', '1 M')
    """
    prefixes = ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
    unit, prefix = next(((unit, name) for unit, name in prefixes if count >= 0.9995 * unit), (1, ""))
    return f"{float(f'{count / unit:.3g}'):g}{prefix}"


def share_of(part: int, whole: int) -> str:
    """A share in per cent, never rounded to nothing.

    >>> share_of(19, 1000), share_of(7, 7), share_of(1, 10**6)
    ('1.9 %', '100 %', 'less than 0.001 %')
    """
    percent = 100 * part / whole
    return f"{percent:.3g} %" if percent >= 0.001 else "less than 0.001 %"


def number_text(value: float) -> str:
    """The shortest text of a number or a fraction that is exactly this number.

    >>> [number_text(v) for v in (3.0, 0.1, 1 / 9, -0.06640625)]
    ['3', '0.1', '1/9', '-17/256']
    """
    text = decimal_text(value)
    if len(text) <= len("1/9999"):
        return text
    fraction = fraction_text(value)
    return fraction if fraction and len(fraction) < len(text) else text


def decimal_text(value: float) -> str:
    """The shortest decimal that float() turns back into exactly this number.

    >>> decimal_text(3.0), decimal_text(1e-7)
    ('3', '1e-07')
    """
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def fraction_text(value: float) -> str:
    """A fraction with a small denominator that is exactly this float when divided; "" where there is none."""
    from fractions import Fraction

    fraction = Fraction(value).limit_denominator(9999)
    above, below = fraction.numerator, fraction.denominator
    return f"{above}/{below}" if float(above) / below == value else ""


def per_axis(text: str) -> list[str]:
    """The words for each axis: commas between them, or x, as sizes are printed.

    >>> per_axis("2,1"), per_axis("200x300")
    (['2', '1'], ['200', '300'])
    """
    return text.replace("x", ",").replace("×", ",").split(",")


def counted(number: int, what: str) -> str:
    """
    >>> counted(1, "filter"), counted(1024, "filter")
    ('1 filter', '1,024 filters')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
