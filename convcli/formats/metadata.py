"""What files say beside their pixels, between formats: understood when read, brought up to date when written.

The same fact may stand in several places (the orientation in a tag, in EXIF and in XMP): it is read from the first that
has it, and written to all. What is damaged is dropped, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convcli.formats import photoshop, xmp
from convcli.formats.layout import picture_samples
from convcli.formats.tiff import exif
from convcli.formats.tiff.exif_directories import SHARED
from convcli.formats.units import LENGTHS
from convcli.image import ImageInfo
from convcli.records import replace

CENTIMETRES = {"inch": 2.54, "cm": 1.0}
WITH_EXIF = frozenset({"png", "jpeg", "webp", "jp2", "avif", "jxl", "jxr"})
"""Formats that hold EXIF as it is, or JPEG XR in a directory of its own; a TIFF has its tags among its own."""
RESOLVING = frozenset({"png", "jpeg", "webp", "jp2", "avif", "jxl", "jxr", "bmp", "tiff", "shaped"})
"""Formats that say how far apart pixels are by a resolution alone."""
ONLY_IN_EXIF = frozenset({"webp", "avif", "jxl"})
"""Formats with no place for a resolution but EXIF."""
WHOLE = {"png": (100.0,), "bmp": (100.0,), "jpeg": (2.54, 1.0)}  # counted in a metre; in an inch or a centimetre
ROUNDING = 2e-3
LEAST, MOST = 1e-6, 4e9  # pixels per unit, as ratios of numbers with 32 bits hold them
ICC_HEADER, ICC_SIGNATURE = 128, b"acsp"
LARGEST_IN_JPEG = 65527  # bytes of EXIF in one segment, which it must fit
COMMENTED = {"jpeg": 65533, "pnm": 60000, "gif": 2**31, "hdr": 60000}
"""Formats with comments, and bytes of the longest."""
PROFILES = {b"GRAY": "grey", b"RGB ": "rgb", b"CMYK": "cmyk"}
OF_COLOUR = frozenset({"webp", "gif", "qoi", "hdr", "ico"})
"""Formats that store grey as colours."""

Resolution = tuple[float, float, str]


def understood(info: ImageInfo) -> ImageInfo:
    """The image as a format's module found it, with what it says made sure of; a note for each part that is damaged."""
    held = dict(info.metadata)
    damaged = [name for key, (name, is_sound) in SOUND.items() if key in held and not is_sound(held[key])]
    for key, (name, _) in SOUND.items():
        if name in damaged:
            held.pop(key, None)
    if "xmp" in held:
        held["xmp"] = xmp.in_utf8(held["xmp"])
    else:
        held.pop("xmp_more", None)
    if "photoshop" in held:
        record, others = photoshop.parted(held.pop("photoshop")) or (b"", b"")
        held |= ({"iptc": record} if record and "iptc" not in held else {}) | ({"photoshop": others} if others else {})
    held |= derived(held)
    if held.get("orientation") == 1:
        del held["orientation"]
    notes = tuple(f"its {name} is damaged and was left out" for name in damaged)
    return info if held == info.metadata and not notes else replace(info, metadata=held, notes=info.notes + notes)


def is_profile(content: bytes) -> bool:
    """True for an ICC profile that is all there."""
    size = int.from_bytes(content[:4], "big")
    return ICC_HEADER <= size <= len(content) and content[36:40] == ICC_SIGNATURE


SOUND = {
    "icc": ("ICC profile", is_profile),
    "exif": ("EXIF", exif.is_sound),
    "xmp": ("XMP", lambda packet: xmp.is_text(xmp.in_utf8(packet))),
    "xmp_more": ("extended XMP", xmp.is_text),
    "photoshop": ("Photoshop data", lambda content: photoshop.resources(content) is not None),
}
"""Each key that may be damaged: what it is called, and whether it can be read."""


def derived(held: Mapping[str, Any]) -> dict[str, Any]:
    """The orientation, resolution and description of EXIF or XMP, where the file has none of its own."""
    payload, packet = held.get("exif", b""), held.get("xmp", b"")
    found: dict[str, Any] = {}
    if "orientation" not in held and (turn := exif.orientation(payload) or xmp.orientation(packet)) is not None:
        found["orientation"] = turn
    if held.get("resolution", (0, 0, "none"))[2] == "none" and (density := exif.resolution(payload)) is not None:
        found |= {"resolution": density} if density[2] != "none" or "resolution" not in held else {}
    if "description" not in held and (text := exif.description(payload)):
        found["description"] = text.decode("utf-8", "replace")
    return found


