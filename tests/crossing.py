"""Features crossed at random: commands as a user types them, and whether what comes out is what the definition says.

    python tests/crossing.py --cases 5000 --seed 1

draws a command (filter, sample type, special values, method, border, stride, dilation, groups, numbers, order of axes,
file formats), runs it twice with other memory and threads, and prints a line for all that is wrong. `--only SEED` runs
one case again.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

import definition as d
from convcli import cli
from convcli.kernels import parse_kernel
from convcli.methods import METHODS

BORDERS = ("edge", "zero", "reflect", "symmetric", "wrap", "constant=3", "constant=-0.5")
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
NAMED = {
    2: "identity box:3 box:4,1 gaussian:0.7 gaussian:2 gaussian:4,1 binomial:5 disk:3 disk:9 laplacian log:1.5 dog:1,2 "
    "sharpen unsharp:2 emboss motion:9,30 gabor:8,20,4 sobel:x sobel:y prewitt:x scharr:y roberts:x kirsch:ne".split(),
    3: "identity box:3 box:2,3,4 gaussian:0.7 gaussian:0.5,2,1 binomial:3 ball:2 laplacian log:1 dog:0.6,1 "
    "sobel:z".split(),
}
"""Kernels by name, some of which bring their separable terms."""
LARGEST = {"int64": 2**40, "float16": 900}
"""How large samples are drawn where the type holds more than is tried here."""


@dataclass
class Case:
    """A command with what it is to compute."""

    command: str
    image: np.ndarray
    axes: str
    options: list[str] = field(default_factory=list)
    kernels: list[np.ndarray] = field(default_factory=list)
    bank: bool = False
    ndim: int = 2
    groups: int = 1
    stride: tuple = ()
    dilation: tuple = ()
    padding: object = "same"
    border: tuple = ()
    origin: tuple | None = None
    flip: bool = False
    normalize: str = "none"
    named: tuple = ()
    combine: str = "stack"
    rates: tuple = ()
    chain: tuple = ()
    pointwise: np.ndarray | None = None
    wanted: tuple = ()
    curve: str = ""
    extra: tuple = ()
    dtype: str = "same"
    numbers: dict = field(default_factory=dict)
    method: str = "auto"
    source: str = "npy"
    target: str = "npy"
    verify: bool = False

    @property
    def spatial(self):
        """The letters that the kernel lies on."""
        return "ZYX"[-self.ndim :]


# How a case is drawn


def draw(seed):
    """The case of a seed."""
    rng = np.random.default_rng(seed)
    command = str(
        rng.choice(["conv2d"] * 4 + ["conv3d"] * 2 + ["upsample"] * 3 + ["resize", "separable", "dilate", "dilate"])
    )
    ndim = (
        3
        if command == "conv3d" or (command in ("upsample", "separable", "dilate", "resize") and rng.random() < 0.25)
        else 2
    )
    bank = command in ("conv2d", "conv3d", "upsample") and rng.random() < 0.35
    case = Case(command, np.empty(0), "", ndim=ndim, bank=bank)
    _draw_geometry(rng, case)
    _draw_kernels(rng, case)
    _draw_image(rng, case)
    _draw_numbers(rng, case)
    _draw_files(rng, case)
    return case


def _some(rng, ndim, choices):
    if rng.random() < 0.5:
        return (int(rng.choice(choices)),) * ndim
    return tuple(int(n) for n in rng.choice(choices, ndim))


def _draw_geometry(rng, case):
    ndim, up = case.ndim, case.command == "upsample"
    case.stride = _some(rng, ndim, (1, 2, 2, 3) if up else (1, 1, 1, 2, 3))
    case.dilation = _some(rng, ndim, (1, 1, 1, 2, 3))
    case.padding = str(rng.choice(["same", "same", "valid", "full", "numbers"] + ["tf-same"] * (not up)))
    if case.padding == "numbers":
        case.padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (ndim, 2)))
    named = [str(rng.choice(BORDERS)) for _ in range(ndim)]
    if (
        rng.random() < 0.6
        or sum("o" in name and name != "reflect" and name.startswith(("z", "c")) for name in named) > 1
    ):
        named = named[:1] * ndim
    if rng.random() < 0.3:
        named = []
    case.border = tuple(named)
    if case.command in ("resize",):
        case.stride = case.dilation = (1,) * ndim
    if case.command == "dilate":
        case.dilation = (1,) * ndim
        rates = [_some(rng, ndim, (1, 2, 3, 5)) for _ in range(int(rng.integers(1, 4)))]
        if rng.random() < 0.4:
            case.rates, case.padding = tuple(dict.fromkeys(rates)), "same"
        elif rng.random() < 0.5:
            case.chain = tuple((rate[0],) * ndim for rate in rates)
            case.padding = "same"
        else:
            case.rates = (rates[0],)


def _taps(rng, shape, *, positive):
    kind = rng.choice(["normal", "whole", "sparse", "rank 1", "tiny"])
    taps = rng.standard_normal(shape)
    if kind == "whole":
        taps = rng.integers(-3, 4, shape).astype(float)
    elif kind == "sparse":
        taps *= rng.random(shape) < 0.3
    elif kind == "rank 1":
        taps = np.ones(shape)
        for axis in range(len(shape)):
            taps = taps * rng.standard_normal(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
    elif kind == "tiny":
        taps *= 1e-3
    if positive:
        taps = np.abs(taps)
    if not taps.any() or (positive and taps.sum() == 0):
        taps.flat[0] = 1.0
    return taps.astype(np.float32).astype(float)


def _draw_kernels(rng, case):
    ndim = case.ndim
    longest = (10, 5)[ndim - 2]
    if rng.random() < 0.08:
        longest = (34, 10)[ndim - 2]
    shape = tuple(int(min(rng.integers(1, longest), rng.integers(1, longest))) for _ in range(ndim))
    if case.command == "resize":
        case.curve = str(rng.choice(list(d.CURVES)))
        return
    if case.bank:
        case.groups = int(rng.choice([1, 1, 2, 3]))
        fan_in, fan_out = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        outer = (case.groups * fan_in, fan_out) if case.command == "upsample" else (case.groups * fan_out, fan_in)
        case.kernels = [_taps(rng, (*outer, *shape), positive=rng.random() < 0.3)]
    elif case.command == "separable":
        case.kernels = [_taps(rng, shape, positive=False) for _ in range(int(rng.integers(1, 3)))]
    else:
        positive = rng.random() < 0.3
        several = int(rng.integers(1, 4)) if case.command in ("conv2d", "conv3d") and rng.random() < 0.4 else 1
        case.kernels = [_taps(rng, shape, positive=positive) for _ in range(several)]
    if not case.bank and rng.random() < 0.3:
        names = [str(rng.choice(NAMED[ndim])) for _ in case.kernels]
        case.named = tuple(dict.fromkeys(names)) if case.command != "separable" else tuple(names)
        case.kernels = [parse_kernel(name, ndim).array() for name in case.named]
        shape = case.kernels[0].shape
    many = len(case.kernels) > 1 or (case.bank and case.kernels[0].shape[0] > 1)
    if case.command in ("conv2d", "conv3d") and many and rng.random() < 0.6:
        case.combine = str(rng.choice(["sum", "mean", "magnitude", "max"]))
    if case.command == "dilate" and len(case.rates) > 1 and rng.random() < 0.4:
        case.combine = str(rng.choice(["sum", "mean", "magnitude", "max"]))
    case.flip = bool(rng.random() < 0.2)
    if case.command != "upsample" and rng.random() < 0.15 and len({k.shape for k in case.kernels}) == 1:
        case.origin = tuple(int(rng.integers(0, k)) for k in shape)
    if case.command == "upsample":
        if not case.bank and rng.random() < 0.3:
            case.normalize = "overlap"
            case.kernels = [np.abs(case.kernels[0])]
        if rng.random() < 0.3 and case.padding != "full":
            case.extra = tuple(int(rng.integers(0, max(s, e))) for s, e in zip(case.stride, case.dilation, strict=True))
    elif not case.bank and case.command != "separable" and rng.random() < 0.15:
        case.normalize = "sum"


def _draw_image(rng, case):
    ndim = case.ndim
    size = tuple(int(n) for n in rng.integers(1, (40, 14)[ndim - 2], ndim))
    if ndim == 2 and rng.random() < 0.06 and max(case.kernels[0].shape if case.kernels else (9,)) < 8:
        size = tuple(int(n) for n in rng.integers(200, 700, 2))
    channels = 1
    if case.bank:
        channels = case.kernels[0].shape[0] if case.command == "upsample" else case.groups * case.kernels[0].shape[1]
    elif case.command == "separable" or rng.random() < 0.3:
        channels = int(rng.integers(2, 4))
    sizes = dict(zip(case.spatial, size, strict=True))
    if channels > 1 or (case.bank and rng.random() < 0.5) or case.command == "separable":
        sizes["C"] = channels
    for letter, chance in (("T", 0.15), ("Z", 0.15)):
        if letter not in sizes and rng.random() < chance:
            sizes[letter] = int(rng.integers(1, 4))
    letters = [letter for letter in "TZCYX" if letter in sizes]
    if rng.random() < 0.3:
        rng.shuffle(letters)
    case.axes = "".join(letters)
    shape = tuple(sizes[letter] for letter in case.axes)
    case.image = _pixels(rng, shape, str(rng.choice(DTYPES)))
    if case.command == "separable":
        outputs = int(rng.integers(1, 4))
        case.pointwise = np.round(rng.standard_normal((outputs, channels * len(case.kernels))), 3)
    if case.command == "resize":
        case.wanted = tuple(int(rng.integers(1, 3 * n + 2)) for n in size)


def _pixels(rng, shape, dtype):
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        least, most = max(info.min, -LARGEST.get(dtype, info.max)), min(info.max, LARGEST.get(dtype, info.max))
        pixels = rng.integers(least, most, shape, endpoint=True)
        if rng.random() < 0.3:
            pixels = np.where(rng.random(shape) < 0.7, 0, pixels)
        return pixels.astype(kind)
    pixels = rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 3) + rng.choice([0, 5])
    what = rng.choice(["plain", "plain", "mask", "spot", "nan", "inf", "mixed", "holes"])
    if what == "mask":
        pixels = (rng.random(shape) < 0.4) * 1.0
    if what in ("spot", "mixed") and dtype != "float16":
        pixels[_spot(rng, shape)] = 10.0 ** rng.integers(5, 30 if dtype == "float32" else 60)
    if what in ("nan", "mixed"):
        pixels[_spot(rng, shape)] = np.nan
    if what in ("inf", "mixed"):
        pixels[_spot(rng, shape)] = rng.choice([np.inf, -np.inf])
        pixels[_spot(rng, shape)] = rng.choice([np.inf, -np.inf])
    if what == "holes":
        pixels[rng.random(shape) < 0.5] = np.nan
    with np.errstate(over="ignore"):
        return pixels.clip(-6e4, 6e4).astype(kind) if dtype == "float16" else pixels.astype(kind)


def _spot(rng, shape):
    return tuple(int(rng.integers(0, n)) for n in shape)


def _draw_numbers(rng, case):
    case.dtype = str(rng.choice(["auto", "auto", "same", *DTYPES]))
    numbers = {}
    if rng.random() < 0.25:
        numbers["bias"] = float(rng.choice([128, -3.5, 0.25, 1000]))
    if rng.random() < 0.2 and case.command not in ("upsample", "resize"):
        numbers["scale"] = float(rng.choice([2, 0.5, -1, 0.01, 300]))
    if rng.random() < 0.2:
        numbers["range"] = str(rng.choice(["abs", "rescale"]))
    if rng.random() < 0.1:
        numbers["precision"] = "double"
    floats = case.image.dtype.kind == "f"
    if floats and rng.random() < 0.4:
        numbers["nan"] = str(rng.choice(["keep", "zero", "error"]))
    if rng.random() < 0.25:
        numbers["nodata"] = float(rng.choice(case.image.ravel())) if rng.random() < 0.7 else 7.0
        if not np.isfinite(numbers["nodata"]):
            numbers["nodata"] = -9999.0
    positive = case.kernels and all((taps >= 0).all() for taps in case.kernels)
    if positive and case.command in ("conv2d", "conv3d") and rng.random() < 0.6:
        numbers["nan"] = "ignore"
    case.numbers = numbers
    if case.normalize == "overlap":
        numbers.pop("nan", None)
    if rng.random() < 0.5 and case.command != "resize":
        case.method = str(rng.choice(METHODS))
    case.verify = bool(rng.random() < 0.2)


def _draw_files(rng, case):
    if rng.random() < 0.6:
        return
    case.source, case.target = (
        str(rng.choice(["npy", "npz", "tif", "zip.tif", "tile.tif", "png", "pgm"])) for _ in range(2)
    )


# What is typed


def _each(values):
    return ",".join(map(str, values))


def words(case, folder):
    """The command line, its files written into a folder; the output's name comes last."""
    command = "upsample" if case.command == "resize" else case.command
    source = folder / _written(case, folder)
    typed = [command, str(source), "--axes", case.axes, "--format", "tiff" if "tif" in case.target else case.target]
    if case.ndim == 3 and command in ("upsample", "separable", "dilate"):
        typed.append("--3d")
    for number, taps in enumerate(case.kernels):
        name = case.named[number] if case.named else folder / f"k{number}.npy"
        if not case.named:
            np.save(name, taps)
        typed += ["--depthwise" if command == "separable" else "-k", str(name)]
    if case.pointwise is not None:
        np.save(folder / "mix.npy", case.pointwise)
        typed += ["--pointwise", str(folder / "mix.npy")]
    if case.curve:
        scales = [f"{w}/{case.image.shape[case.axes.index(a)]}" for w, a in zip(case.wanted, case.spatial, strict=True)]
        typed += ["-k", case.curve, "--scale", ",".join(scales)]
    else:
        typed += ["-s", _each(case.stride)]
        padding = case.padding if isinstance(case.padding, str) else ",".join(f"{a}:{b}" for a, b in case.padding)
        typed += ["-p", padding]
        if case.command == "dilate":
            name = "--chain" if case.chain else "--rates" if len(case.rates) > 1 else "--rate"
            per = "x" if len(case.rates) > 1 else ","
            typed += [
                name,
                ",".join(str(rate[0]) if case.chain else per.join(map(str, rate)) for rate in case.chain or case.rates),
            ]
        else:
            typed += ["-d", _each(case.dilation)]
    if case.groups > 1:
        typed += ["-g", str(case.groups)]
    if case.border and not case.curve:
        typed += ["-b", ",".join(f"{a.lower()}={b}" for a, b in zip(case.spatial, case.border, strict=True))]
    if case.origin:
        typed += ["--origin", _each(case.origin)]
    typed += ["--flip"] * (case.flip and not case.curve) + ["--output-padding", _each(case.extra)] * bool(case.extra)
    typed += ["--normalize", case.normalize] * (case.normalize != "none") + ["--combine", case.combine] * (
        case.combine != "stack"
    )
    typed += ["-t", case.dtype] + [f"--{name}={value}" for name, value in case.numbers.items()]
    typed += ["-m", case.method] + ["--verify=50"] * case.verify
    return [*typed, "-f", "-q", "--report", str(folder / "report.json"), "-o", str(folder / "out")]


