"""Sound files damaged where their structure is: entries of a TIFF, chunks, markers, descriptors, numbers of a header.

`DAMAGES` has the ways for each format; each takes the file and a random generator and gives a file that differs.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib

from convcli.formats.npy import ZIP_DAMAGE

EXTREMES = (0, 1, 2, 3, 7, 8, 9, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
JUNK = (
    b"-",
    b"+",
    b".",
    b"x",
    b"=",
    b"#",
    b"P",
    b"\0",
    b"\xff",
    b"1e9",
    b"0x1",
    b"_",
    b"P2 3 2 9\n",
    b"# c\n",
    b"99999999999",
)
TIFF_CODES = (
    *(
        254,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        282,
        283,
        284,
        292,
        296,
        317,
        320,
        322,
        323,
        324,
        325,
    ),
    *(330, 338, 339, 347, 530, 532, 700, 33432, 33550, 33922, 34264, 34377, 34665, 34675, 34735, 42112, 42113),
)
CHUNKS = (
    *(
        b"gAMA",
        b"cHRM",
        b"sRGB",
        b"iCCP",
        b"sBIT",
        b"bKGD",
        b"hIST",
        b"tRNS",
        b"pHYs",
        b"sPLT",
        b"tIME",
        b"tEXt",
        b"zTXt",
    ),
    *(
        b"iTXt",
        b"eXIf",
        b"cICP",
        b"mDCV",
        b"cLLI",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"oFFs",
        b"pCAL",
        b"sCAL",
        b"sTER",
        b"abcd",
    ),
    *(b"PLTE", b"IDAT", b"IEND", b"IHDR", b"ABCD"),
)
BOXES = (
    *(
        b"jp2c",
        b"jp2h",
        b"uuid",
        b"meta",
        b"mdat",
        b"ftyp",
        b"jxlc",
        b"jxlp",
        b"jxll",
        b"Exif",
        b"xml ",
        b"brob",
        b"free",
        b"abcd",
    ),
)
MARKERS = (*range(0xC0, 0xD0), *range(0xD0, 0xE0), 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0x01, 0xF7)


def pick(rng, options):
    """One of some."""
    return options[int(rng.integers(len(options)))]


def packed(value, size, order):
    """A number in so many bytes, cut to fit."""
    return (value % (1 << 8 * size)).to_bytes(size, order)


def overwritten(data, start, content):
    return data[:start] + content + data[start + len(content) :]


def bytes_changed(data, rng, start=0, end=None):
    """A few bytes lost, put in or overwritten between two places."""
    data, end = data or b"\0", len(data) if end is None else end
    place, count = int(rng.integers(start, max(end, start + 1))), int(rng.integers(1, 20))
    match rng.integers(4):
        case 0:
            return data[:place] + data[min(place + count, end) :]
        case 1:
            return data[:place] + rng.bytes(count) + data[place:]
        case 2:
            return overwritten(data, place, bytes([data[min(place, len(data) - 1)] ^ 1 << int(rng.integers(8))]))
        case _:
            return data[:place] + data[place : place + count] * 2 + data[place + count :]


def cut(data, rng):
    """The end is missing."""
    return data[: int(rng.integers(1, len(data)))]


def lengthened(data, rng):
    """Something follows the end."""
    return data + pick(rng, (b"\0", b"\n", rng.bytes(9), data))


# TIFF


def tiff_entries(data):
    """Byte order, the places of the entries of all directories, and those of the pointers to the next."""
    order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] in (b"+\0", b"\0+")
    width, count, size = (8, 8, 20) if big else (4, 2, 12)
    pointer, entries, pointers = 8 if big else 4, [], []
    for _ in range(9):
        pointers.append(pointer)
        start = int.from_bytes(data[pointer : pointer + width], order)
        number = int.from_bytes(data[start : start + count], order)
        if not start or start >= len(data) or number > 99:
            break
        entries += [start + count + size * index for index in range(number)]
        pointer = start + count + size * number
    return order, width, size, [place for place in entries if place + size <= len(data)], pointers


def tiff_entry(data, rng):
    """A directory's entry has another code, type, number of values, or value."""
    order, width, _, entries, _ = tiff_entries(data)
    place = pick(rng, entries)
    match rng.integers(5):
        case 0:
            return overwritten(data, place, packed(pick(rng, TIFF_CODES), 2, order))
        case 1:
            return overwritten(data, place + 2, packed(int(rng.integers(0, 20)), 2, order))
        case 2:
            return overwritten(data, place + 4, packed(pick(rng, EXTREMES), width, order))
        case 3:
            return overwritten(data, place + 4 + width, packed(pick(rng, EXTREMES), width, order))
        case _:
            return overwritten(data, place + 4 + width, packed(pick(rng, EXTREMES), 2, order))


