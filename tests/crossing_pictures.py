"""Every pair of picture formats, crossed with kernels, opacity, linear light and numbers.

    python tests/crossing_pictures.py --cases 5000 --seed 1

Files are written and read by other libraries (Pillow, imagecodecs, tifffile, nibabel); between them `convcli` filters.
"""

from __future__ import annotations

import io
import json
import struct
import sys
from dataclasses import dataclass

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

import definition as d
from crossing import REFUSED, main, run

SAMPLES = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}
"""The kinds of pictures, with their samples."""


@dataclass
class Case:
    """A picture, its formats, and what is done to it."""

    pixels: np.ndarray
    samples: str
    source: str
    target: str
    taps: np.ndarray
    stride: tuple
    border: str
    alpha: str
    linear: bool
    numbers: dict

    @property
    def transparent(self):
        """Whether the last sample is an opacity."""
        return self.samples.endswith("+alpha")


# Files, as other libraries write and read them


def _pillow(form, **more):
    def write(pixels, samples):
        if pixels.dtype != "uint8" or samples == "grey+alpha" or (form == "WEBP" and samples == "grey"):
            return None
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, form, **more)
        return stream.getvalue()

    return write


def _png(pixels, samples):
    return imagecodecs.png_encode(pixels)


def _tiff(**more):
    def write(pixels, samples):
        stream = io.BytesIO()
        colour = "rgb" if samples.startswith("rgb") else "minisblack"
        extra = ["unassalpha"] if samples.endswith("alpha") else None
        planar = {"planarconfig": "contig"} if pixels.ndim == 3 else {}
        tifffile.imwrite(stream, pixels, photometric=colour, extrasamples=extra, metadata=None, **planar, **more)
        return stream.getvalue()

    return write


def _pnm(pixels, samples):
    if samples.endswith("alpha"):
        return None
    most = np.iinfo(pixels.dtype).max
    head = b"P6" if samples == "rgb" else b"P5"
    return head + b" %d %d %d\n" % (pixels.shape[1], pixels.shape[0], most) + _big(pixels)


def _text(pixels, samples):
    if samples.endswith("alpha"):
        return None
    head = "P3" if samples == "rgb" else "P2"
    numbers = " ".join(map(str, pixels.ravel()))
    return f"{head}\n# text\n{pixels.shape[1]} {pixels.shape[0]}\n{np.iinfo(pixels.dtype).max}\n{numbers}\n".encode()


def _pam(pixels, samples):
    kinds = {"grey": "GRAYSCALE", "grey+alpha": "GRAYSCALE_ALPHA", "rgb": "RGB", "rgb+alpha": "RGB_ALPHA"}
    sizes = pixels.shape[1], pixels.shape[0], SAMPLES[samples], np.iinfo(pixels.dtype).max, kinds[samples]
    return (
        b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE " % sizes[:4]
        + sizes[4].encode()
        + b"\nENDHDR\n"
        + _big(pixels)
    )


def _big(pixels):
    return pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


def _codec(name, **more):
    return lambda pixels, _samples: bytes(getattr(imagecodecs, f"{name}_encode")(pixels, **more))


def _targa(pixels, _samples):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TGA", compression="tga_rle")
    return stream.getvalue()


def _icon(pixels, _samples):
    """Of a PNG, which Pillow would draw in other sizes."""
    content = imagecodecs.png_encode(pixels)
    return struct.pack("<3H4B2H2I", 0, 1, 1, *pixels.shape[1::-1], 0, 0, 1, 32, len(content), 22) + content


def _some(write, holds):
    """What writes some pictures, and gives None for those that it does not hold."""
    return lambda pixels, samples: write(pixels, samples) if holds(pixels, samples) else None


SOURCES = {
    "png": _png,
    "tif": _tiff(),
    "deflated.tif": _tiff(compression="zlib", predictor=True),
    "tiled.tif": _tiff(tile=(16, 16)),
    "big-endian.tif": _tiff(byteorder=">"),
    "webp": _pillow("WEBP", lossless=True, exact=True),
    "jp2": _some(_codec("jpeg2k", reversible=True), lambda _, samples: not samples.endswith("alpha")),
    "avif": _some(_codec("avif", level=100, speed=9), lambda pixels, _: pixels.dtype == "uint8"),
    "jxl": _codec("jpegxl", lossless=True, effort=2),
    "jxr": _some(_codec("jpegxr"), lambda _, samples: samples != "grey+alpha"),
    "qoi": _some(_pillow("QOI"), lambda _, samples: samples.startswith("rgb")),
    "bmp": _some(_pillow("BMP"), lambda _, samples: not samples.endswith("alpha")),
    "dib": _some(_pillow("DIB"), lambda _, samples: not samples.endswith("alpha")),
    "ico": _some(_icon, lambda _, samples: samples == "rgb+alpha"),
    "tga": _some(_targa, lambda pixels, _: pixels.dtype == "uint8"),
    "pgm": _pnm,
    "text.ppm": _text,
    "pam": _pam,
}
"""How a picture is written, by the ending of the file; None where the format holds no such picture."""
TARGETS = (
    "png",
    "tif",
    "ome.tif",
    "webp",
    "bmp",
    "dib",
    "ico",
    "qoi",
    "tga",
    "jp2",
    "avif",
    "jxl",
    "jxr",
    "pgm",
    "ppm",
    "pam",
    "npy",
    "npz",
    "nii",
)