def _written(case, folder):
    """The image in a file of its kind, if that holds it; the file's name."""
    image, kind = case.image, case.source
    if kind in ("png", "pgm") and not (case.axes == "YX" and image.dtype.name in ("uint8", "uint16")):
        kind = "npy"
    if "tif" in kind and image.dtype == "float16":
        kind = "npy"
    name = f"in.{kind}"
    if kind == "npz":
        np.savez(folder / name, image)
    elif kind == "png":
        (folder / name).write_bytes(imagecodecs.png_encode(image))
    elif kind == "pgm":
        most = np.iinfo(image.dtype).max
        (folder / name).write_bytes(
            b"P5 %d %d %d\n" % (*image.shape[::-1], most) + image.astype(image.dtype.newbyteorder(">")).tobytes()
        )
    elif "tif" in kind:
        more = {"zip.tif": {"compression": "zlib"}, "tile.tif": {"tile": (16, 16)}}.get(kind, {})
        tifffile.imwrite(folder / name, image, photometric="minisblack", **more)
    else:
        np.save(folder / name, image)
    return name


def _read(path, target):
    """The pixels of an output, by another library."""
    if target == "npz":
        with np.load(path) as archive:
            return archive[archive.files[0]]
    if target == "png":
        return imagecodecs.png_decode(path.read_bytes())
    if target == "pgm":
        return _pgm(path.read_bytes())
    return tifffile.imread(path) if "tif" in target else np.load(path)