def tiff_value(data, rng):
    """What an entry points to is another number."""
    order, width, _, entries, _ = tiff_entries(data)
    place = pick(rng, entries)
    start = int.from_bytes(data[place + 4 + width : place + 4 + 2 * width], order)
    if not 8 <= start < len(data) - 8:
        return tiff_entry(data, rng)
    offset = start + 4 * int(rng.integers(4))
    return overwritten(data, offset, packed(pick(rng, EXTREMES), int(pick(rng, (2, 4, 8))), order))[: len(data)]


def tiff_entries_moved(data, rng):
    """Two entries change places, or one stands for another."""
    _, _, size, entries, _ = tiff_entries(data)
    first, second = pick(rng, entries), pick(rng, entries)
    one, other = data[first : first + size], data[second : second + size]
    changed = overwritten(data, first, other)
    return changed if rng.integers(2) else overwritten(changed, second, one)


def tiff_chain(data, rng):
    """The list of pages leads elsewhere."""
    order, width, _, entries, pointers = tiff_entries(data)
    targets = (0, 4, 8, len(data) - 2, len(data) + 9, 2**31, entries[0] - (8 if width == 8 else 2))
    return overwritten(data, pick(rng, pointers), packed(pick(rng, targets), width, order))


# PNG


def png_chunks(data):
    """Type and data of each chunk."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_of(chunks):
    """A PNG of chunks with their checksums."""
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_header(data, rng):
    """The header declares another size, depth, colour or order."""
    (kind, header), *rest = png_chunks(data)
    place = int(pick(rng, (0, 4, 8, 9, 10, 11, 12)))
    value = (
        packed(pick(rng, EXTREMES), 4, "big")
        if place < 8
        else bytes([pick(rng, (0, 1, 2, 3, 4, 5, 6, 8, 16, 32, 255))])
    )
    return png_of([(kind, overwritten(header, place, value)), *rest])


def png_order(data, rng):
    """A chunk is missing, twice there, or elsewhere."""
    chunks = png_chunks(data)
    place, other = int(rng.integers(len(chunks))), int(rng.integers(len(chunks)))
    match rng.integers(3):
        case 0:
            del chunks[place]
        case 1:
            chunks.insert(other, chunks[place])
        case _:
            chunks.insert(other, chunks.pop(place))
    return png_of(chunks)


def png_chunk(data, rng):
    """A chunk of another type, or with other, fewer or more bytes; its checksum is right."""
    chunks = png_chunks(data)
    place = int(rng.integers(len(chunks)))
    kind, content = chunks[place]
    match rng.integers(4):
        case 0:
            chunks[place] = pick(rng, CHUNKS), content
        case 1:
            chunks[place] = kind, bytes_changed(content or b"\0", rng)
        case 2:
            chunks[place] = kind, content[: int(rng.integers(len(content) + 1))]
        case _:
            chunks.insert(place, (pick(rng, CHUNKS), rng.bytes(int(pick(rng, (0, 1, 2, 4, 6, 7, 8, 9, 24, 32))))))
    return png_of(chunks)


def png_pixels(data, rng):
    """The compressed rows have other bytes, or they are others, compressed soundly."""
    chunks = png_chunks(data)
    packed_rows = b"".join(content for kind, content in chunks if kind == b"IDAT")
    if rng.integers(2):
        changed = bytes_changed(packed_rows, rng)
    else:
        changed = zlib.compress(bytes_changed(zlib.decompress(packed_rows), rng))
    first = next(place for place, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    half = int(rng.integers(len(changed) + 1))
    return png_of([*others[:first], (b"IDAT", changed[:half]), (b"IDAT", changed[half:]), *others[first:]])


# JPEG


def jpeg_segments(data):
    """The places of segments before the first scan's data, and where these begin."""
    places, place = [], 2
    while place + 4 <= len(data):
        places.append(place)
        length = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        place += length
        if data[places[-1] + 1] == 0xDA:
            break
    return places, place


