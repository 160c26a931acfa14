"""TIFF, BigTIFF, ImageJ and OME through tifffile.

tifffile reports damage in its log and reads on: a stack cut in half becomes one page without an error. So the chain of
pages and the place of all pixels are checked here, and what it logs meanwhile is an error too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from math import prod
from typing import Any, BinaryIO

import numpy as np
from tifffile import TIFF, TiffFile, TiffPageSeries

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.flat import Flat
from convcli.formats.layout import check_axes, check_series, with_axes
from convcli.formats.pixels import Array
from convcli.formats.source import (
    DEFLATE_RATIO,
    LZW_RATIO,
    UNBOUNDED_RATIO,
    Source,
    check_declared,
    check_ratio,
    check_some,
    kept_open,
    times,
)
from convcli.formats.tiff import exif_directories, fax, imagej, ome
from convcli.formats.tiff import jpeg as tiff_jpeg
from convcli.formats.tiff.codecs import check_there
from convcli.formats.tiff.colours import CONTIGUOUS, JPEG, OLD_JPEG, YCBCR
from convcli.formats.tiff.damage import DAMAGE, check_page, judged, listening
from convcli.formats.tiff.exif import EXIF_POINTER, GPS_POINTER
from convcli.formats.tiff.geotiff import GEOGRAPHY, PLACES, missing_notes, missing_value
from convcli.formats.tiff.ifd import (
    Directory,
    Tag,
    codes,
    layout_of,
    next_offset,
    page_offsets,
    read_directory,
    straightened,
    swapped,
)
from convcli.formats.tiff.samples import (
    ASSOCIATED,
    PHOTOMETRICS,
    Meaning,
    dtype_of,
    expanded,
    meaning_of,
    packed_bits,
    sample_names,
)
from convcli.formats.tiff.stream import streamed, write
from convcli.formats.tiff.whole import decoded
from convcli.formats.tiff.windows import Careful, Paged, refuses
from convcli.formats.tiff.write import PACKETS, check, packs, place, remarks, suits
from convcli.image import AXES, Image, ImageInfo, PixelSource
from convcli.records import record, replace
from convcli.samples import as_sample

__all__ = ["FORMAT", "probe", "read", "streamed", "windows", "write"]

RATIOS = {
    1: 1,
    5: LZW_RATIO,
    OLD_JPEG: DEFLATE_RATIO,
    JPEG: DEFLATE_RATIO,
    8: DEFLATE_RATIO,
    32946: DEFLATE_RATIO,
    32773: 70,
}
STRICTLY = ((fax.is_fax, fax.decode_strictly), (tiff_jpeg.is_jpeg, tiff_jpeg.decode_strictly))
"""Compressions whose decoders guess at what is damaged, and what they are made to do."""
RESOLUTION_UNITS = {1: "none", 2: "inch", 3: "cm"}
DESCRIPTION, PREDICTOR, PROFILE = 270, 317, 34675
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, ORIENTATION = 282, 283, 296, 274
IMAGEJ_TAGS, NAMING = frozenset({50838, 50839}), frozenset({270, 285})
IPTC_MARK = b"\x1c"
KEPT_TAGS = frozenset({269, 285, 318, 319, 332, 333, 334, *exif_directories.SHARED, *GEOGRAPHY})
"""Names, colours, inks, what EXIF has too (makers, authors, dates, rights), places on Earth."""


@record
class Opened:
    """An open TIFF, the series of pages that is to be read, and what there is to say of it.

    `circle` is the number of its pages where the last one leads back to another, else 0.
    """

    stream: BinaryIO
    size: int
    offsets: list[int]
    file: TiffFile
    number: int
    series: TiffPageSeries
    tags: Directory
    heard: list[str]
    circle: int

    @property
    def page(self) -> Any:
        """The first page, which the others resemble."""
        return self.series.keyframe

    @cached_property
    def meaning(self) -> Meaning:
        """What its samples stand for."""
        return meaning_of(self.page, container(self))


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a TIFF says of its first image, or of the one that `series` picks."""
    with opened(source, options) as tiff:
        return with_remarks(describe(tiff, options), tiff, options)


