"""The table of formats: how each is recognised and named, what it holds, and which module reads and writes it.

A file is known by its first bytes; its name only chooses what is written.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.formats.contract import FormatModule, WriteOptions
from convcli.formats.source import FOLDER, Source
from convcli.image import ImageInfo
from convcli.samples import SAMPLES

CDF = rb"CDF[\x01\x02\x05]"
INTEGERS = ("uint8", "uint16")
NUMBERS = tuple(SAMPLES)
HELD_BY_NIFTI = tuple(name for name in NUMBERS if name != "float16")
HELD_BY_COG = (*INTEGERS, "int8", "int16", "uint32", "int32", "float32", "float64")
HELD_BY_MRC = ("int8", "int16", "uint16", "float32", "float16")
MAP = rb".{208}MAP[ \0]"
HELD_BY_MGH = ("uint8", "int16", "uint16", "int32", "float32")
MGH = rb"\0\0\0\x01\0\0..\0\0..\0\0"
ANALYZE = rb"(\x5c\x01\0\0|\0\0\x01\x5c).{340}(?!n[+i]\d)"
DIB = rb"(\x0c\0{3}.{4}|[\x28\x34\x38\x6c\x7c]\0{3}.{8})\x01\0[\x01\x04\x08\x10\x18\x20]\0"
ICON = rb"\0\0\x01\0[^\0]\0...\0[\0\x01]\0[\0\x01\x04\x08\x10\x18\x20]\0"
"""The sizes of a header and of pixels; an entry of the list of pictures."""
TARGA = (
    rb"(?=.{12}(?!\0\0)..(?!\0\0)..)."  # sizes
    rb"(\0[\x02\n]\0{5}.{8}[\x0f\x10\x18\x20]|\0[\x03\x0b]\0{5}.{8}[\x08\x10]|\x01[\x01\t].{4}[\x0f\x10\x18\x20].{8}\x08)"
    rb"[\0-\x3f]"
)
"""A header that makes sense: colours or greys without a palette, or indices with one, of bits that there are."""
STORED_AS_TIFF = ("compression", "quality", "predictor", "tile")
STORED_AS_ZARR = ("compression", "chunks", "shards", "levels")
GREY, COLOUR = ("grey",), ("grey", "rgb")
ZARR = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".convcli-unfinished")
NUMERALS = rb"(\xef\xbb\xbf)?\s*(#.*|[+-]?(\d|\.\d|[nN][aA]|[iI]nf)[\d+\-.,;eE\snafiNAFI]*)\Z"
"""The first bytes of numbers as text; all of a head must fit."""
TRANSPARENT = ("grey", "grey+alpha", "rgb", "rgb+alpha")


class Format(NamedTuple):
    """A file format: the module that reads and writes it, how it is recognised, and what it holds.

    `magic` matches the first bytes, and `inside` those of what gzip packs; `samples` is empty where an image of any
    dimensions is held; `side` is the largest width and height. A format without `dtypes` is read only. A folder is of a
    format if it has a file called as one of its `marks`; a format of `folder`s is written as many objects in one, which
    a URL may name, too. Files of a `series`, all that lie in a folder, are one image. One that is `animated` holds
    pictures that follow each other in time. Files may `also` have endings that other formats are written with. A format
    `heeds` the options of writing that are named so in `WriteOptions`; others are refused.
    """

    name: str
    title: str
    module: str
    suffixes: tuple[str, ...]
    magic: bytes = rb"(?!)"
    dtypes: tuple[str, ...] = NUMBERS
    samples: tuple[str, ...] = ()
    side: int = 2**31 - 1
    marks: tuple[str, ...] = ()
    folder: bool = False
    inside: bytes = rb"(?!)"
    series: bool = False
    animated: bool = False
    also: tuple[str, ...] = ()
    heeds: tuple[str, ...] = ()

    @property
    def stacked(self) -> str:
        """The axes that one file of pictures does not have."""
        return "ZC" if self.animated else "TZC"

    @property
    def holds_pictures(self) -> bool:
        """Whether one file holds several pictures that follow each other in time."""
        return self.animated or not self.samples

    def load(self) -> FormatModule:
        """What the format's module gives; it is imported when it is first needed."""
        module: FormatModule = import_module(f"convcli.formats.{self.module}").FORMAT
        return module

    def takes(self, info: ImageInfo) -> bool:
        """True where such an image is written as its pixels come."""
        module = self.load()
        return module.streamed is not None and module.takes(info, self.name)

    def laid_out(self, options: WriteOptions) -> Format:
        """The format itself, or the kind of it that is asked for; UsageError where it has none such."""
        if not options.cog or self.name == "cog":
            return self
        if self.name != "tiff":
            raise UsageError(f"a cloud-optimised GeoTIFF is a .tif, not {self.title}", where="--cog")
        return FORMATS["cog"]

    def place(self, info: ImageInfo) -> str:
        """The column of `convcli.formats.kinds` that the metadata of such an image go to.

        >>> FORMATS["pgm"].place(ImageInfo((4, 6), "uint8", "YX"))
        'pnm'
        """
        return self.load().place(info, self.name)


FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "png",
            "PNG",
            "png.whole",
            (".png", ".apng"),
            rb"\x89PNG\r\n\x1a\n",
            INTEGERS,
            TRANSPARENT,
            1_000_000,
            animated=True,
            heeds=("png",),
        ),
        Format(
            "jpeg",
            "JPEG",
            "jpeg.whole",
            (".jpg", ".jpeg"),
            rb"\xff\xd8\xff",
            ("uint8",),
            (*COLOUR, "cmyk"),
            65500,
            heeds=("quality",),
        ),
        # Before TIFF: 128 bytes of a DICOM are free, and some writers put the header of a TIFF there.
        Format("dicom", "DICOM", "dicom.whole", (".dcm",), rb".{128}DICM", (), series=True),
        Format("tiff", "TIFF", "tiff.read", (".tif", ".tiff"), rb"II[\*+]\0|MM\0[\*+]", heeds=STORED_AS_TIFF),
        Format("ome", "OME-TIFF", "tiff.read", (".ome.tif", ".ome.tiff"), heeds=STORED_AS_TIFF),
        Format("imagej", "ImageJ TIFF", "tiff.read", (), heeds=STORED_AS_TIFF),
        Format("cog", "cloud-optimised GeoTIFF", "tiff.cog", (), dtypes=HELD_BY_COG, heeds=(*STORED_AS_TIFF, "cog")),
        Format(
            "webp",
            "WebP",
            "pillow",
            (".webp",),
            rb"RIFF....WEBP",
            ("uint8",),
            TRANSPARENT,
            16383,
            animated=True,
            heeds=("quality",),
        ),
        Format("bmp", "BMP", "pillow", (".bmp",), rb"BM", ("uint8",), COLOUR),
        Format("dib", "DIB", "dib", (".dib",), DIB, ("uint8",), COLOUR),
        Format("ico", "ICO", "icon", (".ico",), ICON, ("uint8",), TRANSPARENT, 256),
        Format("gif", "GIF", "pillow", (".gif",), rb"GIF8[79]a", ("uint8",), TRANSPARENT, 65535, animated=True),
        Format(
            "jp2",
            "JPEG 2000",
            "jpeg2000.whole",
            (".jp2", ".jpx", ".jpf"),
            rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
            (*INTEGERS, "int8", "int16"),
            TRANSPARENT,
            heeds=("quality",),
        ),
        Format(
            "avif",
            "AVIF",
            "avif.whole",
            (".avif",),
            rb"....ftypavi[fs]",
            ("uint8",),
            TRANSPARENT,
            65536,
            heeds=("quality",),
        ),
        Format(
            "jxl",
            "JPEG XL",
            "jpegxl.whole",
            (".jxl",),
            rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
            (*INTEGERS, "float16", "float32"),
            TRANSPARENT,
            2**30,
            heeds=("quality",),
        ),
        Format(
            "jxr",
            "JPEG XR",
            "jpegxr.whole",
            (".jxr", ".wdp", ".hdp"),
            rb"II\xbc[\0\1]",
            (*INTEGERS, "float16"),
            (*COLOUR, "rgb+alpha"),
            heeds=("quality",),
        ),
        Format("qoi", "QOI", "qoi", (".qoi",), rb"qoif", ("uint8",), TRANSPARENT),
        Format("hdr", "Radiance HDR", "radiance", (".hdr",), rb"#\?R(ADIANC|GB)E", ("float32",), COLOUR),
        Format("pgm", "PGM", "pnm.whole", (".pgm",), rb"P[25]\s", INTEGERS, GREY),
        Format("ppm", "PPM", "pnm.whole", (".ppm",), rb"P[36]\s", INTEGERS, ("rgb",)),
        Format("pnm", "PNM", "pnm.whole", (".pnm",), dtypes=INTEGERS, samples=COLOUR),
        Format("pam", "PAM", "pnm.whole", (".pam",), rb"P7\s", INTEGERS, TRANSPARENT),
        Format("pbm", "PBM", "pnm.whole", (".pbm",), rb"P[14]\s", ()),
        Format("analyze", "Analyze", "volumes.analyze", (), ANALYZE, (), also=(".hdr", ".img")),
        Format(
            "nifti",
            "NIfTI",
            "nifti.whole",
            (".nii",),
            rb"\x5c\x01\0\0|\0\0\x01\x5c|\x1c\x02\0\0|\0\0\x02\x1c",
            HELD_BY_NIFTI,
        ),
        Format("minc", "MINC", "minc.whole", (".mnc",), CDF + rb"|\x89HDF\r\n\x1a\n", (), inside=CDF),
        Format("nrrd", "NRRD", "volumes.nrrd", (".nrrd",), rb"NRRD000\d", HELD_BY_NIFTI),
        Format(
            "metaimage", "MetaImage", "volumes.metaimage", (".mha",), rb"(ObjectType|NDims|Comment)\s*=", HELD_BY_NIFTI
        ),
        Format("mrc", "MRC", "volumes.mrc", (".mrc", ".map"), MAP, HELD_BY_MRC, inside=MAP),
        Format("mgh", "MGH", "volumes.mgh", (".mgh",), MGH, HELD_BY_MGH),
        Format("mgz", "compressed MGH", "volumes.mgh", (".mgz", ".mgh.gz"), dtypes=HELD_BY_MGH, inside=MGH),
        Format("nifti-gz", "compressed NIfTI", "nifti.whole", (".nii.gz",), rb"\x1f\x8b", HELD_BY_NIFTI),
        Format("npy", "NumPy array", "npy", (".npy",), rb"\x93NUMPY"),
        Format("npz", "NumPy archive", "npy", (".npz",), rb"PK\x03\x04"),
        Format("csv", "CSV", "csv", (".csv",), NUMERALS),
        Format("tsv", "TSV", "csv", (".tsv",)),
        Format("tga", "TGA", "targa", (".tga",), TARGA, ("uint8",), TRANSPARENT, 65535),  # no mark: after all others
        Format("zarr", "Zarr", "zarr.whole", (".zarr",), marks=ZARR, folder=True, heeds=STORED_AS_ZARR),
        Format("ome-zarr", "OME-Zarr", "zarr.whole", (".ome.zarr",), folder=True, heeds=STORED_AS_ZARR),
    )
}

