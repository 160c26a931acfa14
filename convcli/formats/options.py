"""What a caller may ask of reading and of writing, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """How to read.

    `lenient` turns damage that leaves pixels readable into notes; `max_pixels` bounds the samples that a file may
    declare; `series` picks one image of several; `auto_orient` turns the picture upright; `axes` names the dimensions.
    """

    lenient: bool = False
    max_pixels: int | None = None
    series: int | None = None
    auto_orient: bool = False
    axes: str | None = None


@dataclass(frozen=True)
class WriteOptions:
    """How to write.

    `png` is "fast", "balanced" or "small"; `quality` (1 to 100) is JPEG's and WebP's: by default that of the source,
    else 95 for JPEG and lossless for WebP; `compression` is TIFF's "none", "deflate", "lzw" or "zstd": by default that
    of the source, else none.
    """

    png: str = "fast"
    quality: int | None = None
    compression: str | None = None
