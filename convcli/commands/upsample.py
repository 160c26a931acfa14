"""`convcli upsample`: transposed convolution, and enlargement by any scale."""

from typing import Annotated

from convcli.commands.options import (
    DRAWN,
    Dilation,
    FileOptions,
    Flip,
    Groups,
    Inputs,
    ReportOptions,
    RunOptions,
    SampleOptions,
    Three,
    border_words,
    kernel_words,
    padding_words,
)
from convcli.options.declare import Option, Options


class LaidOptions(Options):
    """Which kernel, and where it goes."""

    kernel: Annotated[
        list[str],
        Option(
            "-k",
            "--kernel",
            metavar="KERNEL",
            words=kernel_words,
            paths="file",
            help="nearest, bilinear, bicubic, lanczos (at the stride); or any other name, numbers, or file, "
            "a filter bank as (I, O/g, kh, kw).",
        ),
    ]
    scale: Annotated[
        str,
        Option(metavar="X|[Z,]Y,X", help="Enlarge by this factor (2, 1.5, 4/3, or 2,1 per axis), not by a stride."),
    ] = ""
    stride: Annotated[
        str,
        Option(
            "-s",
            "--stride",
            metavar="N|[Z,]Y,X",
            help="From one pixel's kernel to the next, in output pixels.  [default: 2]",
        ),
    ] = ""
    padding: Annotated[
        str,
        Option(
            "-p",
            "--padding",
            metavar="PADDING",
            words=padding_words,
            help="What is cut off: same leaves stride x input, tf-same too, as TensorFlow; valid nothing, full K - 1; "
            "or pixels as in PyTorch: 1, or 1,2 per axis, or 0:1,0:1.  [default: same]",
        ),
    ] = ""
    output_padding: Annotated[
        str, Option(metavar="N|[Z,]Y,X", help="Pixels more at the end, fewer than the stride or the dilation.")
    ] = ""
    output_size: Annotated[
        str, Option(metavar="N|[Z,]Y,X", help="The size wanted; the output padding follows from it.")
    ] = ""
    dilation: Dilation = "1"
    groups: Groups = 1
    border: Annotated[
        str,
        Option(
            "-b",
            "--border",
            metavar="BORDER",
            words=border_words,
            help=f"What lies outside lays kernels, too: {DRAWN}; or per axis.  [default: edge with same, else zero; "
            "with --scale nothing outside counts]",
        ),
    ] = ""
    normalize: Annotated[
        str,
        Option(
            metavar="HOW",
            choices=("none", "sum", "overlap"),
            help="none; sum: divide the kernel by its sum; overlap: each output by the weights that overlap there.",
        ),
    ] = "none"
    flip: Flip = False
    three: Three = False


def upsample(
    inputs: Inputs,
    laid: LaidOptions,
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
    from convcli.commands.building import build_batch
    from convcli.commands.laying import build_enlarging, build_transposing
    from convcli.runs.many import run_batch

    build = build_enlarging if laid.scale else build_transposing
    operation, notes = build(laid, numbers, run.tolerance, explain=report.explain)
    batch = build_batch(inputs, files, run, report, notes, numbers, kernel=", ".join(laid.kernel), command="upsample")
    return run_batch(operation, batch)
