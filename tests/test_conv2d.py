"""`convcli conv2d` as a user types it: published results, numbers, files, reports and slips."""

import json
import struct
import zlib

import imageio.v3 as iio
import numpy as np
import pytest
import scipy.ndimage
import tifffile
from skimage import data

from command import convcli
from convcli.methods import METHODS


def filtered(image, folder, *options, name="in.png", result="out.tif"):
    """An image through `convcli conv2d`, read back by another library."""
    source, target = folder / name, folder / result
    if name.endswith(".tif"):
        tifffile.imwrite(source, image, photometric="minisblack")
    else:
        iio.imwrite(source, image)
    done = convcli("conv2d", source, *options, "-o", target, "-f", "-qq")
    assert (0, b"") == (done.returncode, done.stderr)
    return tifffile.imread(target) if result.endswith(".tif") else iio.imread(target)


SHARPEN = "0 -1 0; -1 5 -1; 0 -1 0"


def test_published_sharpen(tmp_path):
    result = filtered(data.camera(), tmp_path, "-k", SHARPEN, result="out.png")
    assert (128.563847, 210) == (pytest.approx(result.mean(), abs=1e-6), result[100, 100])


def test_published_sobel(tmp_path):
    result = filtered(data.camera(), tmp_path, "-k", "sobel:x", "-t", "float32")
    assert (np.float32, -860, 851) == (result.dtype, result.min(), result.max())
    assert pytest.approx(result.mean(dtype=float), abs=1e-6) == 0.869781


def test_published_channel_mix(tmp_path):
    result = filtered(data.astronaut(), tmp_path, "-k", ".3 ^ .6 ^ .1")
    assert ((512, 512), np.float32) == (result.shape, result.dtype)
    assert pytest.approx(result.mean(dtype=float), abs=1e-5) == 115.571922


def test_published_gaussian(tmp_path):
    image = data.camera()
    exact = scipy.ndimage.gaussian_filter(image.astype(float), 2, mode="nearest", truncate=4)
    assert np.abs(exact - filtered(image, tmp_path, "-k", "gaussian:2", result="out.png")).max() <= 0.501


def test_published_ramp(tmp_path):
    ramp = (50 * np.arange(5)[:, None] + 10 * np.arange(5)).astype(np.uint8)
    assert [20, 27, 37, 47, 53] == filtered(ramp, tmp_path, "-k", "box:3", result="out.png")[0].tolist()


def half_transparent():
    """Left half opaque red, right half transparent green."""
    image = np.zeros((20, 20, 4), np.uint8)
    image[:, :10], image[:, 10:] = (255, 0, 0, 255), (0, 255, 0, 0)
    return image


def test_no_colour_bleeds_out_of_transparent_pixels(tmp_path):
    result = filtered(half_transparent(), tmp_path, "-k", "box:3", result="out.png")
    assert [[255, 0, 0, 170], [255, 0, 0, 85]] == result[10, 9:11].tolist()


def test_alpha_can_be_filtered_straight_kept_or_dropped(tmp_path):
    image = half_transparent()
    assert [170, 85, 0, 170] == filtered(image, tmp_path, "-k", "box:3", "--alpha", "straight", result="out.png")[
        10, 9
    ].tolist()
    assert [170, 85, 0, 255] == filtered(image, tmp_path, "-k", "box:3", "--alpha", "keep", result="out.png")[
        10, 9
    ].tolist()
    assert [170, 85, 0] == filtered(image, tmp_path, "-k", "box:3", "--alpha", "drop", result="out.png")[10, 9].tolist()


def test_opaque_alpha_changes_no_colour(tmp_path):
    image = data.astronaut()[:60, :70]
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    for kernel in ("sharpen", "1 1 1;1 1 1", "laplacian", "sobel:x"):
        plain = filtered(image, tmp_path, "-k", kernel, result="out.png")
        result = filtered(opaque, tmp_path, "-k", kernel, result="out.png")
        np.testing.assert_array_equal(plain, result[..., :3])
        assert np.all(result[..., 3] == 255)


