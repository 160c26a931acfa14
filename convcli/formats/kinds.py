"""The kinds of things that files say beside their pixels, and which format holds which.

What a result loses on its way into another format is told before any work, from this table; a test holds it to what is
truly written, for every kind and every pair of formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from convcli.formats import metadata, xmp
from convcli.formats.table import ADVISED, FORMATS, Format
from convcli.formats.tiff import exif
from convcli.formats.tiff.exif_directories import SHARED
from convcli.image import ImageInfo

GEOTIFF, GDAL = frozenset({33550, 33922, 34264, 34735, 34736, 34737}), 42112
NAMES, COLOURS, INKS, DATES = frozenset({269, 285}), frozenset({318, 319}), frozenset({332, 333, 334}), {305, 306, 316}
AUTHORS = frozenset(SHARED) - DATES
OF_THE_PICTURE = {exif.DESCRIPTION, exif.ORIENTATION, exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT, 531}
SHOWN_BY_IMAGEJ = {"Info": "notes", "Labels": "labels", "LUTs": "colours", "colormap": "colours"}
DRAWN_BY_IMAGEJ = {"Overlays": "overlays", "Overlay": "overlays", "ROI": "selection", "Properties": "properties"}
MOST_NAMED = 6
ROUNDING = 1e-6
TITLES = {
    "tiff": "plain TIFF",
    "shaped": "plain TIFF",
    "ome": "OME-TIFF",
    "imagej": "ImageJ TIFF",
    "npy": "a NumPy file",
}
TEXTS = (b"tEXt", b"zTXt", b"iTXt")

TIFFS = ("tiff", "shaped", "imagej", "ome")
WHOLE_EXIFS = ("png", "jpeg", "webp", "jp2", "avif", "jxl")
EXIFS = (*WHOLE_EXIFS, "jxr")
PROFILED = ("png", "jpeg", "webp", "jp2", "avif", "jxr", "gif")
PICTURES = (*EXIFS, "gif", "bmp", "pnm", "qoi", "hdr", "tga", "ico")
SPATIAL = ("nifti", "nrrd", "metaimage", "mgh")
VOLUMES = (*SPATIAL, "mrc")


class Kind(NamedTuple):
    """A kind of metadata: what it is called where an image has it (else ""), and the places that hold it.

    `misfit` tells why a place that holds the kind does not hold this one. To lose what is `minor` is no warning.
    """

    name: str
    found: Callable[[ImageInfo], str]
    held: frozenset[str]
    misfit: Callable[[ImageInfo, str], str] = lambda _info, _place: ""
    minor: bool = False


def has(key: str, name: str) -> Callable[[ImageInfo], str]:
    """The name, for images that have a shared key."""
    return lambda info: name if key in info.metadata else ""


def tagged(codes: frozenset[int] | set[int], name: str) -> Callable[[ImageInfo], str]:
    """The name, for images from a TIFF that has one of some tags."""
    return lambda info: name if codes & tags_of(info).keys() else ""


def tags_of(info: ImageInfo) -> Mapping[int, Any]:
    """The tags that a TIFF brought along."""
    tags: Mapping[int, Any] = info.metadata.get("tiff", {}).get("tags", {})
    return tags


def chunks_of(info: ImageInfo) -> Mapping[bytes, bytes]:
    """The chunks that a PNG brought along."""
    return {kind: data for kind, data, _ in info.metadata.get("png", {}).get("chunks", ())}


def exif_of(info: ImageInfo) -> str:
    """EXIF, where it says more of the picture than others hold."""
    return "EXIF" if exif.main_directory(info.metadata.get("exif", b"")).keys() - OF_THE_PICTURE else ""


def resolution_of(info: ImageInfo) -> str:
    """The resolution, where no spacing tells the same."""
    return "" if metadata.density_of(info) or "resolution" not in info.metadata else "resolution"


def spacing_of(info: ImageInfo) -> str:
    """The distance between samples along axes that have some."""
    return "spacing" if any(info.size(axis) > 1 for axis in info.spacing) else ""


def axes_of(info: ImageInfo) -> str:
    """The names of dimensions, where there are more than rows and columns."""
    return "names of the dimensions" if info.axes not in ("YX", "YXS") else ""


def colour_of(info: ImageInfo) -> str:
    """What a PNG says of its colours, where no profile says it better."""
    from convcli.formats.png.chunks import tells_colour

    told = "icc" not in info.metadata and tells_colour(info.metadata.get("png", {}).get("chunks", ()))
    return "gamma and primaries" if told else ""


def texts_of(info: ImageInfo) -> str:
    """A PNG's own texts, by their names."""
    chunks = info.metadata.get("png", {}).get("chunks", ())
    names = dict.fromkeys(data.partition(b"\0")[0].decode("latin-1") for kind, data, _ in chunks if kind in TEXTS)
    return f"texts ({', '.join(names)})" if names else ""


