"""Kernels as they were given, and what is to be done to them: values, resolved where an image says how long a pixel is.

A named kernel travels as its name, which is short and says all; numbers, arrays and files travel as their taps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import fsum
from typing import NamedTuple

from convcli.errors import KernelError, UsageError
from convcli.kernels import Kernel, is_measured, is_named, parse_kernel, stack_kernels
from convcli.kernels.resampling import CURVES
from convcli.records import record, replace

Spacing = Mapping[str, tuple[float, str]]
"""The distance between samples along each axis, by its letter: (2.0, "um")."""
Steps = tuple[tuple[str, tuple[float, str]], ...]
UNIT = 1e-12
"""A sum this near to 1, or a tap this small beside the others, is the rounding of sums."""
KEPT = 32
"""Kernels that are kept for the next image."""


@record
class ByName:
    """A named kernel, by the text that stands for it: `gaussian:2`, or with lengths in units `gaussian:2um`.

    For signals it is what it does `along_row`s that are all alike: the sums of its columns.
    """

    text: str
    ndim: int
    along_row: bool = False
    bank = False

    @property
    def is_measured(self) -> bool:
        """Whether only the spacing of an image turns it into taps."""
        return is_measured(self.text)

    def on(self, spacing: Spacing, stride: tuple[int, ...] = ()) -> Kernel:
        """The kernel for an image."""
        steps = tuple(sorted(spacing.items())) if self.is_measured else ()
        kernel = parse_named(self.text, self.ndim, steps, stride)
        return of_columns(kernel) if self.along_row else kernel


def of_columns(kernel: Kernel) -> Kernel:
    """What a kernel of two axes does to a picture whose rows are all alike: the sums of its columns, as one row.

    A curve that enlarges is the same curve along a row: its sum is what makes up for the stride.

    >>> of_columns(parse_kernel("laplacian", 2)).values()
    (1.0, -2.0, 1.0)
    >>> of_columns(parse_kernel("bilinear:2", 2)).values()
    (0.25, 0.75, 0.75, 0.25)
    """
    rows, columns = kernel.shape
    if kernel.name.partition(":")[0] in CURVES and len(kernel.terms) == 1:
        taps = list(kernel.terms[0][1])
    elif kernel.terms:
        sums = [fsum(column) for column, _ in kernel.terms]
        sums = [1.0 if abs(total - 1) < UNIT else total for total in sums]
        taps = [fsum(s * row[x] for s, (_, row) in zip(sums, kernel.terms, strict=True)) for x in range(columns)]
    else:
        values = kernel.values()
        taps = [fsum(values[y * columns + x] for y in range(rows)) for x in range(columns)]
    least = UNIT * kernel.absolute_sum()
    taps = [tap if abs(tap) > least else 0.0 for tap in taps]
    if not any(taps) and kernel.absolute_sum():
        raise UsageError(f"{kernel.name} compares rows, and a signal has one", where="-k")
    one = Kernel.from_terms(kernel.name, [([1.0], taps)])
    return replace(one.at_origin((0, kernel.centre[1])), offset=kernel.offset)


@lru_cache(maxsize=KEPT)
def parse_named(text: str, ndim: int, steps: Steps, stride: tuple[int, ...]) -> Kernel:
    """The kernel that a name stands for, kept."""
    return parse_kernel(text, ndim, spacing=dict(steps), stride=stride)


def parse_given(
    text: str, ndim: int, *, stride: tuple[int, ...] = (), stdin: Callable[[], bytes] | None = None
) -> Kernel | ByName:
    """What a text gives: a name, checked and as it is usually written, or taps.

    >>> parse_given("Gaussian:2.0", 2)
    ByName(text='gaussian:2', ndim=2, along_row=False)
    """
    if is_measured(text):
        return ByName(text.strip(), ndim)
    if is_named(text):
        return ByName(parse_named(text, ndim, (), stride).name, ndim)
    return parse_kernel(text, ndim, stdin=stdin, stride=stride)


class Resolved(NamedTuple):
    """The one kernel that an image meets: a bank with a filter for each where several were given, which are `plain`.

    `notes` are what the user should know, `remarks` what lengths in units became.
    """

    kernel: Kernel
    plain: bool
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@record
class Given:
    """One kernel, a bank, or several plain kernels, with what is to be done to each.

    Where `normalize`, each is divided by its sum; `flip` turns each by 180 degrees; `origin` is the tap on the pixel.
    """

    kernels: tuple[Kernel | ByName, ...]
    normalize: bool = False
    flip: bool = False
    origin: tuple[int, ...] | None = None

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.kernels[0].ndim

    @property
    def bank(self) -> bool:
        """Whether a kernel sums over channels."""
        return any(kernel.bank for kernel in self.kernels)

    @property
    def is_measured(self) -> bool:
        """Whether a kernel has lengths in units."""
        return any(isinstance(kernel, ByName) and kernel.is_measured for kernel in self.kernels)

    @property
    def name(self) -> str:
        """The names of all, as they were given."""
        return ", ".join(kernel.text if isinstance(kernel, ByName) else kernel.name for kernel in self.kernels)

    def along_row(self) -> Given:
        """The same kernels for signals; UsageError for numbers in several rows, which are no kernel for one."""
        origin = None if self.origin is None else (0, *self.origin[1:])
        return replace(self, kernels=tuple(map(_along_row, self.kernels)), origin=origin)

    def on(self, spacing: Spacing, stride: tuple[int, ...] = ()) -> Resolved:
        """The kernel for an image; `stride` is for resampling kernels that are named without one."""
        return _resolved(self, tuple(sorted(spacing.items())) if self.is_measured else (), stride)


def _along_row(kernel: Kernel | ByName) -> Kernel | ByName:
    if isinstance(kernel, ByName):
        return replace(kernel, along_row=True)
    if kernel.spatial[0] > 1:
        way = "give a kernel of one row, or --axes YX to filter a picture of one row"
        raise UsageError(f"the kernel has {kernel.spatial[0]} rows, and a signal one dimension; {way}", where="-k")
    return kernel


@lru_cache(maxsize=KEPT)
def _resolved(given: Given, steps: Steps, stride: tuple[int, ...]) -> Resolved:
    spacing = dict(steps)
    found = [each.on(spacing, stride) if isinstance(each, ByName) else each for each in given.kernels]
    pairs = zip(given.kernels, found, strict=True)
    remarks = tuple(
        measured_line(each.text, kernel, spacing)
        for each, kernel in pairs
        if isinstance(each, ByName) and each.is_measured
    )
    placed = [_with_origin(kernel, given.origin) for kernel in found]
    left = [kernel for kernel in placed if given.normalize and kernel.is_zero_sum]
    notes = tuple(f"kernel {kernel.name} sums to 0 and was not normalized" for kernel in left)
    scaled = [kernel.normalized() if given.normalize else kernel for kernel in placed]
    turned = [kernel.flipped() if given.flip else kernel for kernel in scaled]
    if len(turned) > 1 and given.bank:
        raise UsageError("several -k are plain kernels side by side; put a filter bank alone", where="-k")
    kernel = stack_kernels(turned) if len(turned) > 1 else turned[0]
    return Resolved(kernel, not given.bank, notes, remarks)


def _with_origin(kernel: Kernel, origin: Sequence[int] | None) -> Kernel:
    if origin is None:
        return kernel
    try:
        return kernel.at_origin(origin)
    except KernelError as error:
        raise UsageError(error.message, where="--origin") from None


def measured_line(text: str, kernel: Kernel, spacing: Spacing) -> str:
    """A kernel's taps with their lengths.

    >>> spacing = {"Z": (2.0, "um"), "Y": (0.5, "um"), "X": (0.5, "um")}
    >>> measured_line("box:3um", ByName("box:3um", 3).on(spacing), spacing)
    'box:3um is box:1,7,7 here: Z 1 tap of 2 um = 2 um, Y 7 taps of 0.5 um = 3.5 um, X 7 taps of 0.5 um = 3.5 um'
    """
    parts = []
    for letter, taps in zip("ZYX"[-kernel.ndim :], kernel.spatial, strict=True):
        if letter not in spacing:  # a length of 0 needs none
            parts.append(f"{letter} {taps} tap")
            continue
        step, unit = spacing[letter]
        parts.append(f"{letter} {taps} tap{'s' * (taps > 1)} of {step:.6g} {unit} = {taps * step:.6g} {unit}")
    return f"{text} is {kernel.name} here: {', '.join(parts)}"


def closer(spacing: Spacing, strides: Mapping[str, int]) -> dict[str, tuple[float, str]]:
    """The distances between samples when each becomes so many along some axes.

    >>> closer({"X": (2.0, "um")}, {"X": 4})
    {'X': (0.5, 'um')}
    """
    return {letter: (step / strides.get(letter, 1), unit) for letter, (step, unit) in spacing.items()}