CODECS = {
    "jp2": imagecodecs.jpeg2k_decode,
    "avif": imagecodecs.avif_decode,
    "jxl": imagecodecs.jpegxl_decode,
    "jxr": imagecodecs.jpegxr_decode,
}


def read(path, ending, shape):
    """The samples of a result in the order (Y, X, S), by another library."""
    data = path.read_bytes()
    if ending in ("png",):
        return imagecodecs.png_decode(data)
    if ending in ("webp", "bmp", "dib", "ico", "qoi"):
        found = np.atleast_3d(np.asarray(Image.open(io.BytesIO(data))))
        if ending == "ico" and shape[-1] in (1, 3):  # it has an opacity all the same: full
            assert (found[..., 3] == 255).all()
            found = found[..., :3]
        return found[
            ..., [0, -1][: shape[-1]] if shape[-1] < 3 else slice(None)
        ]  # WebP, QOI and ICO hold grey as equal colours
    if ending in CODECS:
        return CODECS[ending](data)
    if ending == "tga":
        return np.asarray(Image.open(io.BytesIO(data)))
    if ending in ("pgm", "ppm", "pam"):
        kind = np.dtype(">u2" if b"65535" in data[:80] else "u1")
        return np.frombuffer(data[len(data) - int(np.prod(shape)) * kind.itemsize :], kind).reshape(shape)
    if ending in ("npy", "npz"):
        found = np.load(io.BytesIO(data))
        return found if ending == "npy" else found[found.files[0]]
    if ending == "nii":
        import nibabel

        return np.asarray(nibabel.Nifti1Image.from_bytes(data).dataobj)
    return tifffile.imread(io.BytesIO(data))


# How a case is drawn


def draw(seed):
    """The case of a seed."""
    rng = np.random.default_rng([seed, 7])
    source, target = str(rng.choice(list(SOURCES))), str(rng.choice(TARGETS))
    samples = str(rng.choice(list(SAMPLES)))
    size = tuple(int(n) for n in rng.integers(1, 40, 2))
    count = SAMPLES[samples]
    kind = np.dtype(rng.choice(["uint8", "uint16"]))
    pixels = rng.integers(0, np.iinfo(kind).max, (*size, count) if count > 1 else size, endpoint=True).astype(kind)
    if samples.endswith("alpha"):
        pixels[..., -1] = rng.choice([0, np.iinfo(kind).max, np.iinfo(kind).max // 3], size)
    shape = tuple(int(n) for n in rng.integers(1, 6, 2))
    taps = np.abs(rng.standard_normal(shape)) if rng.random() < 0.6 else rng.standard_normal(shape)
    taps /= abs(taps.sum()) if rng.random() < 0.8 else 1
    taps = taps.astype(np.float32).astype(float)
    if rng.random() < 0.25:
        taps = np.ones((1, 1))
    numbers = {}
    if rng.random() < 0.2:
        numbers["bias"] = float(rng.choice([128, -20.5]))
    if rng.random() < 0.2:
        numbers["scale"] = float(rng.choice([0.5, -1, 3]))
    if rng.random() < 0.1:
        numbers["range"] = "abs"
    return Case(
        pixels,
        samples,
        source,
        target,
        taps,
        tuple(int(n) for n in rng.choice([1, 1, 2], 2)),
        str(rng.choice(["edge", "zero", "reflect", "wrap"])),
        str(rng.choice(["premultiply", "premultiply", "straight", "keep", "drop"])),
        bool(rng.random() < 0.2),
        numbers,
    )


# What it shall be


def _light(values, most):
    x = values / most
    return np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0) + 0.055) / 1.055) ** 2.4)


def _srgb(values, most):
    return most * np.where(values <= 0.0031308, 12.92 * values, 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055)