def other_chunks_of(info: ImageInfo) -> str:
    """Chunks of a PNG that are none of the kinds of their own."""
    from convcli.formats.png.chunks import COLOUR

    names = [kind.decode() for kind in chunks_of(info) if kind not in COLOUR | {*TEXTS, b"tIME", b"sBIT"}]
    return f"PNG's {', '.join(names)}" if names else ""


def imagej_of(words: Mapping[str, str]) -> Callable[[ImageInfo], str]:
    """Some of what ImageJ says, in words."""

    def found(info: ImageInfo) -> str:
        held = info.metadata.get("imagej", {})
        names = dict.fromkeys(word for key, word in words.items() if key in held)
        return f"ImageJ's {', '.join(names)}" if names else ""

    return found


def own_of(key: str, title: str) -> Callable[[ImageInfo], str]:
    """What a file of medicine or microscopy says that others have no place for, in its own words."""

    def found(info: ImageInfo) -> str:
        says = info.metadata.get(key, {}).get("says", ())
        return f"{title}'s {', '.join(says)}" if says else ""

    return found


def of_a_plane(info: ImageInfo, place: str) -> str:
    """Why a picture alone has no place in space."""
    return "a picture alone has none there" if place in ("nrrd", "metaimage") and "Z" not in info.axes else ""


def displayed_of(info: ImageInfo) -> str:
    """How viewers show the channels of an OME-Zarr."""
    return "OME-Zarr's colours and windows of channels" if zarr_of(info, "omero") else ""


def attributes_of(info: ImageInfo) -> str:
    """What else the attributes of a Zarr say."""
    return "attributes of the Zarr" if zarr_of(info, "attributes") else ""


def zarr_of(info: ImageInfo, name: str) -> Any:
    """Something that an image has from a Zarr."""
    return vars(info.metadata["zarr"])[name] if "zarr" in info.metadata else None


def other_omero(info: ImageInfo, _place: str) -> str:
    """Why viewers are told nothing of channels."""
    return "it describes other channels" if info.size("C") != zarr_of(info, "channels") else ""


def missing_of(info: ImageInfo) -> str:
    """The value that marks missing samples, where a TIFF declared one."""
    return (
        "" if info.missing is None or "tiff" not in info.metadata else f"value of missing samples {info.missing:.15g}"
    )


def maximum_of(info: ImageInfo) -> str:
    """The largest value that a PNM declares, where it is not that of the sample type."""
    most = info.metadata.get("pnm", {}).get("maxval")
    return f"largest value of {most}" if most else ""


def times_of(info: ImageInfo) -> str:
    """The times of an animation's pictures, where there are several."""
    return "times of pictures" if "animation" in info.metadata and info.size("T") > 1 else ""


def other_times(info: ImageInfo, place: str) -> str:
    """Why times are not those of the source."""
    times = info.metadata["animation"].times
    if len(times) != info.size("T"):
        return "there are other pictures: each is shown for a tenth of a second"
    step = {"gif": 10.0, "webp": 1.0}.get(place, 0.0)
    odd = step and any(abs(time / step - round(time / step)) > ROUNDING for time in times)
    return f"they are rounded to {step:g} ms" if odd else ""


