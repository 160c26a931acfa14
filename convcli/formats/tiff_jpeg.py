"""JPEG strips and tiles of a TIFF: their codes are walked through before libjpeg guesses at what is missing."""

from __future__ import annotations

from typing import Any

from convcli.errors import ConvError
from convcli.formats import jpeg_entropy
from convcli.native import scans

JPEG = 7


def is_jpeg(page: Any) -> bool:
    """True for a page whose strips are JPEGs that can be walked through."""
    return bool(scans.AVAILABLE and page.compression == JPEG)


def decode_strictly(page: Any, heard: list[str] | None) -> None:
    """Have tifffile decode no segment of a page, nor of those like it, whose data do not end with its picture.

    With a list, what is wrong is noted there.
    """
    original = page.decode

    def decode(data: bytes | None, index: int, *, jpegheader: bytes | None = None, **more: Any) -> Any:
        if data is not None and jpegheader is None:  # a header is what slides have instead of whole JPEGs
            try:
                jpeg_entropy.check(data, more.get("jpegtables") or b"")
            except ConvError as error:
                if heard is None:
                    raise
                heard.append(error.message)
        return original(data, index, jpegheader=jpegheader, **more)

    page.decode = decode