def _pgm(data):
    """A binary PGM."""
    _, wide, high, most = data.split(maxsplit=4)[:4] if data[:2] == b"P5" else (None, 0, 0, 0)
    kind = ">u2" if int(most) > 255 else "u1"
    size = int(wide) * int(high) * np.dtype(kind).itemsize
    return np.frombuffer(data[-size:], kind).reshape(int(high), int(wide))


# What it shall be


def expected(case):
    """(Values over (planes, channels, *space), names of the planes' axes, whether channels make an axis C)."""
    loops = "".join(a for a in case.axes if a not in case.spatial + "C")
    order = [case.axes.index(a) for a in loops + "C" * ("C" in case.axes) + case.spatial]
    pixels = case.image.transpose(order).astype(np.float64)
    sizes = [case.image.shape[case.axes.index(a)] for a in case.spatial]
    planes = pixels.reshape(-1, case.image.shape[case.axes.index("C")] if "C" in case.axes else 1, *sizes)
    if "nodata" in case.numbers:
        planes = np.where(planes == np.asarray(case.numbers["nodata"]).astype(np.float64), np.nan, planes)
    found = [_plane(case, plane) for plane in planes]
    return d.Values(np.stack([f.value for f in found]), np.stack([f.slack for f in found])), loops


def _borders(case):
    numeric = not isinstance(case.padding, str)
    upward = case.command == "upsample" and (case.padding != "same" or case.normalize == "overlap")
    named = case.border or (("zero",) * case.ndim if numeric or upward else ("edge",) * case.ndim)
    return [0.0 if b == "zero" else float(b.partition("=")[2]) if "=" in b else b for b in named]


