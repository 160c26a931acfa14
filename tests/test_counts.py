"""Counts of clipped and unknown samples are those that one gets by counting; and the advice that they lead to helps."""

import json
import re

import numpy as np
import pytest

from convcli import native
from convcli.image import ImageInfo
from convcli.operations.advice import limit
from convcli.requests.options import DTYPES

PARTS = ("AVAILABLE", "MINIMAL", "LAYERS", "FOURIER", "PATCHES", "COPIES", "WIDE")
COMMANDS = {
    "conv2d": ("conv2d", "-k", "k.npy"),
    "conv2d of several": ("conv2d", "-k", "k.npy", "-k", "l.npy"),
    "conv2d of a bank": ("conv2d", "-k", "bank.npy"),
    "conv2d in groups": ("conv2d", "-k", "grouped.npy", "-g", "2"),
    "conv3d": ("conv3d", "-k", "deep.npy"),
    "upsample": ("upsample", "-k", "k.npy"),
    "upsample by a bank": ("upsample", "-k", "turned.npy"),
    "scale": ("upsample", "-k", "nearest", "--scale", "3/2"),
    "separable": ("separable", "--depthwise", "k.npy", "--pointwise", "mix.npy"),
    "dilate": ("dilate", "-k", "k.npy", "--rate", "2"),
    "rates": ("dilate", "-k", "k.npy", "--rates", "1,2"),
    "chain": ("dilate", "-k", "k.npy", "--chain", "1,2"),
}
COMBINED = ("conv2d of several", "conv2d of a bank", "conv2d in groups")
PLACES = ("chain", "dilate", "separable", "conv2d", *COMBINED)
UNPLACED = ("upsample", "upsample by a bank")


@pytest.fixture
def run(run):
    rng = np.random.default_rng(0)
    for name, shape in {
        "k": (3, 3), "l": (2, 3), "bank": (3, 4, 3, 3), "grouped": (4, 2, 3, 3), "turned": (4, 2, 3, 3),
        "deep": (2, 3, 3), "mix": (3, 4),
    }.items():  # fmt: skip
        np.save(name, rng.integers(-3, 5, shape).astype(float))
    return run


def filtered(run, *words):
    """The report of a command, and its result."""
    code, errors = run(*words, "-f", "-q", "--json", "-o", "o.npy")
    assert 0 == code, errors
    return json.loads(run.output), np.load("o.npy")


def image_of(rng, dtype):
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        most = min(info.max, 2**40)
        return rng.integers(max(info.min, -most), most, (4, 6, 7), dtype=kind, endpoint=True)
    powers = {"float16": (0, 3, 5), "float32": (0, 20, 116)}[dtype]
    image = (rng.integers(-2047, 2048, (4, 6, 7)) * 2.0 ** rng.choice(powers)).astype(kind)  # their sums are exact
    if rng.random() < 0.5:
        image.flat[rng.integers(0, image.size, 3)] = rng.choice([np.nan, np.inf, -np.inf], 3)
    return image


def counted(values, dtype):
    """(below, above, NaN) of results in float64 as samples of a type."""
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    if kind.kind in "iu":
        rounded = np.rint(values)
        return int((rounded < limits.min).sum()), int((rounded > limits.max).sum()), int(np.isnan(values).sum())
    finite = np.isfinite(values)
    return tuple(
        int(each.sum()) for each in ((values < limits.min) & finite, (values > limits.max) & finite, np.isnan(values))
    )