def radiance_of(info: ImageInfo) -> str:
    """The variables in the header of a Radiance picture."""
    names = dict.fromkeys(line.partition(b"=")[0].decode("latin-1") for line in info.metadata.get("radiance", ()))
    return f"Radiance's {', '.join(names)}" if names else ""


def white_of(info: ImageInfo) -> str:
    """That 0 is white, where a TIFF says so; formats of pictures hold the samples turned around."""
    return "that 0 is white" if info.metadata.get("tiff", {}).get("photometric") == "miniswhite" else ""


def all_or_nothing(_info: ImageInfo, place: str) -> str:
    """Why an opacity is not held as it is."""
    return "opacity is all or nothing" if place == "gif" else ""


def no_white(info: ImageInfo, place: str) -> str:
    """Why samples are not turned around."""
    return "no number with a fraction is white" if info.dtype.startswith("float") and place not in TIFFS else ""


def multiplied_of(info: ImageInfo) -> str:
    """That colours are multiplied by their opacity; formats of pictures hold the colours themselves."""
    return "that colours are multiplied by their opacity" if info.premultiplied and info.has_alpha else ""


def lost_extension(info: ImageInfo, place: str) -> str:
    """Why the second part of XMP is lost where all of it must be one."""
    more = info.metadata.get("xmp_more", b"")
    return "its two parts could not be joined" if more and place != "jpeg" and not joinable(info) else ""


def joinable(info: ImageInfo) -> bool:
    """True where the two parts of XMP make one document."""
    return xmp.joined(info.metadata["xmp"], info.metadata["xmp_more"]) is not None


def too_long(key: str) -> Callable[[ImageInfo, str], str]:
    """Why EXIF, or the description in it, does not go into a JPEG."""

    def misfit(info: ImageInfo, place: str) -> str:
        without = metadata.fitting_exif(info.metadata, info, place)[1] if place == "jpeg" else ()
        return "JPEG holds 64 kB of it" if key in without else ""

    return misfit


def too_long_text(info: ImageInfo, place: str) -> str:
    """Why a description is lost: it stands in EXIF, or among the comments."""
    return metadata.long_comment(info, place) if place in ("pnm", "hdr") else too_long("description")(info, place)


def coarse(info: ImageInfo, place: str) -> str:
    """Why the resolution is lost."""
    if place in VOLUMES and info.metadata["resolution"][2] == "none":
        return "it has no unit"
    return unheld(info.metadata["resolution"], place)


def beyond_resolution(info: ImageInfo, place: str) -> str:
    """Why distances are not all told by pixels per centimetre."""
    if place not in metadata.RESOLVING:
        return ""
    density = metadata.density_of(info)
    if density is None or any(info.size(axis) > 1 for axis in info.spacing if axis not in "XY"):
        return "only pixels per inch or centimetre are held"
    return unheld(density, place)


def unheld(density: metadata.Resolution, place: str) -> str:
    """Why a format does not hold a resolution."""
    return (
        "" if metadata.is_held(density, place) else f"{density[0]:g} x {density[1]:g} per {density[2]} is out of range"
    )


def other_depth(info: ImageInfo, place: str) -> str:
    """Why significant bits no longer hold."""
    from convcli.formats.png.chunks import layout_of

    return (
        "they were those of another depth"
        if place == "png" and info.metadata["png"]["layout"] != layout_of(info)
        else ""
    )


def coloured(info: ImageInfo, place: str) -> str:
    """Why a background does not fit."""
    from convcli.formats.png.chunks import background_data, layout_of

    fits = place != "png" or background_data(info.metadata["background"], layout_of(info))
    return "" if fits else "it has a colour, the result is grey"


def other_planes(info: ImageInfo, _place: str) -> str:
    """Why the labels of planes are lost in ImageJ's own format."""
    labels = info.metadata["imagej"].get("Labels", ())
    count = 1 if isinstance(labels, str) else len(labels)
    planes = info.size("T") * info.size("Z") * info.size("C")
    return "the planes that labels name are gone" if count not in (0, planes) else ""


def other_channels(info: ImageInfo, _place: str) -> str:
    """Why an OME-XML is written anew."""
    renewed = import_module("convcli.formats.tiff.ome").renewed(info.metadata["ome"], info)
    return "" if renewed is not None else "it describes other channels: a new one is written"


