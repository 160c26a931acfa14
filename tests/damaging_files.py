"""Small sound files of every format and of many of its kinds, to be damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import zipfile
import zlib
from functools import cache
from importlib.util import find_spec

import imagecodecs
import numpy as np
import PIL.Image
import tifffile

from convcli.formats import encode
from convcli.image import Image, ImageInfo
from faults import imagej, ome
from mincs import minc1, minc2
from test_formats_colours import COLOURS, GREYS, INDICES, frame, gif
from test_png_chunks import SOUND, chunk, png

SUFFIXES = {
    "tiff": ".tif",
    "png": ".png",
    "jpeg": ".jpg",
    "gif": ".gif",
    "pnm": ".pnm",
    "nifti": ".nii",
    "dicom": ".dcm",
    "minc": ".mnc",
    "nrrd": ".nrrd",
    "metaimage": ".mha",
    "mrc": ".mrc",
    "mgh": ".mgh",
    "bmp": ".bmp",
    "webp": ".webp",
    "jp2": ".jp2",
    "avif": ".avif",
    "jxl": ".jxl",
    "jxr": ".jxr",
    "qoi": ".qoi",
    "tga": ".tga",
    "dib": ".dib",
    "ico": ".ico",
    "hdr": ".hdr",
    "npy": ".npy",
    "npz": ".npz",
    "csv": ".csv",
}
RNG = np.random.default_rng(5)
GREY = np.clip(np.add.outer(np.arange(24) * 5, np.arange(32) * 3) + RNG.integers(0, 40, (24, 32)), 0, 255).astype(
    np.uint8
)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], -1)
ALPHA = np.concatenate([RGB, GREY[..., None]], -1)
TOLD = {"xmp": b"<x/>", "orientation": 6, "resolution": (30.0, 20.0, "cm")}
EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
STACK = np.stack([GREY, GREY[::-1], GREY[:, ::-1]]).astype(np.uint16) * 200
GEO = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0, 0, 0, 5, 6, 0), True)]


NRRD = b"NRRD0005\n# by hand\ntype: unsigned char\ndimension: 2\nsizes: 32 24\nencoding: %s\nkey:=value\n\n"
METAIMAGE = b"NDims = 2\nDimSize = 32 24\nElementType = MET_UCHAR\nCompressedData = %s\nElementDataFile = LOCAL\n"


def saved(pixels, kind, **options):
    """What Pillow writes."""
    picture = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels, **options):
    """What tifffile writes."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, pixels, **{"photometric": "minisblack" if pixels.ndim == 2 else "rgb", "metadata": None, **options}
    )
    return stream.getvalue()