ADVISED = ("png", "tiff")  # to who asks for what a format cannot hold: without loss, and read everywhere
UNREAD = {
    rb"....ftyphe(i[cx]|v[cx])": "HEIC",
    rb"8BPS\0[\1\2]": "a file of Photoshop",
    rb"gimp xcf": "a file of GIMP",
    rb"v/1\x01": "OpenEXR",
    rb"%PDF-": "PDF",
}
"""Formats of pictures that people have and that are not read."""
NEAR, HEAD = 16, 512  # bytes that are enough to tell most formats apart, and all of them
GZIP = b"\x1f\x8b"
MOST_LOOKED_AT = 8  # files of a folder, until it is known not to hold a series


def recognised(source: Source) -> Format:
    """The format that the first bytes show, or the names in a folder."""
    if source.is_folder:
        return of_folder(source)
    head = source.head(HEAD)
    if head.startswith(GZIP):
        inside = unpacked(head)
        for entry in FORMATS.values():
            if re.match(entry.inside, inside, re.DOTALL):
                return entry
    for entry in FORMATS.values():
        if re.match(entry.magic, head[:NEAR], re.DOTALL) or re.match(entry.magic, head, re.DOTALL):
            return entry
    named = None if source.in_memory else by_suffix(source.name)
    if named and named.module == FORMATS["csv"].module and b"\0" not in head:
        return named  # which tells where it is no number
    for magic, title in UNREAD.items():
        if re.match(magic, head, re.DOTALL):
            raise ConvError(f"is {title}, which is not read here; convert it first, to .tif or .png", "unknown-format")
    start = head[:NEAR]
    is_text = start.isascii() and re.sub(r"[\t\r\n]", " ", start.decode()).isprintable()
    known = ", ".join(entry.title for entry in FORMATS.values() if entry.magic != Format._field_defaults["magic"])
    shown = "text" if is_text else "data"
    raise ConvError(
        f"is not an image in a known format, but {shown} beginning {head[:8]!r}; known are {known}", "unknown-format"
    )