def test_an_impulse_shows_correlation_and_flip_shows_convolution(tmp_path):
    impulse = np.zeros((5, 5), np.uint8)
    impulse[2, 2] = 1
    kernel = ("-k", "1 2 3; 4 5 6; 7 8 9")
    assert [[9, 8, 7], [6, 5, 4], [3, 2, 1]] == filtered(impulse, tmp_path, *kernel)[1:4, 1:4].tolist()
    assert [[1, 2, 3], [4, 5, 6], [7, 8, 9]] == filtered(impulse, tmp_path, *kernel, "--flip")[1:4, 1:4].tolist()


@pytest.mark.parametrize("size", ["3x3", "4x4", "2x5"])
def test_correlation_and_convolution_of_even_kernels_are_those_of_scipy(tmp_path, size):
    columns, rows = map(int, size.split("x"))
    taps = np.arange(rows * columns).reshape(rows, columns) % 7 - 2.0
    image = data.camera()[:40, :50].astype(np.float32)
    kernel = ("-k", f"{size}:" + ",".join(map(str, taps.ravel())))
    for options, peer in ((("-b", "edge"), "correlate"), (("--flip",), "convolve")):
        expected = getattr(scipy.ndimage, peer)(image, taps, mode="nearest")
        np.testing.assert_allclose(expected, filtered(image, tmp_path, *kernel, *options, name="in.tif"), rtol=1e-5)


def test_pages_are_never_mixed(tmp_path):
    stack = np.stack([data.camera()[:50, :60], 255 - data.camera()[:50, :60], np.zeros((50, 60), np.uint8)])
    result = filtered(stack, tmp_path, "-k", "gaussian:2", name="in.tif")
    for page, alone in zip(result, stack, strict=True):
        np.testing.assert_array_equal(filtered(alone, tmp_path, "-k", "gaussian:2", name="in.tif"), page)


def test_magnitude_of_gradients(tmp_path):
    image = data.camera()
    expected = np.hypot(*(scipy.ndimage.sobel(image.astype(float), axis, mode="nearest") for axis in (0, 1)))
    result = filtered(image, tmp_path, "-k", "sobel:x", "-k", "sobel:y", "--combine", "magnitude", "-t", "float32")
    np.testing.assert_allclose(expected, result, atol=1e-3)


@pytest.mark.parametrize(("combine", "together"), [("sum", np.sum), ("mean", np.mean), ("max", np.max)])
def test_several_kernels_are_combined(tmp_path, combine, together):
    image = data.camera()[:64, :64].astype(np.float32)
    kernels = ("sobel:x", "box:5", "gaussian:1")
    alone = [filtered(image, tmp_path, "-k", kernel, name="in.tif") for kernel in kernels]
    words = [word for kernel in kernels for word in ("-k", kernel)]
    result = filtered(image, tmp_path, *words, "--combine", combine, name="in.tif")
    np.testing.assert_allclose(together(alone, axis=0), result, atol=2e-3)


def test_several_kernels_make_channels(tmp_path):
    image = data.camera()[:64, :64]
    result = filtered(image, tmp_path, "-k", "sobel:x", "-k", "sobel:y", "-k", "box:3", "-t", "float32")
    assert (3, 64, 64) == result.shape
    np.testing.assert_allclose(scipy.ndimage.sobel(image.astype(float), 1, mode="nearest"), result[0])


def test_range_scale_and_bias(tmp_path):
    image = data.camera()[:64, :64]
    exact = scipy.ndimage.sobel(image.astype(float), 1, mode="nearest")
    for options, expected in (
        (("--bias", "128", "--scale", "0.25"), np.clip(np.rint(exact * 0.25 + 128), 0, 255)),
        (("--range", "abs"), np.clip(np.abs(exact), 0, 255)),
        (("--range", "rescale"), np.rint((exact - exact.min()) / (exact.max() - exact.min()) * 255)),
    ):
        np.testing.assert_array_equal(expected, filtered(image, tmp_path, "-k", "sobel:x", *options, result="out.png"))


def test_normalize_makes_the_sum_one_and_leaves_edge_filters(tmp_path):
    image = np.full((9, 9), 100, np.uint8)
    assert np.all(filtered(image, tmp_path, "-k", "1 2 1;2 4 2;1 2 1", "--normalize", "sum") == 100)
    iio.imwrite(tmp_path / "flat.png", image)
    done = convcli("conv2d", tmp_path / "flat.png", "-k", "sobel", "--normalize", "sum", "-o", tmp_path / "edge.png")
    assert b"kernel sobel sums to 0 and was not normalized" in done.stderr


