"""Files that say something beside their pixels, one kind each, made by other tools than the ones under test; and what
other programs find of it in a result.

`SAYING` maps a kind, as the report calls it, to the formats that can say it, each with what makes such a file.
`SEEN` maps it to what looks for it in a file; it answers whether it is there, and right.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from importlib.util import find_spec

import imagecodecs
import numpy as np
import PIL.GifImagePlugin
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import PIL.TiffImagePlugin
import tifffile

from convcli.formats import probe
from dicoms import dicom
from faults import chunk
from mincs import minc1

GREY = np.arange(0, 240, 5, dtype=np.uint8).reshape(6, 8)
COLOURED = np.dstack([GREY, GREY, 250 - GREY])
CLEAR = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 51)])  # a fifth of all light
FAINT = (CLEAR // [5, 5, 5, 1]).astype(np.uint8)
COLOUR = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
PROFILE = COLOUR[:16] + b"GRAY" + COLOUR[20:]
PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" %s/></rdf:RDF></x:xmpmeta>'
)
LABEL = b"a label to keep"
XMP = (PACKET % f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Label="{LABEL.decode()}"').encode()
NAME = b"0123456789ABCDEF0123456789ABCDEF"
MAIN = PACKET % f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{NAME.decode()}"'
MORE = (PACKET % 'xmlns:pdf="http://ns.adobe.com/pdf/1.3/" pdf:Keywords="the rest"').encode()
RECORD = b"\x1c\x02\x78\x00\x0fa title to keep"
PATH = b"8BIM" + struct.pack(">H", 2000) + b"\0\0" + struct.pack(">I", 12) + b"a path, kept"
TEXT, COMMENT = "a description to keep, 5 µm", "a comment to keep"
PLACE = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4000000.0, 0.0), True),
]
SHARED = ("png", "jpeg", "webp", "tiff", "imagej", "ome")
TIFFS = ("tiff", "imagej", "ome")
BY_ENDING = {".png": "png", ".jpg": "jpeg", ".webp": "webp", ".gif": "gif", ".bmp": "bmp", ".pgm": "pnm", ".npy": "npy"}
TARGETS = (
    ".png",
    ".jpg",
    ".webp",
    ".gif",
    ".bmp",
    ".dib",
    ".ico",
    ".jp2",
    ".avif",
    ".jxl",
    ".jxr",
    ".qoi",
    ".tga",
    ".hdr",
    ".pgm",
    ".pam",
    ".tif",
    ".ome.tif",
    ".nii",
    ".nii.gz",
    ".nrrd",
    ".mha",
    ".mrc",
    ".npy",
    ".npz",
)


def exif(**tags):
    """EXIF of these tags of the main directory, as Pillow packs it."""
    made = PIL.Image.Exif()
    for code, value in tags.items():
        made[int(code[1:])] = value
    return made


def camera():
    """EXIF with a maker, an exposure and a place."""
    made = exif(_271="Maker")
    made.get_ifd(0x8769)[0x8827] = 400
    made.get_ifd(0x8825)[2] = (48.0, 51.0, 24.5)
    return made


def small_picture():
    """EXIF with a thumbnail."""
    first = struct.pack("<HHHII", 1, 271, 2, 6, 100) + struct.pack("<I", 26)
    second = struct.pack("<H", 3) + struct.pack("<HHII", 513, 4, 1, 110) + struct.pack("<HHII", 514, 4, 1, 8)
    second += struct.pack("<HHIHH", 274, 3, 1, 6, 0) + struct.pack("<I", 0)
    head = b"II*\0" + struct.pack("<I", 8) + first + second
    return head.ljust(100, b"\0") + b"Maker\0".ljust(10, b"\0") + b"\xff\xd8THUM\xff\xd9"


def saved(kind, image=GREY, **options):
    """A file as Pillow saves it."""
    stream = io.BytesIO()
    picture = image if isinstance(image, PIL.Image.Image) else PIL.Image.fromarray(image)
    picture.save(stream, kind, **{"lossless": True} if kind == "WEBP" else {}, **options)
    return stream.getvalue()


def png(*chunks, image=GREY, **options):
    """A PNG with chunks of our own behind its header."""
    content = saved("PNG", image, **options)
    return content[:33] + b"".join(chunk(*parts) for parts in chunks) + content[33:]


def png_of(depth, colour, background, *, palette=b""):
    """A PNG of some depth and colour type with a background."""
    rows = zlib.compress(b"".join(bytes(1 + 8 * 6) for _ in range(6))[: 6 * (1 + row_bytes(depth, colour))])
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 8, 6, depth, colour, 0, 0, 0))]
    parts += [(b"PLTE", palette)] if palette else []
    parts += [(b"bKGD", background), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def row_bytes(depth, colour):
    """Bytes of a row of eight pixels."""
    return {0: 1, 2: 3, 3: 1}[colour] * depth


def jpeg(*segments, **options):
    """A JPEG with segments of our own behind its first marker."""
    content = saved("JPEG", **options)
    return content[:2] + b"".join(segments) + content[2:]


def app(number, payload):
    """An application segment of a JPEG."""
    return bytes((0xFF, 0xE0 + number)) + struct.pack(">H", len(payload) + 2) + payload


def photoshop(content):
    """Photoshop's segment."""
    return app(13, b"Photoshop 3.0\0" + content)


