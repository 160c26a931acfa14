"""Missing samples: what a file declares as missing (GDAL_NODATA) is NaN to every command, and is declared again."""

import json
import re

import numpy as np
import pytest
import scipy.ndimage
import tifffile

from convcli import native
from convcli.formats import ReadOptions, probe

RULES = ("keep", "ignore", "preserve", "zero")
COMMANDS = {
    "conv2d": "conv2d {} -k gaussian:1",
    "strided": "conv2d {} -k box:3,5 -s 2,3",
    "dilated": "conv2d {} -k box:3 -d 2 -p valid",
    "padded": "conv2d {} -k disk:2 -p full -b reflect",
    "double": "conv2d {} -k gaussian:1 --precision double",
    "fft": "conv2d {} -k gaussian:2 -m fft",
    "two kernels": "conv2d {} -k box:3 -k gaussian:1 --combine max",
    "conv3d": "conv3d {} -k ball:1",
    "upsample": "upsample {} -s 2 -k bilinear",
    "enlarged": "upsample {} --scale 3/2 -k nearest",
    "separable": "separable {} --depthwise box:3 --pointwise 1",
    "rates": "dilate {} -k box:3 --rates 1,2",
    "joined": "dilate {} -k box:3 --rates 1,2 --combine mean",
    "chain": "dilate {} -k box:3 --chain 1,2",
    "rescaled": "conv2d {} -k box:3 --range rescale",
    "rates rescaled": "dilate {} -k box:3 --rates 1,2 --range rescale",
    "scaled": "conv2d {} -k box:3 --scale 0.5 --bias 7",
}
DECLARED = -9999


def save(path, image, declared=DECLARED, **more):
    """A TIFF that declares a value, as it is or as the text of GDAL_NODATA, as missing."""
    tags = [] if declared is None else [(42113, "s", 0, str(declared), True)]
    tifffile.imwrite(path, image, photometric="minisblack", metadata=None, extratags=tags, **more)