def indexed(colours=16):
    """A picture of indices into a palette."""
    picture = PIL.Image.fromarray((GREY.astype(int) * colours // 256).astype(np.uint8), "P")
    picture.putpalette(COLOURS[: 3 * colours])
    return picture


def npz(packing):
    """An archive of one array."""
    inner, outer = io.BytesIO(), io.BytesIO()
    np.save(inner, GREY)
    with zipfile.ZipFile(outer, "w", packing) as archive:
        archive.writestr("a.npy", inner.getvalue())
    return outer.getvalue()


def tiffs():
    marks = GREY > 120
    found = {f"fax {name}": saved(marks, "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt")}
    found |= {
        f"two-dimensional fax {code}": saved(marks, "TIFF", compression="group3", tiffinfo={292: code})
        for code in (1, 5)
    }
    found |= {name: tiff(RGB, compression=name) for name in ("zlib", "lzw", "packbits", "jpeg", "zstd")}
    return found | {
        "plain": tiff(GREY, resolution=(300, 300), resolutionunit=2, software="s", description="d"),
        "colour": tiff(RGB, rowsperstrip=5),
        "big-endian": tiff(GREY.astype(">u2"), byteorder=">"),
        "big": tiff(GREY, bigtiff=True),
        "planar": tiff(RGB.transpose(2, 0, 1), planarconfig="separate"),
        "predicted": tiff(RGB, compression="zlib", predictor=True),
        "float predicted": tiff(GREY.astype("f4"), compression="zlib", predictor=True),
        "tiles": tiff(GREY, tile=(16, 16), compression="zlib"),
        "palette": tiff(GREY, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) * 80),
        "bits": tiff(marks),
        "white is zero": tiff(GREY, photometric="miniswhite"),
        "alpha": tiff(ALPHA, extrasamples=["unassalpha"]),
        "inks": tiff(np.concatenate([RGB, GREY[..., None]], -1), photometric="separated"),
        "four bits": tiff(GREY >> 4, bitspersample=4),
        "on Earth": tiff(GREY, extratags=[*GEO, (42113, "s", 0, "7", True)]),
        "turned": tiff(RGB, extratags=[(274, 3, 1, 6, True)]),
        "pages": tiff(STACK, photometric="minisblack"),
        "ImageJ": imagej(),
        "OME": ome(),
    }


def pngs():
    """Colour types, depths, interlacing, and every chunk."""
    chunks = b"".join(chunk(kind, data) for kind, data in SOUND.items() if kind not in (b"hIST", b"acTL", b"iCCP"))
    rgb16 = encode(Image(ImageInfo(RGB.shape, "uint16", "YXS", samples="rgb"), RGB.astype(np.uint16) * 257), "png")
    return {
        "grey": saved(GREY, "PNG", dpi=(300, 300)),
        "colour": saved(RGB, "PNG"),
        "alpha": saved(ALPHA, "PNG"),
        "deep": rgb16,
        "palette": saved(indexed(), "PNG", bits=4, transparency=bytes([0, 128])),
        "bits": saved(GREY > 120, "PNG"),
        "transparent grey": saved(GREY, "PNG", transparency=99),
        "chunks": png(chunks),
        "profile": png(chunk(b"iCCP", SOUND[b"iCCP"])),
    }


def jpegs():
    options = {
        "grey": (GREY, {}),
        "colour": (RGB, {"dpi": (72, 72), "comment": b"hello"}),
        "fine": (RGB, {"subsampling": 0, "quality": 98}),
        "rows": (RGB, {"restart_marker_rows": 1}),
        "blocks": (RGB, {"restart_marker_blocks": 1, "optimize": True}),
        "progressive": (RGB, {"progressive": True}),
        "progressive with restarts": (GREY, {"progressive": True, "restart_marker_blocks": 2}),
    }
    found = {name: saved(pixels, "JPEG", **more) for name, (pixels, more) in options.items()}
    found["inks"] = saved(PIL.Image.fromarray(ALPHA, "CMYK"), "JPEG")
    exif = PIL.Image.Exif()
    exif[274] = 6
    found["EXIF"] = saved(RGB, "JPEG", exif=exif)
    return found


def gifs():
    frames = (frame(INDICES, 50, COLOURS, 2), frame(INDICES, None, b"", 3), frame(INDICES[:1], 0, GREYS, 1))
    return {
        "grey": saved(GREY, "GIF"),
        "palette": saved(indexed(256), "GIF", interlace=1, comment=b"hello"),
        "transparent": gif(COLOURS, frame(INDICES, 50)),
        "grey ramp": gif(GREYS, frame(INDICES, 50)),
        "no table": gif(b"", frame(INDICES)),
        "frames": gif(COLOURS, *frames),
    }


def pnms():
    rows = "\n".join(" ".join(map(str, row)) for row in GREY[:6, :7].tolist())
    bits = "\n".join("".join(map(str, row)) for row in (GREY[:6, :7] > 120).astype(int).tolist())
    return {
        "P1": f"P1\n# comment\n7 6\n{bits}\n".encode(),
        "P2": f"P2\n7 6\n255\n{rows}\n".encode(),
        "P3": f"P3 # comment\n7 2 255\n{rows}\n".encode(),
        "P4": b"P4 16 4\n" + bytes(range(8)),
        "P5": b"P5 8 4 255\n" + bytes(range(32)),
        "P5 deep": b"P5 8 4 65535\n" + bytes(range(64)),
        "P6": b"P6\n4 4\n255\n" + bytes(range(48)),
        "P7": b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(range(64)),
    }


def dicoms():
    """A picture of a scanner, and a volume."""
    if not find_spec("pydicom"):
        return {}
    from dicoms import ACROSS, DOWN, dicom

    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [*ACROSS, *DOWN], "PixelSpacing": [1, 2]}
    return {
        "picture": dicom(GREY, **place),
        "volume": dicom(STACK, GridFrameOffsetVector=[0, 2, 4], **place),
        "colour": dicom(RGB, PixelSpacing=[1, 1]),
    }


def mincs():
    """Volumes of both versions."""
    lows, highs = np.arange(3.0), np.arange(3.0) + 90
    found = {
        "one line": minc1(STACK, lows=0, highs=1, valid=(0, 60000)),
        "lines": minc1(STACK, lows=lows, highs=highs),
        "packed": gzip.compress(minc1(STACK)),
    }
    if find_spec("h5py"):
        found["chunks"] = minc2(STACK, lows=lows, highs=highs, chunks=(1, 8, 16), compression="gzip")
        found["one piece"] = minc2(STACK)
    return found


