"""`convcli conv3d`: 3-D kernels and filter banks on the volumes of an image."""

from convcli.commands.options import (
    FileOptions,
    GeometryOptions,
    Inputs,
    KernelOptions,
    NumberOptions,
    ReportOptions,
    RunOptions,
)


def conv3d(
    inputs: Inputs,
    kernels: KernelOptions,
    geometry: GeometryOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter every volume of an image with 3-D kernels.

    A volume has the axes Z, Y and X, and values per axis come in this order; times, channels and colours are filtered
    one by one. Lengths in units (gaussian:2um) are measured by the image's own spacing. A filter bank of shape
    (O, I/g, kd, kh, kw) sums over channels; slices of a typed kernel stand between |.

    Example: convcli conv3d stack.tif -k gaussian:2um -o smooth.tif
    """
    from convcli.batch import run_batch
    from convcli.commands.building import build_batch, build_filtering

    filtering, name, notes = build_filtering(3, kernels, geometry, numbers, run.tolerance)
    batch = build_batch(inputs, files, run, report, notes, kernel=name, command="conv3d")
    return run_batch(filtering, batch)
