"""Whether a result can be written is found out by opening it, before the work that would be lost."""

import numpy as np
import pytest

from command import convcli, shell
from convcli import tuning
from convcli.formats import encode
from convcli.formats.atomic import try_output
from convcli.image import Image, ImageInfo

NOWHERE = "/proc/{}"  # rights allow it (to root, all), and no file can be made there
PNG = encode(Image(ImageInfo((8, 9), "uint8", "YX"), np.arange(72, dtype="u1").reshape(8, 9)), "png")
COMMANDS = {
    "conv2d": ("-k", "box:3"),
    "upsample": ("-k", "bilinear"),
    "separable": ("--depthwise", "box:3", "--pointwise", "1", "-t", "uint8"),
    "dilate": ("-k", "box:3", "--rate", "2"),
}


@pytest.fixture
def damaged(tmp_path):
    """A picture whose header is sound; whoever reads the pixels finds them damaged."""
    content = PNG
    place = content.index(b"IDAT") + 6
    (tmp_path / "in.png").write_bytes(content[:place] + b"\0\0\0" + content[place + 3 :])
    return tmp_path / "in.png"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "where",
    [
        ("-o", NOWHERE.format("out.png")),
        ("-o", NOWHERE.format("")),
        ("-o", NOWHERE.format("{stem}.png")),
        ("-o", "/dev/null", "--format", "png", "--report", NOWHERE.format("r.json")),
    ],
)
def test_a_place_where_nothing_can_be_written_is_told_before_any_pixel_is_read(command, where, run, damaged):
    code, errors = run(command, damaged, *COMMANDS[command], *where)
    assert (1, 1) == (code, len(errors))
    assert "nothing may be written in '/proc'" in errors[0]


def test_the_pixels_would_have_been_damaged(run, damaged, tmp_path):
    assert "corrupt" in run("conv2d", damaged, "-k", "box:3", "-o", tmp_path / "out.png")[1][0]


def test_a_journal_that_cannot_be_written_is_told_first(run, damaged, tmp_path):
    words = ("-k", "box:3", "-o", f"{tmp_path}/o{{index}}.png", "--journal", NOWHERE.format("journal"))
    code, errors = run("conv2d", damaged, damaged, *words)
    assert (1, 1, []) == (code, len(errors), list(tmp_path.glob("o*")))
    assert "/proc/journal" in errors[0]


def test_factors_that_cannot_be_written_are_told_before_the_bank_is_factored(run, damaged, tmp_path):
    np.save(tmp_path / "bank.npy", np.full((2, 3, 3, 3), np.nan))  # refused when it is read
    words = ("-k", tmp_path / "bank.npy", "-o", tmp_path / "o.npy", "--save-factors")
    assert "nothing may be written in '/proc'" in run("separable", damaged, *words, NOWHERE.format("f.npz"))[1][0]
    assert "finite" in run("separable", damaged, *words, tmp_path / "f.npz")[1][0]


def test_a_dry_run_keeps_no_factors(run, tmp_path):
    np.save(tmp_path / "bank.npy", np.ones((2, 1, 3, 3)))
    (tmp_path / "in.png").write_bytes(PNG)
    words = ("-k", tmp_path / "bank.npy", "-o", tmp_path / "o.npy", "--save-factors", tmp_path / "f.npz")
    for asked in ("--dry-run", "--explain"):
        assert 0 == run("separable", tmp_path / "in.png", *words, asked)[0]
        assert not (tmp_path / "f.npz").exists()


def test_a_kernel_that_cannot_be_kept_is_told(run):
    code, errors = run("kernels", "gaussian:2", "-o", NOWHERE.format("k.txt"))
    assert (1, 1) == (code, len(errors))


def test_tune_measures_nothing_where_it_may_not_write(run, monkeypatch):
    def measured(*_):
        raise AssertionError("measured first")

    monkeypatch.setattr(tuning, "tune", measured)
    for profile in (NOWHERE.format("no/machine.json"), NOWHERE.format("machine.json"), "/dev/null/machine.json"):
        monkeypatch.setenv("CONVCLI_PROFILE", profile)
        code, errors = run("tune")
        assert (1, 1) == (code, len(errors)), errors


def test_tune_leaves_nothing_where_measuring_fails(run, monkeypatch, tmp_path):
    def measured(*_):
        raise MemoryError

    monkeypatch.setattr(tuning, "tune", measured)
    monkeypatch.setenv("CONVCLI_PROFILE", str(tmp_path / "machine.json"))
    assert 1 == run("tune")[0]
    assert [] == list(tmp_path.iterdir())


def test_a_closed_standard_output_is_told_before_any_pixel_is_read(damaged):
    done = shell('"$@" >&-', "conv2d", damaged, "-k", "box:3", "-o", "-", "--format", "png")
    assert 1 == done.returncode
    assert b"standard output is closed" in done.stderr


def test_an_output_that_is_only_tried_leaves_nothing_and_keeps_what_is_there(tmp_path):
    try_output(tmp_path / "new", force=False)
    assert [] == list(tmp_path.iterdir())
    (tmp_path / "old").write_bytes(b"here")
    try_output(tmp_path / "old", force=True)
    assert (["old"], b"here") == ([path.name for path in tmp_path.iterdir()], (tmp_path / "old").read_bytes())


def test_explaining_needs_no_place(damaged):
    assert 0 == convcli("conv2d", damaged, "-k", "box:3", "-o", NOWHERE.format("out.png"), "--explain").returncode