def everywhere(*more: str) -> frozenset[str]:
    """All kinds of TIFF, and others."""
    return frozenset((*TIFFS, *more))


KINDS = (
    Kind("orientation", has("orientation", "orientation"), everywhere(*EXIFS)),
    Kind("ICC profile", has("icc", "ICC profile"), everywhere(*PROFILED), metadata.profile_misfit),
    Kind("EXIF", exif_of, everywhere(*EXIFS), too_long("exif")),
    Kind(
        "EXIF thumbnail",
        lambda i: "EXIF thumbnail" * metadata.has_thumbnail(i.metadata),
        frozenset(WHOLE_EXIFS),
        minor=True,
    ),
    Kind("XMP", has("xmp", "XMP"), everywhere(*EXIFS, "gif")),
    Kind("extended XMP", has("xmp_more", "extended XMP"), everywhere(*EXIFS, "gif"), lost_extension),
    Kind("IPTC", has("iptc", "IPTC"), everywhere("png", "jpeg", "jp2", "jxr")),
    Kind("Photoshop's data", has("photoshop", "Photoshop's data"), everywhere("png", "jpeg", "jxr")),
    Kind(
        "description",
        has("description", "description"),
        frozenset({"tiff", *EXIFS, "gif", "pnm", "hdr"}),
        too_long_text,
    ),
    Kind(
        "comments",
        has("comments", "comments"),
        frozenset({"tiff", "png", "jpeg", "gif", "pnm", "hdr"}),
        metadata.long_comment,
    ),
    Kind("resolution", resolution_of, everywhere(*EXIFS, "bmp", *VOLUMES), coarse, minor=True),
    Kind("spacing", spacing_of, everywhere(*EXIFS, "bmp", *VOLUMES, "ome-zarr"), beyond_resolution),
    Kind("names of the dimensions", axes_of, everywhere(*VOLUMES, "zarr", "ome-zarr", *PICTURES), minor=True),
    Kind("background", has("background", "background colour"), frozenset({"png"}), coloured),
    Kind("gamma and primaries", colour_of, frozenset({"png"})),
    Kind("texts", texts_of, frozenset({"png"})),
    Kind("time", lambda info: "time of change" * (b"tIME" in chunks_of(info)), frozenset({"png"}), minor=True),
    Kind(
        "significant bits",
        lambda info: "significant bits" * (b"sBIT" in chunks_of(info)),
        frozenset({"png"}),
        other_depth,
        minor=True,
    ),
    Kind("other chunks of PNG", other_chunks_of, frozenset({"png"})),
    Kind("ImageJ's notes, labels and colours", imagej_of(SHOWN_BY_IMAGEJ), frozenset({"imagej"}), other_planes),
    Kind("ImageJ's drawings", imagej_of(DRAWN_BY_IMAGEJ), frozenset({"imagej"})),
    Kind(
        "ImageJ's display range",
        imagej_of(dict.fromkeys(("min", "max", "Ranges"), "display range")),
        frozenset({"imagej"}),
        minor=True,
    ),
    Kind("OME-XML", has("ome", "OME-XML"), frozenset({"ome"}), other_channels),
    Kind("place on Earth", tagged(GEOTIFF, "place on Earth (GeoTIFF)"), everywhere()),
    Kind("GDAL's metadata", tagged({GDAL}, "GDAL's metadata"), everywhere()),
    Kind("value of missing samples", missing_of, everywhere()),
    Kind("authors and makers", tagged(AUTHORS, "authors, makers or rights"), everywhere(*EXIFS)),
    Kind("software and date", tagged(DATES, "software and date"), everywhere(*EXIFS), minor=True),
    Kind("names of the page", tagged(NAMES, "names of the document or page"), everywhere()),
    Kind("colour calibration", tagged(COLOURS, "white point and primaries"), everywhere()),
    Kind("inks", tagged(INKS, "names of inks"), everywhere()),
    Kind("origin and directions", has("affine", "origin and directions of the axes"), frozenset(SPATIAL), of_a_plane),
    Kind("NIfTI's header", own_of("nifti", "NIfTI"), frozenset({"nifti"})),
    Kind("NRRD's header", own_of("nrrd", "NRRD"), frozenset({"nrrd"})),
    Kind("MetaImage's header", own_of("metaimage", "MetaImage"), frozenset({"metaimage"})),
    Kind("MGH's scan", own_of("mgh", "MGH"), frozenset({"mgh"}), minor=True),
    Kind("Analyze's description", own_of("analyze", "Analyze"), frozenset(), minor=True),
    Kind("DICOM's patient", own_of("dicom", "DICOM"), frozenset(), minor=True),
    Kind("MINC's patient", own_of("minc", "MINC"), frozenset(), minor=True),
    Kind("MRC's header", own_of("mrc", "MRC"), frozenset({"mrc"})),
    Kind("display of OME-Zarr", displayed_of, frozenset({"ome-zarr"}), other_omero),
    Kind("attributes of Zarr", attributes_of, frozenset({"zarr", "ome-zarr"}), minor=True),
    Kind("largest value", maximum_of, frozenset({"pnm"})),
    Kind("times of pictures", times_of, frozenset({"gif", "webp", "png"}), other_times),
    Kind(
        "samples in linear light",
        lambda i: "that samples are linear light" * ("linear" in i.metadata),
        frozenset({"qoi", "jxl"}),
    ),
    Kind("Radiance's header", radiance_of, frozenset({"hdr"})),
    Kind("white as 0", white_of, everywhere(*PICTURES), no_white),
    Kind("colours multiplied by opacity", multiplied_of, everywhere(*PICTURES), all_or_nothing),
)


