"""From the options of `separable` to its operation: two steps as given, or those that a dense bank is factored into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from convcli.errors import ConvError, KernelError, UsageError
from convcli.filters.borders import default_border, parse_border, parse_padding
from convcli.kernels import KEYED, Kernel, parse_kernel
from convcli.kernels.given import Given
from convcli.numerals import whole
from convcli.operations.pair import Pair
from convcli.records import replace
from convcli.requests.options import DilatedOptions, NumberOptions
from convcli.requests.particular import PairOptions
from convcli.requests.run import build_kernel, build_numbers, parse_spatial
from convcli.runs.names import check_target
from convcli.streams import STREAM, read_input

if TYPE_CHECKING:
    from convcli.kernels.factoring import Rank

STEPS = ("depthwise", "pointwise")
"""The arrays of a file of factors."""
ARRAYS = (".npy", *KEYED)


def build_separable(
    options: PairOptions, placement: DilatedOptions, numbers: NumberOptions, tolerance: float
) -> tuple[Pair, str]:
    """The pair that the options ask for, and the kernel's name."""
    given = bool(options.depthwise or options.pointwise)
    if given == bool(options.kernel):
        raise UsageError("give --depthwise and --pointwise, or -k with a dense bank to factor")
    if options.kernel:
        return factor_bank(options, placement, numbers, tolerance)
    if options.save_factors or options.rank.lower() != "auto":
        raise UsageError("--rank and --save-factors belong to a dense bank: give -k")
    return pair_up(options, placement, numbers)


def pair_up(options: PairOptions, placement: DilatedOptions, numbers: NumberOptions) -> tuple[Pair, str]:
    """Both steps as given; how many channels they are for, the image says."""
    given, pointwise = options.depthwise or [], options.pointwise
    depthwise = [keyed(text, STEPS[0]) for text in given]
    if depthwise and not pointwise and depthwise != given:  # one file holds both steps
        pointwise = given[0]
    if not (depthwise and pointwise):
        raise UsageError("a pair has two steps: give --depthwise and --pointwise; a single step is what conv2d does")
    ndim = axes_of(depthwise, three=options.three)
    matrix = read_matrix(keyed(pointwise, STEPS[1]), ndim)
    kernel = build_kernel(ndim, depthwise, options)
    name = kernel.name if kernel.is_measured else kernel.on({}).kernel.name
    return place(Pair(kernel, matrix, options.multiplier), placement, numbers), name


def factor_bank(
    options: PairOptions, placement: DilatedOptions, numbers: NumberOptions, tolerance: float
) -> tuple[Pair, str]:
    """The best pair for a dense bank."""
    from convcli.kernels.factoring import factored, ranks, smallest

    if options.multiplier:
        raise UsageError("--multiplier belongs to --depthwise; for a bank it is the --rank")
    texts = options.kernel or []
    bank, plain, _, _ = build_kernel(axes_of(texts, three=options.three), texts, options).on({})
    if plain and not bank.bank:
        raise KernelError(
            f"{bank.name} is one plain kernel; a bank (O, C, ...) or several -k can be factored", where="-k"
        )
    found = ranks(bank)
    rank = smallest(found, tolerance) if options.rank.lower() == "auto" else parse_rank(options.rank)
    pair = factored(bank, rank)
    # What was turned with the bank is turned back, so that --flip turns it again, and is told of.
    depthwise = Given((pair.depthwise.flipped() if options.flip else pair.depthwise,), flip=options.flip)
    asked = Pair(depthwise, pair.pointwise, channels=pair.channels, ranks=tuple(listed(found, rank)))
    return place(asked, placement, numbers), bank.name


def listed(found: Sequence[Rank], rank: int) -> Sequence[Rank]:
    """The ranks to list; one that was asked for beyond the last, which loses nothing, is listed too."""
    last = found[-1]
    more = [replace(last, rank=rank, macs=last.macs // last.rank * rank)] if rank > last.rank else []
    return [*found, *more]


def parse_rank(text: str) -> int:
    """A whole number from 1 on."""
    try:
        rank = whole(text)
    except ValueError:
        rank = 0
    if rank < 1:
        raise UsageError(f"{text!r} is not a rank: a whole number from 1, or auto", where="--rank")
    return rank


def place(pair: Pair, placement: DilatedOptions, numbers: NumberOptions) -> Pair:
    """The pair with where it goes, and how samples are computed with."""
    ndim = pair.depthwise.ndim
    padding = parse_padding(placement.padding, ndim)
    return replace(
        pair,
        stride=parse_spatial(placement.stride, ndim, "--stride"),
        dilation=parse_spatial(placement.dilation, ndim, "--dilation"),
        padding=padding,
        borders=parse_border(placement.border or default_border(padding), "ZYX"[-ndim:]),
        numbers=build_numbers(numbers, numbers.scale),
    )


def read_matrix(text: str, ndim: int) -> Kernel:
    """The pointwise matrix; an array (O, C m) or (O, C m, 1, 1) serves images of two and of three axes."""
    try:
        return parse_kernel(text, 2, stdin=read_input)
    except KernelError:
        if ndim == 2 or not is_array(text):
            raise
        return parse_kernel(text, ndim)


def axes_of(texts: Sequence[str], *, three: bool) -> int:
    """Spatial axes: three where that is asked for, or where a kernel has slices."""
    return 3 if three or any(map(is_deep, texts)) else 2


def is_deep(text: str) -> bool:
    """True for numbers with slices, and for arrays that are kernels of three axes only."""
    if not is_array(text):
        return "|" in text
    try:
        parse_kernel(text, 2)
    except KernelError:
        return True
    except ConvError:
        return False  # reading it for good will tell what is wrong
    return False


def is_array(text: str) -> bool:
    """True for the name of a file of arrays."""
    name = text.lower()
    return name.endswith(ARRAYS) or any(f"{ending}:" in name for ending in KEYED)


def keyed(text: str, key: str) -> str:
    """A file of factors with the step that is wanted: `pair.npz` as `pair.npz:depthwise`; else the text as it is."""
    try:
        names = ZipFile(text).namelist() if text.lower().endswith(".npz") else []
    except (OSError, BadZipFile):
        return text
    return f"{text}:{key}" if f"{key}.npy" in names else text


def check_factors(path: str, *, force: bool) -> None:
    """Refuse, before a bank is factored, a file that cannot hold its factors, or cannot be written."""
    if Path(path).suffix.lower() != ".npz":
        raise UsageError(f"{path!r} does not end in .npz, the format that holds both steps", where="--save-factors")
    check_target(STREAM, path, frozenset(), force=force)


def save_factors(path: str, pair: Pair, *, force: bool) -> None:
    """Both steps as an archive of two arrays, `depthwise` (C R, 1, ...) and `pointwise` (O, C R)."""
    from convcli.formats.atomic import atomic_output, output_place
    from convcli.kernels.saving import pair_npz

    with atomic_output(output_place(path), force=force) as stream:
        stream.write(pair_npz(pair.factors))