def declared(path):
    """What the first page of a TIFF declares as missing."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags.get(42113)
        return None if tag is None else tag.value


def check_same(expected, found):
    """The same bits; without the extension BLAS sums in an order of its own for blocks of any size."""
    if native.AVAILABLE:
        np.testing.assert_array_equal(expected, found)
    else:
        np.testing.assert_array_equal(expected == DECLARED, found == DECLARED)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1 if expected.dtype.kind == "i" else 2e-5)


def holed(dtype="float32", shape=(3, 21, 26)):
    """An image with holes (a block, a corner, single samples), and where they are."""
    rng = np.random.default_rng(7)
    holes = rng.random(shape) < 0.03
    holes[..., 5:11, 8:15] = holes[..., :2, :2] = True
    return (rng.random(shape) * 100).astype(dtype), holes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_file_declares_as_missing_is_nan_to_every_command(tmp_path, run, command, rule):
    image, holes = holed()
    np.save(tmp_path / "nan.npy", np.where(holes, np.nan, image))
    save(tmp_path / "declared.tif", np.where(holes, np.float32(DECLARED), image))
    results = []
    for name, more in (("nan.npy", ["--axes", "ZYX"]), ("declared.tif", [])):
        words = COMMANDS[command].format(tmp_path / name).split()
        assert (0, 1) == (run(*words, *more, "--nan", rule, "-o", tmp_path / f"{name}.out.npy", "-q")[0], 1)
        results.append(np.load(tmp_path / f"{name}.out.npy"))
    expected, found = results
    check_same(np.where(np.isnan(expected), np.float32(DECLARED), expected), found)
    assert (rule == "zero") or np.isnan(expected).any() or rule == "ignore"


def neighbourhoods(image, size):
    """Every sample's square neighbourhood, edges repeated: (rows, columns, size, size)."""
    wide = np.pad(image, size // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(wide, (size, size))


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_its_definition_for_whole_numbers_too(tmp_path, run, rule, dtype):
    image, holes = holed(dtype, (21, 26))
    save(tmp_path / "in.tif", np.where(holes, np.array(DECLARED, dtype), image))
    assert 0 == run("conv2d", tmp_path / "in.tif", "-k", "box:3", "--nan", rule, "-o", tmp_path / "o.tif", "-q")[0]
    around = neighbourhoods(np.where(holes, np.nan, image.astype(float)), 3)
    known = np.where(np.isnan(around), 0, around).sum(axis=(-1, -2))
    count = np.isfinite(around).sum(axis=(-1, -2))
    expected = {
        "keep": np.where(count == 9, known / 9, np.nan),
        "zero": known / 9,
        **dict.fromkeys(("ignore", "preserve"), np.where(count > 0, known / np.maximum(count, 1), np.nan)),
    }[rule]
    expected = np.where(holes & (rule == "preserve"), np.nan, expected)
    found = tifffile.imread(tmp_path / "o.tif")
    assert dtype == found.dtype
    np.testing.assert_array_equal(np.isnan(expected), found == DECLARED)
    slack = 0.501 if dtype.startswith("int") else 1e-4
    np.testing.assert_allclose(found, np.where(np.isnan(expected), DECLARED, expected), rtol=0, atol=slack)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", ["-m direct", "-m separable -s 2", "-m direct -s 2", "-m direct --range rescale"])
def test_holes_are_the_same_by_slabs_of_any_size_and_by_any_threads(tmp_path, run, rule, options, dtype):
    image, holes = holed(dtype, (500, 440))
    save(tmp_path / "in.tif", np.where(holes, np.array(DECLARED, dtype), image), rowsperstrip=16)
    ways = (("--memory", "1MiB", "--threads", "1"), ("--memory", "1GiB", "--threads", "2"))
    results = []
    for number, way in enumerate(ways):
        target = tmp_path / f"{number}.tif"
        words = ("-k", "gaussian:1", *options.split(), "--nan", rule)
        assert 0 == run("conv2d", tmp_path / "in.tif", *words, *way, "-o", target)[0]
        results.append(tifffile.imread(target))
    check_same(*results)


@pytest.mark.parametrize("taps", ["1 1 1; 1 0 1; 1 1 1", "1 0 1", "1 0 0 0 1"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_holes_that_no_tap_meets_are_preserved_too(tmp_path, run, taps, dtype):
    image = np.full((9, 9), 7, dtype)
    image[4, 4] = 200
    save(tmp_path / "in.tif", image, 200)
    ways = ("--nan", "preserve", "--verify", "-o", tmp_path / "o.tif", "-q")
    assert 0 == run("conv2d", tmp_path / "in.tif", "-k", taps, "--normalize", "sum", *ways)[0]
    found = tifffile.imread(tmp_path / "o.tif")
    assert (200, 1) == (found[4, 4], (found == 200).sum())
    assert {7, 200} == set(found.ravel().tolist())


@pytest.mark.parametrize(
    "options",
    [
        "-k 4x2:1,2,3,4,5,6,7,8",
        "-k box:5 --origin 0,4",
        "-k gaussian:1 -s 2,3 -p tf-same -b wrap",
        "-k box:3 -d 2,3 -p full -b reflect",
        "-k disk:3 -p 0:3,1:0",
        "-k box:3 -k gaussian:1",
    ],
)
def test_what_is_preserved_lies_under_the_centre(tmp_path, run, options):
    """A kernel of one tap at the centre, alone, shows what lies there."""
    image, holes = holed(shape=(21, 26))
    np.save(tmp_path / "in.npy", np.where(holes, np.nan, image))
    words = options.split()
    size = [int(part) for part in re.search(r"(\d+)x(\d+)", kernel_size(run, words[1])).groups()]
    origin = words[words.index("--origin") + 1] if "--origin" in words else ",".join(str(k // 2) for k in size)
    y, x = map(int, origin.split(","))
    single = np.zeros(size)
    single[y, x] = 1
    np.save(tmp_path / "one.npy", single)
    results = {}
    for name, kernels, rule in (("ignore", words, "ignore"), ("preserve", words, "preserve"), ("centre", None, "keep")):
        used = kernels or ["-k", str(tmp_path / "one.npy"), *words[2:]]
        used = used if kernels or words.count("-k") == 1 else used[:2]
        target = tmp_path / f"{name}.npy"
        assert 0 == run("conv2d", tmp_path / "in.npy", *used, "--nan", rule, "-o", target, "-q")[0]
        results[name] = np.load(target)
    expected = np.where(np.isnan(results["centre"]), np.nan, results["ignore"])
    np.testing.assert_array_equal(expected, results["preserve"])


def kernel_size(run, text):
    """The size of a kernel as `convcli kernels` prints it."""
    run("kernels", text)
    return run.output


@pytest.mark.parametrize("stride", [(2, 2), (3, 2), (1, 4)])
@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "box:4", "box:5", "gaussian:1"])
def test_a_hole_that_is_enlarged_stays_where_it_was(tmp_path, run, kernel, stride):
    """Those outputs are missing that lie nearer to a missing pixel's middle than to any other's."""
    image, holes = holed(shape=(9, 11))
    np.save(tmp_path / "in.npy", np.where(holes, np.nan, image))
    words = ("-k", kernel, "-s", ",".join(map(str, stride)), "--nan", "preserve", "-o", tmp_path / "o.npy", "--json")
    assert 0 == run("upsample", tmp_path / "in.npy", *words)[0]
    told = json.loads(run.output)
    found = np.isnan(np.load(tmp_path / "o.npy"))
    nearest = []
    axes = zip((9, 11), found.shape, stride, told["kernel"]["shape"], told["padding"], strict=True)
    for n, size, s, k, (begin, _) in axes:
        middle = (np.arange(size) + begin - (k - 1) / 2) / s
        nearest.append(np.clip(np.floor(middle + 0.5).astype(int), 0, n - 1))
    np.testing.assert_array_equal(holes[np.ix_(*nearest)], found)


def test_a_bank_keeps_a_hole_where_every_channel_it_sums_over_has_one(tmp_path, run):
    image = np.full((2, 5, 5), 3, "float32")
    image[0, 1, 1] = image[:, 3, 3] = np.nan
    np.save(tmp_path / "in.npy", image)
    np.save(tmp_path / "k.npy", np.ones((2, 2, 1, 1)))
    words = ("conv2d", tmp_path / "in.npy", "--axes", "CYX", "-k", tmp_path / "k.npy", "-o", tmp_path / "o.npy", "-q")
    assert 0 == run(*words, "--nan", "preserve", "--verify")[0]
    found = np.load(tmp_path / "o.npy")
    assert [[3, 3]] * 2 == np.argwhere(np.isnan(found))[:, 1:].tolist()
    assert {6.0} == set(found[np.isfinite(found)].tolist())


@pytest.mark.parametrize(
    ("dtype", "text", "missing"),
    [
        ("int16", "-9999", -9999),
        ("int16", " -9999 ", -9999),
        ("int16", "-9999\0\0", -9999),
        ("int16", "-9.999e3", -9999),
        ("float32", "-3.4e38", float(np.float32(-3.4e38))),
        ("float32", "-3.4028234663852886e+38", float(np.finfo("float32").min)),
        ("float32", "-1.7976931348623157e308", None),
        ("float64", "-1.7976931348623157e308", np.finfo("float64").min),
        ("float16", "-9999", -10000.0),
        ("float32", "-inf", -np.inf),
        ("float32", "nan", None),
        ("int16", "nan", None),
        ("uint8", "-9999", None),
        ("uint8", "255.0", 255),
        ("uint8", "12.5", None),
        ("uint16", "65536", None),
        ("uint64", str(2**64 - 1), 2**64 - 1),
        ("int64", str(-(2**63)), -(2**63)),
        ("float32", "n/a", None),
        ("float32", "", None),
    ],
)
def test_a_declared_value_is_what_samples_of_the_type_can_be(tmp_path, dtype, text, missing):
    save(tmp_path / "in.tif", np.zeros((4, 5), dtype), text)
    assert missing == probe(tmp_path / "in.tif").missing
    assert () == probe(tmp_path / "in.tif").notes


@pytest.mark.parametrize(("dtype", "text"), [("uint8", "-9999"), ("uint8", "12.5"), ("float32", "n/a")])
def test_a_declared_value_that_no_sample_can_have_is_said(tmp_path, dtype, text):
    save(tmp_path / "in.tif", np.zeros((4, 5), dtype), text)
    assert repr(text) in "".join(probe(tmp_path / "in.tif").remarks)


@pytest.mark.parametrize(
    ("dtype", "options", "text"),
    [
        ("int16", [], "-9999"),
        ("int16", ["-t", "int32"], "-9999"),
        ("int16", ["-t", "float32"], "-9999"),
        ("int16", ["-t", "float16"], "-10000"),
        ("int16", ["-t", "uint8"], None),
        ("int16", ["--nodata", "none"], None),
        ("int16", ["--nodata", "5"], "5"),
        ("int16", ["--nan", "ignore"], "-9999"),
        ("float64", ["-t", "float32"], "-9999"),
    ],
)
def test_the_output_declares_what_marks_missing_samples_in_it(tmp_path, run, dtype, options, text):
    image, holes = holed(dtype, (9, 15))
    save(tmp_path / "in.tif", np.where(holes, np.array(DECLARED, dtype), image))
    assert 0 == run("conv2d", tmp_path / "in.tif", "-k", "box:3", *options, "-o", tmp_path / "o.tif", "-q")[0]
    assert text == declared(tmp_path / "o.tif")


@pytest.mark.parametrize(("dtype", "text"), [("float32", "nan"), ("uint8", None)])
def test_a_declared_nan_stays_declared_where_the_output_can_hold_it(tmp_path, run, dtype, text):
    save(tmp_path / "in.tif", np.full((5, 6), 1, "float32"), "nan")
    assert 0 == run("conv2d", tmp_path / "in.tif", "-k", "box:3", "-t", dtype, "-o", tmp_path / "o.tif", "-q")[0]
    assert text == declared(tmp_path / "o.tif")


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_nodata_none_filters_as_if_nothing_were_declared(tmp_path, run, dtype):
    image, holes = holed(dtype, (9, 15))
    image[holes] = DECLARED
    save(tmp_path / "declared.tif", image)
    save(tmp_path / "plain.tif", image, None)
    for name in ("declared", "plain"):
        target = tmp_path / f"{name}.npy"
        assert 0 == run("conv2d", tmp_path / f"{name}.tif", "-k", "box:3", "--nodata", "none", "-o", target, "-q")[0]
    np.testing.assert_array_equal(np.load(tmp_path / "plain.npy"), np.load(tmp_path / "declared.npy"))


def test_a_value_given_overrides_the_declared_one(tmp_path):
    save(tmp_path / "in.tif", np.zeros((4, 5), "int16"))
    assert 7 == probe(tmp_path / "in.tif", options=ReadOptions(missing=7)).missing
    assert None is probe(tmp_path / "in.tif", options=ReadOptions(missing="none")).missing
    assert None is probe(tmp_path / "in.tif", options=ReadOptions(missing=0.5)).missing


def test_the_report_says_what_is_missing(tmp_path, run):
    save(tmp_path / "in.tif", np.zeros((4, 5), "int16"))
    words = ("conv2d", tmp_path / "in.tif", "-k", "box:3", "-o", tmp_path / "o.tif")
    assert any("samples of -9999 are missing" in line for line in run(*words, "--explain")[1])
    assert 0 == run(*words, "--json")[0]
    told = json.loads(run.output)
    assert {"input": DECLARED, "output": DECLARED} == told["missing"]
    assert "samples of -9999 are missing" in "".join(told["remarks"])
    assert not any("missing" in line for line in run(*words, "--explain", "--nodata", "none")[1])


def test_each_file_of_a_batch_has_its_own_missing_value(tmp_path, run):
    for value in (50, 60):
        image = np.full((5, 6), 10, "uint8")
        image[2, 3] = value
        save(tmp_path / f"{value}.tif", image, value)
    names = [tmp_path / f"{value}.tif" for value in (50, 60)]
    words = ("--nan", "preserve", "-o", f"{tmp_path}/{{stem}}-o.tif", "-q")
    assert 0 == run("conv2d", *names, "-k", "box:3", *words)[0]
    for value in (50, 60):
        found = tifffile.imread(tmp_path / f"{value}-o.tif")
        assert (str(value), {10, value}) == (declared(tmp_path / f"{value}-o.tif"), set(found.ravel().tolist()))


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
@pytest.mark.parametrize("memory", ["1MiB", "1GiB"])
def test_a_mark_of_64_bits_is_no_pixel_too_large_to_be_exact(tmp_path, run, dtype, memory):
    mark = 2**64 - 1 if dtype == "uint64" else -(2**63)
    image = np.full((200, 300), 5, dtype)
    image[20, 30] = mark
    save(tmp_path / "in.tif", image, mark)
    for words in ("conv2d -k box:3", "conv2d -k identity", "dilate --chain 1,1 -k box:3"):
        name, *rest = words.split()
        options = ("--nan", "preserve", "--memory", memory, "-o", tmp_path / "o.tif", "-f", "-q")
        assert 0 == run(name, tmp_path / "in.tif", *rest, *options)[0]
        np.testing.assert_array_equal(image, tifffile.imread(tmp_path / "o.tif"))
    assert str(mark) == declared(tmp_path / "o.tif")


def test_an_infinite_mark_is_json_too(tmp_path, run):
    image = np.full((5, 6), 1, "float32")
    image[2, 2] = -np.inf
    save(tmp_path / "in.tif", image, "-inf")
    assert 0 == run("conv2d", tmp_path / "in.tif", "-k", "box:3", "-o", tmp_path / "o.tif", "--json", "-q")[0]
    told = json.loads(run.output, parse_constant=pytest.fail)
    assert ({"input": "-inf", "output": "-inf"}, 9) == (told["missing"], told["nan"])


def test_results_that_happen_to_be_the_mark_are_counted(tmp_path, run):
    image = np.zeros((5, 6), "uint8")
    image[:, 3:] = 20
    save(tmp_path / "in.tif", image, 10)
    errors = run("conv2d", tmp_path / "in.tif", "-k", "1/2 1/2", "-o", tmp_path / "o.tif")[1]
    assert any("5 results are 10, which also marks what is missing" in line for line in errors)


def test_opacity_is_never_missing(tmp_path, run):
    image = np.full((5, 6, 4), 9, "uint8")
    image[..., 3] = 0
    image[2:, :, 3] = 255
    tags = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(tmp_path / "in.tif", image, photometric="rgb", extrasamples=["unassalpha"], extratags=tags)
    for words in (["conv2d", "-k", "box:3"], ["dilate", "--chain", "1", "-k", "box:3"]):
        source, target = tmp_path / "in.tif", tmp_path / f"{words[0]}.tif"
        assert 0 == run(words[0], source, *words[1:], "-o", target, "-q")[0]
        assert [0, 85, 170, 255, 255] == tifffile.imread(target)[:, 3, 3].tolist()


def test_a_format_that_cannot_declare_it_is_told_of(tmp_path, run):
    save(tmp_path / "in.tif", np.full((5, 6), 10, "uint8"), 50)
    errors = run("conv2d", tmp_path / "in.tif", "-k", "box:3", "-o", tmp_path / "o.png")[1]
    assert any(
        "metadata lost: value of missing samples 50 (PNG does not hold it; a .tif output does)" in line
        for line in errors
    )


@pytest.mark.parametrize("text", ["", "no", "1,5", "0x10", "--"])
def test_a_nodata_that_is_no_number_is_refused(tmp_path, run, text):
    code, errors = run("conv2d", tmp_path / "in.tif", "-k", "box:3", f"--nodata={text}", "-o", tmp_path / "o.tif")
    assert (2, True) == (code, "--nodata" in errors[0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_a_border_is_no_sample_that_is_missing(dtype, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.arange(1200).reshape(40, 30) % 100 + 1
    image[10, 10] = 0
    np.save("in.npy", image.astype(dtype))
    command = ("conv2d", "in.npy", "-k", "1 1 1", "-b", "y=edge,x=zero", "--nodata", "0", "-t", "float64")
    assert 0 == run(*command, "-o", "out.npy")[0]
    expected = scipy.ndimage.correlate1d(np.where(image == 0, np.nan, image), [1, 1, 1], mode="constant")
    np.testing.assert_array_equal(np.where(np.isnan(expected), 0, expected), np.load("out.npy"))