def losses(entry: Format, info: ImageInfo) -> Iterator[tuple[Kind, str, str]]:
    """(kind, what it is called here, why) of all that an image says and a format does not hold; no why: never."""
    place = entry.place(info)
    for kind in KINDS:
        name = kind.found(info)
        if name and place not in kind.held:
            yield kind, name, ""
        elif name and (reason := kind.misfit(info, place)):
            yield kind, name, reason


def lost(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """A warning, or none, that names all that is lost and matters.

    >>> info = ImageInfo((4, 6), "uint8", "YX", metadata={"orientation": 6, "xmp": b"<x/>"})
    >>> lost(FORMATS["bmp"], info)[0]
    'metadata lost: orientation, XMP (BMP does not hold them; a .png output does; --auto-orient turns the picture)'
    """
    found = [(kind, name, why) for kind, name, why in losses(entry, info) if not kind.minor]
    absent = [(kind, name) for kind, name, why in found if not why]
    parts = [f"{name} ({why})" for _, name, why in found if why]
    if absent:
        names = ", ".join(name for _, name in absent)
        them = "them" if "," in names else "it"
        why = f"{TITLES.get(entry.place(info), entry.title)} does not hold {them}"
        parts.insert(0, f"{names} ({'; '.join([why, *ways(entry, info, [kind for kind, _ in absent])])})")
    if dropped := info.metadata.get("dropped"):
        more = f" and {len(dropped) - MOST_NAMED} more" if len(dropped) > MOST_NAMED else ""
        parts.append(f"{', '.join(dropped[:MOST_NAMED])}{more} (may not hold for other pixels)")
    return (f"metadata lost: {'; '.join(parts)}",) if parts else ()


def ways(entry: Format, info: ImageInfo, kinds: list[Kind]) -> Iterator[str]:
    """What would keep kinds that are lost."""
    for name in ADVISED:
        held = FORMATS[name].place(info)
        if entry.name != name and all(held in kind.held for kind in kinds) and info.dtype in FORMATS[name].dtypes:
            yield f"a {FORMATS[name].suffixes[0]} output does"
            break
    if any(kind.name == "orientation" for kind in kinds):
        yield "--auto-orient turns the picture"


def lost_quietly(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """A remark, or none, that names what is lost and hardly matters."""
    names = [name for kind, name, _ in losses(entry, info) if kind.minor]
    return (f"left out: {', '.join(names)}",) if names else ()