def draw(rng, name):
    """Options that act on places, and options that act on numbers, with these as values."""
    there, numbers = [], {"scale": 1.0, "bias": 0.0, "range": "clip"}
    if name in UNPLACED:
        there += ["-s", rng.choice(["2", "2,3", "3,1"]), "-p", rng.choice(["1", "0", "same"])]
    elif name in PLACES and rng.random() < 0.5:
        there += ["-s", rng.choice(["2", "1,2"]), "-p", rng.choice(["same", "valid", "full"])]
    if name in COMBINED and rng.random() < 0.5:
        there += ["--combine", rng.choice(["sum", "mean", "max"])]
    if rng.random() < 0.5:
        numbers["bias"] = float(rng.choice([100, -3, 0.25]))
    if rng.random() < 0.4 and name not in (*UNPLACED, "scale"):
        numbers["scale"] = float(rng.choice([2, -1, 0.5]))
    if rng.random() < 0.3:
        numbers["range"] = "abs"
    return there, numbers


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_counted_is_what_there_is_to_count(run, name, seed, monkeypatch):
    rng = np.random.default_rng([seed, list(COMMANDS).index(name)])
    for dtype in ("uint8", "int16", "uint16", "int32", "float16", "float32"):
        image, (there, numbers) = image_of(rng, dtype), draw(rng, name)
        target = str(rng.choice([dtype, dtype, *DTYPES[:3], *DTYPES[4:7], "float16", "float32"]))
        np.save("a.npy", image)
        words = COMMANDS[name][0], "a.npy", "--axes", "ZYX" if name == "conv3d" else "CYX", *COMMANDS[name][1:], *there
        with np.errstate(over="ignore"):
            _, raw = filtered(run, *words, "-t", "float64", "--precision", "double")
        with np.errstate(invalid="ignore"):
            values = raw * numbers["scale"] + numbers["bias"]
        truth = counted(np.abs(values) if numbers["range"] == "abs" else values, target)
        told = [f"--{option}={value}" for option, value in numbers.items()]
        told = [option for option in told if option not in ("--scale=1.0", "--bias=0.0", "--range=clip")]
        for compiled, how in ((True, ["--threads", "2", "--memory", "1MiB"]), (False, ["--threads", "1"])):
            with monkeypatch.context() as patch:
                for part in () if compiled else PARTS:
                    patch.setattr(native, part, False)
                report, _ = filtered(run, *words, *told, "-t", target, *how)
            found = report["clipped"]["below"], report["clipped"]["above"], report["nan"]
            assert truth == found, f"{dtype} to {target}, {compiled=}: {' '.join([*words, *told, *how])}"