def irb(number, content):
    """One of Photoshop's resources."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + b"\0" * (len(content) % 2)


def raw_profile(kind, content):
    """A text of a PNG as ImageMagick writes profiles."""
    text = f"\n{kind}\n{len(content):8}\n{content.hex()}\n".encode()
    return b"zTXt", b"Raw profile type " + kind.encode() + b"\0\0" + zlib.compress(text)


def gif(*blocks, **options):
    """A GIF with blocks of our own before its picture."""
    content = saved("GIF", **options)
    place = 13 + (3 << (content[10] & 7) + 1)
    return b"GIF89a" + content[6:place] + b"".join(blocks) + content[place:]


def block(head, content):
    """An extension of a GIF."""
    parts = [content[start : start + 255] for start in range(0, len(content), 255)]
    return b"\x21" + head + b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


XMP_BLOCK = b"\x21\xff\x0bXMP DataXMP" + XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\0"


def bmp(profile):
    """A BMP with a profile in it."""
    content = saved("BMP", GREY)
    table, pixels = content[54 : 54 + 1024], content[54 + 1024 :]
    head = struct.pack("<I", 124) + content[18:54] + struct.pack("<4I", 0, 0, 0, 0) + b"DEBM" + bytes(48)
    head += struct.pack("<4I", 4, 124 + 1024 + len(pixels), len(profile), 0)
    size = 14 + 124 + 1024 + len(pixels)
    return b"BM" + struct.pack("<IHHI", size + len(profile), 0, 0, 14 + 124 + 1024) + head + table + pixels + profile


def tiff(kind, *tags, image=GREY, **options):
    """A TIFF as tifffile writes it: plain, ImageJ's or OME's."""
    stream = io.BytesIO()
    told = {"metadata": {"axes": "ZYX"[-image.ndim :]} | options.pop("metadata", {})}
    kinds = {"tiff": {"metadata": None}, "imagej": {"imagej": True, **told}, "ome": {"ome": True, **told}}
    made = {"photometric": "minisblack", **kinds[kind], "extratags": tags, **options}
    tifffile.imwrite(stream, image, **made)
    return stream.getvalue()


def tag(code, kind, content, count=None):
    """A tag for tifffile."""
    return (code, kind, len(content) if count is None else count, content, True)


def with_tag(*tags, **options):
    """The same tags in every kind of TIFF."""
    return {kind: lambda kind=kind: tiff(kind, *tags, **options) for kind in TIFFS}


def jp2(*identified, colour=b"\1\0\0\0\0\0\x11", resolution=b""):
    """A JPEG 2000 with boxes of our own around OpenJPEG's codestream."""

    def box(kind, content):
        return struct.pack(">I", 8 + len(content)) + kind + content

    head = box(b"ihdr", struct.pack(">IIHBBBB", *GREY.shape, 1, 7, 7, 0, 0)) + box(b"colr", colour) + resolution
    content = bytes(imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="j2k"))
    parts = [(b"jP  ", b"\r\n\x87\n"), (b"ftyp", b"jp2 \0\0\0\0jp2 "), (b"jp2h", head), (b"jp2c", content)]
    return b"".join(box(*part) for part in [*parts, *((b"uuid", each) for each in identified)])


def jxl(*boxes, image=GREY, **options):
    """A JPEG XL with boxes of our own around its codestream."""
    content = bytes(imagecodecs.jpegxl_encode(image, lossless=True, **options))
    content = content[content.find(b"jxlc") + 4 if b"jxlc" in content else 0 :]  # 16 bits come in boxes
    parts = ((b"jxlc", content), *boxes)
    packed = b"".join(struct.pack(">I", 8 + len(content)) + kind + content for kind, content in parts)
    return b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + packed