def test_linear_light(tmp_path):
    image = np.zeros((8, 8), np.uint8)
    image[:, 4:] = 255
    found = filtered(image, tmp_path, "-k", "1/2 1/2", "--linear", result="out.png")[0, 4]
    assert 188 == found  # half the light is 188 of 255 in sRGB


NAN = np.nan


def test_rules_for_nan(tmp_path):
    image = np.array([[1, 2, NAN, 4, 5, 6]], np.float32)
    expected = {
        "keep": [4 / 3, NAN, NAN, NAN, 5, 17 / 3],
        "zero": [4 / 3, 1, 2, 3, 5, 17 / 3],
        "ignore": [4 / 3, 1.5, 3, 4.5, 5, 17 / 3],
    }
    for rule, values in expected.items():
        np.testing.assert_allclose(
            [values],
            np.atleast_2d(filtered(image, tmp_path, "-k", "1/3 1/3 1/3", "--nan", rule, name="in.tif")),
            rtol=1e-6,
        )
    tifffile.imwrite(tmp_path / "nan.tif", image)
    done = convcli("conv2d", tmp_path / "nan.tif", "-k", "box:3", "--nan", "error", "-o", tmp_path / "x.tif")
    assert 1 == done.returncode
    assert b"[nan]" in done.stderr


def test_nodata_is_unknown_and_comes_back(tmp_path):
    image = np.array([[10, 20, 255, 40, 50, 60]], np.uint8)
    keep = filtered(image, tmp_path, "-k", "1/3 1/3 1/3", "--nodata", "255", result="out.png")
    assert [[13, 255, 255, 255, 50, 57]] == keep.tolist()
    ignore = filtered(image, tmp_path, "-k", "1/3 1/3 1/3", "--nodata", "255", "--nan", "ignore", result="out.png")
    assert [[13, 15, 30, 45, 50, 57]] == ignore.tolist()


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]
)
def test_a_tiff_of_any_type_keeps_it(tmp_path, dtype):
    image = (np.arange(300).reshape(15, 20) % 120).astype(dtype)
    result = filtered(image, tmp_path, "-k", "identity", name="in.tif")
    assert dtype == result.dtype
    np.testing.assert_array_equal(image, result)


def test_clipping_is_counted_and_said(tmp_path):
    iio.imwrite(tmp_path / "in.png", np.array([[0, 255]], np.uint8))
    done = convcli(
        "conv2d", tmp_path / "in.png", "-k", "-1 1", "-o", tmp_path / "out.png", "--json", "-qq", "-b", "zero"
    )
    report = json.loads(done.stdout)
    assert {"below": 0, "above": 0} == report["clipped"]
    done = convcli(
        "conv2d", tmp_path / "in.png", "-k", "1 -2", "-o", tmp_path / "out.png", "-f", "--json", "-qq", "-b", "zero"
    )
    report = json.loads(done.stdout)
    assert {"below": 1, "above": 0} == report["clipped"]
    way = "use --dtype float32 with a .tif, or --range rescale"
    assert [f"50 % of samples were below 0 and were set to 0; {way}"] == report["warnings"]


def test_strict_turns_a_warning_into_a_failure_and_writes_nothing(tmp_path):
    iio.imwrite(tmp_path / "in.png", np.array([[0, 255]], np.uint8))
    done = convcli("conv2d", tmp_path / "in.png", "-k", "1 -2", "-b", "zero", "--strict", "-o", tmp_path / "out.png")
    assert 1 == done.returncode
    assert b"[strict]" in done.stderr
    assert [tmp_path / "in.png"] == list(tmp_path.iterdir())


def test_verify_passes_on_true_results(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.astronaut()[:200, :300])
    for options in (
        ["gaussian:3"],
        ["sharpen", "--stride", "2"],
        ["sobel", "--range", "rescale"],
        ["box:3", "--linear"],
    ):
        done = convcli("conv2d", tmp_path / "in.png", "-k", *options, "--verify", "-f", "-o", tmp_path / "o.png")
        assert 0 == done.returncode, done.stderr
        assert b"200 points verified" in done.stderr


def test_explain_reads_no_pixel_and_writes_nothing(tmp_path):
    (tmp_path / "bad.png").write_bytes(png_without_pixels())
    words = ("conv2d", tmp_path / "bad.png", "-k", "gaussian:3", "-o", tmp_path / "out.png")
    done = convcli(*words, "--explain")
    assert 0 == done.returncode, done.stderr
    assert b"separable" in done.stderr
    assert b"[corrupt]" in convcli(*words).stderr
    assert [tmp_path / "bad.png"] == list(tmp_path.iterdir())