def read(source: Source, options: ReadOptions) -> Image:
    """A TIFF with its pixels."""
    with opened(source, options) as tiff:
        info = describe(tiff, options)
        data = pixels(tiff, info, options)
        return Image(with_remarks(info, tiff, options), data)


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """A TIFF whose pixels are read a window at a time; None where it is decoded as a whole only."""
    with ExitStack() as opening:
        tiff = opening.enter_context(opened(source, options))
        info = with_remarks(describe(tiff, options), tiff, options)
        if options.max_pixels is not None:
            check_declared(info, options.max_pixels)
        told = options.lenient and any(applies(tiff.page) for applies, _ in STRICTLY)  # damage, together with the image
        pixels = None if told else windowed(tiff, info)
        kept = opening.pop_all()
    with kept_open(kept):
        yield None if pixels is None else (info, Careful(pixels, options))


def windowed(tiff: Opened, info: ImageInfo) -> PixelSource | None:
    """The pixels of the series by windows, expanded as `describe` says."""
    series, meaning = tiff.series, tiff.meaning
    if tiff.circle:  # a copy in memory
        return None
    if series.dataoffset is not None and series.shape == info.shape and type(meaning) is Meaning:
        dtype = series.dtype.newbyteorder(tiff.file.byteorder)
        return Flat(tiff.stream, series.dataoffset, dtype, series.shape, "TIFF")
    apart = meaning.gathers and tiff.page.samplesperpixel > 1 and tiff.page.planarconfig != CONTIGUOUS
    return None if apart or refuses(series) else Paged(tiff.stream, series, info.shape, meaning.pixels)


def with_remarks(info: ImageInfo, tiff: Opened, options: ReadOptions) -> ImageInfo:
    """The image with a note for each remark of tifffile; an error where one tells of damage."""
    return replace(info, notes=info.notes + judged(tiff.heard, options))


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A TIFF whose pages have been walked and whose series is chosen."""
    with source.open() as given, decoding("TIFF", *DAMAGE), listening() as heard:
        offsets = page_offsets(given, source.size, lenient=options.lenient)
        circle = next_offset(given, layout_of(given)[0], offsets[-1]) != 0
        stream = straightened(given, offsets[-1]) if circle else given
        with tiff_file(stream) as first:
            xml = first.ome_metadata if first.is_ome else None
        with tiff_file(stream, omexml=checked_ome(xml, options)) as file:
            check_imagej(file)
            judged(heard if file.series else [*heard, "it holds no image"], options)
            number = check_series(options.series, len(file.series))
            series = file.series[number]
            check_page(series.keyframe)
            check_there(series.keyframe)
            for applies, decode_strictly in STRICTLY:
                if applies(series.keyframe):
                    decode_strictly(series.keyframe, heard if options.lenient else None)
            tags = read_directory(stream, layout_of(stream)[0], series.keyframe.offset)
            yield Opened(stream, source.size, offsets, file, number, series, tags, heard, len(offsets) if circle else 0)


def tiff_file(stream: BinaryIO, omexml: str | None = None) -> TiffFile:
    """tifffile's view of an open file, told to look into no other one."""
    stream.seek(0)
    return TiffFile(stream, name="image.tif", omexml=omexml, _multifile=False, is_mmstack=False, is_ndtiff=False)


def checked_ome(xml: str | None, options: ReadOptions) -> str | None:
    """OME-XML that describes this file alone, and one image unless one is picked."""
    if xml is None:
        return None
    root = ome.parse(xml)
    ome.check_one_file(root)
    count = len(ome.images(root))
    if count > 1 and options.series is None:
        raise ConvError(f"holds {count} images; --series 0 to {count - 1} picks one", "ambiguous")
    return ome.without_file_names(xml)


def check_imagej(file: TiffFile) -> None:
    """An ImageJ description promises a number of planes; fewer mean that the file was cut."""
    if not file.is_imagej or file.is_ome or not file.series:
        return
    promised = (file.imagej_metadata or {}).get("images", 1)
    _, _, height, width, samples = file.pages.first.shaped
    held = file.series[0].size // max(height * width * samples, 1)
    if isinstance(promised, int) and held < promised:
        raise corrupt("TIFF", f"ImageJ's description declares {promised} planes, {held} are there")


