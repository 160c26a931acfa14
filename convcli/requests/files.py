"""The options of files, as one group: what is read, where results go and how they are stored."""

from collections.abc import Iterable
from typing import Annotated

from convcli.options.declare import Option, Options


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


def predictor_words() -> Iterable[str]:
    """The predictors of TIFF."""
    from convcli.formats.contract import PREDICTORS

    return PREDICTORS


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
    quality: Annotated[
        int | None,
        Option(
            min=1, max=100, metavar="N", help="Quality of JPEG (in a TIFF, too); other formats lose nothing without."
        ),
    ] = None
    compression: Annotated[
        str | None,
        Option(
            metavar="NAME",
            words=compression_words,
            help="TIFF and Zarr compression: none, deflate, zstd, and lzw or jpeg (TIFF); default as the input.",
        ),
    ] = None
    predictor: Annotated[
        str | None,
        Option(
            metavar="NAME",
            words=predictor_words,
            help="What a TIFF's compression starts from: horizontal differences, float, or none (the samples).",
        ),
    ] = None
    tile: Annotated[
        str, Option(metavar="N[,M]", help="Tiles of a TIFF output, of N rows and M columns, multiples of 16.")
    ] = ""
    cog: Annotated[
        bool,
        Option("--cog", help="Make a cloud-optimised GeoTIFF: tiles and overviews, for reading parts over a network."),
    ] = False
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
