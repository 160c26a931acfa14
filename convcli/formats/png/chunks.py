"""What a PNG says beside its pixels, in ancillary chunks: read under the shared keys, and written from them.

XMP stands in a text of its own name; IPTC and Photoshop's resources, for which PNG has no place, in texts as
ImageMagick writes them and ExifTool reads them. Source: W3C, PNG specification, third edition (2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from convcli.formats.layout import picture_samples
from convcli.image import ImageInfo

PALETTE = 3
HANDLED = {b"iCCP", b"eXIf", b"pHYs", b"bKGD", b"PLTE"}  # held under the keys that all formats share
VOID = {b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT"}  # of palettes, expanded, and animations, not read
OF_ONE_LAYOUT = {b"sBIT"}  # its meaning depends on depth and colour
COLOUR = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
UNSAFE_BUT_TRUE = COLOUR | {b"tIME", b"oFFs", b"pCAL", b"sCAL", b"sTER"}
"""Chunks marked as not safe to copy by who does not know them; they hold for filtered pixels too."""
DESCRIPTION, COMMENT, XMP = "Description", "Comment", "XML:com.adobe.xmp"
RAW = "Raw profile type "
LARGEST = 2**26  # bytes of a text or profile, decompressed
METRE = 1
EXIF_MARK, XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
GAMMA_SRGB = 45455
PRIMARIES_SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)

Chunk = tuple[bytes, bytes, bool]
"""Type, data, and whether it came after the pixels."""
Layout = tuple[int, int]
"""Depth and colour type."""


def metadata_of(chunks: Sequence[Chunk], layout: Layout) -> dict[str, Any]:
    """The shared keys, and under "png" the chunks to keep with the layout that they were made for.

    A value that is damaged is empty. What nobody can know to hold for other pixels is named under "dropped".
    """
    metadata: dict[str, Any] = {}
    kept, dropped = [], dict[str, None]()
    palette = next((data for kind, data, _ in chunks if kind == b"PLTE"), b"")
    for chunk in chunks:
        kind, data, _ = chunk
        if kind == b"iCCP":
            metadata.setdefault("icc", inflated(data.partition(b"\0")[2][1:]) or b"")
        elif kind == b"pHYs":
            metadata |= {"resolution": resolution(data)} if len(data) == 9 else {}
        elif kind == b"eXIf":
            metadata.setdefault("exif", data)
        elif kind == b"bKGD":
            colour = background(data, layout, palette)
            metadata |= {"background": colour} if colour else {}
            dropped |= {} if colour else {"PNG chunk bKGD": None}
        elif kind in TEXTS and (found := shared(*parsed_text(kind, data), metadata)):
            metadata |= found
        elif is_kept(kind):
            kept.append(chunk)
        elif kind not in VOID | HANDLED:
            dropped[f"PNG chunk {kind.decode('latin-1')}"] = None
    metadata |= {"png": {"chunks": tuple(kept), "layout": layout}} if kept else {}
    return metadata | ({"dropped": tuple(dropped)} if dropped else {})


def is_kept(kind: bytes) -> bool:
    """True for chunks that still hold for filtered pixels: known ones, and those marked as safe to copy."""
    if kind in VOID | HANDLED:
        return False
    return kind in UNSAFE_BUT_TRUE | OF_ONE_LAYOUT or bool(kind[3] & 0x20)


def inflated(packed: bytes) -> bytes | None:
    """What was compressed; None where it is damaged or larger than anyone needs."""
    try:
        content = zlib.decompressobj().decompress(packed, LARGEST)
    except zlib.error:
        return None
    return content if len(content) < LARGEST else None


def resolution(data: bytes) -> tuple[float, float, str]:
    """Pixels per centimetre, or the shape of a pixel where no unit is given."""
    x, y, unit = struct.unpack(">IIB", data)
    return (x / 100, y / 100, "cm") if unit == METRE else (float(x), float(y), "none")


def background(data: bytes, layout: Layout, palette: bytes) -> tuple[float, ...] | None:
    """The colour behind the picture, from 0 to 1: one number for grey, three for colour; None where it is damaged.

    >>> background(bytes((0, 1)), (1, 0), b""), background(b"\\1", (8, 3), bytes((0, 0, 0, 255, 0, 51)))
    ((1.0,), (1.0, 0.0, 0.2))
    """
    depth, colour = layout
    if colour == PALETTE:
        entry = palette[3 * data[0] : 3 * data[0] + 3] if len(data) == 1 else b""
        return tuple(value / 255 for value in entry) if len(entry) == 3 else None
    if len(data) != (6 if colour & 2 else 2):
        return None
    values = struct.unpack(f">{len(data) // 2}H", data)
    return tuple(value / (2**depth - 1) for value in values) if max(values) < 2**depth else None


def parsed_text(kind: bytes, data: bytes) -> tuple[str, bytes | str | None]:
    """The name of a text and what it says; nothing where it is damaged, or in a language that is named."""
    name, _, rest = data.partition(b"\0")
    if kind == b"tEXt":
        said: bytes | str | None = rest.decode("latin-1")
    elif kind == b"zTXt":
        content = inflated(rest[1:])
        said = content and content.decode("latin-1")
    else:
        language, _, more = rest[2:].partition(b"\0")
        content = more.partition(b"\0")[2]
        content = content if rest[:1] == b"\0" else inflated(content) or b""
        said = None if language else content
    return name.decode("latin-1"), said


def shared(name: str, said: bytes | str | None, held: dict[str, Any]) -> dict[str, Any]:
    """The shared key that a text stands for, if any; a second one of the same name is a text like any other."""
    if not said:
        return {}
    if name.startswith(RAW):
        return profile(name.removeprefix(RAW), said, held)
    if name == XMP:
        return {"xmp": said.encode("latin-1") if isinstance(said, str) else said} if "xmp" not in held else {}
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if name == COMMENT:
        return {"comments": (*held.get("comments", ()), text)}
    return {"description": text} if name == DESCRIPTION and "description" not in held else {}


def profile(kind: str, said: bytes | str, held: dict[str, Any]) -> dict[str, Any]:
    """The shared keys of a profile that ImageMagick or ExifTool wrote as text."""
    from convcli.formats import photoshop

    content = photoshop.parsed_profile(said.encode("latin-1") if isinstance(said, str) else said)
    if content is None:
        return {}
    is_xmp = kind == "xmp" or content.startswith(XMP_MARK)
    if kind in ("exif", "APP1", "xmp"):
        key = "xmp" if is_xmp else "exif"
        return {} if key in held else {key: content.removeprefix(XMP_MARK).removeprefix(EXIF_MARK)}
    if kind in ("iptc", "8bim"):
        if content.startswith(photoshop.IPTC_MARK):
            return {"iptc": content}
        return {"photoshop": held.get("photoshop", b"") + content}
    return {"icc": content} if kind in ("icc", "icm") and "icc" not in held else {}


def chunks_of(info: ImageInfo, layout: Layout) -> list[Chunk]:
    """The ancillary chunks to write for an image that came from any format."""
    metadata = info.metadata
    chunks = [
        (kind, data, False)
        for key, (kind, packed) in PACKED.items()
        if key in metadata and (data := packed(metadata[key]))
    ]
    if "background" in metadata and (colour := background_data(metadata["background"], layout)):
        chunks.append((b"bKGD", colour, False))
    if "description" in metadata:
        chunks.append(text_chunk(DESCRIPTION, metadata["description"]))
    chunks += [text_chunk(COMMENT, comment) for comment in metadata.get("comments", ())]
    kept = metadata.get("png", {"chunks": (), "layout": None})
    same = kept["layout"] == layout
    return chunks + [chunk for chunk in kept["chunks"] if same or chunk[0] not in OF_ONE_LAYOUT]


def layout_of(info: ImageInfo) -> Layout:
    """Depth and colour type that an image is written with."""
    colour = {"grey": 0, "rgb": 2, "grey+alpha": 4, "rgb+alpha": 6}[picture_samples(info, "ZC") or "grey"]
    return info.sample.bits, colour


def background_data(colour: Sequence[float], layout: Layout) -> bytes:
    """The data of a bKGD chunk; none where grey is to hold a colour."""
    depth, kind = layout
    values = [round(value * (2**depth - 1)) for value in colour]
    if kind & 2:
        values = values * 3 if len(values) == 1 else values
    elif len(set(values)) > 1:
        return b""
    else:
        values = values[:1]
    return struct.pack(f">{len(values)}H", *values)


def density(found: tuple[float, float, str]) -> bytes:
    """The data of a pHYs chunk."""
    x, y, unit = found
    scale = {"cm": 100.0, "inch": 100 / 2.54, "none": 1.0}[unit]
    values = [min(max(round(value * scale), 0), 2**31 - 1) for value in (x, y)]
    return struct.pack(">IIB", *values, 0 if unit == "none" else METRE)


def as_iptc(content: bytes) -> bytes:
    """Records of IPTC as ImageMagick writes them."""
    from convcli.formats import photoshop

    return photoshop.raw_profile("iptc", photoshop.joined(content, b""))


def as_resources(content: bytes) -> bytes:
    """Photoshop's resources as ImageMagick writes them."""
    from convcli.formats import photoshop

    return photoshop.raw_profile("8bim", content)


