"""From the options of a filtering command to a `Filter` and a `Batch`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal

from convcli.errors import KernelError, UsageError
from convcli.filters.borders import parse_border
from convcli.filters.combining import check_combination
from convcli.filters.filter import LEAVING_OUT, Filter, Numbers, parse_padding, parse_spatial
from convcli.formats import ReadOptions, WriteOptions
from convcli.image import ImageInfo
from convcli.kernels import is_measured, parse_kernel, stack_kernels
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import read_lengths
from convcli.numerals import UNKNOWN, decimal, is_whole
from convcli.operations.filter import Filtering
from convcli.operations.operation import Limits
from convcli.records import replace
from convcli.requests.options import (
    FileOptions,
    GeometryOptions,
    KernelOptions,
    NumberOptions,
    ReportOptions,
    RunOptions,
    SampleOptions,
)
from convcli.runs.many import Batch
from convcli.runs.names import outer_folder
from convcli.runs.one import Settings
from convcli.runs.selection import Selection
from convcli.streams import STREAM, read_input

UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
LEAST_MEMORY = 2**20
Spacing = Mapping[str, tuple[float, str]]


def build_filtering(
    ndim: int, kernels: KernelOptions, geometry: GeometryOptions, numbers: NumberOptions, approximation: float = 0.0
) -> tuple[Filtering, str, tuple[str, ...]]:
    """A filter as an operation, the kernel's name, and notes; lengths in units make it one filter for each image."""
    if not any(map(is_measured, kernels.kernel)):
        built, notes = build_filter(ndim, kernels, geometry, numbers, approximation)
        return Filtering(lambda _: built), built.name, notes
    stdin = cache(read_input)
    if STREAM in kernels.kernel:
        stdin()  # once, before there are workers that would share it

    def build(info: ImageInfo) -> Filter:
        own, notes = build_filter(ndim, kernels, geometry, numbers, approximation, spacing=info.steps, stdin=stdin)
        return replace(own, warnings=notes, remarks=measured(kernels.kernel, ndim, info.steps))

    return Filtering(build), ", ".join(kernels.kernel), ()


def measured(texts: Sequence[str], ndim: int, spacing: Spacing) -> tuple[str, ...]:
    """What kernels with lengths in units are in samples, and how long these are after rounding."""
    return tuple(
        measured_line(text, parse_kernel(text, ndim, spacing=spacing), spacing) for text in texts if is_measured(text)
    )


def measured_line(text: str, kernel: Kernel, spacing: Spacing) -> str:
    """A kernel's taps with their lengths.

    >>> spacing = {"Z": (2.0, "um"), "Y": (0.5, "um"), "X": (0.5, "um")}
    >>> measured_line("box:3um", parse_kernel("box:3um", 3, spacing=spacing), spacing)
    'box:3um is box:1,7,7 here: Z 1 tap of 2 um = 2 um, Y 7 taps of 0.5 um = 3.5 um, X 7 taps of 0.5 um = 3.5 um'
    """
    parts = []
    for letter, taps in zip("ZYX"[-kernel.ndim :], kernel.spatial, strict=True):
        step, unit = spacing[letter]
        parts.append(f"{letter} {taps} tap{'s' * (taps > 1)} of {step:.6g} {unit} = {taps * step:.6g} {unit}")
    return f"{text} is {kernel.name} here: {', '.join(parts)}"


def build_filter(
    ndim: int,
    kernels: KernelOptions,
    geometry: GeometryOptions,
    numbers: NumberOptions,
    approximation: float = 0.0,
    *,
    spacing: Spacing | None = None,
    stdin: Callable[[], bytes] = read_input,
) -> tuple[Filter, tuple[str, ...]]:
    """The filter that the options describe, and what the user should know about it."""
    kernel, each, notes = build_kernel(ndim, kernels, spacing, stdin)
    letters = "ZYX"[-ndim:]
    padding = parse_padding(geometry.padding, ndim)
    border = geometry.border or ("edge" if isinstance(padding, str) else "zero")
    built = Filter(
        kernel,
        each=each,
        flip=kernels.flip,
        combine=kernels.combine,
        stride=parse_spatial(geometry.stride, ndim, "--stride"),
        dilation=parse_spatial(geometry.dilation, ndim, "--dilation"),
        padding=padding,
        borders=parse_border(border, letters),
        groups=geometry.groups,
        approximation=approximation,
        numbers=build_numbers(numbers, kernel),
    )
    if each and geometry.groups > 1:
        raise UsageError(
            f"groups need a filter bank (O, I/g, {'kd, ' * (ndim == 3)}kh, kw); this kernel acts on each channel alone",
            where="--groups",
        )
    return built, notes