def turned(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What still holds for a picture that is upright now: no orientation, and no small pictures of the one that lay."""
    held = {key: value for key, value in metadata.items() if key != "orientation"}
    if "exif" in held:
        held["exif"] = exif.with_tags(exif.without_thumbnail(held["exif"]), {exif.ORIENTATION: exif.number(1)})
    for key in ("xmp", "xmp_more"):
        held |= {key: xmp.with_values(held[key], {xmp.ORIENTATION: "1"})} if key in held else {}
    if "photoshop" in held:
        held["photoshop"] = photoshop.without_thumbnails(held["photoshop"])
    return held


def has_thumbnail(metadata: Mapping[str, Any]) -> bool:
    """True where EXIF has a small picture."""
    return bool(exif.thumbnail(metadata.get("exif", b"")))


def fitted(info: ImageInfo, place: str) -> ImageInfo:
    """The image with what it says of itself as it is now, in the form of a format; `place` as in `kinds.place_of`."""
    held = {**info.metadata, **derived(info.metadata)}
    if place in RESOLVING and (density := density_of(info)) is not None:
        held["resolution"] = density
    if "resolution" in held and not is_held(held["resolution"], place):
        del held["resolution"]
    if "xmp" in held:
        held = with_xmp(held, info, place)
    if "photoshop" in held and "resolution" in held:
        held["photoshop"] = photoshop.with_resolution(held["photoshop"], *held["resolution"])
    if profile_misfit(info, place):
        held.pop("icc", None)
    if place in WITH_EXIF:
        payload, _ = fitting_exif(held, info, place)
        held |= {"exif": payload} if payload else {}
        if "resolution" in held and is_for_exif(held["resolution"], info, place):
            del held["resolution"]
    if place in COMMENTED:
        comments = tuple(as_bytes(comment) for comment in held.get("comments", ()))
        if place != "jpeg" and "description" in held:
            comments = (as_bytes(held["description"]), *comments)
        held["comments"] = () if long_comment(info, place) else comments
    if place == "tiff" and "comments" in held:
        texts = [held[key] for key in ("description",) if key in held] + list(held["comments"])
        held["description"] = b"\n".join(as_bytes(text) for text in texts)
    return replace(info, metadata=held)


def fitting_exif(held: Mapping[str, Any], info: ImageInfo, place: str) -> tuple[bytes, frozenset[str]]:
    """The EXIF to write, and which keys it must leave out: a JPEG has 64 kB for it."""
    for without in (frozenset[str](), frozenset({"description"}), frozenset({"description", "exif"})):
        payload = with_facts({key: held[key] for key in held.keys() - without}, info, place)
        if place != "jpeg" or len(payload) <= LARGEST_IN_JPEG:
            break
    return payload, without


def long_comment(info: ImageInfo, place: str) -> str:
    """Why comments do not go into a JPEG, or a PNM, whose header is read in one piece."""
    texts = [*info.metadata.get("comments", ()), "" if place == "jpeg" else info.metadata.get("description", "")]
    size = sum(len(as_bytes(text)) for text in texts)
    return "64 kB are held" if place in COMMENTED and size > COMMENTED[place] else ""


def profile_misfit(info: ImageInfo, place: str) -> str:
    """Why the ICC profile does not hold for what will be stored, as where colour became grey; empty where it does."""
    described = PROFILES.get(info.metadata.get("icc", b"")[16:20])
    samples = (picture_samples(info, "ZC") or "").removesuffix("+alpha")
    stored = "rgb" if place in OF_COLOUR and samples == "grey" else samples
    what = f"the result is {samples}" if stored == samples else "colours are stored"
    return f"it describes {described}, {what}" if stored and described not in (None, stored) else ""


def density_of(info: ImageInfo) -> Resolution | None:
    """Pixels per centimetre, where the spacing tells them."""
    steps = [info.spacing.get(axis, (0.0, "")) for axis in "XY"]
    if any(step <= 0 or unit not in LENGTHS for step, unit in steps):
        return None
    x, y = (10 / (step * LENGTHS[unit]) for step, unit in steps)
    return x, y, "cm"


def is_held(density: Resolution, place: str) -> bool:
    """True where a format holds a resolution: as ratios of 32-bit numbers, BMP as whole ones, JPEG XR per inch."""
    held = density[2] in CENTIMETRES if place == "jxr" else place != "bmp" or not is_rounded(density, place)
    return held and all(LEAST <= value <= MOST for value in density[:2])


def is_rounded(density: Resolution, place: str) -> bool:
    """True where a format's own place for the resolution, if it has one, would change it: it holds whole numbers."""
    x, y, unit = density
    if place in ("png", "bmp", "jpeg"):
        centimetres = CENTIMETRES.get(unit, 0.0)
        scales = [scale / centimetres if centimetres else 1.0 for scale in WHOLE[place]]
        most = 65535 if place == "jpeg" else 2**31 - 1
        return not any(all(is_whole(value * scale, most) for value in (x, y)) for scale in scales)
    return place in ONLY_IN_EXIF or (place == "jp2" and unit not in CENTIMETRES)


def is_for_exif(density: Resolution, info: ImageInfo, place: str) -> bool:
    """True where only EXIF has a place for a resolution: JFIF, which has one in a JPEG, is not for inks."""
    return is_rounded(density, place) or (place == "jpeg" and info.samples == "cmyk")


def is_whole(value: float, most: int) -> bool:
    """True for what a whole number up to `most` holds well enough."""
    return 0 < round(value) <= most and abs(round(value) - value) <= ROUNDING * value


def with_xmp(held: dict[str, Any], info: ImageInfo, place: str) -> dict[str, Any]:
    """The metadata with XMP in one part or, for JPEG, in two, and its values those of today."""
    width, height = str(info.size("X")), str(info.size("Y"))
    values: dict[xmp.Property, str] = {xmp.ORIENTATION: str(held.get("orientation", 1))}
    values |= {(xmp.TIFF, "ImageWidth"): width, (xmp.TIFF, "ImageLength"): height}
    values |= {(xmp.EXIF, "PixelXDimension"): width, (xmp.EXIF, "PixelYDimension"): height}
    if "resolution" in held and not is_near(xmp.resolution(held["xmp"]), held["resolution"]):
        values |= xmp.density(*held["resolution"])
    keys = [key for key in ("xmp", "xmp_more") if key in held]
    changed = held | {key: xmp.with_values(held[key], values) for key in keys}
    more = changed.get("xmp_more", b"")
    if place != "jpeg":
        whole = xmp.joined(changed["xmp"], more) if more else changed["xmp"]
        changed.pop("xmp_more", None)
        return {**changed, "xmp": whole or changed["xmp"]}
    if not more:
        changed["xmp"], more = xmp.parted(changed["xmp"])
    return changed | ({"xmp_more": more} if more else {})


def with_facts(held: Mapping[str, Any], info: ImageInfo, place: str) -> bytes:
    """EXIF that tells what the image says elsewhere: all that this format has no other place for; empty for nothing."""
    payload: bytes = held.get("exif", b"")
    there, own = exif.main_directory(payload), held.get("tiff", {}).get("tags", {})
    tags = {code: own[code] for code in SHARED if code in own and code not in there}
    turn = held.get("orientation", 1)
    if turn != (exif.orientation(payload) or 1):
        tags[exif.ORIENTATION] = exif.number(turn)
    if "resolution" in held and (is_for_exif(held["resolution"], info, place) or exif.resolution(payload)):
        near = is_near(exif.resolution(payload), held["resolution"])
        tags |= exif.density(*held["resolution"]) if not near else {}
    text = as_bytes(held.get("description", b""))
    if text and place != "png" and exif.description(payload) != text.rstrip():
        tags[exif.DESCRIPTION] = exif.text(text)
    return exif.with_sizes(exif.with_tags(payload, tags), info.size("X"), info.size("Y"))


def is_near(said: Resolution | None, true: Resolution) -> bool:
    """True where two resolutions differ by rounding at the most, whatever their units."""
    if said is None or ("none" in (said[2], true[2]) and said[2] != true[2]):
        return False
    first, second = ([value / CENTIMETRES.get(unit, 1.0) for value in (x, y)] for x, y, unit in (said, true))
    return all(abs(a - b) <= 1e-4 * max(a, b) for a, b in zip(first, second, strict=True))


def as_bytes(text: str | bytes) -> bytes:
    """Text as it stands in a file."""
    return text if isinstance(text, bytes) else text.encode()
