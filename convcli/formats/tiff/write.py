"""Writing TIFF: plain, ImageJ or OME, with the metadata, compression and tiles of the file that the image came from.

ImageJ stays ImageJ and OME stays OME as long as they can hold the result; dimensions beyond rows, columns and samples
go into OME, which names them, and where OME has no such dtype into tifffile's own notation.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
from tifffile import FileHandle, TiffWriter

from convcli.errors import ConvError, UsageError
from convcli.formats.codecs import imagecodecs, lacking
from convcli.formats.contract import WriteOptions
from convcli.formats.flat import in_order
from convcli.formats.tiff import exif_directories, imagej, ome
from convcli.formats.tiff.codecs import is_there
from convcli.formats.tiff.geotiff import GEOGRAPHY, marking, placed
from convcli.formats.tiff.ifd import RATIONALS, Tag, add_to_first_page, layout_of
from convcli.image import Image, ImageInfo
from convcli.records import replace

LARGEST_CLASSIC = 2**32 - 2**25  # bytes: above, offsets of 32 bits may not reach
COMPRESSION_TAGS = {"none": 1, "deflate": 8, "lzw": 5, "zstd": 50000, "jpeg": 7}
LOSSLESS = {1: 1, 5: 5, 8: 8, 32946: 8, 32773: 32773, 34925: 34925, 50000: 50000}
"""Compression tags that are kept; others lose detail, or few programs write them, and become deflate."""
DEFLATE = 8
PREDICTABLE = frozenset({5, 8, 34925, 50000})
JPEG, JPEG_QUALITY = 7, 95
PREDICTORS = {"none": 1, "horizontal": 2, "float": 3}
PHOTOMETRICS = {"rgb": "rgb", "rgb+alpha": "rgb", "cmyk": "separated"}
COLOURED = {"rgb": 3, "separated": 4}
ALPHA = {True: "assocalpha", False: "unassalpha"}
RESOLUTION_UNITS = {"none": 1, "inch": 2, "cm": 3}
ORIENTATION = 274
BYTE, SHORT, UNDEFINED = 1, 3, 7
PACKETS = {"xmp": (700, BYTE), "iptc": (33723, UNDEFINED), "photoshop": (34377, BYTE)}
"""The tag of each, and its type."""
MOST_SAMPLES = 2**16 - 1


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Write an image of any dimensions."""
    places, info = stored_order(banded(image.info, kind))
    save(stream, info, options, kind, in_order(image.data, places))


def save(stream: BinaryIO, info: ImageInfo, options: WriteOptions, kind: str, data: Any, **more: Any) -> Any:
    """Let tifffile write an image, axes in TIFF's order; BigTIFF from the start where it may grow past 4 GB.

    `data` and `more` are what tifffile takes; its answer.
    """
    chosen = container(info, kind)
    arguments = {**structure(info, options), **LAYERS[chosen](info)}
    big = info.nbytes > LARGEST_CLASSIC
    own = {"ome": arguments.pop("fresh", False), "imagej": chosen == "imagej", "shaped": chosen == "shaped"}
    named = FileHandle(stream, name="image.tif")  # tifffile asks an open file for its name; a draft has none
    with TiffWriter(named, bigtiff=big, byteorder="<", **own) as file:
        answer = file.write(data, **arguments, **more)
    if "exif" in info.metadata:
        add_to_first_page(stream, exif_directories.into_tiff(info.metadata["exif"], stream, layout_of(stream)[0]))
    return answer


def remarks(info: ImageInfo, options: WriteOptions, kind: str) -> tuple[str, ...]:
    """What writing this image as a TIFF changes beside the pixels."""
    notes = []
    if kind == "tiff" and info.format == "imagej" and (reason := imagej.reason_against(info)):
        notes.append(f"{reason}: written as {'OME-TIFF' if container(info, kind) == 'ome' else 'plain TIFF'}")
    if kind == "tiff" and info.format == "ome" and (reason := ome.reason_against(info)):
        notes.append(f"{reason}: written as plain TIFF, without the OME metadata")
    chosen, own = compression_tag(info, options), info.metadata.get("tiff", {}).get("compression", 1)
    if options.compression is None and LOSSLESS.get(own) not in (chosen, 1):
        notes.append("the compression of the source is not kept: deflate is used")
    if container(info, kind) == "imagej" and (options.tile or options.compression == "jpeg"):
        how = "tiles" if options.tile else "JPEG"
        notes.append(f"ImageJ itself opens no TIFF of {how}; Fiji does (Bio-Formats), and all programs by libtiff")
    return tuple(notes)