def build_kernel(
    ndim: int, options: KernelOptions, spacing: Spacing | None = None, stdin: Callable[[], bytes] = read_input
) -> tuple[Kernel, bool, tuple[str, ...]]:
    """One kernel from all -k: the kernel, whether it acts on each channel alone, and notes."""
    parsed = [parse_kernel(text, ndim, spacing=spacing, stdin=stdin) for text in options.kernel]
    placed = [with_origin(kernel, options.origin) for kernel in parsed]
    notes = tuple(
        f"kernel {kernel.name} sums to 0 and was not normalized"
        for kernel in placed
        if options.normalize == "sum" and kernel.is_zero_sum
    )
    scaled = [kernel.normalized() if options.normalize == "sum" else kernel for kernel in placed]
    turned = [kernel.flipped() if options.flip else kernel for kernel in scaled]
    each = not any(kernel.bank for kernel in turned)
    if len(turned) > 1 and not each:
        raise UsageError("several -k are plain kernels side by side; put a filter bank alone", where="-k")
    kernel = stack_kernels(turned) if len(turned) > 1 else turned[0]
    check_combination(options.combine, kernel.outputs)
    return kernel, each, notes


def with_origin(kernel: Kernel, text: str) -> Kernel:
    """The kernel with the tap that --origin names on the pixel."""
    if not text:
        return kernel
    try:
        return kernel.at_origin(parse_spatial(text, kernel.ndim, "--origin", least=0))
    except KernelError as error:
        raise UsageError(error.message, where="--origin") from None


def build_numbers(options: NumberOptions, kernel: Kernel) -> Numbers:
    """How samples are computed with, checked."""
    if options.scale == 0:
        raise UsageError("0 leaves nothing of the results; leave it out, or give a factor", where="--scale")
    if options.nan in LEAVING_OUT and (min(kernel.values()) < 0 or kernel.sum() <= 0):
        raise UsageError(
            f"--nan {options.nan} divides by the weight of known pixels: the kernel may have no negative taps; "
            "use --nan zero"
        )
    return Numbers(
        dtype=options.dtype,
        precision=options.precision,
        range=options.range_,
        scale=options.scale,
        bias=options.bias,
        offset=kernel.offset,
        nan=options.nan,
        alpha=options.alpha or "premultiply",
        linear=options.linear,
    )


def build_batch(
    inputs: Sequence[str] | None,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
    notes: tuple[str, ...],
    samples: SampleOptions,
    **fields: str,
) -> Batch:
    """The run that the options describe; `fields` are for output templates."""
    if run.keep_going and run.fail_fast:
        raise UsageError("--keep-going and --fail-fast exclude each other; give one of them")
    selection = Selection(inputs or (), files.files_from, files.null, files.recursive, files.pattern or ())
    settings = Settings(
        format=files.format_,
        force=files.force,
        in_place=files.in_place,
        reading=ReadOptions(
            lenient=files.lenient,
            max_pixels=files.max_pixels,
            series=files.series,
            auto_orient=files.auto_orient,
            axes=files.axes and files.axes.strip().upper(),
            missing=parse_missing(samples.nodata),
            spacing=parse_spacing(files.spacing),
            alpha=bool(samples.alpha),
        ),
        writing=WriteOptions(png=files.png, quality=files.quality, compression=files.compression),
        limits=Limits(run.method, run.threads, parse_bytes(run.memory, "--memory")),
        verify=run.verify,
        strict=run.strict,
        quiet=report.quiet,
        explain=report.explain,
        dry_run=run.dry_run,
        notes=notes,
    )
    return Batch(
        inputs=selection.inputs(outer_folder(files.output)),
        output=files.output,
        settings=settings,
        verbose=report.verbose,
        json=report.json,
        report=report.report,
        fail_fast=run.fail_fast,
        jobs=run.jobs,
        resume=run.resume,
        journal=run.journal,
        fields=fields,
    )


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


def parse_missing(text: str | None) -> float | Literal["declared", "none"]:
    """The value that marks missing samples: as the file declares it unless a number, or none, is given.

    >>> parse_missing(None), parse_missing("none"), parse_missing("-9999"), parse_missing("-3.4e38")
    ('declared', 'none', -9999, -3.4e+38)
    """
    if text is None:
        return "declared"
    word = text.strip().lower()
    if word == "none":
        return "none"
    if word in UNKNOWN:
        return float(word)
    try:
        value = decimal(word)
    except ValueError as error:
        raise UsageError(f"{text!r} is {error}; give one, or none", where="--nodata") from None
    return int(word) if is_whole(word) else value


def parse_bytes(text: str, option: str) -> int:
    """A size such as 512MiB, 1.5GB or 4096.

    >>> parse_bytes("256MiB", "--memory"), parse_bytes("1.5G", "--memory")
    (268435456, 1500000000)
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{0,15})?)\s*([kmgt]?i?)b?\s*", text, re.ASCII | re.IGNORECASE)
    if match is None or match[2].lower() not in UNITS:
        raise UsageError(f"{text!r} is not a size; give bytes, or such as 256MiB or 1GB", where=option)
    size = int(float(match[1]) * UNITS[match[2].lower()])
    if option == "--memory" and size < LEAST_MEMORY:
        raise UsageError(f"{text} is too little to compute anything; it must be at least 1MiB", where=option)
    return size
