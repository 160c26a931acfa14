"""The options that one command takes, as groups; what several share is in `options`, `files` and `working`."""

from typing import Annotated

from convcli.options.declare import Option, Options
from convcli.requests.options import (
    DRAWN,
    Dilation,
    Flip,
    Groups,
    Layer,
    Normalize,
    Origin,
    Three,
    Usual,
    UsualCount,
    border_words,
    kernel_words,
    padding_words,
)


class TransposedOptions(Options):
    """Which kernel, and where it goes."""

    kernel: Annotated[
        list[str],
        Option(
            "-k",
            "--kernel",
            metavar="KERNEL",
            words=kernel_words,
            paths="file",
            daily=True,
            help="nearest, bilinear, bicubic, lanczos (at the stride); or any other name, numbers, or file, "
            "a filter bank as (I, O/g, kh, kw).",
        ),
    ] = []  # noqa: RUF012 -- not required beside --layer, and never written to
    layer: Layer = ""
    scale: Annotated[
        str,
        Option(
            metavar="X|[Z,]Y,X",
            daily=True,
            help="Enlarge by this factor (2, 1.5, 4/3, or 2,1 per axis), not by a stride.",
        ),
    ] = ""
    stride: Annotated[
        str,
        Option(
            "-s",
            "--stride",
            metavar="N|[Z,]Y,X",
            daily=True,
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
            daily=True,
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
    dilation: Dilation = Usual("1")
    groups: Groups = UsualCount(1)
    border: Annotated[
        str,
        Option(
            "-b",
            "--border",
            metavar="BORDER",
            words=border_words,
            daily=True,
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


class PairOptions(Options):
    """The two steps, or the dense bank to factor into them."""

    depthwise: Annotated[
        list[str] | None,
        Option(
            metavar="KERNEL",
            words=kernel_words,
            paths="file",
            daily=True,
            help="Kernel of the first step: one for all channels, or repeated, or an array (C m, 1, kh, kw).",
        ),
    ] = None
    pointwise: Annotated[
        str,
        Option(
            metavar="MATRIX",
            paths="file",
            daily=True,
            help='Matrix of the second step, a row for each output: "1 0 1; 0 1 1", or a file (O, C m).',
        ),
    ] = ""
    multiplier: Annotated[
        int, Option(min=0, metavar="M", help="Results of the first step for each channel; 0: as the matrix says.")
    ] = 0
    kernel: Annotated[
        list[str] | None,
        Option(
            "-k",
            "--kernel",
            metavar="BANK",
            paths="file",
            daily=True,
            help="A dense bank (O, C, kh, kw), to be factored.",
        ),
    ] = None
    rank: Annotated[
        str, Option(metavar="R|auto", help="Kernels for each channel; auto: the fewest within --tolerance.")
    ] = "auto"
    save_factors: Annotated[
        str, Option(metavar="FILE.npz", paths="file", help="Keep both steps; --depthwise FILE.npz reads them back.")
    ] = ""
    normalize: Normalize = "none"
    flip: Flip = False
    origin: Origin = ""
    three: Three = False


class RateOptions(Options):
    """How far apart the taps are."""

    rate: Annotated[str, Option(metavar="N|[Z,]Y,X", daily=True, help="One rate: 2, or 2,1 per axis.")] = ""
    rates: Annotated[
        str,
        Option(
            metavar="N,N,...",
            daily=True,
            help="Several, side by side: 1,2,4, or 1,2x1 per axis; {rate} in -o keeps them apart.",
        ),
    ] = ""
    chain: Annotated[
        str, Option(metavar="N,N,...", daily=True, help="Several, each on what the one before made: 1,2,4.")
    ] = ""
    three: Three = False
