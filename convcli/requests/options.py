"""The options that commands share, as groups, a field for each: `-k` means the same everywhere."""

from collections.abc import Iterable
from typing import Annotated

from convcli.filters.borders import BORDERS
from convcli.methods import METHODS
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


def format_words() -> Iterable[str]:
    """The formats that are written."""
    from convcli.formats import FORMATS

    return (name for name, entry in FORMATS.items() if entry.dtypes)


def png_words() -> Iterable[str]:
    """The settings of PNG."""
    from convcli.formats.contract import PNG_SETTINGS

    return PNG_SETTINGS


def compression_words() -> Iterable[str]:
    """The compressions of TIFF and Zarr."""
    from convcli.formats.contract import COMPRESSIONS

    return COMPRESSIONS


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


class FileOptions(Options):
    """What is read and where results go."""

    output: Annotated[
        str,
        Option(
            "-o",
            "--output",
            metavar="WHERE",
            paths="file",
            daily=True,
            help="File, folder/, template with {stem} {name} {ext} {parent} {folder} {index} {kernel}, or -.",
        ),
    ] = ""
    parents: Annotated[
        bool, Option("--parents", help="Make the folders that outputs go into, and those they are in.")
    ] = False
    files_from: Annotated[
        str, Option(metavar="FILE", paths="file", help="Read more names of inputs from a list, one a line; - is stdin.")
    ] = ""
    null: Annotated[bool, Option("-0", "--null", help="Names in the list end in NUL, as find -print0 writes them.")] = (
        False
    )
    recursive: Annotated[
        bool, Option("-r", "--recursive", help="Read the images in folders; with -o folder/ keep their sub-folders.")
    ] = False
    pattern: Annotated[
        list[str] | None, Option(metavar="GLOB", help="Which files of a folder, such as '*.tif'; may be repeated.")
    ] = None
    format_: Annotated[
        str,
        Option(
            "--format", metavar="NAME", words=format_words, help="Format of the output where its name does not tell."
        ),
    ] = ""
    force: Annotated[bool, Option("-f", "--force", daily=True, help="Replace outputs that exist.")] = False
    in_place: Annotated[bool, Option("--in-place", help="Replace each input by its result.")] = False
    png: Annotated[str, Option(metavar="LEVEL", words=png_words, help="PNG compression: fast, balanced, small.")] = (
        "fast"
    )
    quality: Annotated[int | None, Option(min=1, max=100, metavar="N", help="JPEG and WebP quality.")] = None
    compression: Annotated[
        str | None,
        Option(
            metavar="NAME",
            words=compression_words,
            help="TIFF and Zarr compression: none, deflate, lzw (TIFF), zstd; default as the input.",
        ),
    ] = None
    chunks: Annotated[
        str,
        Option(metavar="[Z,]Y,X", help="Chunks of a Zarr output, in samples; default as the input, or 32,64,64."),
    ] = ""
    shards: Annotated[
        str, Option(metavar="[Z,]Y,X", help="Shards of a Zarr output, of whole chunks; one task writes each.")
    ] = ""
    levels: Annotated[
        int | None,
        Option(min=1, metavar="N", help="Resolutions of an OME-Zarr output; default as the input, or down to 256."),
    ] = None
    axes: Annotated[
        str | None, Option(metavar="LETTERS", daily=True, help="Axes of the input, such as CYX or TZCYX.")
    ] = None
    spacing: Annotated[
        str,
        Option(
            metavar="[Z,]Y,X",
            help="How far apart samples are, in place of what the file says: 0.5um, or 2,0.2,0.2um per axis.",
        ),
    ] = ""
    frames: Annotated[
        str,
        Option(
            "--pages",
            "--frames",
            metavar="N|A:B|all",
            words=lambda: ("all",),
            help="Which pictures of an animation or a stack are read: 0, 2:10, -1 or all.",
        ),
    ] = ""
    series: Annotated[int | None, Option(metavar="N", help="Which series of a TIFF, from 0.")] = None
    lenient: Annotated[bool, Option("--lenient", help="Damage that can be read around is a warning.")] = False
    auto_orient: Annotated[bool, Option("--auto-orient", help="Turn the picture as its EXIF orientation says.")] = False
    max_pixels: Annotated[int | None, Option(min=1, metavar="N", help="Refuse images with more samples.")] = None


class RunOptions(Options):
    """How it is computed."""

    method: Annotated[
        str,
        Option("-m", "--method", metavar="NAME", choices=("auto", *METHODS), help=f"auto, {', '.join(METHODS)}."),
    ] = "auto"
    tolerance: Annotated[
        float,
        Option(min=0.0, max=0.5, metavar="X", help="What separable terms may leave of the kernel, relative to sum|k|."),
    ] = 0.0
    threads: Annotated[
        int, Option(min=0, metavar="N", help="Threads for one image; 0: every core, shared among --jobs.")
    ] = 0
    jobs: Annotated[
        int,
        Option(
            "-j", "--jobs", min=0, metavar="N", daily=True, help="Files at once; 0: as many as cores and memory allow."
        ),
    ] = 0
    memory: Annotated[
        str,
        Option(
            metavar="SIZE",
            daily=True,
            help="Bound of the working memory. [256MiB; for boxes of a Zarr up to 1GiB each]",
        ),
    ] = ""
    verify: Annotated[
        int,
        Option(
            min=0,
            metavar="N",
            alone="200",
            help="Recompute N points (200 without N) from the definition; fail if one differs.",
        ),
    ] = 0
    strict: Annotated[bool, Option("--strict", help="A warning is a failure.")] = False
    keep_going: Annotated[bool, Option("--keep-going", help="Go on after an input that fails (the default).")] = False
    fail_fast: Annotated[bool, Option("--fail-fast", help="Stop at the first input that fails.")] = False
    resume: Annotated[
        str,
        Option(
            metavar="HOW",
            choices=("check", "trust"),
            alone="check",
            help="Pass over what an earlier run with the same options has finished. check reads shards of arrays back "
            "and makes again what differs, trust does not.",
        ),
    ] = ""
    journal: Annotated[
        str, Option(metavar="FILE", paths="file", help="Where a batch notes what it has done, if not with the user's.")
    ] = ""
    scheduler: Annotated[
        str,
        Option(
            metavar="WHERE",
            paths="file",
            words=lambda: ("local:", "tcp://"),
            help="Give the work to a Dask cluster: tcp://host:8786, a scheduler file, or local:N for N processes here.",
        ),
    ] = ""
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be read and written, and stop.")] = False


class ReportOptions(Options):
    """What is said about it."""

    explain: Annotated[
        bool, Option("--explain", daily=True, help="Print the plan and stop before any pixel is read.")
    ] = False
    quiet: Annotated[bool, Option("-q", "--quiet", daily=True, help="No report.")] = False
    verbose: Annotated[
        bool,
        Option("-v", "--verbose", help="All there is to say: formulas, every method; of each of many."),
    ] = False
    json: Annotated[bool, Option("--json", daily=True, help="Print one JSON object per input on standard output.")] = (
        False
    )
    preview: Annotated[
        bool, Option("--preview", help="Show the image before and after, where standard error is a terminal.")
    ] = False
    report: Annotated[
        str,
        Option(
            metavar="FILE",
            paths="file",
            help="Write the JSON objects to a file; to FILE.html: a page with pictures, histograms, prices and times.",
        ),
    ] = ""
