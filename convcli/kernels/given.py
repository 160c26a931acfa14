"""Kernels as they were given, and what is to be done to them: values, resolved where an image says how long a pixel is.

A named kernel travels as its name, which is short and says all; numbers, arrays and files travel as their taps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from convcli.errors import KernelError, UsageError
from convcli.kernels import Kernel, is_measured, is_named, parse_kernel, stack_kernels
from convcli.records import record

Spacing = Mapping[str, tuple[float, str]]
"""The distance between samples along each axis, by its letter: (2.0, "um")."""
Steps = tuple[tuple[str, tuple[float, str]], ...]
KEPT = 32
"""Kernels that are kept for the next image."""


@record
class ByName:
    """A named kernel, by the text that stands for it: `gaussian:2`, or with lengths in units `gaussian:2um`."""

    text: str
    ndim: int
    bank = False

    @property
    def is_measured(self) -> bool:
        """Whether only the spacing of an image turns it into taps."""
        return is_measured(self.text)

    def on(self, spacing: Spacing, stride: tuple[int, ...] = ()) -> Kernel:
        """The kernel for an image."""
        return parse_named(self.text, self.ndim, tuple(sorted(spacing.items())) if self.is_measured else (), stride)


@lru_cache(maxsize=KEPT)
def parse_named(text: str, ndim: int, steps: Steps, stride: tuple[int, ...]) -> Kernel:
    """The kernel that a name stands for, kept."""
    return parse_kernel(text, ndim, spacing=dict(steps), stride=stride)


def parse_given(
    text: str, ndim: int, *, stride: tuple[int, ...] = (), stdin: Callable[[], bytes] | None = None
) -> Kernel | ByName:
    """What a text gives: a name, checked and as it is usually written, or taps.

    >>> parse_given("Gaussian:2.0", 2), parse_given("gaussian:2um", 2)
    (ByName(text='gaussian:2', ndim=2), ByName(text='gaussian:2um', ndim=2))
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

    def on(self, spacing: Spacing, stride: tuple[int, ...] = ()) -> Resolved:
        """The kernel for an image; `stride` is for resampling kernels that are named without one."""
        return _resolved(self, tuple(sorted(spacing.items())) if self.is_measured else (), stride)


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