PACKED: dict[str, tuple[bytes, Callable[[Any], bytes]]] = {
    "icc": (b"iCCP", lambda content: b"icc\0\0" + zlib.compress(content)),
    "resolution": (b"pHYs", density),
    "exif": (b"eXIf", bytes),
    "xmp": (b"iTXt", lambda content: XMP.encode() + b"\0\0\0\0\0" + content),
    "iptc": (b"zTXt", as_iptc),
    "photoshop": (b"zTXt", as_resources),
}
"""The chunk of each shared key, and what makes its data."""


def text_chunk(name: str, text: str | bytes) -> Chunk:
    """A text chunk; international text where Latin-1 does not hold it."""
    line = text if isinstance(text, str) else decoded(text)
    try:
        return b"tEXt", name.encode() + b"\0" + line.encode("latin-1"), False
    except UnicodeEncodeError:
        return b"iTXt", name.encode() + b"\0\0\0\0\0" + line.encode(), False


def decoded(text: bytes) -> str:
    """Bytes as text: UTF-8, else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def tells_colour(chunks: Sequence[Chunk]) -> bool:
    """True where colours are said to be other than sRGB, which is what everyone takes a picture for."""
    held = {kind: data for kind, data, _ in chunks if kind in COLOUR}
    if held.keys() & {b"cICP", b"mDCV", b"cLLI"}:
        return True
    if b"sRGB" in held:
        return False
    gamma = int.from_bytes(held.get(b"gAMA", GAMMA_SRGB.to_bytes(4, "big")), "big")
    return gamma != GAMMA_SRGB or held.get(b"cHRM", struct.pack(">8I", *PRIMARIES_SRGB)) != struct.pack(
        ">8I", *PRIMARIES_SRGB
    )
