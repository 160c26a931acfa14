"""The options that commands share, as groups, a field for each: `-k` means the same everywhere."""

from collections.abc import Iterable
from typing import Annotated

from convcli.filters.borders import BORDERS
from convcli.numerals import UNKNOWN
from convcli.options.declare import Argument, Option, Options
from convcli.samples import NAMES_ELSEWHERE, SAMPLES

DTYPES = tuple(SAMPLES)
DRAWN = ", ".join(f"{rule}{'=V' * (rule == 'constant')} {drawn}" for rule, drawn in BORDERS.items())
Inputs = Annotated[
    list[str] | None,
    Argument(
        metavar="[INPUT...]",
        paths="file",
        files=True,
        optional=True,
        help="Images, or folders with --recursive; - is stdin.",
    ),
]
Json = Annotated[bool, Option("--json", daily=True, help="Print JSON on standard output.")]
Csv = Annotated[bool, Option("--csv", daily=True, help="Print comma-separated values.")]
Markdown = Annotated[bool, Option("--markdown", daily=True, help="Print a Markdown table.")]


class Usual(str):
    """A default that is told apart from the same word typed: --layer decides what nobody else has."""

    __slots__ = ()


class UsualCount(int):
    """The same of a number."""

    __slots__ = ()


def is_typed(value: object) -> bool:
    """True for what a user gave, be it the default itself.

    >>> is_typed("same"), is_typed(Usual("same"))
    (True, False)
    """
    return not isinstance(value, (Usual, UsualCount))


Normalize = Annotated[
    str, Option(metavar="HOW", choices=("none", "sum"), help="none, or sum: divide the kernel by its sum.")
]
Flip = Annotated[bool, Option("--flip", help="Turn the kernel by 180 degrees: mathematical convolution.")]
Origin = Annotated[
    str, Option(metavar="[Z,]Y,X", help="The tap on the pixel, counted from 0; default: the middle, k // 2.")
]
Dilation = Annotated[
    str, Option("-d", "--dilation", metavar="N|[Z,]Y,X", help="Step between taps: 2, or 2,1 per axis.")
]
Groups = Annotated[int, Option("-g", "--groups", min=1, metavar="N", help="Groups of channels in a filter bank.")]
Three = Annotated[bool, Option("--3d", help="Three axes, Z, Y and X; the default is two, unless the kernel has three.")]


def kernel_words() -> Iterable[str]:
    """The named kernels, and those with a word of their own behind the colon."""
    from convcli.kernels import KERNELS
    from convcli.kernels.edges import COMPASS

    directed = {"x": "sobel prewitt scharr roberts", "y": "sobel prewitt scharr roberts", "z": "sobel prewitt scharr"}
    along = [f"{name}:{axis}" for axis, names in directed.items() for name in names.split()]
    return (*KERNELS, *along, *(f"kirsch:{towards}" for towards in COMPASS))


def padding_words() -> Iterable[str]:
    """The paddings that are no numbers."""
    from convcli.filters.borders import PADDINGS

    return PADDINGS


def border_words() -> Iterable[str]:
    """The borders, and what other tools call them."""
    from convcli.filters.borders import ALIASES

    return (*("constant=" if rule == "constant" else rule for rule in BORDERS), *ALIASES)


Kernels = Annotated[
    list[str],
    Option(
        "-k",
        "--kernel",
        metavar="KERNEL",
        words=kernel_words,
        paths="file",
        daily=True,
        help='Name (gaussian:2), numbers ("0 -1 0; -1 5 -1; 0 -1 0") or file; may be repeated.',
    ),
]


class KernelOptions(Options):
    """Which kernel, and how several are combined."""

    kernel: Kernels
    combine: Annotated[
        str,
        Option(
            metavar="HOW",
            choices=("stack", "sum", "mean", "magnitude", "max"),
            meant={"average": "mean", "avg": "mean", "norm": "magnitude", "l2": "magnitude", "concat": "stack"},
            daily=True,
            help="Several kernels become: stack, sum, mean, magnitude, max.",
        ),
    ] = "stack"
    normalize: Normalize = "none"
    flip: Flip = False
    origin: Origin = ""