def container(info: ImageInfo, kind: str) -> str:
    """How the dimensions are described: "plain", "imagej", "ome" or "shaped" (tifffile's own)."""
    stack = [axis for axis in info.axes if axis in "TZC"]
    if kind == "ome" or info.format == "ome":
        wanted = "ome"
    elif kind == "imagej" or info.format == "imagej":
        wanted = "imagej"
    else:
        pages = info.format == "tiff" and stack == ["Z"] and not info.spacing  # as a plain file's pages are read
        own = info.metadata.get("tiff", {}).get("shaped", False)
        wanted = "plain" if not stack else "shaped" if own else "plain" if pages else "ome"
    if wanted == "imagej" and imagej.reason_against(info):
        wanted = "ome"
    if wanted == "ome" and ome.reason_against(info):
        wanted = "shaped" if stack else "plain"
    return wanted


def place(info: ImageInfo, kind: str) -> str:
    """The column of `convcli.formats.kinds` for what an image becomes."""
    chosen = container(info, kind)
    return "tiff" if chosen == "plain" else chosen


def check(info: ImageInfo, kind: str) -> None:
    """Refuse what the kind of TIFF that was asked for by name cannot hold."""
    reasons = {"imagej": imagej.reason_against, "ome": ome.reason_against}
    if kind in reasons and (reason := reasons[kind](info)):
        raise ConvError(f"{reason}; use a .tif output, --format tiff or another --dtype", "dtype")


def suits(info: ImageInfo, options: WriteOptions, kind: str) -> None:
    """Refuse a compression or predictor that is none for such samples."""
    chosen = compression_tag(info, options)
    if chosen == JPEG:
        order = stored_order(banded(info, kind))[1]
        if info.dtype != "uint8":
            raise UsageError(
                f"JPEG in TIFF holds uint8, not {info.dtype}; use --dtype uint8 or --compression deflate", "dtype"
            )
        if order.axes.endswith("S") and order.samples != "rgb":
            given = order.samples or f"{order.size('S')} samples of a pixel"
            way = "--alpha drop or " * order.has_alpha
            raise UsageError(f"JPEG in TIFF holds grey or rgb, not {given}; use {way}--compression deflate", "shape")
    if options.quality is not None and chosen != JPEG:
        raise UsageError("--quality is for JPEG in a TIFF: add --compression jpeg; all other ways keep everything")
    if options.predictor in (None, "none"):
        return
    kinds = {"horizontal": "integers of up to 32 bits", "float": "floating-point samples"}
    held = info.sample.bits <= 32 if info.sample.is_integer else False
    if held != (options.predictor == "horizontal") or (info.sample.is_integer and not held):
        message = f"--predictor {options.predictor} is for {kinds[options.predictor]}, not {info.dtype}"
        raise UsageError(message, "dtype")
    if options.predictor == "float" and imagecodecs() is None:
        raise lacking("--predictor float")
    if chosen not in PREDICTABLE:
        raise UsageError(f"--predictor {options.predictor} helps a compression; add --compression deflate, lzw or zstd")


def banded(info: ImageInfo, kind: str) -> ImageInfo:
    """The image with its channels as samples of a pixel, where they are made of those of a plain TIFF's: its bands."""
    own, count = info.metadata.get("tiff", {}), info.size("C")
    plain = kind == "tiff" and info.format == "tiff" and "C" in info.axes and "S" not in info.axes
    if not (plain and own.get("bands") and count <= MOST_SAMPLES):
        return info
    return replace(info, axes=info.axes.replace("C", "S"), samples="grey" if count == 1 else "")


def stored_order(info: ImageInfo) -> tuple[list[int], ImageInfo]:
    """The dimensions where TIFF has them, samples last or right before rows and columns: their places, the image so.

    A single sample is no dimension there.
    """
    leading = [axis for axis in info.axes if axis in "TZC"]
    planar, several = info.axes.endswith("SYX"), info.size("S") > 1
    order = leading + ["S"] * (several and planar) + ["Y", "X"] + ["S"] * (several and not planar)
    places = [info.axes.index(axis) for axis in order]
    return places, replace(info, axes="".join(order), shape=tuple(info.shape[place] for place in places))


def structure(info: ImageInfo, options: WriteOptions) -> dict[str, Any]:
    """How tifffile is to lay out samples, compress, and tag what all kinds of TIFF have."""
    own = info.metadata.get("tiff", {})
    x, y, unit = info.metadata.get("resolution", (1.0, 1.0, "none"))
    arguments: dict[str, Any] = {
        **samples(info),
        **compression(info, options),
        "resolution": (x, y),
        "resolutionunit": RESOLUTION_UNITS[unit],
        "software": False,
        "extratags": [
            (code, tag.kind, tag.count, given(tag), code not in GEOGRAPHY)
            for code, tag in marking(placed(own.get("tags", {}), info.grid), info).items()
        ],
    }
    if info.metadata.get("orientation", 1) != 1:
        arguments["extratags"].append((ORIENTATION, SHORT, 1, info.metadata["orientation"], True))
    tile = options.tile or own.get("tile")
    if tile and all(side % 16 == 0 for side in tile):
        arguments["tile"] = tile
    if "icc" in info.metadata:
        arguments["iccprofile"] = info.metadata["icc"]
    packets = [(code, kind, info.metadata[key]) for key, (code, kind) in PACKETS.items() if key in info.metadata]
    arguments["extratags"] += [(code, kind, len(content), content, True) for code, kind, content in packets]
    return arguments