def expected(case):
    """(Values (samples, *space), where colour is told): colour as filtered, the opacity last where it stays."""
    most = float(np.iinfo(case.pixels.dtype).max)
    planes = np.atleast_3d(case.pixels).transpose(2, 0, 1).astype(float)
    alpha = planes[-1] if case.transparent else None
    colour = planes[:-1] if case.transparent else planes
    if case.linear:
        colour = _light(colour, most)
    if case.transparent and case.alpha == "premultiply":
        colour = colour * alpha / most
    centre = [k // 2 for k in case.taps.shape]
    sizes = zip(planes.shape[1:], case.taps.shape, case.stride, centre, strict=True)
    pads = [d.pads_by_rule("same", n, k, s, 1, c) for n, k, s, c in sizes]
    border = [0.0 if case.border == "zero" else case.border] * 2

    def filtered(plane):
        taps = case.taps[None, None]
        return d.convolved(plane[None], taps, stride=case.stride, dilation=(1, 1), pads=pads, border=border).value[0]

    made = np.stack([filtered(plane) for plane in colour])
    told = np.ones(made.shape[1:], bool)
    opacity = None
    if case.transparent and case.alpha != "drop":
        opacity = alpha[:: case.stride[0], :: case.stride[1]]
        total, size = case.taps.sum(), np.abs(case.taps).sum()
        if case.alpha == "straight":
            opacity = filtered(alpha)
        elif case.alpha == "premultiply" and abs(total) > 1e-6 * size:
            opacity = np.clip(filtered(alpha) / total, 0, most)
            told = (opacity >= 1) | (opacity == 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                made = np.where(opacity > 0, made / (opacity / most), 0)
    if case.linear:
        made = _srgb(made, most)
    return made, opacity, told


def typed(case, folder):
    """The command line, or None where the source holds no such picture."""
    data = SOURCES[case.source](case.pixels, case.samples)
    if data is None:
        return None
    (folder / f"in.{case.source}").write_bytes(data)
    np.save(folder / "k.npy", case.taps)
    words = ["conv2d", str(folder / f"in.{case.source}"), "-k", str(folder / "k.npy"), "-b", case.border]
    words += ["-s", ",".join(map(str, case.stride)), "--alpha", case.alpha] + ["--linear"] * case.linear
    words += [f"--{name}={value}" for name, value in case.numbers.items()]
    return [*words, "-f", "-q", "--report", str(folder / "report.json"), "-o", str(folder / f"out.{case.target}")]


def check(seed, folder):
    """What is wrong with the case of a seed, a line each."""
    case = draw(seed)
    words = typed(case, folder)
    if words is None:
        return []
    code, err = run(words)
    line = " ".join(words[3:-4]).replace(str(folder) + "/", "")
    tell = f"{seed}: {case.source} {case.samples} {case.pixels.dtype} {case.pixels.shape} to {case.target}: {line}"
    if code:
        held = any(word in err for word in ("hold", *REFUSED))
        return [] if held and len(err.splitlines()) == 1 else [f"{tell}: exit {code}: {err}"]
    return [f"{tell}: {what}" for what in _compare(case, folder)]


def _compare(case, folder):
    report = json.loads((folder / "report.json").read_text())
    made, opacity, told = expected(case)
    kind = case.pixels.dtype
    numbers = {"range_" if name == "range" else name: value for name, value in case.numbers.items()}
    colour = d.stored(d.Values(made, np.zeros_like(made)), kind, whole=True, **numbers)
    least, most, clipped = colour.least, colour.most, (colour.below, colour.above)
    if opacity is not None:
        alpha = d.stored(d.Values(opacity[None], np.zeros_like(opacity)[None]), kind, whole=True)
        clipped = tuple((a + c, b + e) for (a, b), (c, e) in zip(clipped, (alpha.below, alpha.above), strict=True))
        least, most = np.concatenate([least, alpha.least]), np.concatenate([most, alpha.most])
        told = np.stack([*[told] * len(made), np.ones_like(told)])
    found = read(folder / f"out.{case.target}", case.target, (*least.shape[1:], len(least)))
    if case.target == "nii":
        found = _from_nifti(found)
    if found.size != least.size:
        yield f"{found.shape} from {least.shape}"
        return
    if found.dtype.newbyteorder("=") != kind:
        yield f"samples are {found.dtype}"
        return
    found = np.moveaxis(found.reshape(*least.shape[1:], len(least)), -1, 0)
    bad = ((found < least) | (found > most)) & told
    if case.target == "webp" and opacity is not None:
        bad &= most[-1] > 0  # the encoder may change colour that nobody sees
    if bad.any():
        place = tuple(int(i[0]) for i in np.nonzero(bad))
        told = f"{least[place]:g} to {most[place]:g}"
        yield f"{int(bad.sum())} of {bad.size} wrong, at {place}: {found[place]}, should be {told}"
    counted = report["clipped"]["below"], report["clipped"]["above"]
    if told.all() and not all(a <= n <= b for n, (a, b) in zip(counted, clipped, strict=True)):
        yield f"clipped {counted}, should be {clipped}"


def _from_nifti(voxels):
    """A picture of (X, Y), whose colours NIfTI holds as structures, as (Y, X, samples)."""
    flat = voxels.squeeze() if voxels.ndim > 2 else voxels
    if flat.dtype.names:
        flat = np.stack([flat[name] for name in flat.dtype.names], axis=-1)
    return flat.swapaxes(0, 1)


if __name__ == "__main__":
    sys.exit(main(check, __doc__.splitlines()[0]))