def unpacked(head: bytes) -> bytes:
    """The beginning of what gzip packs; nothing where it is damaged."""
    import zlib

    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


def of_folder(source: Source) -> Format:
    """The format whose mark lies in a folder; there is no other image in one."""
    for entry in FORMATS.values():
        if any(map(source.has, entry.marks)):
            return entry
    for name in source.names()[:MOST_LOOKED_AT]:
        head = source.head(HEAD, name)
        for entry in FORMATS.values():
            if entry.series and re.match(entry.magic, head, re.DOTALL):
                return entry
    raise ConvError(*FOLDER)


def by_suffix(name: str) -> Format | None:
    """The format that the end of a name stands for: the longest that fits."""
    fitting = [
        (suffix, entry) for entry in FORMATS.values() for suffix in entry.suffixes if name.lower().endswith(suffix)
    ]
    return max(fitting, key=lambda pair: len(pair[0]))[1] if fitting else None


def format_for(name: str, override: str | None = None) -> Format:
    """The format to write: by `--format`, or by the end of the output's name.

    >>> format_for("out.jpg").name
    'jpeg'
    >>> format_for("-", "png").title
    'PNG'
    """
    if override is not None:
        entry = FORMATS.get(override.lower()) or by_suffix(f".{override}")
        if entry is None or not entry.dtypes:
            raise unknown_format(f"unknown format {override!r}", override, "--format")
        return entry
    entry = by_suffix(name)
    if entry is not None and entry.dtypes:
        return entry
    if name == "-":
        raise UsageError(
            "standard output has no name to tell the format: add --format png, tiff, npy ...", "unknown-format"
        )
    if entry is not None:
        raise unknown_format(f"{entry.title} is only read here", "", name)
    suffix = Path(name).suffix
    given = (
        f"no format is known by the ending {suffix!r}"
        if suffix
        else f"the name has no ending that tells the format; add one ({name}.png), or --format"
    )
    raise unknown_format(given, suffix.removeprefix("."), name)


def alike(word: str, name: str) -> float:
    """How much of two words is the same."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, word.lower(), name).ratio()


def unknown_format(given: str, word: str, where: str) -> UsageError:
    """The error that lists the formats, the nearest name first."""
    from difflib import get_close_matches

    known = [suffix[1:] for entry in FORMATS.values() if entry.dtypes for suffix in entry.suffixes]
    near = get_close_matches(word.lower(), known, len(known))
    best = [name for name in near if alike(word, name) == alike(word, near[0])]
    near = [name for name in known if name in best]  # of equals the one that stands first in the table
    meant = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"{given}; {meant}known are {', '.join(known)}", "unknown-format", where=where)