def png_without_pixels():
    """A PNG whose pixel data cannot be decompressed, with all its check-sums right."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 0, 0, 0, 0)), (b"IDAT", b"no pixels"), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


KEYS = (
    "schema input output status code message operation shape axes dtype method candidates macs flops time clipped nan "
    "warnings"
).split()


def test_json_has_the_promised_keys(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.camera())
    done = convcli("conv2d", tmp_path / "in.png", "-k", "box:3", "-o", tmp_path / "o.png", "--json", "-qq")
    report = json.loads(done.stdout)
    assert not set(KEYS) - set(report)
    assert ("done", "correlation", 512 * 512 * 9) == (report["status"], report["operation"], report["macs"])
    assert set(METHODS) == {c["method"] for c in report["candidates"]}
    assert {"read", "compute", "write", "total"} == set(report["time"])


def test_a_pipe_carries_pixels_in_and_out(tmp_path):
    png = iio.imwrite("<bytes>", data.camera(), extension=".png")
    first = convcli(
        "conv2d", "-", "-k", "sharpen", "-o", "-", "--format", "tiff", "--report", tmp_path / "r.json", "-qq", stdin=png
    )
    second = convcli("conv2d", "-", "-k", "identity", "-o", "-", "--format", "png", "-qq", stdin=first.stdout)
    assert (0, 0) == (first.returncode, second.returncode)
    np.testing.assert_array_equal(filtered(data.camera(), tmp_path, "-k", "sharpen"), iio.imread(second.stdout))
    assert "done" == json.loads((tmp_path / "r.json").read_text())["status"]


def test_kernel_from_standard_input(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.camera())
    done = convcli(
        "conv2d", tmp_path / "in.png", "-k", "-", "-o", tmp_path / "o.png", "-qq", stdin=b"0 -1 0\n-1 5 -1\n0 -1 0\n"
    )
    assert 0 == done.returncode, done.stderr
    np.testing.assert_array_equal(
        filtered(data.camera(), tmp_path, "-k", SHARPEN, result="p.png"), iio.imread(tmp_path / "o.png")
    )


def test_many_inputs_go_into_a_folder_or_a_template(tmp_path):
    for name in ("a.png", "b.png"):
        iio.imwrite(tmp_path / name, data.camera()[:30, :30])
    (tmp_path / "out").mkdir()
    done = convcli(
        "conv2d", tmp_path / "a.png", tmp_path / "b.png", "-k", "box:3", "-o", f"{tmp_path}/out/{{stem}}-{{kernel}}.tif"
    )
    assert (0, True) == (done.returncode, done.stderr.startswith(b"done  2 of 2 in "))
    assert ["a-box-3.tif", "b-box-3.tif"] == sorted(p.name for p in (tmp_path / "out").iterdir())
    done = convcli("conv2d", tmp_path / "a.png", tmp_path / "b.png", "-k", "box:3", "-o", f"{tmp_path}/out/")
    assert 0 == done.returncode
    assert {"a.png", "b.png"} <= {p.name for p in (tmp_path / "out").iterdir()}


def test_one_bad_input_costs_only_itself(tmp_path):
    iio.imwrite(tmp_path / "a.png", data.camera()[:30, :30])
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    done = convcli("conv2d", tmp_path / "bad.png", tmp_path / "a.png", "-k", "box:3", "-o", f"{tmp_path}/{{stem}}.tif")
    assert 3 == done.returncode
    assert (tmp_path / "a.tif").exists()
    assert 1 == done.stderr.count(b"[unknown-format]")


def test_in_place_replaces_the_input(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.camera())
    done = convcli("conv2d", tmp_path / "in.png", "-k", SHARPEN, "--in-place", "-qq")
    assert 0 == done.returncode, done.stderr
    assert 210 == iio.imread(tmp_path / "in.png")[100, 100]


SLIPS = [
    (("-k", "gausian:2"), 2, "unknown kernel 'gausian'; did you mean 'gaussian'?", "kernel"),
    (("-k", "1 2 3; 4 5"), 2, "kernel row 2 has 2 values, row 1 has 3", "kernel"),
    (("-k", "1 2 a"), 2, "row 1, value 3: 'a' is not a number", "kernel"),
    (("-k", "box:3", "-b", "mirrored"), 2, "unknown border 'mirrored'", "usage"),
    (("-k", "box:3", "-p", "sane"), 2, "'sane' is not same, tf-same, valid, full", "usage"),
    (("-k", "box:3", "-s", "0"), 2, "0 is too small", "usage"),
    (("-k", "box:3", "-t", "uint7"), 2, "did you mean 'uint", "usage"),
    (("-k", "box:3", "-m", "magic"), 2, "unknown value 'magic'", "usage"),
    (("-k", "1 0;0 1", "-m", "separable"), 2, "separable cannot do this", "usage"),
    (("-k", "box:3", "--combine", "sum"), 2, "--combine needs several kernels", "usage"),
    (("-k", "sobel", "--nan", "ignore"), 2, "no negative taps", "usage"),
    (("-k", "1 ^ 2"), 1, "the bank sums over 2 channels, the image has 1", "shape"),
    (("-k", "box:3", "--bias", "nan"), 2, "not a number", "usage"),
    (("-k", "box:99", "-p", "valid"), 1, "does not fit", "shape"),
    (("-k", "box:3", "--groups", "2"), 2, "groups need a filter bank", "usage"),
    (("-k", "box:3", "--origin", "5,5"), 2, "is not a tap of a 3x3 kernel", "usage"),
    (("-k", "box:3", "--nope"), 2, "no such option", "usage"),
    ((), 2, "the kernel is missing", "usage"),
]


@pytest.mark.parametrize(("options", "code", "words", "kind"), SLIPS)
def test_a_slip_is_one_line_and_an_exit_code(tmp_path, options, code, words, kind):
    iio.imwrite(tmp_path / "in.png", data.camera()[:30, :30])
    done = convcli("conv2d", tmp_path / "in.png", *options, "-o", tmp_path / "out.png")
    lines = done.stderr.decode().splitlines()
    assert (code, 1) == (done.returncode, len(lines)), lines
    assert words in lines[0]
    assert lines[0].endswith(f"[{kind}]")
    assert not (tmp_path / "out.png").exists()


def test_a_float_png_is_refused_before_any_work(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.camera()[:30, :30])
    done = convcli("conv2d", tmp_path / "in.png", "-k", "box:3", "-t", "float32", "-o", tmp_path / "out.png")
    assert 2 == done.returncode
    assert b"PNG holds uint8 or uint16, not float32" in done.stderr


def test_an_output_is_not_replaced_unless_asked(tmp_path):
    iio.imwrite(tmp_path / "in.png", data.camera()[:30, :30])
    (tmp_path / "out.png").write_bytes(b"precious")
    done = convcli("conv2d", tmp_path / "in.png", "-k", "box:3", "-o", tmp_path / "out.png")
    assert (1, b"precious") == (done.returncode, (tmp_path / "out.png").read_bytes())
    assert b"exists already; --force replaces it [exists]" in done.stderr
    done = convcli("conv2d", tmp_path / "in.png", "-k", "box:3", "-o", tmp_path / "in.png", "-f")
    assert b"is the input itself; --in-place replaces it [exists]" in done.stderr
    done = convcli("conv2d", tmp_path / "in.png", tmp_path / "in.png", "-k", "box:3", "-o", tmp_path / "x.png")
    assert 2 == done.returncode


def test_groups_and_banks_from_files(tmp_path):
    rng = np.random.default_rng(0)
    image, taps = rng.standard_normal((6, 20, 22)).astype(np.float32), rng.standard_normal((4, 3, 3, 3))
    np.save(tmp_path / "bank.npy", taps)
    np.save(tmp_path / "in.npy", image)
    done = convcli(
        "conv2d", tmp_path / "in.npy", "--axes", "CYX", "-k", tmp_path / "bank.npy", "-g", "2", "-o", tmp_path / "o.npy"
    )
    assert 0 == done.returncode, done.stderr
    expected = [
        sum(scipy.ndimage.correlate(image[o // 2 * 3 + i].astype(float), taps[o, i], mode="nearest") for i in range(3))
        for o in range(4)
    ]
    np.testing.assert_allclose(expected, np.load(tmp_path / "o.npy"), atol=1e-4)
