"""XMP, Adobe's description of a picture as RDF: text that is kept as it is, but for what it says of the picture itself.

JPEG holds 64 kB of it in one segment and the rest in segments of its own. The two parts are two documents there, and
one everywhere else. Source: ISO 16684-1 and Adobe's XMP specification, part 3 (2020), 1.1.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

TIFF, EXIF, NOTE = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/xmp/note/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ORIENTATION = (TIFF, "Orientation")
UNITS = {"1": "none", "2": "inch", "3": "cm"}
LARGEST_SEGMENT = 65502  # bytes of a main part
LARGEST_PART = 65400  # bytes of each piece of the other
GUID = re.compile(rb"HasExtendedXMP(?:\s*=\s*[\"']|\s*>\s*)([0-9A-F]{32})")
POINTER = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="'
    + RDF
    + '"><rdf:Description rdf:about="" xmlns:xmpNote="'
    + NOTE
    + '" xmpNote:HasExtendedXMP="%s"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
WRAPPER = re.compile(rb"<\?xpacket\b.*?\?>", re.DOTALL)
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32")

Property = tuple[str, str]
"""Namespace and name."""


def in_utf8(packet: bytes) -> bytes:
    """The text in UTF-8, which most formats want; as it is where it is in no Unicode at all.

    >>> in_utf8("<x/>".encode("utf-16"))
    b'<x/>'
    """
    if b"\0" not in packet.rstrip(b"\0"):
        return packet.rstrip(b"\0")
    for encoding in ENCODINGS[1:]:
        try:
            text = packet.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "<" in text and "\0" not in text:
            return text.encode()
    return packet


def is_text(packet: bytes) -> bool:
    """True for what every format holds: UTF-8 with something in angle brackets, and no zeros."""
    try:
        return "<" in packet.decode() and b"\0" not in packet
    except UnicodeDecodeError:
        return False


def places(packet: bytes, wanted: Property) -> list[tuple[int, int]]:
    """Where the values of a property are, written as attributes or as elements."""
    space, name = (part.encode() for part in wanted)
    prefixes = set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(space) + rb"[\"']", packet))
    found = []
    for prefix in prefixes:
        full = re.escape(prefix + b":" + name)
        for form in (rb"\s" + full + rb"\s*=\s*[\"']([^\"'<]*)[\"']", rb"<" + full + rb"\s*>([^<]*)</" + full):
            found += [match.span(1) for match in re.finditer(form, packet)]
    return sorted(found)


def value(packet: bytes, wanted: Property) -> str | None:
    """What a property says first; None where it is not there."""
    return next((packet[start:stop].decode("utf-8", "replace").strip() for start, stop in places(packet, wanted)), None)


def orientation(packet: bytes) -> int | None:
    """How the picture is stored, 1 (upright) to 8; None where XMP is silent."""
    said = value(packet, ORIENTATION) or ""
    return int(said) if said in "12345678" and said else None


def with_values(packet: bytes, values: Mapping[Property, str]) -> bytes:
    """The same XMP with other values for the properties that it has."""
    for name, said in values.items():
        for start, stop in reversed(places(packet, name)):
            packet = packet[:start] + said.encode() + packet[stop:]
    return packet


def resolution(packet: bytes) -> tuple[float, float, str] | None:
    """Pixels per unit in x and y; None where XMP is silent."""
    x, y = (ratio(value(packet, (TIFF, f"{axis}Resolution"))) for axis in "XY")
    unit = UNITS.get(value(packet, (TIFF, "ResolutionUnit")) or "2", "none")
    return (x, y, unit) if x and y else None


def density(x: float, y: float, unit: str) -> dict[Property, str]:
    """The values of a resolution."""
    code = next(code for code, name in UNITS.items() if name == unit)
    said = {f"{axis}Resolution": f"{round(value * 10000)}/10000" for axis, value in zip("XY", (x, y), strict=True)}
    return {(TIFF, name): text for name, text in (said | {"ResolutionUnit": code}).items()}


def ratio(said: str | None) -> float:
    """A number written as a ratio; 0 where it is none.

    >>> ratio("720000/10000"), ratio("old")
    (72.0, 0.0)
    """
    above, _, below = (said or "").partition("/")
    return int(above) / (int(below or 1) or 1) if above.isdecimal() and (below or "1").isdecimal() else 0.0


def guid(packet: bytes) -> bytes:
    """The name of the other part that a main part tells of; empty where there is none."""
    match = GUID.search(packet)
    return match.group(1) if match else b""


def assembled(pieces: Iterable[tuple[int, int, bytes]]) -> bytes | None:
    """The other part out of its (full length, offset, bytes); None where one is missing."""
    ordered = sorted(set(pieces), key=lambda piece: piece[1])
    whole = b"".join(content for _, _, content in ordered)
    fits = all(whole[start : start + len(content)] == content for _, start, content in ordered)
    return whole if ordered and fits and len(whole) == ordered[0][0] else None


def joined(packet: bytes, other: bytes) -> bytes | None:
    """Both parts as one document; None where one of them is no XML.

    >>> rdf = '<r:RDF xmlns:r="' + RDF + '"><r:Description>%s</r:Description></r:RDF>'
    >>> joined((rdf % "one").encode(), (rdf % "two").encode()).count(b"Description")
    4
    """
    from xml.dom.minidom import parseString
    from xml.parsers.expat import ExpatError

    try:
        first, second = parseString(packet), parseString(WRAPPER.sub(b"", other))
    except (ExpatError, ValueError, LookupError):
        return None
    roots = [document.getElementsByTagNameNS(RDF, "RDF") for document in (first, second)]
    if not all(roots):
        return None
    main, added = roots[0][0], roots[1][0]
    for child in list(added.childNodes):
        moved = first.importNode(child, deep=True)
        if moved.nodeType == moved.ELEMENT_NODE:
            declare(moved, added)
        main.appendChild(moved)
    for node in main.getElementsByTagNameNS(RDF, "Description"):
        if node.hasAttributeNS(NOTE, "HasExtendedXMP"):
            node.removeAttributeNS(NOTE, "HasExtendedXMP")
    for node in main.getElementsByTagNameNS(NOTE, "HasExtendedXMP"):
        if node.parentNode is not None:
            node.parentNode.removeChild(node)
    return "".join(node.toxml() for node in first.childNodes).encode()


def declare(moved: Any, origin: Any) -> None:
    """Give an element the namespaces that were in force where it comes from."""
    while origin is not None and origin.nodeType == origin.ELEMENT_NODE:
        for name, said in origin.attributes.items():
            if name.startswith("xmlns") and not moved.hasAttribute(name):
                moved.setAttribute(name, said)
        origin = origin.parentNode


def parted(packet: bytes) -> tuple[bytes, bytes]:
    """A packet as JPEG holds it: the main part, and the other where one segment is too small for all."""
    if len(packet) <= LARGEST_SEGMENT:
        return packet, b""
    from hashlib import md5

    other = WRAPPER.sub(b"", packet).strip()
    return (POINTER % md5(other, usedforsecurity=False).hexdigest().upper()).encode(), other


def pieces(other: bytes, name: bytes) -> list[bytes]:
    """What stands in the segments of the other part: its name, its length, an offset, and so many bytes."""
    starts = range(0, len(other), LARGEST_PART)
    heads = [name + len(other).to_bytes(4, "big") + start.to_bytes(4, "big") for start in starts]
    return [head + other[start : start + LARGEST_PART] for head, start in zip(heads, starts, strict=True)]
