"""`convcli conv3d`: 3-D kernels and filter banks on the volumes of an image."""

from convcli.requests.files import FileOptions
from convcli.requests.options import GeometryOptions, Inputs, LayeredOptions, NumberOptions
from convcli.requests.where import WhereOptions
from convcli.requests.working import ReportOptions, RunOptions


def conv3d(
    inputs: Inputs,
    kernels: LayeredOptions,
    geometry: GeometryOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter every volume of an image with 3-D kernels.

    A volume has the axes Z, Y and X, and values per axis come in this order; times, channels and colours are filtered
    one by one. Lengths in units (gaussian:2um) are measured by the image's own spacing. -k gaussian:1@0
    is for channel 0 alone, and may be repeated for others. A filter bank of shape (O, I/g, kd, kh, kw) sums over
    channels; slices of a typed kernel stand between |.

    Examples:
        convcli conv3d stack.tif -k gaussian:2um -o smooth.tif
        convcli conv3d stack.tif -k gaussian:1,2,2 --stride 1,2,2 -o half.tif
        convcli conv3d stack.tif -k box:3um --border z=reflect,yx=edge -o mean.tif
        convcli conv3d stack.tif -k sobel:y -k sobel:z --combine magnitude -o e.tif
        convcli conv3d stack.tif -k "1 1 | 2 2 | 1 1" --normalize sum -o slices.tif
        convcli conv3d stack.tif -k ball:1,4,4 --verify --json -o ball.tif
    """
    from convcli.requests.layers import check_given
    from convcli.requests.run import build_batch
    from convcli.requests.selected import build_filters
    from convcli.runs.many import run_batch

    check_given("conv3d", kernels.kernel, kernels.layer, inputs)
    asked, name = build_filters(3, kernels, geometry, where, numbers, run.tolerance)
    batch = build_batch(inputs, files, run, report, numbers, kernel=name, command="conv3d")
    return run_batch(asked, batch)