def series_notes(tiff: Opened, options: ReadOptions) -> tuple[str, ...]:
    """What of a file is left unread."""
    file, series = tiff.file, tiff.series
    notes = []
    if tiff.circle:
        notes.append(f"damage: its list of pages runs in a circle behind page {tiff.circle}; each is read once")
    if len(file.series) > 1 and options.series is None:
        notes.append(
            f"holds {len(file.series)} images; the first ({times(series.shape)}) is read; --series N picks another"
        )
    if len(series.levels) > 1:
        notes.append(f"{len(series.levels) - 1} smaller copies of the image (a pyramid) are left out")
    return tuple(notes)


def describe(tiff: Opened, options: ReadOptions) -> ImageInfo:
    """The chosen series as an image, as it will be read: bits and palettes expanded."""
    page, series = tiff.page, tiff.series
    meaning, dtype = tiff.meaning, dtype_of(page)
    number = "uint8" if dtype == "bool" else dtype
    axes, remarks = named_axes(tiff, options)
    kind = container(tiff)
    metadata = metadata_of(tiff, kind)
    info = ImageInfo(
        shape=series.shape,
        dtype=dtype,
        axes=axes,
        format=kind,
        samples=sample_names(page) if "S" in series.axes else "",
        premultiplied=ASSOCIATED in page.extrasamples,
        spacing={axis: step for axis, step in spacing_of(tiff, kind, metadata).items() if axis in axes},
        missing=as_sample(missing_value(tiff.tags), number),
        metadata=metadata,
        notes=series_notes(tiff, options),
        remarks=remarks + missing_notes(tiff.tags, number),
    )
    info = replace(info, notes=(*info.notes, *check_places(tiff, info, options)))
    return with_bands(with_axes(meaning.described(info), options.axes, alpha=options.alpha), tiff)


def with_bands(info: ImageInfo, tiff: Opened) -> ImageInfo:
    """The image with a mark where what is made of its samples are bands as they are: samples of a pixel, no pages.

    That is so of data in several samples, and of what lies on Earth, unless C names something else.
    """
    place = -1 if tiff.meaning.gathers else tiff.series.axes.find("S")
    located = not tiff.tags.keys().isdisjoint(PLACES)
    named = info.axes[place] if place >= 0 else "S"
    data = located or named == "C" or (place >= 0 and not sample_names(tiff.page))
    bands = data and named in "CS" and ("C" not in info.axes or named == "C")
    return replace(info, metadata={**info.metadata, "tiff": {**info.metadata["tiff"], "bands": bands}})


def named_axes(tiff: Opened, options: ReadOptions) -> tuple[str, tuple[str, ...]]:
    """A letter for each dimension: as declared, as the user says, or Z for the pages of a plain file, with a remark."""
    axes, shape = tiff.series.axes, tiff.series.shape
    if options.axes is not None and len(options.axes) == len(axes) and not tiff.meaning.gathers:
        return check_axes(options.axes, shape), ()
    if not {"Y", "X"} <= set(axes):
        raise ConvError(f"holds no image: its dimensions are {axes or 'none'} ({times(shape)})", "shape")
    unnamed = [letter for letter in axes if letter not in AXES]
    if not unnamed:
        return axes, ()
    if len(unnamed) == 1 and "Z" not in axes and unnamed[0] in "IQ":
        named = axes.replace(unnamed[0], "Z")
        return named, (f"{shape[named.index('Z')]} pages are read as a stack ({named}); --axes names them otherwise",)
    message = f"has dimensions without a known meaning ({axes}, {times(shape)}); --axes names them, as in --axes "
    raise ConvError(message + "TZCYX"[-len(axes) :], "ambiguous")


def container(tiff: Opened) -> str:
    """The kind of TIFF: "ome", "imagej" or "tiff"."""
    return tiff.series.kind if tiff.series.kind in ("ome", "imagej") else "tiff"