def jpeg_segment(data, rng):
    """A segment of another marker or length, with other bytes, twice there, missing, or one more."""
    places, end = jpeg_segments(data)
    number = int(rng.integers(len(places)))
    start, stop = places[number], [*places, end][number + 1]
    segment = data[start:stop]
    match rng.integers(6):
        case 0:
            return overwritten(data, start + 1, bytes([pick(rng, MARKERS)]))
        case 1:
            return overwritten(data, start + 2, packed(len(segment) - 2 + int(rng.integers(-9, 10)), 2, "big"))
        case 2:
            place = start + 4 + int(rng.integers(max(len(segment) - 4, 1)))
            return overwritten(data, place, bytes([pick(rng, EXTREMES) & 255]))
        case 3:
            return data[:start] + data[stop:]
        case 4:
            return data[:stop] + segment + data[stop:]
        case _:
            content = rng.bytes(int(rng.integers(30)))
            return (
                data[:start]
                + bytes([0xFF, pick(rng, MARKERS)])
                + packed(len(content) + 2, 2, "big")
                + content
                + data[start:]
            )


def jpeg_frame(data, rng):
    """The frame declares another size, or other components."""
    places, _ = jpeg_segments(data)
    start = next(
        place for place in places if 0xC0 <= data[place + 1] <= 0xCF and data[place + 1] not in (0xC4, 0xC8, 0xCC)
    )
    place = start + int(rng.integers(4, 2 + int.from_bytes(data[start + 2 : start + 4], "big")))
    if rng.integers(2):
        size = packed(int(pick(rng, (0, 1, 8, 15, 16, 17, 63, 65, 80, 160, 65535))), 2, "big")
        return overwritten(data, start + 5 + 2 * int(rng.integers(2)), size)
    return overwritten(data, place, bytes([int(rng.integers(256))]))


def jpeg_scan(data, rng):
    """Bytes of the coded data are lost, put in or changed; restart markers have other numbers."""
    _, start = jpeg_segments(data)
    restarts = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data[start:])]
    if restarts and rng.integers(3) == 0:
        place = start + pick(rng, restarts)
        return overwritten(data, place + 1, bytes([int(rng.integers(0xD0, 0xDA))]))
    return bytes_changed(data, rng, start, len(data) - 2)


# GIF


def gif_fields(data):
    """The places of the fields of the screen, of frames and of their control blocks, and of their data."""
    places = [*range(6, 13)]
    for found in re.finditer(rb"!\xf9\x04", data):
        places += range(found.start(), found.start() + 8)
    for found in re.finditer(rb",....(?=..)", data, re.DOTALL):
        places += range(found.start(), found.start() + 12)
    return [place for place in places if place < len(data)]


def gif_field(data, rng):
    """A field of a descriptor is another number."""
    place = pick(rng, gif_fields(data))
    return overwritten(data, place, packed(pick(rng, EXTREMES), int(pick(rng, (1, 2))), "little"))[: len(data)]