def jxr(*entries, pointed=()):
    """A JPEG XR with tags of (code, type, count, content), and others in the directories that EXIF points to."""
    content = bytearray(imagecodecs.jpegxr_encode(GREY))
    start = int.from_bytes(content[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(content[start : start + 2], "little")
    held = {bytes(content[at : at + 2]): bytes(content[at : at + 12]) for at in range(start + 2, end, 12)}
    for pointer, inner in pointed:
        entries += ((pointer, 4, 1, struct.pack("<I", packed_directory(content, {}, inner))),)
    content[4:8] = struct.pack("<I", packed_directory(content, held, entries))
    return bytes(content)


def packed_directory(content, held, entries):
    """Append a directory of entries, packed and not; where it is."""
    table = dict(held)
    for code, kind, count, data in entries:
        field = data if len(data) <= 4 else struct.pack("<I", len(content))
        content += data + bytes(len(data) % 2) if len(data) > 4 else b""
        table[struct.pack("<H", code)] = struct.pack("<HHI4s", code, kind, count, field)
    lines = sorted(table.values(), key=lambda line: line[1::-1])
    content += bytes(len(content) % 2)
    place = len(content)
    content += struct.pack("<H", len(lines)) + b"".join(lines) + bytes(4)
    return place


def directory_of(path):
    """The tags of a JPEG XR as Pillow reads those of EXIF: both are as in a TIFF."""
    made = PIL.Image.Exif()
    made.load(b"Exif\0\0II*\0" + path.read_bytes()[4:])
    return made


def identified(path, name):
    """The content of a box of a JPEG 2000 that an identifier names."""
    content = path.read_bytes()
    at = content.find(b"uuid" + name)
    return b"" if at < 0 else content[at + 20 : at - 4 + int.from_bytes(content[at - 4 : at], "big")]


def box_of(path, kind):
    """The content of a box of a JPEG XL, which is not packed."""
    content = path.read_bytes()
    at = content.find(kind)
    return b"" if at < 0 else content[at + 4 : at - 4 + int.from_bytes(content[at - 4 : at], "big")]


def radiance(*lines):
    """A picture of Radiance with these lines in its header."""
    return bytes(imagecodecs.rgbe_encode(COLOURED.astype("f4"))).replace(
        b"\nFORMAT", b"".join(b"\n" + line for line in lines) + b"\nFORMAT"
    )


def with_exif(made):
    """EXIF in what holds it as it is."""
    content = made if isinstance(made, bytes) else made.tobytes()
    return {
        "png": lambda: png((b"eXIf", content.removeprefix(b"Exif\0\0"))),
        "jpeg": lambda: jpeg(exif=content if content.startswith(b"Exif") else b"Exif\0\0" + content),
        "avif": lambda: saved("AVIF", exif=content.removeprefix(b"Exif\0\0"), speed=10),
        "jp2": lambda: jp2(b"JpgTiffExif->JP2" + content.removeprefix(b"Exif\0\0")),
        "jxl": lambda: jxl((b"Exif", bytes(4) + content.removeprefix(b"Exif\0\0"))),
        "webp": lambda: saved("WEBP", exif=content if content.startswith(b"Exif") else b"Exif\0\0" + content),
    }


def nifti():
    """A NIfTI with millimetres and a place in a scanner."""
    import nibabel

    made = nibabel.Nifti1Image(GREY.T, np.diag([2.0, 3.0, 1.0, 1.0]))
    made.header.set_xyzt_units("mm", "sec")
    made.set_sform(np.diag([2.0, 3.0, 1.0, 1.0]), 1)
    made.header["descrip"] = b"a scan"
    return made.to_bytes()


def nrrd(*lines):
    """An NRRD of a picture with lines of our own in its header."""
    head = ("NRRD0004", "type: uint8", "dimension: 2", "sizes: 8 6", "encoding: raw", *lines, "", "")
    return "\n".join(head).encode() + GREY.tobytes()


def metaimage(*lines):
    """A MetaImage of a volume of one plane with lines of our own in its header."""
    head = ("ObjectType = Image", "NDims = 3", "DimSize = 8 6 1", "ElementType = MET_UCHAR", *lines)
    return "\n".join((*head, "ElementDataFile = LOCAL", "")).encode() + GREY.tobytes()


def mrc(label=b""):
    """An MRC of a picture of 2 by 3 nanometres a pixel, perhaps with a label."""
    head = struct.pack("<10i6f3i3f2i", 8, 6, 1, 6, 0, 0, 0, 8, 6, 1, 160, 180, 1, 90, 90, 90, 1, 2, 3, 0, -1, -2, 0, 0)
    head = head.ljust(208, b"\0") + b"MAP \x44\x44\0\0" + struct.pack("<fi", -1, bool(label)) + label
    return head.ljust(1024, b"\0") + GREY.astype("<u2").tobytes()


def mgh():
    """A volume of FreeSurfer's with a time of repetition."""
    head = struct.pack(">7ih15f", 1, 8, 6, 1, 1, 0, 0, 1, 2, 3, 1, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0, 0)
    return head.ljust(284, b"\0") + GREY.tobytes() + struct.pack(">5f", 2000, 0, 3.5, 0, 0)


STEPS = {"spacing": 2.0, "unit": "um"}
OME = {"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.4, "PhysicalSizeYUnit": "µm"}
SAYING = {
    "orientation": {
        "jxr": lambda: jxr((0xBC02, 4, 1, b"\4\0\0\0")),
        **{kind: made for kind, made in with_exif(exif(_274=6)).items() if kind != "jxl"},
        **with_tag((274, 3, 1, 6, True)),
    },
    "ICC profile": {
        "png": lambda: png(icc_profile=PROFILE),
        "jpeg": lambda: jpeg(icc_profile=PROFILE),
        "webp": lambda: saved("WEBP", icc_profile=COLOUR),
        "avif": lambda: saved("AVIF", icc_profile=COLOUR, speed=10),
        "jp2": lambda: jp2(colour=b"\2\0\0" + PROFILE),
        "jxr": lambda: jxr((34675, 7, len(PROFILE), PROFILE)),
        "gif": lambda: gif(block(b"\xff\x0bICCRGBG1012", COLOUR)),
        "bmp": lambda: bmp(PROFILE),
        "dib": lambda: bmp(PROFILE)[14:],
        **with_tag(iccprofile=PROFILE),
    },
    "EXIF": {
        **with_exif(camera()),
        "jxr": lambda: jxr(
            (271, 2, 6, b"Maker\0"),
            pointed=(
                (0x8769, ((0x8827, 3, 1, b"\x90\1\0\0"),)),
                (0x8825, ((2, 5, 3, struct.pack("<6I", 48, 1, 51, 1, 49, 2)),)),
            ),
        ),
    },
    "EXIF thumbnail": with_exif(small_picture()),
    "XMP": {
        "png": lambda: png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        "jpeg": lambda: jpeg(app(1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
        "webp": lambda: saved("WEBP", xmp=XMP),
        "avif": lambda: saved("AVIF", xmp=XMP, speed=10),
        "jp2": lambda: jp2(XMP_ID + XMP),
        "jxl": lambda: jxl((b"xml ", XMP)),
        "jxr": lambda: jxr((700, 1, len(XMP), XMP)),
        "gif": lambda: gif(XMP_BLOCK),
        **with_tag(tag(700, 1, XMP)),
    },
    "extended XMP": {
        "jpeg": lambda: jpeg(
            app(1, b"http://ns.adobe.com/xap/1.0/\0" + MAIN.encode()),
            app(1, b"http://ns.adobe.com/xmp/extension/\0" + NAME + struct.pack(">II", len(MORE), 0) + MORE[:50]),
            app(1, b"http://ns.adobe.com/xmp/extension/\0" + NAME + struct.pack(">II", len(MORE), 50) + MORE[50:]),
        )
    },
    "IPTC": {
        "jpeg": lambda: jpeg(photoshop(irb(0x0404, RECORD))),
        "png": lambda: png(raw_profile("iptc", irb(0x0404, RECORD))),
        "jxr": lambda: jxr((33723, 7, len(RECORD), RECORD)),
        "jp2": lambda: jp2(IPTC_ID + RECORD),
        **with_tag(tag(33723, 7, RECORD)),
    },
    "Photoshop's data": {
        "jpeg": lambda: jpeg(photoshop(PATH)),
        "jxr": lambda: jxr((34377, 1, len(PATH), PATH)),
        **with_tag(tag(34377, 1, PATH)),
    },
    "description": {
        "png": lambda: png((b"iTXt", b"Description\0\0\0\0\0" + TEXT.encode())),
        "tiff": lambda: tiff("tiff", tag(270, 2, TEXT.encode() + b"\0")),
        "jxr": lambda: jxr((270, 2, len(TEXT.encode()) + 1, TEXT.encode() + b"\0")),
        "jpeg": lambda: jpeg(exif=exif(_270=TEXT.encode())),
        "avif": lambda: saved("AVIF", exif=exif(_270=TEXT.encode()), speed=10),
        "webp": lambda: saved("WEBP", exif=exif(_270=TEXT.encode())),
    },
    "comments": {
        "png": lambda: png((b"tEXt", b"Comment\0" + COMMENT.encode())),
        "jpeg": lambda: jpeg(comment=COMMENT.encode()),
        "gif": lambda: gif(block(b"\xfe", COMMENT.encode())),
        "hdr": lambda: radiance(b"# " + COMMENT.encode()),
        "pnm": lambda: b"P5\n# " + COMMENT.encode() + b"\n8 6\n255\n" + GREY.tobytes(),
        "pam": lambda: (
            b"P7\n# " + COMMENT.encode() + b"\nWIDTH 8\nHEIGHT 6\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + GREY.tobytes()
        ),
    },
    "resolution": {
        "png": lambda: png(dpi=(200, 100)),
        "jpeg": lambda: jpeg(dpi=(200, 100)),
        "bmp": lambda: saved("BMP", dpi=(200, 100)),
        "dib": lambda: saved("DIB", dpi=(200, 100)),
        "jp2": lambda: jp2(
            resolution=struct.pack(">I4sI4sHHHHbb", 26, b"res ", 18, b"resc", 10000, 254, 20000, 254, 2, 2)
        ),
        "avif": lambda: saved("AVIF", exif=exif(_282=200.0, _283=100.0, _296=2), speed=10),
        "webp": lambda: saved("WEBP", exif=exif(_282=200.0, _283=100.0, _296=2)),
        "tiff": lambda: tiff("tiff", resolution=(200, 100), resolutionunit="INCH"),
        "jxr": lambda: jxr((0xBC82, 11, 1, struct.pack("<f", 200)), (0xBC83, 11, 1, struct.pack("<f", 100))),
    },
    "spacing": {
        "imagej": lambda: tiff("imagej", resolution=(5, 2.5), metadata={"unit": "um"}),
        "ome": lambda: tiff("ome", metadata=OME),
        "nifti": nifti,
        "nrrd": lambda: nrrd("spacings: 2 3", 'units: "mm" "mm"'),
        "metaimage": lambda: metaimage("ElementSpacing = 2 3 1"),
        "mrc": mrc,
    },
    "background colour": {"png": lambda: png_of(1, 0, b"\0\1")},
    "gamma": {"png": lambda: png((b"gAMA", struct.pack(">I", 100000)))},
    "texts": {"png": lambda: png((b"tEXt", b"Author\0Ada"))},
    "time of change": {"png": lambda: png((b"tIME", bytes((7, 232, 1, 2, 3, 4, 5))))},
    "significant bits": {"png": lambda: png((b"sBIT", b"\5"))},
    "oFFs": {"png": lambda: png((b"oFFs", bytes(9)))},
    "notes, labels": {
        "imagej": lambda: tiff(
            "imagej", image=np.stack([GREY, GREY]), metadata={"Info": "a note", "Labels": ["a plane", "b"]}
        )
    },
    "ImageJ's notes": {"imagej": lambda: tiff("imagej", metadata={"Info": "a note"})},
    "overlays": {"imagej": lambda: tiff("imagej", metadata={"Overlays": [b"one", b"two"]})},
    "display range": {"imagej": lambda: tiff("imagej", metadata={"min": 3.0, "max": 99.0})},
    "OME-XML": {"ome": lambda: tiff("ome", metadata={"Name": "a name to keep"})},
    "place on Earth": with_tag(*PLACE),
    "GDAL's metadata": with_tag(tag(42112, 2, b"<GDALMetadata/>\0")),
    "value of missing samples": with_tag(tag(42113, 2, b"251\0")),
    "authors": with_tag(tag(315, 2, b"Ada\0")),
    "software": with_tag(software="a program"),
    "names of the document": with_tag(tag(285, 2, b"page one\0")),
    "pictures": {
        kind: lambda kind=kind: saved(
            kind.upper(),
            PIL.Image.fromarray(GREY),
            save_all=True,
            append_images=[PIL.Image.fromarray(255 - GREY)],
            duration=70,
        )
        for kind in ("gif", "webp", "png")
    },
    "white point": with_tag((318, 5, 2, (3127, 10000, 3290, 10000), True)),
    "inks": with_tag(tag(333, 2, b"black\0")),
    "origin and directions": {
        "nifti": nifti,
        "metaimage": lambda: metaimage("TransformMatrix = -1 0 0 0 -1 0 0 0 1", "Offset = 0 0 0"),
    },
    "NIfTI's description": {"nifti": nifti},
    "DICOM's patient": {"dicom": lambda: dicom(GREY)} if find_spec("pydicom") else {},
    "MINC's patient": {"minc": lambda: minc1(GREY, "YX")},
    "MGH's scan": {"mgh": mgh},
    "NRRD's fields, keys": {"nrrd": lambda: nrrd("content: a content to keep", "key:=a value to keep")},
    "MetaImage's fields": {"metaimage": lambda: metaimage("Modality = MET_MOD_MR")},
    "MRC's labels": {"mrc": lambda: mrc(b"a label to keep")},
    "largest value": {"pnm": lambda: b"P5\n8 6\n1000\n" + GREY.astype(">u2").tobytes()},
    "largest value of 1": {"pnm": lambda: b"P5\n8 6\n1\n" + (GREY > 99).tobytes()},
    "that samples are linear light": {
        "jxl": lambda: jxl(image=GREY.astype(np.uint16)),  # imagecodecs says so of 16 bits
        "qoi": lambda: saved("QOI", COLOURED)[:13] + b"\1" + saved("QOI", COLOURED)[14:],
    },
    "Radiance's EXPOSURE": {"hdr": lambda: radiance(b"EXPOSURE=2.5")},
    "that 0 is white": {"tiff": lambda: tiff("tiff", photometric="miniswhite")},
    "multiplied by their opacity": {
        "tiff": lambda: tiff("tiff", image=FAINT, photometric="rgb", extrasamples=["assocalpha"])
    },
    "MPF": {"jpeg": lambda: jpeg(app(2, b"MPF\0" + bytes(20)))},
    "abcD": {"png": lambda: png((b"abcD", b"?"))},
    "50001": with_tag(tag(50001, 2, b"?\0")),
}
"""What the report calls a kind -> the formats that can say it -> what makes such a file."""
ENDINGS = {
    "jpeg": ".jpg",
    "pnm": ".pgm",
    "nifti": ".nii",
    "metaimage": ".mha",
    "dicom": ".dcm",
    "minc": ".mnc",
} | dict.fromkeys(TIFFS, ".tif")


def picture(path):
    """A file as Pillow sees it."""
    with PIL.Image.open(path) as seen:
        seen.load()
        return seen


def tag_of(path, code):
    """The value of a tag of the first page of a TIFF; None where it is not there."""
    with tifffile.TiffFile(path) as seen:
        found = seen.pages[0].tags.get(code)
        return None if found is None else found.value


XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_ID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")


def is_tiff(path):
    return path.suffix == ".tif"


def exif_of(path):
    """EXIF, also of a TIFF, as Pillow reads it; without Pillow's own look into XMP."""
    if path.suffix == ".jxr":
        held = directory_of(path)
        held[274] = {0: 1, 4: 6}.get(held.get(0xBC02))
        return held
    if path.suffix in (".jxl", ".jp2"):
        made, found = PIL.Image.Exif(), box_of(path, b"Exif")[4:]
        found = identified(path, b"JpgTiffExif->JP2") if path.suffix == ".jp2" else found
        made.load(b"Exif\0\0" + found if found else b"")
        return made
    return picture(path).getexif()


def in_exif(code, value):
    """Looks for a tag of the main directory, of EXIF or of a TIFF."""
    return lambda path: (
        (picture_like(path) or path.suffix in (".jxl", ".jxr"))
        and (tag_of(path, code) if is_tiff(path) else exif_of(path).get(code)) == value
    )


def picture_like(path):
    """True for formats that Pillow knows."""
    return path.suffix in (
        ".png",
        ".jpg",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".qoi",
        ".tga",
        ".avif",
        ".jp2",
        ".dib",
        ".ico",
    )


def shows(path, pixels):
    """True where others see these pixels, the opacity last if there is one, or nearly these in a JPEG or a GIF."""
    if path.suffix in (".pgm", ".pam"):
        return pixels.tobytes() in path.read_bytes()
    if path.suffix in (".jxl", ".jxr"):
        decode = imagecodecs.jpegxl_decode if path.suffix == ".jxl" else imagecodecs.jpegxr_decode
        return np.array_equal(decode(path.read_bytes()), pixels)
    if not picture_like(path):
        return False
    seen = picture(path)
    found = np.asarray(seen.convert("RGBA" if pixels.ndim == 3 else "L"))
    return found.shape == pixels.shape and abs(found.astype(int) - pixels).max() <= 3


def in_bytes(mark):
    """Looks for bytes in a file."""
    return lambda path: mark in path.read_bytes()


def profile_of(path):
    """Looks for one of the profiles."""
    if path.suffix in (".gif", ".bmp", ".dib", ".jp2"):
        return b"acsp" in path.read_bytes()
    if path.suffix == ".jxr":
        return directory_of(path).get(34675) in (PROFILE, COLOUR)
    found = tag_of(path, 34675) if is_tiff(path) else picture_like(path) and picture(path).info.get("icc_profile")
    return found in (PROFILE, COLOUR)


def all_of_exif(path):
    """Looks for a maker, an exposure and a place."""
    if path.suffix not in (".png", ".jpg", ".webp", ".jp2", ".avif", ".jxl", ".jxr", ".tif"):
        return False
    held = exif_of(path)
    place = held.get_ifd(0x8825).get(2, ())
    return ("Maker", 400, (48.0, 51.0, 24.5)) == (
        held.get(271),
        held.get_ifd(0x8769).get(0x8827),
        tuple(float(part) for part in place),
    )


def xmp_of(path):
    """The XMP of a file, as Pillow or tifffile finds it."""
    if is_tiff(path):
        return bytes(tag_of(path, 700) or b"")
    if path.suffix == ".jp2":
        return identified(path, XMP_ID)
    if path.suffix == ".jxr":
        return directory_of(path).get(700, b"")
    if path.suffix == ".jxl":
        return box_of(path, b"xml ")
    if path.suffix == ".gif":
        return path.read_bytes()
    found = picture(path).info.get("xmp", b"") if picture_like(path) else b""
    return found if isinstance(found, bytes) else found.encode()


def whole_xmp(path):
    """Looks for the second part of XMP: in the first where the format has only one."""
    if path.suffix == ".jpg":
        pieces = path.read_bytes().split(b"http://ns.adobe.com/xmp/extension/\0")[1:]
        return MORE == b"".join(piece[40 : 40 + len(MORE)].partition(b"\xff")[0] for piece in pieces)
    return b"the rest" in xmp_of(path) and b"HasExtendedXMP" not in xmp_of(path)


def iptc_of(path):
    """Looks for IPTC's record."""
    if path.suffix == ".png":
        text = picture(path).text.get("Raw profile type iptc", "").split("\n")
        return RECORD in bytes.fromhex("".join(text[3:]))
    if is_tiff(path):
        return bytes(tag_of(path, 33723) or b"") == RECORD
    if path.suffix == ".jxr":
        return directory_of(path).get(33723) == RECORD
    if path.suffix == ".jp2":
        return identified(path, IPTC_ID) == RECORD
    return path.suffix == ".jpg" and RECORD == picture(path).info.get("photoshop", {}).get(0x0404)


def path_of(path):
    """Looks for Photoshop's path."""
    if path.suffix == ".png":
        text = picture(path).text.get("Raw profile type 8bim", "").split("\n")
        return PATH in bytes.fromhex("".join(text[3:]))
    if is_tiff(path):
        return bytes(tag_of(path, 34377) or b"") == PATH
    if path.suffix == ".jxr":
        return directory_of(path).get(34377) == PATH
    return path.suffix == ".jpg" and picture(path).info.get("photoshop", {}).get(2000) == b"a path, kept"


def description_of(path):
    """Looks for a description."""
    if path.suffix == ".png":
        return picture(path).text.get("Description") == TEXT
    return (
        path.suffix in (".jpg", ".webp", ".jp2", ".avif", ".jxl", ".jxr", ".tif", ".gif", ".pgm", ".pam", ".hdr")
        and TEXT.encode() in path.read_bytes()
    )


def comment_of(path):
    """Looks for a comment."""
    if path.suffix == ".png":
        return picture(path).text.get("Comment") == COMMENT
    if is_tiff(path):
        return tag_of(path, 270) == COMMENT
    if path.suffix in (".pgm", ".pam", ".hdr"):
        return b"\n# " + COMMENT.encode() + b"\n" in path.read_bytes()
    return picture_like(path) and picture(path).info.get("comment") == COMMENT.encode()


def dots_of(path, across=200, down=100):
    """Looks for dots per inch."""
    if is_tiff(path):
        with tifffile.TiffFile(path) as seen:
            unit = {2: 1, 3: 2.54}.get(int(seen.pages[0].resolutionunit), 0)
            return (across, down) == tuple(round(value * unit, 1) for value in seen.pages[0].resolution)
    if path.suffix == ".jxr":
        return (across, down) == tuple(round(directory_of(path).get(code, 0), 1) for code in (0xBC82, 0xBC83))
    if path.suffix in (".webp", ".avif", ".jxl"):
        held = exif_of(path)
        unit = {2: 1, 3: 2.54}.get(held.get(296), 0)
        return (across, down) == tuple(round(float(held.get(code, 0)) * unit, 1) for code in (282, 283))
    if path.name.endswith((".nii", ".nii.gz")):
        import nibabel

        return (across, down) == tuple(round(25.4 / float(step)) for step in nibabel.load(path).header.get_zooms()[:2])
    if path.suffix in (".nrrd", ".mha", ".mrc"):
        return (across, down) == tuple(round(25.4 / step) for step in steps_of(path))
    dots = picture(path).info.get("dpi", (0, 0)) if picture_like(path) else (0, 0)
    return (across, down) == tuple(round(float(value)) for value in dots)


def steps_of(path):
    """Millimetres between columns and rows, by the header of an NRRD, a MetaImage or an MRC; 1e9 for unknown ones."""
    content = path.read_bytes()
    if path.suffix == ".mrc":
        counts, lengths = struct.unpack_from("<2i", content, 28), struct.unpack_from("<2f", content, 40)
        return [length / count * 1e-7 or 1e9 for count, length in zip(counts, lengths, strict=True)]
    line = re.search(rb"^(?:spacings:|ElementSpacing =) (.*)", content, re.MULTILINE)
    steps = [float(step) for step in line[1].split() if step != b"nan"] if line else [1e9, 1e9]
    unit = {b"inch": 25.4, b"cm": 10.0}.get(
        (re.findall(rb'^units: .*"([^"]+)"$', content, re.MULTILINE) or [b"mm"])[0], 1
    )
    return [step * unit for step in steps[:2]]


def background_of(path, white=True):
    """Looks for a background."""
    content = path.read_bytes()
    at = content.find(b"bKGD")
    if at < 0:
        return False
    size = int.from_bytes(content[at - 4 : at], "big")
    return {
        value == 2 ** content[24] - 1 for (value,) in struct.iter_unpack(">H", content[at + 4 : at + 4 + size])
    } == {white}


def imagej_of(**wanted):
    """Looks for what ImageJ says."""

    def found(path):
        if not is_tiff(path):
            return False
        with tifffile.TiffFile(path) as seen:
            held = seen.imagej_metadata or {}
            return all(held.get(key) == value for key, value in wanted.items())

    return found


def has_place(path):
    return is_tiff(path) and tag_of(path, 33550) == (10.0, 10.0, 0.0) and tag_of(path, 33922)[3:5] == (5e5, 4e6)


def in_tag(code, value):
    return lambda path: is_tiff(path) and tag_of(path, code) == value


def is_linear(path):
    """Whether a JPEG XL tells of linear light; that its header is read right is tested against libjxl."""
    if path.suffix == ".qoi":
        return path.read_bytes()[13] == 1
    return path.suffix == ".jxl" and "linear" in probe(path).metadata


def read_scan(path):
    """A NIfTI as nibabel reads it."""
    import nibabel

    return nibabel.load(path)


def has_times(path, time):
    """Whether there are two pictures, each shown for so many milliseconds."""
    if path.suffix not in (".gif", ".webp", ".png"):
        return False
    with PIL.Image.open(path) as seen:
        if getattr(seen, "n_frames", 1) != 2:
            return False
        seen.seek(1)
        seen.load()
        return seen.info["duration"] == time


def has_affine(path):
    import nibabel

    if path.suffix in (".nrrd", ".mha"):
        turned = rb"^(space directions: \(-|TransformMatrix = -1)"
        return re.search(turned, path.read_bytes(), re.MULTILINE) is not None
    return path.suffix in (".nii", ".gz") and nibabel.load(path).get_sform(coded=True)[1] == 1


SEEN = {
    "orientation": in_exif(274, 6),
    "ICC profile": profile_of,
    "EXIF": all_of_exif,
    "EXIF thumbnail": in_bytes(b"\xff\xd8THUM\xff\xd9"),
    "XMP": lambda path: LABEL in xmp_of(path),
    "extended XMP": whole_xmp,
    "IPTC": iptc_of,
    "Photoshop's data": path_of,
    "description": description_of,
    "comments": comment_of,
    "resolution": dots_of,
    "background colour": background_of,
    "gamma": in_bytes(b"gAMA\0\1\x86\xa0"),
    "texts": in_bytes(b"tEXtAuthor\0Ada"),
    "time of change": in_bytes(b"tIME"),
    "significant bits": in_bytes(b"sBIT"),
    "oFFs": in_bytes(b"oFFs"),
    "notes, labels": imagej_of(Info="a note", Labels=["a plane", "b"]),
    "ImageJ's notes": imagej_of(Info="a note"),
    "overlays": imagej_of(Overlays=[b"one", b"two"]),
    "display range": imagej_of(min=3.0, max=99.0),
    "OME-XML": in_bytes(b"a name to keep"),
    "place on Earth": has_place,
    "GDAL's metadata": in_tag(42112, "<GDALMetadata/>"),
    "value of missing samples": in_tag(42113, "251"),
    "authors": in_exif(315, "Ada"),
    "software": in_exif(305, "a program"),
    "names of the document": in_tag(285, "page one"),
    "pictures": lambda path: has_times(path, 70),
    "white point": in_tag(318, (3127, 10000, 3290, 10000)),
    "inks": in_tag(333, "black"),
    "origin and directions": has_affine,
    "NIfTI's description": lambda path: ".nii" in path.suffixes and read_scan(path).header["descrip"] == b"a scan",
    "NRRD's fields, keys": lambda path: all(
        map(path.read_bytes().count, (b"a content to keep", b"key:=a value to keep"))
    ),
    "MetaImage's fields": in_bytes(b"Modality = MET_MOD_MR"),
    "MRC's labels": in_bytes(b"a label to keep"),
    "largest value": lambda path: b"1000" in path.read_bytes()[:60],
    "largest value of 1": lambda path: any(head in path.read_bytes()[:60] for head in (b"\n1\n", b"MAXVAL 1\n")),
    "that samples are linear light": is_linear,
    "Radiance's EXPOSURE": in_bytes(b"\nEXPOSURE=2.5\n"),
    "that 0 is white": lambda path: shows(path, 255 - GREY),
    "multiplied by their opacity": lambda path: shows(path, CLEAR),
    "MPF": in_bytes(b"MPF\0"),
    "abcD": in_bytes(b"abcD"),
    "50001": in_tag(50001, "?"),
}
"""What looks for a kind in a file: true where it is there, and right."""
