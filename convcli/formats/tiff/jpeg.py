"""JPEG strips and tiles of a TIFF: their codes are walked through before libjpeg guesses at what is missing."""

from __future__ import annotations

from typing import Any

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.jpeg import entropy as jpeg_entropy
from convcli.native import scans

JPEG, YCBCR = 7, 6
ROWS_PER_STRIP, SUBSAMPLING = 278, 530


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
                check_frame(jpeg_entropy.check(data, more.get("jpegtables") or b""), page, original(None, index)[2])
            except ConvError as error:
                if heard is None:
                    raise
                heard.append(error.message)
        return original(data, index, jpegheader=jpegheader, **more)

    page.decode = decode


def check_frame(found: jpeg_entropy.Walk, page: Any, shape: tuple[int, ...]) -> None:
    """Refuse a JPEG that is not of the size, samples or sampling of its strip or tile, (depth, rows, columns, samples).

    The last strip may have the rows of a whole one, which lie below the picture.
    """
    if not found.components:
        return
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else shape[1:3]
    whole = page.tilelength if page.is_tiled else page.tags.valueof(ROWS_PER_STRIP, rows)  # tifffile's own is cut
    if found.width != columns or not rows <= found.height <= max(whole, rows) or len(found.components) != shape[3]:
        size = f"{found.width} x {found.height} x {len(found.components)}"
        raise corrupt("TIFF", f"a JPEG of {size} lies in a strip or tile of {columns} x {rows} x {shape[3]}")
    first, tag = found.components[0], page.tags.valueof(SUBSAMPLING)
    if page.photometric == YCBCR and tag is not None and tuple(tag) != (first.across, first.down):
        raise corrupt("TIFF", f"a JPEG has {first.across} x {first.down} pixels for a colour, not {tag[0]} x {tag[1]}")