def _plane(case, plane):
    """Results (channels, *space) of one plane (channels, *space)."""
    kernels, nan = case.kernels, case.numbers.get("nan", "keep")
    if case.curve:
        return d.resampled(np.where(np.isnan(plane), 0, plane) if nan == "zero" else plane, case.curve, case.wanted)
    if case.normalize == "sum":
        kernels = [k if abs(k.sum()) <= 1e-6 * np.abs(k).sum() else k / k.sum() for k in kernels]
    centres = [case.origin or tuple(k // 2 for k in taps.shape[-case.ndim :]) for taps in kernels]
    if case.flip:
        kernels = [np.flip(k, tuple(range(-case.ndim, 0))) for k in kernels]
        mirrored = [zip(k.shape[-case.ndim :], c, strict=True) for k, c in zip(kernels, centres, strict=True)]
        centres = [tuple(size - 1 - at for size, at in axes) for axes in mirrored]
    kernels, origin = _side_by_side(kernels, centres)
    if case.command == "upsample":
        return _transposed(case, plane, kernels[0], nan)

    def step(image, taps, rate, *, plain, errors=False):
        space = taps.shape[2:]
        rules = [case.padding] * case.ndim if isinstance(case.padding, str) else case.padding
        sizes = zip(rules, image.shape[1:], space, case.stride, rate, origin, strict=True)
        pads = [d.pads_by_rule(*each) if isinstance(each[0], str) else each[0] for each in sizes]
        borders = [0.0 if errors and isinstance(b, float) else b for b in _borders(case)]
        return d.convolved(
            image, taps, stride=case.stride, dilation=rate, pads=pads, border=borders, nan=nan, plain=plain
        )

    def alone(image, taps, rate, **more):
        """A plain kernel on every channel."""
        found = [step(channel[None], taps[None, None], rate, plain=True, **more) for channel in image]
        return d.Values(np.concatenate([f.value for f in found]), np.concatenate([f.slack for f in found]))

    if case.command == "separable":
        return _separable(case, plane, kernels, step)
    if case.bank:
        values = step(plane, kernels[0], case.dilation, plain=False)
        if case.combine == "stack":
            return values
        parts = [d.Values(v[None], s[None]) for v, s in zip(values.value, values.slack, strict=True)]
        return d.combined(parts, case.combine)
    if case.chain:
        values, slack = plane, 0.0
        for rate in case.chain:
            made = alone(values, kernels[0], rate)
            grown = alone(
                np.broadcast_to(np.asarray(slack, float), values.shape), np.abs(kernels[0]), rate, errors=True
            ).value
            values, slack = made.value, made.slack + grown
        return d.Values(values, slack)
    rates = case.rates or (case.dilation,)
    parts = [alone(plane, taps, rate) for rate in rates for taps in kernels]
    if len(parts) == 1:
        return parts[0]
    if case.combine != "stack":
        return d.combined(parts, case.combine)
    stacked = (np.stack([getattr(p, name) for p in parts], axis=1) for name in ("value", "slack"))
    return d.Values(*(each.reshape(-1, *each.shape[2:]) for each in stacked))


def _side_by_side(kernels, centres):
    """Kernels of one size, taps of 0 around the smaller ones, and the place of their common centre."""
    ndim, several = len(centres[0]), len(kernels) > 1
    before = np.max(centres, axis=0)
    after = np.max([np.subtract(k.shape[-ndim:], c) for k, c in zip(kernels, centres, strict=True)], axis=0)
    widths = [
        [(b - at, a - (size - at)) for b, a, at, size in zip(before, after, c, k.shape, strict=True)]
        for k, c in zip(kernels, centres, strict=True)
        if several
    ]
    padded = [np.pad(k, each) for k, each in zip(kernels, widths, strict=True)] if several else kernels
    return padded, tuple(int(n) for n in before)


def _transposed(case, plane, taps, nan):
    rules = [case.padding] * case.ndim if isinstance(case.padding, str) else case.padding
    sizes = zip(rules, taps.shape[-case.ndim :], case.stride, case.dilation, strict=True)
    crop = [d.crop_by_rule(*each) if isinstance(each[0], str) else each[0] for each in sizes]
    more = {
        "stride": case.stride,
        "dilation": case.dilation,
        "crop": crop,
        "extra": case.extra or (0,) * case.ndim,
        "border": _borders(case),
        "nan": nan,
        "overlap": case.normalize == "overlap",
    }
    if case.bank:
        return d.transposed(plane, taps, groups=case.groups, plain=False, **more)
    found = [d.transposed(channel[None], taps[None, None], **more) for channel in plane]
    return d.Values(np.concatenate([f.value for f in found]), np.concatenate([f.slack for f in found]))


def _separable(case, plane, kernels, step):
    between = [
        step(channel[None], k[None, None], case.dilation, plain=True).value[0] for channel in plane for k in kernels
    ]
    taps = case.pointwise.reshape(*case.pointwise.shape, *(1,) * case.ndim)
    value, _ = d.weighed(np.stack(between), taps, (1,) * case.ndim, (1,) * case.ndim)
    finite = np.abs(plane[np.isfinite(plane)]).max(initial=0.0)
    for border in _borders(case):
        finite = max(finite, abs(border) if isinstance(border, float) else 0)
    gains = np.array([np.abs(k).sum() for k in kernels] * len(plane))
    slack = 2 * d.ACCURACY * finite * (np.abs(case.pointwise) @ gains)
    return d.Values(value, np.broadcast_to(slack.reshape(-1, *(1,) * case.ndim), value.shape))


def output_dtype(case):
    """The sample type of the result."""
    features = case.bank or case.command == "separable"
    if case.dtype == "auto" and features:
        return "float64" if case.image.dtype.name in ("uint32", "int32", "int64", "float64") else "float32"
    return case.image.dtype.name if case.dtype in ("auto", "same") else case.dtype


# Whether it is


def run(typed):
    """(exit code, standard error) of a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            code = cli.run(typed)
        except Exception:  # noqa: BLE001 -- whatever it is, a user would see a traceback
            return -1, "a traceback: " + traceback.format_exc().strip().splitlines()[-1]
    return code, err.getvalue().strip()


REFUSED = (
    "cannot do this",
    "does not fit",
    "takes all",
    "is none",
    "raise --memory",
    "needs several kernels",
    "[kernel]",
    "no negative taps",
)
"""Words of refusals that are right wherever they come: the method, the sizes, the format."""


def check(seed, folder):
    """What is wrong with the case of a seed, a line each."""
    case = draw(seed)
    if not _sensible(case):
        return []
    rng = np.random.default_rng([seed, 1])
    typed = words(case, folder)
    code, err = run([*typed, "--threads", "1"])
    line = " ".join(typed[:-4]).replace(str(folder) + "/", "")
    tell = f"{seed}: {case.image.dtype} {case.axes} {case.image.shape} {line}"
    if code:
        return _refusal(case, code, err, tell)
    report = json.loads((folder / "report.json").read_text().splitlines()[0])
    found = _read(folder / "out", case.target)
    wrong = [f"{tell}: {what}" for what in _compare(case, found, report)]
    other = [
        *typed[:-1],
        str(folder / "again"),
        "--threads",
        str(rng.choice([2, 3])),
        "--memory",
        str(rng.choice(["1MiB", "2MiB", "8MiB"])),
    ]
    code, err = run(other)
    if code and not any(word in err for word in REFUSED):
        wrong.append(f"{tell}: exit {code} with other threads and memory: {err}")
    elif not code and found.tobytes() != _read(folder / "again", case.target).tobytes():
        wrong.append(f"{tell}: other bits with {' '.join(other[-4:])}")
    return wrong


def _sensible(case):
    """Whether the definition here tells what is asked."""
    if case.numbers.get("nan") == "ignore" and case.command == "upsample":
        return False
    if case.target == "png" and "T" in case.axes and case.image.shape[case.axes.index("T")] > 1:
        return False  # an animation, whose frames are read elsewhere
    return not (case.numbers.get("range") == "rescale" and case.combine != "stack" and case.chain)


def _refusal(case, code, err, tell):
    nan = case.numbers.get("nan") == "error" and code == 1 and "[nan]" in err
    image = case.image.astype(float)
    unknown = np.isnan(image).any() or ("nodata" in case.numbers and (image == case.numbers["nodata"]).any())
    unheld = "hold" in err and case.target in ("png", "pgm", "tif", "zip.tif", "tile.tif")
    large = "is exact up to" in err and case.image.dtype == np.int64
    right = (nan and unknown) or unheld or large or any(word in err for word in REFUSED)
    if right and len(err.splitlines()) == 1 and code in (1, 2):
        return []
    return [f"{tell}: exit {code}: {err}"]


@np.errstate(over="ignore")
def _holds(dtype, value):
    """Whether a sample type has a value."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return abs(value) <= np.finfo(kind).max and float(kind.type(value)) == value
    return value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def _compare(case, found, report):
    dtype = output_dtype(case)
    if found.dtype.newbyteorder("=") != np.dtype(dtype):
        yield f"samples are {found.dtype}, should be {dtype}"
        return
    values, loops = expected(case)
    axes = report["axes"]
    letters = loops + "C" * ("C" in axes) + case.spatial
    if sorted(axes) != sorted(letters) or [a for a in axes if a in case.axes] != [a for a in case.axes if a in axes]:
        yield f"axes {axes} from {case.axes}"
        return
    sizes = [case.image.shape[case.axes.index(a)] for a in loops]
    shape = (*sizes, *values.value.shape[1:]) if "C" in axes else (*sizes, *values.value.shape[2:])
    if "C" not in axes and values.value.shape[1] > 1:
        yield "several channels, but no axis C"
        return
    order = [letters.index(a) for a in axes]
    values = values.each(lambda array: array.reshape(shape).transpose(order))
    if values.value.shape != tuple(report["shape"]["output"]) or found.size != values.value.size:
        yield f"shape {report['shape']['output']}, should be {values.value.shape}"
        return
    numbers = dict(case.numbers)
    whole = case.image.dtype.kind in "iu"
    nodata = numbers.get("nodata")
    if nodata is not None and case.image.dtype.kind == "f":
        with np.errstate(over="ignore"):
            nodata = float(np.asarray(nodata).astype(case.image.dtype))  # as its samples hold it
    names = {"scale": "scale", "bias": "bias", "range": "range_"}
    more = {new: numbers[old] for old, new in names.items() if old in numbers}
    stored = d.stored(values, dtype, nodata=nodata, whole=whole, **more)
    if case.target not in ("npy", "npz"):  # pages hold planes, whatever the order of the axes
        there = sorted(axes, key="YX".find)
        sizes = dict(zip(axes, values.value.shape, strict=True))
        found = found.reshape([sizes[a] for a in there]).transpose([there.index(a) for a in axes])
    found = found.reshape(values.value.shape).astype(np.float64)
    unknown = np.isnan(stored.least)
    if nodata is not None and not _holds(dtype, nodata):  # it cannot be told in this type
        found = np.where(np.isnan(d.stored(values, "float64", **more).least), np.nan, found)
        stored.least[np.isnan(found)] = np.nan
        unknown = np.isnan(stored.least)
    bad = (np.isnan(found) != unknown) | (~unknown & ~((stored.least <= found) & (found <= stored.most)))
    if bad.any():
        place = tuple(int(i[0]) for i in np.nonzero(bad))
        yield (
            f"{int(bad.sum())} of {bad.size} wrong by {report['method']}, at {place}: {found[place]!r}, should be "
            f"{stored.least[place]!r} to {stored.most[place]!r}"
        )
    below, above = report["clipped"]["below"], report["clipped"]["above"]
    if not (stored.below[0] <= below <= stored.below[1] and stored.above[0] <= above <= stored.above[1]):
        yield f"clipped {below}, {above}, should be {stored.below}, {stored.above}"
    if report["nan"] != stored.nan:
        yield f"{report['nan']} NaN counted, should be {stored.nan}"


def main(check, description):
    """Run many cases of a family; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    chosen = parser.parse_args()
    began, count = time.monotonic(), 0
    seeds = [chosen.only] if chosen.only is not None else range(chosen.seed * 10**6, chosen.seed * 10**6 + chosen.cases)
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            for line in check(seed, Path(folder)):
                count += 1
                print(line, flush=True)
    print(f"{len(seeds)} cases, {count} wrong, {time.monotonic() - began:.0f} s")
    return bool(count)


if __name__ == "__main__":
    sys.exit(main(check, __doc__.splitlines()[0]))
