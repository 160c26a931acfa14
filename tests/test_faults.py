"""One image in, one out, and everything that can go wrong between: damaged inputs, impossible outputs, hostile names.

The law of a fault: one line on standard error with the code, the exit code of the contract, and nothing changed on the
disk. Whatever depends on no process of its own runs in this one.
"""

import json
import os
import stat
import subprocess
import time

import imageio.v3 as iio
import numpy as np
import pytest
import scipy.ndimage
import tifffile

from command import convcli, limited_file_size, peak_memory, shell, start
from faults import FAULTS, GREY, RGB, Fault, put, tiff

LIMIT = 200e6  # bytes: what refusing a file may need
PATIENCE = 3.0  # seconds: what refusing a file may take, on a machine with other work


@pytest.fixture
def folder(tmp_path):
    """A folder with a grey picture and results of an earlier run."""
    iio.imwrite(tmp_path / "in.png", GREY)
    iio.imwrite(tmp_path / "rgb.png", RGB)
    for name in ("old.png", "old.tif"):
        (tmp_path / name).write_bytes(b"precious")
    return tmp_path


def contents(folder):
    """Everything in a folder: links with where they point, files with what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[path] = path.readlink()
        else:
            found[path] = path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)
    return found


def check_refused(run, folder, words, code, exit_code):
    """One line with the code, the exit code, and not a byte changed."""
    before, started = contents(folder), time.perf_counter()
    found, lines = run("conv2d", *words)
    assert (exit_code, 1) == (found, len(lines)), lines
    assert lines[0].startswith("convcli: ")
    assert lines[0].endswith(f" [{code}]"), lines
    assert before == contents(folder)
    assert time.perf_counter() - started < PATIENCE
    return lines[0]


def named(fault):
    return fault.name if isinstance(fault, Fault) else None


# What is read

PAGES = "TIFF of 20,000 pages"  # read as they are in the tests of the formats; filtered, fewer do


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.code], ids=named)
def test_a_damaged_input_is_one_line_and_leaves_the_old_output(run, folder, fault):
    (folder / "input").mkdir()
    path = fault.make(folder / "input")
    if fault.code == "permission" and os.access(path, os.R_OK):
        pytest.skip("the superuser may read everything")
    line = check_refused(run, folder, [path, "-k", "box:3", "-f", "-o", folder / "old.tif"], fault.code, 1)
    assert str(path)[:200] in line


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.code and fault.name != PAGES], ids=named)
def test_an_unusual_input_is_filtered(run, folder, fault):
    path = fault.make(folder)
    assert (0, []) == run("conv2d", path, "-k", "identity", "-qq", "-f", "-o", folder / "old.tif")
    assert tifffile.imread(folder / "old.tif").size > 0


def test_16_bit_colour_survives_from_png_to_png(run, folder):
    image = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), dtype=np.uint16)
    tifffile.imwrite(folder / "deep.tif", image, photometric="rgb")
    assert (0, []) == run("conv2d", folder / "deep.tif", "-k", "identity", "-qq", "-o", folder / "a.png")
    assert (0, []) == run("conv2d", folder / "a.png", "-k", "identity", "-qq", "-o", folder / "b.tif")
    np.testing.assert_array_equal(image, tifffile.imread(folder / "b.tif"))


def test_every_page_of_many_is_filtered(run, folder):
    pages = np.random.default_rng(0).integers(0, 256, (1000, 8, 8), dtype=np.uint8)
    put(folder, "pages.tif", tiff(pages))
    assert (0, []) == run("conv2d", folder / "pages.tif", "-k", "0 1 0", "-qq", "-o", folder / "out.tif")
    np.testing.assert_array_equal(pages, tifffile.imread(folder / "out.tif"))


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint32"])
def test_a_type_comes_back_exactly_or_is_refused(run, folder, dtype):
    image = np.array([[0, 1, 2**32 - 1 if dtype == "uint32" else 100]]).astype(dtype)
    put(folder, "in.tif", tiff(image))
    assert (0, []) == run("conv2d", folder / "in.tif", "-k", "identity", "-qq", "-o", folder / "out.tif")
    back = tifffile.imread(folder / "out.tif")
    assert (dtype, image.ravel().tolist()) == (back.dtype, back.ravel().tolist())
    words = [folder / "in.tif", "-k", "identity", "-o", folder / "out.png"]
    check_refused(run, folder, words, "dtype", 2)


HUGE = (
    "PNG declared 100000x100000",
    "PNG bomb",
    "JPEG header huge",
    "PPM huge",
    "TIFF declared 200000x200000",
    "npy of 7 TiB",
    "npz that lies",
)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in HUGE], ids=named)
def test_an_input_that_claims_to_be_huge_costs_little_memory(tmp_path, fault):
    code, peak = peak_memory("conv2d", fault.make(tmp_path), "-k", "box:3", "-o", tmp_path / "out.tif")
    assert 1 == code
    assert peak < LIMIT


def test_a_pickle_is_never_run(run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    trap = next(fault for fault in FAULTS if fault.name == "npy with a pickle").make(folder)
    check_refused(run, folder, [trap, "-k", "box:3", "-o", folder / "out.tif"], "unsafe", 1)
    check_refused(run, folder, [folder / "in.png", "-k", trap, "-o", folder / "out.tif"], "kernel", 2)


# What is asked of the kernel and the numbers

SLIPS = [
    ("gaussian:nan", "kernel"),
    ("gaussian:inf", "kernel"),
    ("gaussian:-1", "kernel"),
    ("gaussian:1e9", "kernel"),
    ("gaussian:1e400", "kernel"),
    ("box:99999999999999999999", "kernel"),
    ("1 nan 1", "kernel"),
    ("9" * 400, "kernel"),
    (";", "kernel"),
    ("", "usage"),
]


@pytest.mark.parametrize(("kernel", "code"), SLIPS)
def test_an_impossible_kernel_is_one_line(run, folder, kernel, code):
    check_refused(run, folder, [folder / "in.png", "-k", kernel, "-f", "-o", folder / "old.png"], code, 2)


@pytest.mark.parametrize("option", ["--tolerance", "--scale", "--bias"])
def test_a_number_is_a_number(run, folder, option):
    check_refused(run, folder, [folder / "in.png", "-k", "box:3", option, "nan", "-o", folder / "x.png"], "usage", 2)


def test_a_kernel_may_be_larger_than_the_image(run, folder):
    image = np.arange(6, dtype=np.float32).reshape(2, 3)
    put(folder, "small.tif", tiff(image))
    assert (0, []) == run("conv2d", folder / "small.tif", "-k", "box:9", "-qq", "-o", folder / "out.tif")
    expected = scipy.ndimage.uniform_filter(image.astype(float), 9, mode="nearest")
    np.testing.assert_allclose(expected, tifffile.imread(folder / "out.tif"), rtol=1e-6)


@pytest.mark.parametrize("border", ["edge", "reflect", "symmetric", "wrap"])
def test_an_image_of_one_pixel_is_filtered(run, folder, border):
    put(folder, "one.tif", tiff(np.array([[7]], np.uint8)))
    words = ("-k", "box:5", "-b", border, "-qq", "-o", folder / "out.tif")
    assert (0, []) == run("conv2d", folder / "one.tif", *words)
    assert 7 == tifffile.imread(folder / "out.tif").item()


def test_infinity_damages_only_the_footprint(run, folder):
    image = np.ones((9, 9), np.float32)
    image[4, 4] = np.inf
    put(folder, "inf.tif", tiff(image))
    assert (0, []) == run("conv2d", folder / "inf.tif", "-k", "box:3", "-qq", "-o", folder / "out.tif")
    result = tifffile.imread(folder / "out.tif")
    assert np.all(np.isposinf(result[3:6, 3:6]))
    assert 72 == np.isclose(result, 1).sum()


# What is written

REFUSED = [
    ("the folder is missing", ["-o", "none/out.png"], "not-found", 1),
    ("the folder is missing, with a slash", ["-o", "none/deeper/"], "not-found", 1),
    ("the folder is a file", ["-o", "in.png/out.png"], "not-found", 1),
    ("it exists", ["-o", "old.png"], "exists", 1),
    ("it is a folder", ["-o", "sub"], "is-directory", 1),
    ("it is a folder with a suffix", ["-f", "-o", "sub.png"], "is-directory", 1),
    ("it is the folder here", ["-o", "."], "is-directory", 1),
    ("its links go in a circle", ["-f", "-o", "circle.png"], "not-found", 1),
    ("it is the input", ["-f", "-o", "in.png"], "exists", 1),
    ("it is the input in other words", ["-f", "-o", "sub/../in.png"], "exists", 1),
    ("it is the input by a symbolic link", ["-f", "-o", "soft.png"], "exists", 1),
    ("it is the input by a hard link", ["-f", "-o", "hard.png"], "exists", 1),
    ("its name is too long", ["-o", "n" * 252 + ".png"], "not-found", 1),
    ("its ending is unknown", ["-o", "out.xyz"], "unknown-format", 2),
    ("its ending is only read", ["-o", "out.pbm"], "unknown-format", 2),
    ("it has no ending", ["-o", "out"], "unknown-format", 2),
    ("its format is unknown", ["--format", "xyz", "-o", "out.png"], "unknown-format", 2),
    ("its template has an unknown field", ["-o", "{steam}.png"], "usage", 2),
    ("there is none", [], "usage", 2),
    ("there are two ways", ["--in-place", "-o", "out.png"], "usage", 2),
    ("PNG holds no floats", ["-t", "float32", "-f", "-o", "old.png"], "dtype", 2),
    ("JPEG holds 8 bits", ["-t", "uint16", "-o", "out.jpg"], "dtype", 2),
    ("ImageJ holds no integers of 32 bits", ["-t", "int32", "--format", "imagej", "-o", "out.tif"], "dtype", 2),
    ("JPEG holds one picture", ["-k", "sobel:x", "-t", "uint8", "-o", "out.jpg"], "shape", 2),
    ("the pixels and the JSON both want standard output", ["-o", "-", "--json"], "usage", 2),
    ("the report's folder is missing", ["-o", "out.png", "--report", "none/r.json"], "not-found", 1),
    ("the report is a folder", ["-o", "out.png", "--report", "sub"], "is-directory", 1),
    ("the report is the input", ["-o", "out.png", "--report", "in.png"], "usage", 2),
    ("the report is the output", ["-o", "out.png", "--report", "./out.png"], "usage", 2),
    ("the report is standard output", ["-o", "out.png", "--report", "-"], "usage", 2),
]


@pytest.fixture
def traps(folder, monkeypatch):
    """The folder, as the current one, with what an output should not be."""
    monkeypatch.chdir(folder)
    for name in ("sub", "sub.png"):
        (folder / name).mkdir()
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "soft.png").symlink_to("in.png")
    (folder / "hard.png").hardlink_to("in.png")
    return folder


@pytest.mark.parametrize(("words", "code", "exit_code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_impossible_output_is_refused_before_any_work(run, traps, words, code, exit_code):
    check_refused(run, traps, ["in.png", "-k", "box:3", *words], code, exit_code)


def test_a_result_too_wide_for_its_format_is_refused(run, folder):
    put(folder, "wide.tif", tiff(np.zeros((2, 70_000), np.uint8)))
    words = [folder / "wide.tif", "-k", "box:3", "-o", folder / "out.jpg"]
    assert "65,500" in check_refused(run, folder, words, "too-large", 2)


def test_a_result_with_too_many_channels_is_refused(run, folder):
    words = [folder / "rgb.png", *["-k", "sobel:x"] * 4, "-t", "uint8", "-o", folder / "out.jpg"]
    check_refused(run, folder, words, "shape", 2)


@pytest.mark.parametrize("padding", ["99999999", "9" * 30, "0,99999999999999"])
def test_a_result_larger_than_the_memory_is_refused(run, folder, padding):
    words = [folder / "in.png", "-k", "box:3", "-p", padding, "-f", "-o", folder / "old.tif"]
    assert "--padding" in check_refused(run, folder, words, "too-large", 1)


def test_two_inputs_never_become_one_output(run, traps):
    for words in (
        ["in.png", "rgb.png", "-o", "out.png"],
        ["in.png", "sub/../in.png", "-o", "sub/"],
        ["in.png", "rgb.png", "-o", "sub/{ext}.tif"],
        ["in.png", "soft.png", "--in-place"],
    ):
        check_refused(run, traps, [*words, "-k", "box:3", "-f"], "usage", 2)


def test_an_output_is_never_another_input(run, traps):
    iio.imwrite("sub/in.png", GREY)
    before = contents(traps)
    code, lines = run("conv2d", "in.png", "sub/in.png", "-k", "box:3", "-f", "-qq", "-o", "{parent}/sub/{name}")
    assert (1, ["exists", "not-found"]) == (code, [line.split("[")[-1][:-1] for line in lines])
    assert before == contents(traps)


def test_a_link_stays_a_link_and_a_mode_stays(run, folder):
    (folder / "link.tif").symlink_to("old.tif")
    (folder / "old.tif").chmod(0o600)
    assert (0, []) == run("conv2d", folder / "in.png", "-k", "identity", "-qq", "-f", "-o", folder / "link.tif")
    assert "old.tif" == str((folder / "link.tif").readlink())
    assert 0o600 == stat.S_IMODE((folder / "old.tif").stat().st_mode)
    np.testing.assert_array_equal(GREY, tifffile.imread(folder / "old.tif"))


def test_in_place_through_a_link_replaces_what_it_points_to(run, folder):
    (folder / "link.png").symlink_to("in.png")
    assert (0, []) == run("conv2d", folder / "link.png", "-k", "0 0 0 1", "-b", "wrap", "-qq", "--in-place")
    assert (folder / "link.png").is_symlink()
    np.testing.assert_array_equal(np.roll(GREY, -1, 1), iio.imread(folder / "in.png"))


def test_a_folder_that_may_not_be_written_is_refused(run, folder):
    (folder / "locked").mkdir(mode=0o500)
    if os.access(folder / "locked", os.W_OK):
        pytest.skip("the superuser may write everywhere")
    words = [folder / "in.png", "-k", "box:3", "-o", folder / "locked/out.png"]
    check_refused(run, folder, words, "permission", 1)


def test_a_folder_that_nobody_can_write_is_one_line(run, folder):
    code, lines = run("conv2d", folder / "in.png", "-k", "box:3", "-o", "/proc/self/out.png")
    assert (1, 1) == (code, len(lines))


FORMATS = (
    "png",
    "jpg",
    "tif",
    "ome.tif",
    "webp",
    "bmp",
    "pgm",
    "pam",
    "qoi",
    "tga",
    "jxl",
    "jxr",
    "jp2",
    "avif",
    "npy",
    "npz",
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_the_old_output(run, folder, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    put(folder, "noise.tif", tiff(noise))
    put(folder, f"old.{suffix}", b"precious")
    words = [folder / "noise.tif", "-k", "identity", "-f", "-qq", "-o", folder / f"old.{suffix}"]
    with limited_file_size(20_000):
        check_refused(run, folder, words, "disk-full", 1)


def test_a_full_disk_is_no_signal(folder):
    import resource

    limit = (1000, resource.RLIM_INFINITY)
    words = ("conv2d", folder / "in.png", "-k", "identity", "-f", "-o", folder / "old.png")
    before = contents(folder)
    done = convcli(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert (1, 1) == (done.returncode, done.stderr.count(b"\n"))
    assert done.stderr.endswith(b"[disk-full]\n")
    assert before == contents(folder)


def test_a_full_device_is_one_line(run, folder):
    assert "'/dev/full'" in check_refused(
        run, folder, [folder / "in.png", "-k", "box:3", "-o", "/dev/full"], "disk-full", 1
    )
    words = [folder / "in.png", "-k", "box:3", "-o", "/dev/null", "--report", "/dev/full", "-qq"]
    check_refused(run, folder, words, "disk-full", 1)


def test_a_pipe_takes_the_format_of_the_input_and_needs_no_force(run, folder):
    os.mkfifo(folder / "pipe")
    with subprocess.Popen(["cat", folder / "pipe"], stdout=subprocess.PIPE) as reader:
        assert (0, []) == run("conv2d", folder / "in.png", "-k", "identity", "-qq", "-o", folder / "pipe")
        np.testing.assert_array_equal(GREY, iio.imread(reader.stdout.read()))


def test_a_format_that_is_only_read_needs_another_for_a_pipe(run, folder):
    put(folder, "in.pbm", b"P1 3 2 1 0 1 0 1 0")
    words = [folder / "in.pbm", "-k", "identity", "-qq", "-o", "-"]
    assert "--format" in check_refused(run, folder, words, "unknown-format", 2)
    assert (0, []) == run("conv2d", *words[:-1], folder / "out.pgm")
    assert [[0, 255, 0], [255, 0, 255]] == iio.imread(folder / "out.pgm").tolist()


def test_a_report_appears_whole_or_not_at_all(run, folder):
    report = put(folder, "r.json", b"precious")
    words = [folder / "in.png", "-k", "box:3", "-qq", "-o", "/dev/null", "--report", report]
    with limited_file_size(500):
        check_refused(run, folder, words, "disk-full", 1)
    assert (0, []) == run("conv2d", *words)
    assert 1 == report.read_bytes().count(b"\n")


def test_a_failure_names_the_file_it_is_about_in_the_json_too(run, folder):
    code, lines = run("conv2d", folder / "in.png", "-k", "box:3", "-t", "float32", "-o", folder / "x.png", "--json")
    assert (2, 1) == (code, len(lines))
    assert lines[0].startswith(f"convcli: '{folder / 'x.png'}': PNG holds")
    assert '"status": "failed", "code": "dtype"' in run.output


@pytest.mark.parametrize("words", [("-k", "box:3"), ("-k", "gaussian:9", "-m", "fft"), ("-k", "box:3", "-p", "30000")])
def test_too_little_memory_is_one_line(folder, words):
    import resource

    iio.imwrite(folder / "large.png", np.zeros((13_000, 13_000), bool))  # bits are decoded as a whole
    limit = 400 * 2**20
    before = contents(folder)
    done = convcli(
        *("conv2d", folder / "large.png", *words, "-f", "-o", folder / "old.tif"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert (1, 1) == (done.returncode, done.stderr.count(b"\n")), done.stderr
    assert done.stderr.rpartition(b"[")[2] in (b"memory]\n", b"too-large]\n")
    assert before == contents(folder)


@pytest.mark.parametrize(("force", "codes"), [((), [0, 1]), (("-f",), [0, 0])], ids=["new", "forced"])
def test_of_two_processes_that_write_one_output_each_finishes_or_is_told(folder, force, codes):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900), dtype=np.uint8)
    put(folder, "noise.tif", tiff(noise))
    words = (folder / "noise.tif", "-k", "identity", "-qq", *force, "-o", folder / "out.png")
    both = [start("conv2d", *words) for _ in range(2)]
    told = sorted((process.communicate()[1], process.returncode) for process in both)
    assert codes == [code for _, code in told]
    assert all(line.endswith(b"[exists]\n") for line, code in told if code)
    np.testing.assert_array_equal(noise, iio.imread(folder / "out.png"))
    assert {"in.png", "rgb.png", "old.png", "old.tif", "noise.tif", "out.png"} == {
        path.name for path in folder.iterdir()
    }


# Names

LONG = "ä" * 125 + ".png"  # 254 bytes
NAMES = [
    *("with space.png", "new\nline.png", "tab\t.png", "*.png", "$HOME.png", "'quote'.png", '"quotes".png', "`id`.png"),
    *(
        "🙂.png",
        os.fsdecode(b"bad\xff\xfe.png"),
        LONG,
        "-q.png",
        "--force.png",
        "--verify",
        "{stem}.png",
        "a;b|c&d.png",
    ),
    *("back\\slash.png", "%s%n.png", "\x1b[31mred.png", "-", "..png"),
]


@pytest.fixture
def hostile(folder, monkeypatch):
    """A folder, as the current one, of pictures with hostile names, and an empty folder `out`."""
    monkeypatch.chdir(folder)
    for name in NAMES:
        put(folder, name, (folder / "in.png").read_bytes())
    (folder / "out").mkdir()
    return folder


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_hostile_names_come_out_unchanged(hostile, locale):
    names = [name for name in NAMES if name != "-"]
    words = ("conv2d", "-k", "identity", "--format", "png", "-o", "out/", "--json", "-v", "--", *names)
    done = convcli(*words, env={"LC_ALL": locale})
    assert 0 == done.returncode, done.stderr
    *told, summary = map(json.loads, done.stdout.splitlines())
    assert names == [facts["input"] for facts in told]
    assert len(names) == summary["done"] == done.stderr.count(b"\ninput") + done.stderr.startswith(b"input")
    assert b"\x1b" not in done.stderr + done.stdout
    expected = {name if name.endswith(".png") else f"{name}.png" for name in names}
    assert expected == {path.name for path in (hostile / "out").iterdir()}


@pytest.mark.parametrize("name", [os.fsdecode(b"bad\xff\n\x1b[2J.png"), "it's.png", "\u202etxt.png", "🙂" * 20])
def test_an_error_about_a_hostile_name_is_one_plain_line(run, folder, name):
    line = check_refused(run, folder, ["-k", "box:3", "-o", folder / "out.png", "--", name], "not-found", 1)
    assert line.isprintable()


def test_an_empty_name_is_no_file(run, folder):
    check_refused(run, folder, ["", "-k", "box:3", "-o", folder / "out.png"], "usage", 2)


def test_a_name_with_a_dash_is_a_file_behind_two_dashes(hostile):
    done = convcli("conv2d", "-k", "identity", "-qq", "-o", "out/x.png", "--", "--verify")
    assert (0, b"") == (done.returncode, done.stderr)
    np.testing.assert_array_equal(GREY, iio.imread("out/x.png"))


# A few files at once


def test_one_bad_of_many_costs_only_itself(run, folder):
    bad = put(folder, "bad.png", b"nothing")
    inputs = [folder / "in.png", bad, folder / "rgb.png"]
    code, lines = run("conv2d", *inputs, "-k", "box:3", "-qq", "-f", "-o", folder / "{stem}.tif", "--json")
    assert (3, 1) == (code, len(lines))
    *told, summary = map(json.loads, run.output.splitlines())
    assert ["done", "failed", "done"] == [facts["status"] for facts in told]
    assert (True, 3, 2, 1) == tuple(summary[key] for key in ("summary", "inputs", "done", "failed"))
    assert {"in.tif", "rgb.tif", "old.tif"} == {path.name for path in folder.glob("*.tif")}


def test_all_bad_is_a_failure(run, folder):
    inputs = [put(folder, name, b"nothing") for name in ("a.png", "b.png")]
    code, lines = run("conv2d", *inputs, "-k", "box:3", "-qq", "-o", folder / "{stem}.tif")
    assert (1, 2) == (code, len(lines))


def test_fail_fast_stops_at_the_first(run, folder):
    inputs = [put(folder, "bad.png", b"nothing"), folder / "in.png"]
    code, lines = run("conv2d", *inputs, "-k", "box:3", "--fail-fast", "-qq", "-o", folder / "{stem}.tif")
    assert (1, 1) == (code, len(lines))
    assert not (folder / "in.tif").exists()


def test_a_full_disk_in_a_batch_is_a_line_for_each(run, folder):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    inputs = [folder / "in.png", put(folder, "noise.tif", tiff(noise))]
    with limited_file_size(20_000):
        code, lines = run("conv2d", *inputs, "-k", "identity", "-qq", "-o", folder / "{stem}-out.png")
    assert (3, 1) == (code, len(lines))
    assert lines[0].endswith("[disk-full]")
    assert (folder / "in-out.png").exists()
    assert not (folder / "noise-out.png").exists()


def test_a_shell_loop_sees_the_exit_code(folder):
    done = shell(f'cd {folder}; "$@" conv2d none.png -k box:3 -o x.png || echo "failed $?"')
    assert b"failed 1\n" == done.stdout
