"""What a GIF says beside its pixels: comments, an ICC profile and XMP, in extension blocks before its first picture.

Sources: CompuServe's GIF89a specification (1990); ICC.1:2022, B.6; Adobe's XMP specification, part 3 (2020), 1.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convcli.formats.gif import blocks as gif

APPLICATION, COMMENT, PLAIN_TEXT = 0xFF, 0xFE, 0x01
ICC, XMP = b"ICCRGBG1012", b"XMP DataXMP"
MAGIC = b"\x01" + bytes(range(255, -1, -1)) + b"\0"  # whatever length is read in XMP's text, reading ends here
LARGEST = 255  # bytes of a sub-block


def joined(content: bytes, place: int) -> bytes:
    """The bytes of a chain of sub-blocks."""
    parts = []
    while place < len(content) and content[place]:
        parts.append(content[place + 1 : place + 1 + content[place]])
        place += 1 + content[place]
    return b"".join(parts)


def metadata_of(content: bytes) -> dict[str, Any]:
    """The shared keys of what a GIF says."""
    metadata: dict[str, Any] = {}
    comments = []
    extensions = (block for block in gif.blocks(content) if block.kind == gif.EXTENSION)
    for _, start, label, *_ in extensions:
        end = gif.end_of_sub_blocks(content, start)
        name = content[start + 1 : start + 12] if label == APPLICATION and content[start] == len(ICC) else b""
        if label == COMMENT:
            comments.append(joined(content, start))
        elif name == ICC:
            metadata.setdefault("icc", joined(content, start + 12))
        elif name == XMP:
            stop = content.find(MAGIC, start + 12, end + 1)
            metadata.setdefault("xmp", joined(content, start + 12) if stop < 0 else content[start + 12 : stop])
        elif label == PLAIN_TEXT:
            metadata["dropped"] = ("text to be drawn over the picture",)
    return metadata | ({"comments": tuple(comments)} if comments else {})


def with_metadata(content: bytes, metadata: Mapping[str, Any]) -> bytes:
    """A GIF that says it, too."""
    blocks = [chained(gif.EXTENSION + bytes((COMMENT,)), comment) for comment in metadata.get("comments", ())]
    if "icc" in metadata:
        blocks.append(chained(gif.EXTENSION + bytes((APPLICATION, len(ICC))) + ICC, metadata["icc"]))
    if "xmp" in metadata:
        blocks.append(gif.EXTENSION + bytes((APPLICATION, len(XMP))) + XMP + metadata["xmp"] + MAGIC)
    place = gif.SCREEN_END + gif.table_bytes(content[10])
    return b"".join((b"GIF89a", content[6:place], *blocks, content[place:])) if blocks else content


def chained(head: bytes, content: bytes) -> bytes:
    """An extension whose content goes into sub-blocks."""
    parts = [content[start : start + LARGEST] for start in range(0, len(content), LARGEST)]
    return head + b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
