"""`convcli conv2d`: 2-D kernels and filter banks on every plane of an image."""

from convcli.commands.options import (
    FileOptions,
    GeometryOptions,
    Inputs,
    KernelOptions,
    NumberOptions,
    ReportOptions,
    RunOptions,
)


def conv2d(
    inputs: Inputs,
    kernels: KernelOptions,
    geometry: GeometryOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter every plane of an image with 2-D kernels.

    One kernel acts on each channel alone; several (-k repeated) give a stack of results, or one with --combine; a
    filter bank of shape (O, I/g, kh, kw) sums over channels, as a network layer does.

    Example: convcli conv2d photo.jpg -k sharpen -o out.jpg
    """
    from convcli.batch import run_batch
    from convcli.commands.building import build_batch, build_filter
    from convcli.filtering import Filtering

    filter_, notes = build_filter(2, kernels, geometry, numbers, run.tolerance)
    batch = build_batch(inputs, files, run, report, notes, kernel=filter_.kernel.name, command="conv2d")
    return run_batch(Filtering(lambda _: filter_), batch)
