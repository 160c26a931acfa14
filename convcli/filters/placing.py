"""How a user says where kernels go: numbers per axis and paddings, as text. Borders have `convcli.filters.borders`."""

from __future__ import annotations

from convcli.errors import KernelError, UsageError
from convcli.filters.borders import ALIASES, BORDERS
from convcli.kernels.parameters import read_lengths
from convcli.numerals import whole

MOST = 2**31 - 1
"""The largest number of pixels that one is apart from another, or threads: no image is as large."""
PADDINGS = ("same", "tf-same", "valid", "full")
PADDINGS_ELSEWHERE = {
    "same_upper": "tf-same",
    "same-upper": "tf-same",
    "tf": "tf-same",
    "tensorflow": "tf-same",
    "half": "same",
    "auto": "same",
    "none": "valid",
    "no": "valid",
    "causal": "numbers, such as 0,2:0 for three columns",
}
"""What is meant by the paddings of other tools."""
OUTSIDE = {*BORDERS, *ALIASES} - {"constant"}
"""What frameworks call a padding, too, and is a border here."""


def per_axis(text: str) -> list[str]:
    """The words for each axis: commas between them, or x, as sizes are printed.

    >>> per_axis("2,1"), per_axis("200x300")
    (['2', '1'], ['200', '300'])
    """
    return text.replace("x", ",").replace("×", ",").split(",")


def parse_spatial(text: str, ndim: int, option: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for all axes, or one per axis: "2" or "1,2", also "1x2", as sizes are printed.

    >>> parse_spatial("2", 2, "--stride"), parse_spatial("1,2,2", 3, "--stride")
    ((2, 2), (1, 2, 2))
    """
    try:
        numbers = [whole(part) for part in per_axis(text)]
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number, or {ndim} of them with commas", where=option) from None
    if len(numbers) not in (1, ndim):
        raise UsageError(f"{text!r} has {len(numbers)} numbers; give 1 or {ndim}", where=option)
    if min(numbers) < least:
        raise UsageError(f"{min(numbers)} is too small; it must be at least {least}", where=option)
    if max(numbers) > MOST:
        raise UsageError(f"{max(numbers)} is too large; it must be at most {MOST}", where=option)
    return tuple(numbers * ndim if len(numbers) == 1 else numbers)


def parse_padding(text: str, ndim: int) -> str | tuple[tuple[int, int], ...]:
    """same, tf-same, valid, full; or numbers: "1", "1,2" per axis, "0:1,0:1" begin:end per axis.

    >>> parse_padding("1,0:2", 2), parse_padding("full", 2)
    (((1, 1), (0, 2)), 'full')
    """
    if (rule := text.strip().lower()) in PADDINGS:
        return rule
    pairs = []
    for part in per_axis(text):
        begin, colon, end = part.partition(":")
        try:
            pair = whole(begin), whole(end if colon else begin)
        except ValueError:
            pair = -1, -1
        if min(pair) < 0:
            meant = f"--border {rule}" if rule in OUTSIDE else PADDINGS_ELSEWHERE.get(rule, "")
            way = f"; did you mean {meant}?" if meant else ", or numbers like 1 or 1,2 or 0:1,0:1"
            raise UsageError(f"{text!r} is not {', '.join(PADDINGS)}{way}", where="--padding")
        pairs.append(pair)
    if len(pairs) not in (1, ndim):
        raise UsageError(f"{text!r} has {len(pairs)} entries; give 1 or {ndim}", where="--padding")
    return tuple(pairs * ndim if len(pairs) == 1 else pairs)


def default_border(padding: str | tuple[tuple[int, int], ...]) -> str:
    """What lies outside, where nobody says: the edge; zeros where pixels are padded by numbers, as in PyTorch.

    >>> default_border("same"), default_border(((1, 1), (1, 1)))
    ('edge', 'zero')
    """
    return "edge" if isinstance(padding, str) else "zero"


def parse_spacing(text: str) -> tuple[tuple[float, str], ...]:
    """How far apart samples are: one length, or those along Y and X, or Z, Y and X.

    >>> parse_spacing("2,0.2,0.2um")
    ((2.0, 'um'), (0.2, 'um'), (0.2, 'um'))
    """
    if not text:
        return ()
    try:
        lengths = read_lengths(text)
    except KernelError as error:
        raise UsageError(error.message, where="--spacing") from None
    if len(lengths) > len("ZYX"):
        raise UsageError(f"{text!r} has {len(lengths)} lengths; give 1, 2 (Y,X) or 3 (Z,Y,X)", where="--spacing")
    return tuple(lengths)