Layer = Annotated[
    str,
    Option(
        "--layer",
        metavar="MODEL.onnx:NODE",
        paths="file",
        help="A layer of a network in place of -k; it says stride, pads, dilation, groups and bias, too.",
    ),
]


class LayeredOptions(KernelOptions):
    """Which kernel, and how several are combined."""

    kernel: Kernels = []  # noqa: RUF012 -- not required beside --layer, and never written to
    layer: Layer = ""


class PlacementOptions(Options):
    """Where the kernel goes."""

    stride: Annotated[
        str, Option("-s", "--stride", metavar="N|[Z,]Y,X", daily=True, help="Step between outputs: 2, or 2,1 per axis.")
    ] = Usual("1")
    padding: Annotated[
        str,
        Option(
            "-p",
            "--padding",
            metavar="PADDING",
            words=padding_words,
            daily=True,
            help="same, tf-same, valid, full; or pixels: 1, or 1,2 per axis, or 0:1,0:1.",
        ),
    ] = Usual("same")
    border: Annotated[
        str,
        Option(
            "-b",
            "--border",
            metavar="BORDER",
            words=border_words,
            daily=True,
            help=f"{DRAWN}; or per axis: y=edge,x=wrap.  [default: edge; zero with pixels]",
        ),
    ] = ""


class DilatedOptions(PlacementOptions):
    """Where the kernel goes."""

    dilation: Dilation = Usual("1")


class GroupedOptions(PlacementOptions):
    """Where the kernel goes."""

    groups: Groups = UsualCount(1)


class GeometryOptions(PlacementOptions):
    """Where the kernel goes."""

    dilation: Dilation = Usual("1")
    groups: Groups = UsualCount(1)


class SampleOptions(Options):
    """From samples to numbers and back."""

    dtype: Annotated[
        str,
        Option(
            "-t",
            "--dtype",
            metavar="TYPE",
            choices=("auto", "same", *DTYPES),
            meant=NAMES_ELSEWHERE,
            daily=True,
            help=f"Sample type of the result: same, {', '.join(DTYPES)}; auto: same, but float32 for features.",
        ),
    ] = "auto"
    precision: Annotated[
        str, Option(metavar="HOW", choices=("auto", "double"), help="auto, or double: compute in float64.")
    ] = "auto"
    range_: Annotated[
        str,
        Option(
            "--range",
            metavar="HOW",
            choices=("clip", "abs", "rescale"),
            meant={"normalize": "rescale", "minmax": "rescale", "saturate": "clip", "clamp": "clip", "absolute": "abs"},
            help="clip, abs (absolute value first) or rescale to the full range.",
        ),
    ] = "clip"
    bias: Annotated[float, Option(metavar="X", help="Add to results.")] = 0.0
    nan: Annotated[
        str,
        Option(
            metavar="RULE",
            choices=("keep", "ignore", "preserve", "zero", "error"),
            help="keep (NaN where a tap meets one), ignore, preserve (ignore, but holes stay), zero or error.",
        ),
    ] = "keep"
    min_weight: Annotated[
        float,
        Option(min=0, max=1, metavar="F", help="Results of which less of the kernel was known are missing."),
    ] = 0.0
    nodata: Annotated[
        str | None,
        Option(
            metavar="X|none",
            words=lambda: ("none", *UNKNOWN),
            help="Samples of this value are missing, like NaN; none: nor is what the file declares as missing.",
        ),
    ] = None
    alpha: Annotated[
        str,
        Option(
            metavar="RULE",
            choices=("premultiply", "straight", "keep", "drop"),
            help="premultiply, straight, keep or drop the opacity (arrays: if given).  [default: premultiply]",
        ),
    ] = ""
    linear: Annotated[bool, Option("--linear", help="Filter sRGB samples in linear light.")] = False


class NumberOptions(SampleOptions):
    """From samples to numbers and back."""

    scale: Annotated[float, Option(metavar="X", help="Multiply results.")] = 1.0
