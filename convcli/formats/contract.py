"""The contract between callers and the modules of formats: what may be asked of any, and what each gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import BinaryIO, Literal, Protocol

from convcli.errors import UsageError
from convcli.formats.source import Source
from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.records import record

PNG_SETTINGS = ("fast", "balanced", "small")
COMPRESSIONS = ("none", "deflate", "lzw", "zstd", "jpeg")
PREDICTORS = ("none", "horizontal", "float")


@record
class ReadOptions:
    """How to read.

    `lenient` turns damage that leaves pixels readable into notes; `max_pixels` bounds the samples that a file may
    declare; `series` picks one image of several; `auto_orient` turns the picture upright; `axes` names the dimensions;
    `missing` is the value of samples that nobody measured: the one that the file declares, none, or a number; `spacing`
    holds, in place of what the file says, the distance between samples along all spatial axes, or along the last ones;
    `alpha` says that the last of samples is an opacity where the file, an array, says nothing of them; `level` is one
    of several resolutions, from the finest, 0; `frames` are the pictures of an animation or a stack, (first, end) as
    NumPy has them: by default all of a stack, and one of an animation.
    """

    lenient: bool = False
    max_pixels: int | None = None
    series: int | None = None
    auto_orient: bool = False
    axes: str | None = None
    missing: float | Literal["declared", "none"] = "declared"
    spacing: tuple[tuple[float, str], ...] = ()
    alpha: bool = False
    level: int = 0
    frames: tuple[int | None, int | None] | None = None


@record
class WriteOptions:
    """How to write.

    `png` is one of `PNG_SETTINGS`; `quality` (1 to 100) is that of formats that may lose something: by default JPEG's
    is that of the source, else 95, and all others keep everything; `compression`, one of `COMPRESSIONS`, is TIFF's: by
    default that of the source, else none. So is `predictor`, one of `PREDICTORS`: by default that of the source, or
    what helps a compression that was asked for; `tile` is rows and columns of a TIFF's tiles, and a `cog` a TIFF that
    is laid out for reading over a network. Zarr has ways of its own by default; `chunks` and `shards` are samples along
    its last axes, empty for those of the source or usual ones, and `levels` how many resolutions it gets. Anything else
    is a UsageError.
    """

    png: str = "fast"
    quality: int | None = None
    compression: str | None = None
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()
    levels: int | None = None
    tile: tuple[int, ...] = ()
    predictor: str | None = None
    cog: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """The names of those that differ from what is usual: a format heeds them, or is none for them."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) != each.default)

    def __post_init__(self) -> None:
        if self.png not in PNG_SETTINGS:
            raise UsageError(f"--png is one of {', '.join(PNG_SETTINGS)}, not {self.png!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality is between 1 and 100, not {self.quality}")
        if self.compression not in (None, *COMPRESSIONS):
            raise UsageError(f"--compression is one of {', '.join(COMPRESSIONS)}, not {self.compression!r}")
        if self.predictor not in (None, *PREDICTORS):
            raise UsageError(f"--predictor is one of {', '.join(PREDICTORS)}, not {self.predictor!r}")
        if self.predictor not in (None, "none") and self.compression in ("none", "jpeg"):
            raise UsageError(f"--predictor {self.predictor} helps deflate, lzw and zstd, not {self.compression}")
        if self.tile and (len(self.tile) != 2 or any(side % 16 or not 16 <= side <= 2**16 for side in self.tile)):
            raise UsageError(f"--tile is a multiple of 16, or two of them, not {','.join(map(str, self.tile))}")


Windows = tuple[ImageInfo, PixelSource]
"""An image and its pixels, which are had window by window."""


class Opening(Protocol):
    """Where pixels are, not open: a value that can be pickled."""

    def opened(self) -> AbstractContextManager[PixelSource]:
        """The pixels, until the end of the block."""


@contextmanager
def only_whole(_source: Source, _options: ReadOptions) -> Iterator[Windows | None]:
    """No windows, of any file."""
    yield None


def any_image(_info: ImageInfo, _kind: str) -> bool:
    """Every image may be written as its pixels come."""
    return True


def never(_info: ImageInfo, _options: WriteOptions) -> bool:
    """Samples take the room that they take in memory."""
    return False


def always(_info: ImageInfo, _options: WriteOptions) -> bool:
    """Every file is compressed."""
    return True


def nothing_more(_info: ImageInfo, _kind: str) -> None:
    """No image is refused that fits the line of the format in the table."""


def suits_all(_info: ImageInfo, _options: WriteOptions, _kind: str) -> None:
    """Options that the format heeds go with every image."""


def no_remarks(_info: ImageInfo, _options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """Nothing changes beside the pixels, but for what the table of kinds tells."""
    return ()


def own_place(_info: ImageInfo, kind: str) -> str:
    """The format has a column of its own."""
    return kind


@record
class FormatModule:
    """What the module of a format gives, as `FORMAT`; it may have several kinds, and `kind` is the name of one.

    What a module tells is the truth about the file; `convcli.formats` applies the user's wishes. Reading raises
    ConvError: corrupt, too-large, bomb, shape, dtype, ambiguous, codec-missing; what a decoder raises is one of them.

    `probe` decodes no pixel, and reads no more than it must; `read` gives the same, and the pixels in the machine's
    byte order; `write` puts a file into a seekable stream. These three every module has.

    `windows` is a context: the image, and its pixels window by window; None where this file is only read as a whole,
    and `whole` tells why a file is. `streamed` is a context, too: what takes pixels window by window into a file that
    is, at the end of the block, the one that `write` makes; where there is one, `takes` says of which images, and
    `packs` whether it compresses, so that nobody knows beforehand how large it will be.

    `check` refuses, before any work, what the line of the format in the table does not (ConvError: dtype, shape), and
    `suits` options that do not go with such an image (UsageError);
    `remarks` tells, before any work, what changes beside the pixels; `place` names the column of `formats.kinds` that
    an image's metadata go to. Files of a format that is `single` hold one image, and the module asks no number of it;
    one that `scales` keeps the line that makes measurements of samples; one that is `layered` knows several
    resolutions; one that `names_axes` tells by itself which axes an image has.

    `opening` gives the pixels as a value that travels to other processes, which open them there without looking for
    what they are; None where a name is all that travels.
    """

    probe: Callable[[Source, ReadOptions], ImageInfo]
    read: Callable[[Source, ReadOptions], Image]
    write: Callable[[BinaryIO, Image, WriteOptions, str], None]
    windows: Callable[[Source, ReadOptions], AbstractContextManager[Windows | None]] = only_whole
    streamed: Callable[[BinaryIO, ImageInfo, WriteOptions, str], AbstractContextManager[PixelTarget]] | None = None
    takes: Callable[[ImageInfo, str], bool] = any_image
    packs: Callable[[ImageInfo, WriteOptions], bool] = never
    check: Callable[[ImageInfo, str], None] = nothing_more
    suits: Callable[[ImageInfo, WriteOptions, str], None] = suits_all
    remarks: Callable[[ImageInfo, WriteOptions, str], tuple[str, ...]] = no_remarks
    place: Callable[[ImageInfo, str], str] = own_place
    single: bool = False
    scales: bool = False
    layered: bool = False
    opening: Callable[[Source, ReadOptions], Opening] | None = None
    names_axes: bool = True
    whole: str = "its files are only decoded as a whole"