@pytest.mark.parametrize("stride", ["2,3", "3,2", "1,3", "4,4"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("padding", ["0", "1", "2", "same"])
def test_phases_of_an_enlargement_that_have_no_place_are_not_counted(run, stride, dtype, padding):
    """2 x 200 is above 255, 2 x 40,000 above float16's 65,504, 2 x 3e38 above float32's 3.4e38."""
    value = {"uint8": 200, "float16": 40000, "float32": 3e38}[dtype]
    np.save("a.npy", np.full((3, 4), value, dtype))
    np.save("twos.npy", np.full((4, 5), 2.0))
    report, result = filtered(run, "upsample", "a.npy", "-k", "twos.npy", "-s", stride, "-p", padding)
    _, raw = filtered(
        run,
        "upsample",
        "a.npy",
        "-k",
        "twos.npy",
        "-s",
        stride,
        "-p",
        padding,
        "-t",
        "float64",
        "--precision",
        "double",
    )
    most = np.iinfo(dtype).max if dtype == "uint8" else float(np.finfo(dtype).max)
    assert int((raw > most).sum()) == report["clipped"]["above"]
    assert result.size == raw.size


def test_what_overflows_float32_is_counted_and_an_infinity_is_not(run):
    np.save("a.npy", np.array([[3e38, 3e38, -3e38, 0, 0, np.inf, 0]], "f4"))
    report, result = filtered(run, "conv2d", "a.npy", "-k", "1 1", "-b", "zero")
    np.testing.assert_allclose([3e38, np.inf, 0, -3e38, 0, np.inf, np.inf], result[0].astype(float), rtol=1e-6)
    assert {"below": 0, "above": 1} == report["clipped"]
    assert "were above what float32 holds; use --dtype float64" in report["warnings"][0]


def test_what_overflows_on_the_way_is_no_loss_where_the_result_fits(run):
    np.save("a.npy", np.full((3, 5), 3e38, "f4"))
    for options in (
        ("3", "--scale", "0.25"),
        ("3", "-k", "-2.5", "--combine", "sum"),
        ("1 1 1 -1 -1",),
    ):
        report, result = filtered(run, "conv2d", "a.npy", "-k", *options)
        assert {"below": 0, "above": 0} == report["clipped"]
        assert np.isfinite(result).all()
    for steps in ("1,1", "1,2"):
        report, result = filtered(run, "dilate", "a.npy", "-k", "2", "-k", "0.25", "--chain", steps)
        np.testing.assert_allclose(1.5e38, result, rtol=1e-6)


KERNELS = {
    "emboss": "-2 -1 0; -1 1 1; 0 1 2", "laplacian": "laplacian", "eight": "laplacian:8", "sobel": "sobel:x",
    "log": "log:1", "sharpen": "sharpen", "ones": "1 1 1; 1 1 1; 1 1 1", "negative": "-1", "difference": "1 -2",
    "weak": "0.25 -0.25", "one-sided": "-1 0.5 0.5",
}  # fmt: skip
RANGES = {"dark": (0, 40), "bright": (200, 256), "all": (0, 256), "upper": (100, 256), "steps": (0, 2)}


def loss(report):
    return report["clipped"]["below"] + report["clipped"]["above"] + report["nan"]


def advice(warning):
    """The options that a warning advises, each by itself."""
    way = warning.rpartition("; use ")[2]
    return [re.findall(r"(--[\w-]+ \S+?)(?:,|$| )", part) for part in re.split(r", or ", way)]


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_every_advice_when_followed_loses_less(run, kernel, dtype):
    for low, high in RANGES.values():
        image = np.random.default_rng(1).integers(low, high, (20, 20))
        image = image * (255 if dtype == "uint16" else 120 if dtype == "int16" else 1)
        np.save("a.npy", (image if high > 2 else image * 255).astype(dtype))
        for options in ((), ("--scale", "3"), ("--bias", "20")):
            words = "conv2d", "a.npy", "-k", KERNELS[kernel], *options
            report, _ = filtered(run, *words)
            for warning in report["warnings"]:
                ways = advice(warning)
                assert ways, warning
                for way in ways:
                    changed = [word for pair in way for word in pair.split()]
                    kept = () if options[:1] and options[0] in changed else options
                    followed, _ = filtered(run, *words[:4], *kept, *changed)
                    assert loss(followed) < loss(report), (warning, way)
                    assert 0 == loss(followed), (warning, way)


def test_a_bias_is_advised_for_filters_of_sum_0_only(run):
    np.save("a.npy", np.random.default_rng(1).integers(0, 256, (20, 20)).astype("u1"))
    for kernel in KERNELS.values():
        report, _ = filtered(run, "conv2d", "a.npy", "-k", kernel)
        zero = abs(json.loads(json.dumps(report["kernel"]["sum"]))) < 1e-6
        below = [warning for warning in report["warnings"] if "below" in warning]
        assert all(zero == ("--bias 128" in warning) for warning in below)


@pytest.mark.parametrize(("kernel", "rule"), [("box:3", "ignore"), ("sharpen", "zero")])
def test_the_advice_for_nan_is_one_that_the_kernel_allows(run, kernel, rule):
    image = np.full((9, 9), 7, "f4")
    image[4, 4] = np.nan
    np.save("a.npy", image)
    report, _ = filtered(run, "conv2d", "a.npy", "-k", kernel, "-t", "uint8")
    (warning,) = report["warnings"]
    assert f"--nan {rule} where" in warning
    followed, _ = filtered(run, "conv2d", "a.npy", "-k", kernel, "-t", "uint8", "--nan", rule)
    assert 0 == followed["nan"]


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.startswith(("int", "uint"))])
def test_what_fills_the_range_of_a_type_is_not_clipped(run, dtype):
    np.save("a.npy", np.random.default_rng(1).standard_normal((9, 11)))
    report, found = filtered(run, "conv2d", "a.npy", "-k", "identity", "--range", "rescale", "-t", dtype)
    assert {"below": 0, "above": 0} == report["clipped"]
    assert np.iinfo(dtype).min == found.min()
    assert np.nextafter(float(np.iinfo(dtype).max), 0) <= found.max()  # the largest that float64 tells from overflow


@pytest.mark.parametrize("dtype", "uint8 uint16 uint32 uint64 int8 int16 int32 int64".split())
@pytest.mark.parametrize("end", [0, 1])
def test_a_warning_names_the_number_that_results_beyond_a_type_became(dtype, end):
    held = np.iinfo(dtype)
    number = f"{(held.min, held.max)[end]:,}"
    assert f"{number} and were set to {number}" == limit(ImageInfo((1, 1), dtype, "YX"), end)
