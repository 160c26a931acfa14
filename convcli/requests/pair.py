"""From the options of `separable` to its operation: two steps as given, or those that a dense bank is factored into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from convcli.errors import ConvError, KernelError, UsageError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Filter, parse_padding, parse_spatial
from convcli.image import ImageInfo
from convcli.kernels import Kernel, is_measured, parse_kernel
from convcli.kernels.pairs import Pair, pair_of
from convcli.numerals import whole
from convcli.operations.pair import DepthwiseSeparable
from convcli.records import replace
from convcli.requests.options import DilatedOptions, KernelOptions, NumberOptions
from convcli.requests.particular import PairOptions
from convcli.requests.run import build_kernel, build_numbers, measured
from convcli.runs.names import check_target
from convcli.streams import STREAM, read_input

if TYPE_CHECKING:
    from convcli.kernels.factoring import Rank

STEPS = ("depthwise", "pointwise")
"""The arrays of a file of factors."""
ARRAYS = (".npy", ".npz")
Built = tuple[DepthwiseSeparable, str, tuple[str, ...]]


def build_separable(options: PairOptions, placement: DilatedOptions, numbers: NumberOptions, tolerance: float) -> Built:
    """The operation, the kernel's name, and notes."""
    given = bool(options.depthwise or options.pointwise)
    if given == bool(options.kernel):
        raise UsageError("give --depthwise and --pointwise, or -k with a dense bank to factor")
    if options.kernel:
        return factor_bank(options, placement, numbers, tolerance)
    if options.save_factors or options.rank.lower() != "auto":
        raise UsageError("--rank and --save-factors belong to a dense bank: give -k")
    return pair_up(options, placement, numbers)


def pair_up(options: PairOptions, placement: DilatedOptions, numbers: NumberOptions) -> Built:
    """Both steps as given; how many channels they are for, the image says."""
    given, pointwise = options.depthwise or [], options.pointwise
    depthwise = [keyed(text, STEPS[0]) for text in given]
    if depthwise and not pointwise and depthwise != given:  # one file holds both steps
        pointwise = given[0]
    if not (depthwise and pointwise):
        raise UsageError("a pair has two steps: give --depthwise and --pointwise; a single step is what conv2d does")
    ndim = axes_of(depthwise, three=options.three)
    matrix = read_matrix(keyed(pointwise, STEPS[1]), ndim)

    def built(kernel: Kernel, channels: int) -> Filter:
        pair = pair_of(kernel, matrix, channels, options.multiplier)
        return place(pair, ndim, options, placement, numbers)

    if any(map(is_measured, depthwise)):

        def build(info: ImageInfo) -> Filter:
            kernel, _, notes = build_kernel(ndim, steps(depthwise, options), info.steps)
            remarks = measured(depthwise, ndim, info.steps)
            return replace(built(kernel, channels_of(info, matrix)), warnings=notes, remarks=remarks)

        return DepthwiseSeparable(build), ", ".join(depthwise), ()
    kernel, _, notes = build_kernel(ndim, steps(depthwise, options))
    return DepthwiseSeparable(lambda info: built(kernel, channels_of(info, matrix))), kernel.name, notes


def factor_bank(options: PairOptions, placement: DilatedOptions, numbers: NumberOptions, tolerance: float) -> Built:
    """The best pair for a dense bank."""
    from convcli.kernels.factoring import factored, ranks, smallest

    if options.multiplier:
        raise UsageError("--multiplier belongs to --depthwise; for a bank it is the --rank")
    texts = options.kernel or []
    ndim = axes_of(texts, three=options.three)
    bank, each, notes = build_kernel(ndim, steps(texts, options))
    if each and not bank.bank:
        raise KernelError(
            f"{bank.name} is one plain kernel; a bank (O, C, ...) or several -k can be factored", where="-k"
        )
    found = ranks(bank)
    rank = smallest(found, tolerance) if options.rank.lower() == "auto" else parse_rank(options.rank)
    pair = factored(bank, rank)
    filter_ = place(pair, ndim, options, placement, numbers)
    return DepthwiseSeparable(lambda _: filter_, tuple(listed(found, rank)), pair), bank.name, notes


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


def place(pair: Pair, ndim: int, options: PairOptions, placement: DilatedOptions, numbers: NumberOptions) -> Filter:
    """A pair as a filter."""
    padding = parse_padding(placement.padding, ndim)
    border = placement.border or ("edge" if isinstance(padding, str) else "zero")
    return Filter(
        pair.product,
        each=False,
        flip=options.flip,
        stride=parse_spatial(placement.stride, ndim, "--stride"),
        dilation=parse_spatial(placement.dilation, ndim, "--dilation"),
        padding=padding,
        borders=parse_border(border, "ZYX"[-ndim:]),
        numbers=build_numbers(numbers, pair.product),
        pair=pair,
    )


def steps(texts: Sequence[str], options: PairOptions) -> KernelOptions:
    """Kernels as `-k` has them, with what changes them."""
    return KernelOptions(kernel=list(texts), normalize=options.normalize, flip=options.flip, origin=options.origin)


def read_matrix(text: str, ndim: int) -> Kernel:
    """The pointwise matrix; an array (O, C m) or (O, C m, 1, 1) serves images of two and of three axes."""
    try:
        return parse_kernel(text, 2, stdin=read_input)
    except KernelError:
        if ndim == 2 or not is_array(text):
            raise
        return parse_kernel(text, ndim)


def channels_of(info: ImageInfo, matrix: Kernel) -> int:
    """The channels that a pair meets; the opacity of a colour is none of them where the columns fit without it."""
    letter = next((letter for letter in "CS" if letter in info.axes), "")
    there, columns = info.size(letter) if letter else 1, matrix.shape[1] if matrix.bank else matrix.shape[-1]
    without = letter == "S" and info.has_alpha and columns % there and columns % (there - 1) == 0
    return there - 1 if without else there


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
    return text.lower().endswith(ARRAYS) or ".npz:" in text.lower()


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


def save_factors(path: str, operation: DepthwiseSeparable, *, force: bool) -> None:
    """Both steps as an archive of two arrays, `depthwise` (C R, 1, ...) and `pointwise` (O, C R)."""
    from convcli.formats.atomic import atomic_output
    from convcli.kernels.saving import pair_npz

    assert operation.factors is not None
    with atomic_output(Path(path), force=force) as stream:
        stream.write(pair_npz(operation.factors))