def others():
    volume = Image(
        ImageInfo(STACK.shape, "uint16", "ZYX", spacing={"Z": (2.0, "mm"), "Y": (1.0, "mm"), "X": (1.0, "mm")}), STACK
    )
    return {
        "nifti": {"plain": encode(volume, "nifti"), "packed": encode(volume, "nifti-gz")},
        "dicom": dicoms(),
        "minc": mincs(),
        "nrrd": {
            "volume": encode(volume, "nrrd"),
            "colour": encode(Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb"), RGB), "nrrd"),
            "packed": NRRD % b"gzip" + gzip.compress(GREY.tobytes()),
            "bzip2": NRRD % b"bzip2" + bz2.compress(GREY.tobytes()),
            "text": NRRD % b"ascii" + " ".join(map(str, GREY.ravel())).encode(),
        },
        "metaimage": {
            "volume": encode(volume, "metaimage"),
            "packed": METAIMAGE % b"True" + zlib.compress(GREY.tobytes()),
        },
        "mgh": {"volume": encode(volume, "mgh"), "packed": encode(volume, "mgz")},
        "mrc": {"volume": encode(volume, "mrc"), "packed": gzip.compress(encode(volume, "mrc"))},
        "bmp": {
            "grey": saved(GREY, "BMP"),
            "colour": saved(RGB, "BMP"),
            "palette": saved(indexed(), "BMP"),
            "bits": saved(GREY > 120, "BMP"),
        },
        "webp": {
            "lossless": saved(RGB, "WEBP", lossless=True),
            "lossy": saved(RGB, "WEBP"),
            "alpha": saved(ALPHA, "WEBP", exif=b"Exif\0\0" + EXIF),
            "frames": saved(RGB, "WEBP", save_all=True, append_images=[PIL.Image.fromarray(RGB[::-1])]),
        },
        "jp2": {
            "grey": bytes(imagecodecs.jpeg2k_encode(GREY, reversible=True)),
            "colour": saved(RGB, "JPEG2000"),
            "twelve bits": bytes(imagecodecs.jpeg2k_encode(STACK[0] >> 4, reversible=True, bitspersample=12)),
            "codestream": bytes(imagecodecs.jpeg2k_encode(RGB, 40, codecformat="j2k")),
            "told": encode(
                Image(ImageInfo(ALPHA.shape, "uint8", "YXS", samples="rgb+alpha", metadata=TOLD), ALPHA), "jp2"
            ),
        },
        "avif": {
            "grey": bytes(imagecodecs.avif_encode(GREY, 100, speed=8)),
            "ten bits": bytes(imagecodecs.avif_encode(STACK[0] >> 6, 100, speed=8, bitspersample=10)),
            "alpha": saved(ALPHA, "AVIF", speed=8, exif=b"Exif\0\0" + EXIF, xmp=b"<x/>"),
            "told": encode(Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb", metadata=TOLD), RGB), "avif"),
        },
        "jxl": {
            "grey": bytes(imagecodecs.jpegxl_encode(GREY, lossless=True)),
            "colour": bytes(imagecodecs.jpegxl_encode(RGB, distance=1.0)),
            "deep": bytes(imagecodecs.jpegxl_encode(STACK[0], lossless=True)),
            "boxes": jxl(),
        },
        "jxr": {"alpha": bytes(imagecodecs.jpegxr_encode(ALPHA))},  # one: each is read in a process of its own
        "dib": {"grey": saved(GREY, "DIB"), "colour": saved(RGB, "DIB"), "palette": saved(indexed(), "DIB")},
        "ico": {
            "packed": saved(ALPHA, "ICO", sizes=[(16, 12), (32, 24)]),
            "opacity": saved(ALPHA, "ICO", sizes=[(32, 24)], bitmap_format="bmp"),
            "mask": saved(RGB, "ICO", sizes=[(32, 24)], bitmap_format="bmp"),
        },
        "tga": {
            "plain": saved(RGB, "TGA"),
            "packed": saved(ALPHA, "TGA", compression="tga_rle"),
            "grey": saved(GREY, "TGA", orientation=1),
            "palette": saved(indexed(), "TGA", id_section=b"a name"),
        },
        "qoi": {"colour": saved(RGB, "QOI"), "alpha": saved(ALPHA, "QOI")},
        "hdr": {
            "packed": bytes(imagecodecs.rgbe_encode(RGB.astype("f4"), rle=True)),
            "flat": bytes(imagecodecs.rgbe_encode(RGB[:9, :7].astype("f4"), rle=False)),
        },
        "npy": {
            "bytes": encode(Image(ImageInfo(GREY.shape, "uint8", "YX"), GREY), "npy"),
            "floats": encode(Image(ImageInfo(GREY.shape, "float32", "YX"), GREY.astype("f4")), "npy"),
        },
        "npz": {str(packing): npz(packing) for packing in (0, 8, 12, 14)},
        "csv": {
            "commas": encode(Image(ImageInfo((6, 7), "uint8", "YX"), GREY[:6, :7]), "csv"),
            "tabs": encode(Image(ImageInfo((6, 7), "float64", "YX"), GREY[:6, :7] / 7), "tsv"),
            "blanks": b"# a comment\n1 2.5 -3e2\n4 5 6\n\n7 8 9\n0 0 nan\n",
            "signal": b"1\n2\n0.5\n-4\n",
        },
    }


def jxl():
    """JPEG XL with EXIF and XMP in boxes."""
    parts = (
        (b"jxlc", bytes(imagecodecs.jpegxl_encode(ALPHA, lossless=True))),
        (b"Exif", bytes(4) + EXIF),
        (b"xml ", b"<x/>"),
    )
    packed = b"".join(struct.pack(">I", 8 + len(content)) + kind + content for kind, content in parts)
    return b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + packed


@cache
def sound_files():
    """Name to kind and content; a name ends in the kind's suffix."""
    kinds = {"tiff": tiffs(), "png": pngs(), "jpeg": jpegs(), "gif": gifs(), "pnm": pnms(), **others()}
    return {
        f"{name}{SUFFIXES[kind]}": (kind, content) for kind, files in kinds.items() for name, content in files.items()
    }
