"""From the options of a filtering command to what it asks for, and to a `Batch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from convcli.errors import KernelError, UsageError
from convcli.filters.borders import default_border, parse_border, parse_padding
from convcli.filters.filter import Numbers
from convcli.filters.selection import parse_frames
from convcli.formats import ReadOptions, WriteOptions
from convcli.kernels.given import Given, parse_given
from convcli.kernels.parameters import read_lengths
from convcli.numerals import MOST, UNKNOWN, decimal, is_whole, per_axis, whole
from convcli.operations.filter import Correlate
from convcli.operations.operation import Limits
from convcli.options.line import typed
from convcli.requests.files import FileOptions
from convcli.requests.layers import build_layer
from convcli.requests.options import GeometryOptions, KernelOptions, LayeredOptions, NumberOptions, SampleOptions
from convcli.requests.working import ReportOptions, RunOptions
from convcli.runs.many import Batch
from convcli.runs.names import Selection, outer_folder
from convcli.runs.one import Settings
from convcli.stores.names import local_name
from convcli.streams import read_input

if TYPE_CHECKING:
    from convcli.requests.particular import PairOptions

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


def build_filter(
    ndim: int, kernels: KernelOptions, geometry: GeometryOptions, numbers: NumberOptions, approximation: float = 0.0
) -> Correlate:
    """The filter that the options ask for; what does not depend on images is checked."""
    if isinstance(kernels, LayeredOptions) and kernels.layer:
        return build_layer(ndim, kernels, geometry, build_numbers(numbers, numbers.scale), approximation)
    kernel = build_kernel(ndim, kernels.kernel, kernels)
    padding = parse_padding(geometry.padding, ndim)
    border = geometry.border or default_border(padding)
    asked = Correlate(
        kernel,
        combine=kernels.combine,
        stride=parse_spatial(geometry.stride, ndim, "--stride"),
        dilation=parse_spatial(geometry.dilation, ndim, "--dilation"),
        padding=padding,
        borders=parse_border(border, "ZYX"[-ndim:]),
        groups=geometry.groups,
        approximation=approximation,
        numbers=build_numbers(numbers, numbers.scale),
    )
    if not kernel.is_measured:
        asked.filter({})
    return asked


def build_kernel(ndim: int, texts: Sequence[str], changes: KernelOptions | PairOptions) -> Given:
    """The kernels that texts give, with what is done to them."""
    return Given(
        tuple(parse_given(text, ndim, stdin=read_input) for text in texts),
        normalize=changes.normalize == "sum",
        flip=changes.flip,
        origin=parse_spatial(changes.origin, ndim, "--origin", least=0) if changes.origin else None,
    )


def build_numbers(options: SampleOptions, scale: float = 1.0) -> Numbers:
    """How samples are computed with."""
    if scale == 0:
        raise UsageError("0 leaves nothing of the results; leave it out, or give a factor", where="--scale")
    return Numbers(
        dtype=options.dtype,
        precision=options.precision,
        range=options.range_,
        scale=scale,
        bias=options.bias,
        nan=options.nan,
        alpha=options.alpha or "premultiply",
        linear=options.linear,
        min_weight=options.min_weight,
    )


def build_batch(
    inputs: Sequence[str] | None,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
    samples: SampleOptions,
    **fields: str,
) -> Batch:
    """The run that the options describe; `fields` are for output templates."""
    if run.keep_going and run.fail_fast:
        raise UsageError("--keep-going and --fail-fast exclude each other; give one of them")
    if report.preview and (report.explain or run.dry_run):
        raise UsageError("--preview shows what was made, and a plan makes nothing; drop one of them")
    selection = Selection(inputs or (), files.files_from, files.null, files.recursive, files.pattern or ())
    settings = build_settings(files, run, report, samples)
    output = local_name(files.output)
    return Batch(
        inputs=selection.inputs(outer_folder(output)),
        output=output,
        settings=settings,
        verbose=report.verbose,
        json=report.json,
        preview=report.preview,
        report=local_name(report.report),
        command=typed(),
        fail_fast=run.fail_fast,
        jobs=run.jobs,
        parents=files.parents,
        fields=fields,
    )


def build_settings(files: FileOptions, run: RunOptions, report: ReportOptions, samples: SampleOptions) -> Settings:
    """How every input is treated."""
    return Settings(
        format=files.format_,
        force=files.force,
        in_place=files.in_place,
        reading=build_reading(files, samples),
        writing=build_writing(files),
        limits=_limits(run),
        verify=run.verify,
        strict=run.strict,
        quiet=report.quiet,
        explain=report.explain,
        dry_run=run.dry_run,
        scheduler=run.scheduler,
        resume=run.resume,
        journal=run.journal,
    )


def build_reading(files: FileOptions, samples: SampleOptions) -> ReadOptions:
    """How inputs are read."""
    return ReadOptions(
        lenient=files.lenient,
        max_pixels=files.max_pixels,
        series=files.series,
        frames=parse_frames(files.frames),
        auto_orient=files.auto_orient,
        axes=files.axes and files.axes.strip().upper(),
        missing=parse_missing(samples.nodata),
        spacing=parse_spacing(files.spacing),
        alpha=bool(samples.alpha),
    )


def build_writing(files: FileOptions) -> WriteOptions:
    """How outputs are written."""
    return WriteOptions(
        png=files.png,
        quality=files.quality,
        compression=files.compression,
        chunks=parse_cut(files.chunks, "--chunks"),
        shards=parse_cut(files.shards, "--shards"),
        levels=files.levels,
        tile=parse_tile(files.tile),
        predictor=files.predictor,
        cog=files.cog,
    )


def parse_cut(text: str, option: str) -> tuple[int, ...]:
    """Samples along the last axes, as a user writes them.

    >>> parse_cut("32,64,64", "--chunks"), parse_cut("256x512x512", "--shards"), parse_cut("", "--chunks")
    ((32, 64, 64), (256, 512, 512), ())
    """
    parts = re.split("[,x]", text.replace(" ", "")) if text else []
    if any(not re.fullmatch("[1-9][0-9]{0,8}", part) for part in parts):
        example = "write rows,columns as in 256,512" if option == "--tile" else "write Z,Y,X as in 32,64,64"
        raise UsageError(f"{text!r} is not a list of sizes; {example}", where=option)
    return tuple(map(int, parts))


def parse_tile(text: str) -> tuple[int, ...]:
    """Rows and columns of tiles, as a user writes them.

    >>> parse_tile("256"), parse_tile("128x512"), parse_tile("")
    ((256, 256), (128, 512), ())
    """
    sides = parse_cut(text, "--tile")
    return sides * 2 if len(sides) == 1 else sides


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


def _limits(run: RunOptions) -> Limits:
    """What a user allows."""
    if not run.memory:
        return Limits(run.method, run.threads)
    size = parse_bytes(run.memory, "--memory")
    return Limits(run.method, run.threads, size, size)


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
