"""`convcli upsample`: transposed convolution, and enlargement by any scale."""

from convcli.requests.files import FileOptions
from convcli.requests.options import Inputs, SampleOptions
from convcli.requests.particular import TransposedOptions
from convcli.requests.working import ReportOptions, RunOptions


def upsample(
    inputs: Inputs,
    laid: TransposedOptions,
    numbers: SampleOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Make images larger: by transposed convolution with a stride, or by a scale.

    Every pixel lays the kernel, times its value, on the output, a stride from its neighbour's: s (n - 1) + K - p0 - p1
    + output padding pixels for n, as in PyTorch's layers. No zeros are inserted and none are multiplied: each phase of
    the output is a small convolution of its own. Where the kernel is no multiple of the stride it overlaps unevenly
    (checkerboard); the report says by how much.

    --scale lays the whole image on the whole result, round(scale x size) pixels, pixel centres at halves, for nearest,
    bilinear, bicubic (a = -0.5) and lanczos as in Pillow; below 1 it shrinks, and every pixel counts (nearest: one).

    Examples:
        convcli upsample photo.jpg -k bilinear --stride 2 -o large.png
        convcli upsample photo.jpg -k lanczos --scale 1.5 -o larger.png
        convcli upsample photo.jpg -k "1 1 1; 1 1 1; 1 1 1" -p 1 --output-padding 1 -o a.png
        convcli upsample photo.jpg -k gaussian:1 --normalize overlap -o even.png
    """
    from convcli.requests.layers import check_given
    from convcli.requests.run import build_batch
    from convcli.requests.transposed import build_resample, build_transpose
    from convcli.runs.many import run_batch

    check_given("upsample", laid.kernel, laid.layer, inputs)
    build = build_resample if laid.scale and not laid.layer else build_transpose
    asked = build(laid, numbers, run.tolerance, explain=report.explain)
    name = ", ".join(laid.kernel) or laid.layer
    batch = build_batch(inputs, files, run, report, numbers, kernel=name, command="upsample")
    return run_batch(asked, batch)
