"""Numbers as people type them in a kernel: `-1`, `.3`, `1e-3`, `1/9`. Nothing else is a number."""

from __future__ import annotations

import re

from convcli.errors import KernelError
from convcli.kernels.kernel import LARGEST_TAP

DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
LONGEST_SHOWN = 40  # characters of what is no number, in an error
DASHES = tuple("−–—‐‑")
"""What copied text has for a minus."""
NOT_FINITE = ("nan", "inf", "infinity")
STARTS_LIKE_NUMBERS = re.compile(r"[+-]?(\.?\d|(nan|inf(inity)?)\b)", re.ASCII | re.IGNORECASE)


def is_inline(text: str) -> bool:
    """True for a kernel that begins like a number.

    >>> is_inline("-1 0 1"), is_inline("3x3:1,2"), is_inline("gaussian:2"), is_inline("./3")
    (True, True, False, False)
    """
    return STARTS_LIKE_NUMBERS.match(text) is not None


def read_number(word: str) -> float:
    """A number or a fraction; stricter than float(), which also takes `1_000` and `nan`.

    >>> read_number("1/8"), read_number("-.5e1")
    (0.125, -5.0)
    """
    shown = repr(word if len(word) <= LONGEST_SHOWN else f"{word[:LONGEST_SHOWN]}...")
    if word.lower().removeprefix("-").removeprefix("+") in NOT_FINITE:
        raise KernelError(f"{shown} is not a finite number")
    parts = word.split("/")
    if len(parts) > 2 or not all(map(DECIMAL.fullmatch, parts)):
        dash = "; its minus is a dash: write -" if word[:1] in DASHES else ""
        raise KernelError(f"{shown} is not a number{dash}")
    above, below = float(parts[0]), float(parts[1] if len(parts) > 1 else 1)
    if below == 0:
        raise KernelError(f"{shown} divides by zero")
    if not abs(above) / abs(below) <= LARGEST_TAP:
        raise KernelError(f"{shown} is larger than a float32 number can be")
    return above / below + 0.0  # never -0.0


def number_at(place: str, word: str) -> float:
    """A number, or an error that says where it stands.

    >>> number_at("row 1, value 3", "a")
    Traceback (most recent call last):
    convcli.errors.KernelError: row 1, value 3: 'a' is not a number [kernel]
    """
    if not word.strip():
        raise KernelError(f"{place} is empty")
    try:
        return read_number(word)
    except KernelError as error:
        raise KernelError(f"{place}: {error.message}") from None


def number_text(value: float) -> str:
    """The shortest text that `read_number` turns back into exactly this number.

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