def metadata_of(tiff: Opened, kind: str) -> dict[str, Any]:
    """All that is carried over, under the shared keys and "tiff", "ome", "imagej"."""
    tags, page = tiff.tags, tiff.page
    metadata: dict[str, Any] = {"tiff": own_metadata(tiff)}
    if PROFILE in tags:
        metadata["icc"] = tags[PROFILE].data
    metadata |= {key: packet(tags[code]) for key, (code, _) in PACKETS.items() if code in tags}
    if (payload := exif_directories.from_tiff(tiff.stream, layout_of(tiff.stream)[0], tags)) is not None:
        metadata["exif"] = payload
    if (turn := int(page.tags.valueof(ORIENTATION, default=0))) in range(1, 9):
        metadata["orientation"] = turn
    if (resolution := resolution_of(tags)) is not None:
        metadata["resolution"] = resolution
    if kind == "tiff" and DESCRIPTION in tags and not page.is_shaped:
        metadata["description"] = text_of(tags[DESCRIPTION].data)
    if kind == "imagej":
        metadata["imagej"] = imagej.kept(tiff.file.imagej_metadata or {}) | color_table(page)
    if kind == "ome" and len(tiff.file.series) == 1 and DESCRIPTION in tags:
        metadata["ome"] = tags[DESCRIPTION].data.rstrip(b"\0").decode("utf-8", "replace")
    return metadata | ({"dropped": dropped} if (dropped := tuple(dropped_parts(tiff, kind))) else {})


def packet(tag: Tag) -> bytes:
    """The bytes of a tag, also where some program took them for numbers and turned them to the file's byte order."""
    turned = swapped(tag.data, tag.kind)
    return turned if turned.startswith(IPTC_MARK) and not tag.data.startswith(IPTC_MARK) else tag.data


def dropped_parts(tiff: Opened, kind: str) -> Iterator[str]:
    """What nobody can know to hold for other pixels, or has a place for: tags of others, the names of further pages."""
    unknown = tiff.tags.keys() - KEPT_TAGS - exif_directories.STRUCTURE - {EXIF_POINTER, GPS_POINTER} - IMAGEJ_TAGS
    yield from (f"TIFF tag {code} {TIFF.TAGS.get(code, '')}".rstrip() for code in sorted(unknown))
    plain = kind == "tiff" and not tiff.page.is_shaped and len(tiff.series) > 1
    if plain and NAMING & codes(tiff.stream, layout_of(tiff.stream)[0], tiff.offsets[1:]):
        yield "the names of all pages but the first"


def own_metadata(tiff: Opened) -> dict[str, Any]:
    """How the file is built, as far as a new one should be built alike; and tags to copy."""
    page = tiff.page
    return {
        "photometric": PHOTOMETRICS.get(page.photometric, "rgb" if page.photometric == YCBCR else "minisblack"),
        "compression": int(page.compression),
        "predictor": int(page.predictor) > 1,
        "shaped": tiff.series.kind == "shaped",
        "tile": (page.tilelength, page.tilewidth) if page.is_tiled else None,
        "tags": {code: tag for code, tag in tiff.tags.items() if code in KEPT_TAGS},
    }


def color_table(page: Any) -> dict[str, Any]:
    """The colours in which ImageJ shows intensities."""
    return {} if page.colormap is None else {"colormap": np.asarray(page.colormap, "<u2").tobytes()}


def resolution_of(tags: Directory) -> tuple[float, float, str] | None:
    """Pixels per unit in x and y; None where nothing is said (1 pixel per nothing says nothing)."""
    if X_RESOLUTION not in tags or Y_RESOLUTION not in tags:
        return None
    pairs = [struct.unpack("<II", tags[code].data[:8].ljust(8, b"\0")) for code in (X_RESOLUTION, Y_RESOLUTION)]
    if any(below == 0 for _, below in pairs):
        return None
    (x, y), unit = [above / below for above, below in pairs], 2
    if RESOLUTION_UNIT in tags:
        unit = tags[RESOLUTION_UNIT].numbers()[0]
    found = (x, y, RESOLUTION_UNITS.get(unit, "none"))
    return None if found == (1, 1, "none") else found