def given(tag: Tag) -> bytes | tuple[int, ...]:
    """A value as tifffile takes it: it counts the bytes of ratios twice."""
    return (
        struct.unpack(f"<{2 * tag.count}{'I' if tag.kind == RATIONALS[0] else 'i'}", tag.data)
        if tag.kind in RATIONALS
        else tag.data
    )


def samples(info: ImageInfo) -> dict[str, Any]:
    """Photometric interpretation, and what the samples of a pixel are."""
    white = info.metadata.get("tiff", {}).get("photometric") == "miniswhite"
    usual, count = "miniswhite" if white else "minisblack", info.size("S")
    own = info.metadata.get("tiff", {}).get("photometric", usual)
    if info.samples == "" and count > COLOURED.get(own, count):  # colours with data beside them
        usual = own
    arguments: dict[str, Any] = {"photometric": PHOTOMETRICS.get(info.samples, usual)}
    if count > 1:
        arguments["planarconfig"] = "separate" if info.axes.endswith("SYX") else "contig"
        coloured = COLOURED.get(arguments["photometric"], 1)
        extra = [ALPHA[info.premultiplied]] if info.has_alpha else []
        arguments["extrasamples"] = extra + ["unspecified"] * (count - coloured - len(extra))
    return arguments


def packs(info: ImageInfo, options: WriteOptions) -> bool:
    """Whether pixels are compressed: as asked for, else as they were in the source."""
    return compression(info, options)["compression"] is not None


def compression_tag(info: ImageInfo, options: WriteOptions) -> int:
    """TIFF's number of the compression asked for, else of the source's. Raises ConvError: codec-missing."""
    if options.compression is None:
        own = LOSSLESS.get(info.metadata.get("tiff", {}).get("compression", 1), DEFLATE)
        return own if is_there(own) else DEFLATE
    if not is_there(COMPRESSION_TAGS[options.compression]):
        raise lacking(f"TIFF packed by {options.compression}")
    return COMPRESSION_TAGS[options.compression]


def compression(info: ImageInfo, options: WriteOptions) -> dict[str, Any]:
    """The compression; a predictor as asked for, else where the source had one or a new choice allows it."""
    chosen, own = compression_tag(info, options), info.metadata.get("tiff", {})
    if chosen == JPEG:
        quality: dict[str, Any] = {"compressionargs": {"level": options.quality or JPEG_QUALITY}}
        coloured = {"subsampling": (1, 1)} if info.axes.endswith("S") and info.samples == "rgb" else {}
        return {"compression": JPEG, **quality, **coloured}
    if options.predictor is not None:
        return {"compression": None if chosen == 1 else chosen, "predictor": PREDICTORS[options.predictor] > 1}
    of_integers, whole = info.sample.is_integer, imagecodecs() is not None
    predictable = chosen in PREDICTABLE and (info.sample.bits <= 32 if of_integers else whole)
    kept = own.get("predictor", False) if options.compression is None else True
    return {"compression": None if chosen == 1 else chosen, "predictor": predictable and kept}


def plain(info: ImageInfo) -> dict[str, Any]:
    """Pages without a description of their dimensions, and the user's own description."""
    text = info.metadata.get("description")
    return {"metadata": None} | (
        {} if text is None else {"description": text.encode() if isinstance(text, str) else text}
    )


def shaped(info: ImageInfo) -> dict[str, Any]:
    """Pages with tifffile's description of their dimensions."""
    return {"metadata": {"axes": info.axes}}


def as_ome(info: ImageInfo) -> dict[str, Any]:
    """Pages with the source's OME-XML brought up to date, or a new one."""
    if "ome" in info.metadata and (text := ome.renewed(info.metadata["ome"], info)) is not None:
        return {"metadata": None, "description": text.encode()}
    return {"metadata": ome.fresh(info), "fresh": True}


def as_imagej(info: ImageInfo) -> dict[str, Any]:
    """Pages with ImageJ's description and metadata."""
    described = imagej.described(info)
    colours = described.pop("colormap", None)
    arguments: dict[str, Any] = {"metadata": described, "resolution": imagej.resolution(info)}
    if colours is not None and info.size("S") == 1:
        arguments["colormap"] = np.frombuffer(colours, "<u2").reshape(3, -1)
    return arguments


LAYERS = {"plain": plain, "shaped": shaped, "ome": as_ome, "imagej": as_imagej}
