"""The parameters of named kernels: `2`, `1,2,2` in axis order, `2um`, `x`.

A kernel function annotates each parameter with a type from the end of this module. The annotation carries how the
words are read and what they must satisfy, so that the function receives plain, checked values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from math import isfinite
from string import ascii_lowercase
from typing import Annotated, Any, TypeVar

from convcli.errors import KernelError
from convcli.kernels.kernel import LARGEST_TAP
from convcli.numerals import is_decimal, number_text
from convcli.records import record

T = TypeVar("T")

MOST_TAPS = 4095  # along an axis: wider than any image filter, and a slip like gaussian:1e9 is refused
METRES = {"pm": 1e-12, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}
MICROMETRE = ("µm", "μm")  # with U+00B5, the micro sign, and U+03BC, the Greek letter
UNIT_NAMES = {"micron": "um", "micrometer": "um", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}
UNIT_NAMES |= {"meter": "m", "inch": "in", **dict.fromkeys(MICROMETRE, "um")}
LETTERS = f"{ascii_lowercase}µμ"
LONGEST_SHOWN = 40  # characters of what is no number, in an error
DASHES = tuple("−–—‐‑")
"""What copied text has for a minus."""
NOT_FINITE = ("nan", "inf", "infinity")
SMALLEST, LARGEST = 1e-9, 1e9  # what a size can be; anything computed from such numbers stays finite


def read_number(word: str) -> float:
    """A number or a fraction; stricter than float(), which also takes `1_000` and `nan`.

    >>> read_number("1/8"), read_number("-.5e1")
    (0.125, -5.0)
    """
    shown = repr(word if len(word) <= LONGEST_SHOWN else f"{word[:LONGEST_SHOWN]}...")
    if word.lower().removeprefix("-").removeprefix("+") in NOT_FINITE:
        raise KernelError(f"{shown} is not a finite number")
    parts = word.split("/")
    if len(parts) > 2 or not all(map(is_decimal, parts)):
        dash = "; its minus is a dash: write -" if word[:1] in DASHES else ""
        raise KernelError(f"{shown} is not a number{dash}")
    above, below = float(parts[0]), float(parts[1] if len(parts) > 1 else 1)
    if below == 0:
        raise KernelError(f"{shown} divides by zero")
    if not abs(above) / abs(below) <= LARGEST_TAP:
        raise KernelError(f"{shown} is larger than a float32 number can be")
    return above / below + 0.0  # never -0.0


@record
class Space:
    """The spatial axes, and the distance between samples along each of them, (distance, unit), where it is known."""

    ndim: int
    spacing: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def axes(self) -> str:
        """Letters of the spatial axes: "YX" or "ZYX"."""
        return "ZYX"[-self.ndim :]

    def samples(self, length: float, unit: str, axis: str) -> float:
        """A length along an axis, in samples.

        >>> Space(2, {"Y": (0.5, "um"), "X": (250, "nm")}).samples(2, "um", "X")
        8.0
        """
        distance, own_unit = self.spacing.get(axis, (0.0, ""))
        step = distance * metres(own_unit)
        if not (isfinite(step) and step > 0):
            raise KernelError(
                f"is in {unit}, but the image does not say how far apart samples are along {axis}; use px or --spacing"
            )
        samples = length * metres(unit) / step
        return float(f"{samples:.12g}")  # 0.3 um at 0.1 um are 3 samples, not 2.9999999999999996


@record
class Reader:
    """How the words of a parameter become its value: one value, or one for each axis."""

    convert: Callable[[str, str, Space], Any]
    per_axis: bool = False

    def read(self, words: Sequence[str], space: Space) -> Any:
        """The value that `words` stand for; on all axes the same where there is one word for all."""
        if not self.per_axis:
            if len(words) != 1:
                raise KernelError(f"takes one value, not {len(words)}")
            return self.convert(words[0], "", space)
        if len(words) not in (1, space.ndim):
            raise KernelError(f"takes 1 value or {space.ndim} ({','.join(space.axes.lower())}), not {len(words)}")
        pairs = zip(on_axes(with_units(words), space.ndim), space.axes, strict=True)
        values = tuple(self.convert(word, axis, space) for word, axis in pairs)
        return values[:1] if len(set(values)) == 1 else values


def value_text(value: Any) -> str:
    """A value as its reader reads it.

    >>> value_text((1.0, 2.5)), value_text("x")
    ('1,2.5', 'x')
    """
    if isinstance(value, tuple):
        return ",".join(map(value_text, value))
    return value if isinstance(value, str) else number_text(float(value))


def on_axes(values: Sequence[T], ndim: int) -> Sequence[T]:
    """One value for each axis.

    >>> on_axes((2,), 3), on_axes((1, 2), 2)
    ((2, 2, 2), (1, 2))
    """
    return tuple(values) * ndim if len(values) == 1 else tuple(values)


def metres(unit: str) -> float:
    """A unit of length in metres; 0 for what is none.

    >>> metres("mm"), metres("pixel")
    (0.001, 0.0)
    """
    return METRES.get(UNIT_NAMES.get(unit, unit), 0.0)


def parted(word: str) -> tuple[str, str] | None:
    """The number and the unit of a length; None for what ends in no unit.

    >>> parted("2 um"), parted("2e3")
    (('2', 'um'), None)
    """
    bare = word.rstrip(LETTERS)
    number, unit = bare.rstrip(), word[len(bare) :]
    return (number, unit) if unit and (number.endswith(".") or number[-1:].isdecimal()) else None


def has_unit(word: str) -> bool:
    """True for a length in a unit other than samples.

    >>> has_unit("2um"), has_unit("2px"), has_unit("2e3")
    (True, False, False)
    """
    match = parted(word)
    return match is not None and metres(match[1]) > 0


def read_spacing(text: str, axes: str) -> dict[str, tuple[float, str]]:
    """The distance between samples along each axis, from one length for all or one for each.

    >>> read_spacing("2um,500nm,500nm", "ZYX")["Z"]
    (2.0, 'um')
    """
    known = read_lengths(text)
    if len(known) not in (1, len(axes)):
        raise KernelError(f"takes 1 length or {len(axes)} ({','.join(axes.lower())}), not {len(known)}")
    return dict(zip(axes, on_axes(known, len(axes)), strict=True))


def read_lengths(text: str) -> list[tuple[float, str]]:
    """Lengths with their units; that of the last one is the unit of all that have none.

    >>> read_lengths("2,0.2,0.2um"), read_lengths("1mm,500um")
    ([(2.0, 'um'), (0.2, 'um'), (0.2, 'um')], [(1.0, 'mm'), (500.0, 'um')])
    """
    words = [word.strip() for word in text.split(",")]
    matches = [parted(word) if has_unit(word) else None for word in with_units(words)]
    known = [(positive(match[0]), UNIT_NAMES.get(match[1], match[1])) for match in matches if match]
    if len(known) < len(words):
        raise KernelError(f"{text!r} is no length in a unit, such as 0.5um or 2,0.5,0.5um")
    return known


def with_units(words: Sequence[str]) -> list[str]:
    """Lengths with the unit of the last one behind those that have none.

    >>> with_units(["8", "6px", "4mm"]), with_units(["8mm", "6"])
    (['8mm', '6px', '4mm'], ['8mm', '6'])
    """
    last = parted(words[-1]) if has_unit(words[-1]) else None
    return [word if last is None or word[-1:].isalpha() else word + last[1] for word in words]


def real(word: str, _axis: str = "", _space: Space | None = None) -> float:
    """Any finite number."""
    return read_number(word)


def positive(word: str, _axis: str = "", _space: Space | None = None) -> float:
    """A number above zero."""
    return sensible(read_number(word), word)


def sensible(value: float, word: str) -> float:
    """A value above zero, of a size that makes sense."""
    if value <= 0:
        raise KernelError(f"must be greater than 0, not {word}")
    if not SMALLEST <= value <= LARGEST:
        raise KernelError(f"must be between {SMALLEST:g} and {LARGEST:g}, not {word}")
    return value


def length(word: str, axis: str, space: Space) -> float:
    """A length above zero, in samples; with a unit it is divided by the distance between samples.

    >>> length("2", "X", Space(2)), length("2um", "X", Space(2, {"X": (0.5, "um")}))
    (2.0, 4.0)
    """
    match = parted(word)
    if match is None or match[1] == "px":
        return positive(match[0] if match else word)
    if not metres(match[1]):
        raise KernelError(f"{word!r} has an unknown unit {match[1]!r}; use px, {', '.join(METRES)}")
    return sensible(space.samples(positive(match[0]), match[1], axis), f"{word} along {axis}")


def spread(word: str, axis: str, space: Space) -> float:
    """A length, in samples, or 0.

    >>> spread("0mm", "X", Space(2)), spread("1.5", "X", Space(2))
    (0.0, 1.5)
    """
    number, _ = parted(word) or (word, "")
    return 0.0 if is_decimal(number) and float(number) == 0 else length(word, axis, space)


def count(word: str, _axis: str = "", _space: Space | None = None) -> int:
    """A number of taps, or a stride."""
    value = read_number(word)
    if not (value.is_integer() and 1 <= value <= MOST_TAPS):
        raise KernelError(f"must be a whole number from 1 to {MOST_TAPS}, not {word}")
    return int(value)


def taps(word: str, axis: str, space: Space) -> int:
    """A number of taps; a length with a unit becomes the nearest odd number of them.

    >>> taps("4", "X", Space(2)), taps("2um", "X", Space(2, {"X": (0.5, "um")}))
    (4, 5)
    """
    match = parted(word)
    if match is None:
        return count(word)
    samples = length(word, axis, space)
    return count(match[0]) if match[1] == "px" else count(str(samples // 2 * 2 + 1))


def order(word: str, _axis: str = "", _space: Space | None = None) -> int:
    """A derivative: none, the first or the second."""
    if word not in ("0", "1", "2"):
        raise KernelError(f"must be 0, 1 or 2, not {word}")
    return int(word)


def direction(word: str, _axis: str, space: Space) -> str:
    """The letter of an axis."""
    if word not in tuple(space.axes.lower()):
        hint = "; z needs conv3d" if word == "z" else ""
        raise KernelError(f"must be {' or '.join(reversed(space.axes.lower()))}, not {word!r}{hint}")
    return word


def text(word: str, _axis: str = "", _space: Space | None = None) -> str:
    """A word that the kernel function checks itself."""
    return word


Lengths = Annotated[tuple[float, ...], Reader(length, per_axis=True)]
Spreads = Annotated[tuple[float, ...], Reader(spread, per_axis=True)]
Sizes = Annotated[tuple[int, ...], Reader(taps, per_axis=True)]
Strides = Annotated[tuple[int, ...], Reader(count, per_axis=True)]
Orders = Annotated[tuple[int, ...], Reader(order, per_axis=True)]
Positive = Annotated[float, Reader(positive)]
Real = Annotated[float, Reader(real)]
Count = Annotated[int, Reader(count)]
Direction = Annotated[str, Reader(direction)]
Word = Annotated[str, Reader(text)]