def text_of(data: bytes) -> str | bytes:
    """A description as text; as the bytes it is where it is no UTF-8."""
    held = data.rstrip(b"\0")
    try:
        return held.decode()
    except UnicodeDecodeError:
        return held


def spacing_of(tiff: Opened, kind: str, metadata: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """The step along each axis that the file declares."""
    if kind == "imagej":
        return imagej.spacing(metadata["imagej"], metadata.get("resolution"))
    if kind == "ome":
        found = ome.images(ome.parse(tiff.file.ome_metadata or ""))
        return ome.spacing(found[tiff.number]) if tiff.number < len(found) else {}
    return {}


def check_places(tiff: Opened, info: ImageInfo, options: ReadOptions) -> tuple[str, ...]:
    """Every strip or tile of every page lies inside the file and could hold what is declared for it.

    A note where some are absent, and the reading is lenient.
    """
    series = tiff.series
    check_some(info)
    if tiff.page.compression == OLD_JPEG:  # its places are in tags of many kinds, which libtiff looks after
        check_ratio(series.size, tiff.size, DEFLATE_RATIO)
        return ()
    if series.dataoffset is not None:
        missing = series.dataoffset + series.nbytes - tiff.size
        if missing > 0:
            raise corrupt("TIFF", f"it is cut short: {missing:,} bytes of pixels are missing")
        return ()
    found = [stored_bytes(tiff, page, number, options) for number, page in enumerate(series, 1)]
    sizes, absent = [size for size, _ in found], sum(count for _, count in found)
    if len(sizes) * tiff.page.size != series.size:
        raise corrupt("TIFF", f"{series.size // tiff.page.size} pages are declared, {len(sizes)} are there")
    ratio = RATIOS.get(int(tiff.page.compression), UNBOUNDED_RATIO) * (3 if tiff.page.is_subsampled else 1)
    check_ratio(series.size * packed_bits(tiff.page) // 8, sum(sizes), ratio)
    return (f"damage: {absent} strips or tiles are absent, and read as {tiff.page.nodata:g}",) if absent else ()


def stored_bytes(tiff: Opened, page: Any, number: int, options: ReadOptions) -> tuple[int, int]:
    """The bytes of one page's pixels in the file, and how many strips or tiles are absent: an error if not lenient."""
    if page is None:
        raise corrupt("TIFF", f"page {number} of the stack is missing")
    offsets, counts, parts = page.dataoffsets, page.databytecounts, prod(tiff.page.chunked)
    if len(offsets) != len(counts) or len(offsets) < parts:
        raise corrupt("TIFF", f"page {number} lists {len(offsets)} of {parts} strips or tiles")
    if min(offsets) < 0 or min(counts) < 0:
        raise corrupt("TIFF", f"pixels of page {number} lie before its beginning, or are fewer than none")
    if any(offset + count > tiff.size for offset, count in zip(offsets, counts, strict=True)):
        raise corrupt("TIFF", f"it is cut short: pixels of page {number} lie past its end")
    absent = sum(not (offset and count) for offset, count in zip(offsets, counts, strict=True))
    if absent and not options.lenient:
        filled = "missing" if tiff.page.nodata else "zeros"  # as GDAL has it
        reason = f"{absent} strips or tiles of page {number} are absent; --lenient reads them as {filled}"
        raise corrupt("TIFF", reason)
    return sum(counts), absent


def pixels(tiff: Opened, info: ImageInfo, options: ReadOptions) -> Array:
    """The samples of the series, expanded as `describe` says."""
    series = tiff.series
    check_declared(info, options.max_pixels)
    data = decoded(tiff.stream, series)
    if data.shape != series.shape:
        raise corrupt("TIFF", f"it decodes to {times(data.shape)} samples, not to {times(series.shape)}")
    return expanded(tiff.meaning, data, series.axes)


FORMAT = FormatModule(
    probe,
    read,
    write,
    windows,
    streamed,
    packs=packs,
    check=check,
    suits=suits,
    remarks=remarks,
    place=place,
    whole="strips or tiles like these are decoded as a whole",
)
