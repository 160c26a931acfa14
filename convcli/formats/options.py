"""What a caller may ask of reading and of writing, whatever the format."""

from __future__ import annotations

from typing import Literal

from convcli.errors import UsageError
from convcli.records import record

PNG_SETTINGS = ("fast", "balanced", "small")
COMPRESSIONS = ("none", "deflate", "lzw", "zstd")


@record
class ReadOptions:
    """How to read.

    `lenient` turns damage that leaves pixels readable into notes; `max_pixels` bounds the samples that a file may
    declare; `series` picks one image of several; `auto_orient` turns the picture upright; `axes` names the dimensions;
    `missing` is the value of samples that nobody measured: the one that the file declares, none, or a number; `spacing`
    holds, in place of what the file says, the distance between samples along all spatial axes, or along the last ones;
    `alpha` says that the last of samples is an opacity where the file, an array, says nothing of them.
    """

    lenient: bool = False
    max_pixels: int | None = None
    series: int | None = None
    auto_orient: bool = False
    axes: str | None = None
    missing: float | Literal["declared", "none"] = "declared"
    spacing: tuple[tuple[float, str], ...] = ()
    alpha: bool = False


@record
class WriteOptions:
    """How to write.

    `png` is one of `PNG_SETTINGS`; `quality` (1 to 100) is JPEG's and WebP's: by default that of the source, else 95
    for JPEG and lossless for WebP; `compression`, one of `COMPRESSIONS`, is TIFF's: by default that of the source, else
    none. Anything else is a UsageError.
    """

    png: str = "fast"
    quality: int | None = None
    compression: str | None = None

    def __post_init__(self) -> None:
        if self.png not in PNG_SETTINGS:
            raise UsageError(f"--png is one of {', '.join(PNG_SETTINGS)}, not {self.png!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality is between 1 and 100, not {self.quality}")
        if self.compression not in (None, *COMPRESSIONS):
            raise UsageError(f"--compression is one of {', '.join(COMPRESSIONS)}, not {self.compression!r}")