def gif_blocks(data, rng):
    """Blocks are lost, come twice, or are others."""
    marks = [found.start() for found in re.finditer(rb"[!,;]", data[13:])]
    first, second = sorted((13 + pick(rng, marks), 13 + pick(rng, marks)))
    match rng.integers(3):
        case 0:
            return data[:first] + data[second:]
        case 1:
            return data[:second] + data[first:second] + data[second:]
        case _:
            return (
                data[:first]
                + pick(rng, (b"!\xfe\3abc\0", b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0", b"\0", b";"))
                + data[first:]
            )


# PNM, and other headers in text


def number_changed(data, rng):
    """A number in text is another one, or none."""
    numbers = list(re.finditer(rb"\d+", data[:2000]))
    start, end = pick(rng, numbers).span()
    value = pick(rng, (*(str(value).encode() for value in EXTREMES), b"", b"-1", b"1.5", b"1e3", b"0001", b"1_0"))
    return data[:start] + value + data[end:]


def junk_put_in(data, rng):
    """Characters that do not belong stand among those that do."""
    place = int(rng.integers(2, min(len(data), 300) + 1))
    return data[:place] + pick(rng, JUNK) + data[place:]


def line_changed(data, rng):
    """A line is missing, or comes twice."""
    lines = data.split(b"\n")
    place = int(rng.integers(min(len(lines), 12)))
    return b"\n".join(lines[:place] + [lines[place]] * int(2 * rng.integers(2)) + lines[place + 1 :])


# NIfTI, BMP, WebP, NumPy


def nifti_field(data, rng):
    """A number of the header is another one."""
    place = int(pick(rng, (0, *range(40, 124, 2), *range(108, 148, 4), 252, 254, *range(256, 328, 4), 344, 348)))
    whole, other = (0, 1, -1, 2, 4, 8, 16, 300, 32767, -32768), (float("nan"), float("inf"), -1e30, 3e38, 1e-40, 2.5)
    if rng.integers(2):
        return overwritten(data, place, struct.pack(pick(rng, ("<h", "<i")), pick(rng, whole)))
    return overwritten(data, place, struct.pack("<f", pick(rng, whole + other)))


def dicom_element(data, rng):
    """A length, or a number, of an element is another one, or an element is missing or comes twice."""
    starts = re.finditer(rb"[\2\x08\x18\x20\x28\xe0\x7f]\0..[A-Z]{2}", data[132:], re.DOTALL)
    start = 132 + int(pick(rng, [match.start() for match in starts]))
    length = int.from_bytes(data[start + 6 : start + 8], "little")
    match rng.integers(4):
        case 0:
            return overwritten(data, start + 6, packed(pick(rng, EXTREMES), 2, "little"))
        case 1:
            return overwritten(data, start + 8, packed(pick(rng, EXTREMES), int(pick(rng, (1, 2, 4))), "little"))
        case 2:
            return data[:start] + data[start + 8 + length :]
        case _:
            return data[: start + 8 + length] + data[start:]


def minc_word(data, rng):
    """A number among the words of a header is another one, or a letter of a word is."""
    words = list(re.finditer(rb"[a-z_-]{4,}", data))
    match = words[int(rng.integers(len(words)))]
    if rng.integers(3) == 0:
        return overwritten(data, match.start() + int(rng.integers(4)), bytes([int(rng.integers(256))]))
    place = match.end() // 4 * 4 + 4 * int(rng.integers(-4, 8))
    return overwritten(data, max(place, 0), packed(pick(rng, EXTREMES), 4, pick(rng, ("big", "little"))))


def mgh_field(data, rng):
    """A number of the header is another one."""
    if rng.integers(2):
        return overwritten(data, int(pick(rng, range(0, 28, 4))), packed(pick(rng, EXTREMES), 4, "big"))
    value = pick(rng, (float("nan"), float("inf"), -1e30, 3e38, 2.5, 0))
    return overwritten(data, int(pick(rng, range(30, 90, 4))), struct.pack(">f", value))


def mrc_field(data, rng):
    """A number of the header is another one."""
    place = int(pick(rng, (*range(0, 108, 4), *range(152, 160, 4), *range(196, 224, 4))))
    if rng.integers(2):
        return overwritten(data, place, packed(pick(rng, EXTREMES), 4, "little"))
    return overwritten(data, place, struct.pack("<f", pick(rng, (float("nan"), float("inf"), -1e30, 3e38, 2.5, 0))))


def bmp_field(data, rng):
    """A number of the headers is another one."""
    place = int(pick(rng, (2, 10, 14, 18, 22, 26, 28, 30, 34, 38, 42, 46, 50)))
    return overwritten(data, place, packed(pick(rng, EXTREMES), int(pick(rng, (2, 4))), "little"))


def webp_chunks(data, rng):
    """A chunk is missing, comes twice, has another length or name, or the file says another size."""
    places, place = [], 12
    while place + 8 <= len(data):
        places.append(place)
        place += 8 + (int.from_bytes(data[place + 4 : place + 8], "little") + 1) // 2 * 2
    start = pick(rng, places)
    stop = start + 8 + (int.from_bytes(data[start + 4 : start + 8], "little") + 1) // 2 * 2
    match rng.integers(5):
        case 0:
            changed = data[:start] + data[stop:]
        case 1:
            changed = data[:stop] + data[start:stop] + data[stop:]
        case 2:
            changed = overwritten(data, start + 4, packed(pick(rng, EXTREMES), 4, "little"))
        case 3:
            changed = overwritten(
                data, start, pick(rng, (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"abcd"))
            )
        case _:
            return overwritten(data, 4, packed(pick(rng, EXTREMES), 4, "little"))
    return overwritten(changed, 4, packed(len(changed) - 8, 4, "little"))


def qoi_field(data, rng):
    """The header declares another size, or other channels."""
    place = int(pick(rng, (4, 8, 12, 13)))
    value = packed(pick(rng, EXTREMES), 4, "big") if place < 12 else bytes([pick(rng, (0, 1, 2, 3, 4, 255))])
    return overwritten(data, place, value)


def dib_field(data, rng):
    """A number of the header is another one."""
    return bmp_field(bytes(14) + data, rng)[14:]


def ico_field(data, rng):
    """A number of the list of pictures, or of the first picture's header, is another one."""
    place = int(pick(rng, (2, 4, 6, 7, 10, 12, 14, 18)))
    if rng.integers(2):
        place = int.from_bytes(data[18:22], "little") + 4 * int(rng.integers(10))
    return overwritten(data, place, packed(pick(rng, EXTREMES), int(pick(rng, (1, 2, 4))), "little"))


def tga_field(data, rng):
    """The header declares another kind, palette, size or order."""
    place = int(pick(rng, (0, 1, 2, 3, 5, 7, 8, 12, 14, 16, 17)))
    return overwritten(data, place, packed(pick(rng, EXTREMES), int(pick(rng, (1, 2))), "little"))


def hdr_pixels(data, rng):
    """Bytes of the rows are lost, put in or changed."""
    return bytes_changed(data, rng, data.index(b"+X"))


def box_changed(data, rng):
    """A box is missing, comes twice, or has another length or name; or the codestream alone is damaged."""
    if data[:1] == b"\xff":
        return bytes_changed(data, rng, 2, 60)
    places, place = [], 0
    while place + 8 <= len(data):
        places.append(place)
        place += max(int.from_bytes(data[place : place + 4], "big"), 8)
    start = pick(rng, places)
    stop = start + max(int.from_bytes(data[start : start + 4], "big"), 8)
    match rng.integers(5):
        case 0:
            return data[:start] + data[stop:]
        case 1:
            return data[:stop] + data[start:stop] + data[stop:]
        case 2:
            return overwritten(data, start, packed(pick(rng, EXTREMES), 4, "big"))
        case 3:
            return overwritten(data, start + 4, pick(rng, BOXES))
        case _:
            return data[:start] + bytes_changed(data[start:stop], rng, 8) + data[stop:]


def box_inside(data, rng):
    """A number in the first boxes is another one, or a few bytes of them are lost or changed."""
    end = next((data.find(name) for name in (b"jp2c", b"mdat") if name in data), 60)
    place = int(rng.integers(4, max(end, 5)))
    if rng.integers(2):
        return overwritten(data, place, packed(pick(rng, EXTREMES), int(pick(rng, (1, 2, 4))), "big"))
    return bytes_changed(data, rng, 4, end)


def jxr_stream(data, rng):
    """The header of a codestream, or what follows it, is another."""
    start = data.index(b"WMPHOTO")
    return bytes_changed(data, rng, start + 8, int(pick(rng, (start + 40, len(data)))))


def npz_member(data, rng):
    """The array in an archive is damaged and packed soundly, or what packs it is damaged."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (member,) = archive.infolist()
        inner = archive.read(member)
    if rng.integers(2):
        start = data.index(member.filename.encode())
        return bytes_changed(data, rng, start, data.rindex(b"PK\1\2"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", member.compress_type) as archive:
        archive.writestr(member.filename, number_changed(inner, rng) if rng.integers(2) else bytes_changed(inner, rng))
    return stream.getvalue()


EVERY = (cut, lengthened, bytes_changed)
TEXT = (number_changed, number_changed, junk_put_in, junk_put_in, line_changed)
DAMAGES = {
    "tiff": (tiff_entry, tiff_entry, tiff_entry, tiff_value, tiff_value, tiff_entries_moved, tiff_chain),
    "png": (png_header, png_order, png_chunk, png_chunk, png_chunk, png_pixels, png_pixels),
    "jpeg": (jpeg_segment, jpeg_segment, jpeg_frame, jpeg_scan, jpeg_scan, jpeg_scan),
    "gif": (gif_field, gif_field, gif_field, gif_blocks),
    "pnm": TEXT,
    "nifti": (nifti_field, nifti_field, nifti_field, nifti_field),
    "dicom": (dicom_element, dicom_element, dicom_element),
    "minc": (minc_word, minc_word, minc_word),
    "nrrd": TEXT,
    "metaimage": TEXT,
    "mgh": (mgh_field, mgh_field, mgh_field),
    "mrc": (mrc_field, mrc_field, mrc_field),
    "bmp": (bmp_field, bmp_field, bmp_field),
    "webp": (webp_chunks, webp_chunks, webp_chunks),
    "jp2": (box_changed, box_inside, box_inside, bytes_changed),
    "avif": (box_changed, box_inside, box_inside, bytes_changed),
    "jxl": (box_changed, box_changed, bytes_changed),
    "jxr": (tiff_entry, tiff_value, tiff_entries_moved, jxr_stream, jxr_stream),
    "dib": (dib_field, dib_field, dib_field),
    "ico": (ico_field, ico_field, bytes_changed),
    "tga": (tga_field, tga_field, bytes_changed),
    "qoi": (qoi_field, bytes_changed),
    "hdr": (*TEXT, hdr_pixels, hdr_pixels),
    "npy": TEXT,
    "npz": (npz_member, npz_member, npz_member),
    "csv": TEXT,
}


def damaged(kind, content, rng):
    """A file of a kind with one to three damages."""
    for _ in range(int(pick(rng, (1, 1, 1, 2, 3)))):
        way = pick(rng, DAMAGES[kind] if rng.integers(6) else EVERY)
        try:
            content = way(content, rng) or b"x"
        except (IndexError, StopIteration, KeyError, *ZIP_DAMAGE):  # it was damaged before
            content = bytes_changed(content, rng) or b"x"
    return content
