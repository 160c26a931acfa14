"""--preview shows an image before and after, in the way that the terminal says it has, and nowhere else."""

import io
import os
import re
import struct
import subprocess
import sys
from base64 import b64decode
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from threading import Thread
from unittest import mock

import numpy as np
import pytest
from PIL import Image as Pillow

from command import COMMAND, convcli, environment
from convcli import cli
from convcli.pictures import terminal
from convcli.pictures.terminal import Screen, way_of
from convcli.runs import reports
from convcli.runs.answers import Answer

HERE = Path(__file__).parent
SAYING = "TERM", "COLORTERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "TMUX", "NO_COLOR", "FORCE_COLOR"
"""What tells of a terminal."""
TRUE = {"TERM": "xterm", "COLORTERM": "truecolor"}
CELL = r"(?:\x1b\[38;2;(\d+);(\d+);(\d+)m)?(?:\x1b\[48;2;(\d+);(\d+);(\d+)m)?▀"


@contextmanager
def listening(descriptor):
    """All that is written to the other end of a terminal while the block runs, as a list of one text at its end."""
    heard, said = [], []

    def listen():
        while True:
            try:
                heard.append(os.read(descriptor, 1 << 16))
            except OSError:  # the other end is closed
                return

    thread = Thread(target=listen)
    thread.start()
    yield said
    thread.join()
    said.append(b"".join(heard).decode().replace("\r\n", "\n"))
    os.close(descriptor)


def open_terminal(size=(30, 100, 0, 0)):
    """Both ends of a terminal of so many lines and columns (and pixels)."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", *size))
    return ours, theirs


def on_terminal(*words, size=(30, 100, 0, 0), encoding="utf-8", **env):
    """What a terminal of so many lines and columns (and pixels) is sent; the exit code."""
    ours, theirs = open_terminal(size)
    kept = {name: value for name, value in os.environ.items() if name not in SAYING}
    with (
        listening(ours) as said,
        os.fdopen(theirs, "w", 1, encoding, "backslashreplace") as stream,
        mock.patch.dict(os.environ, kept | env, clear=True),
        redirect_stderr(stream),
    ):
        code = cli.run([*map(str, words)])
    return said[0], code


def blocks(text):
    """The pixels that half blocks draw: each line as two rows of colours, from the left."""
    rows = []
    for line in text.splitlines():
        colour, above, below = [None, None], [], []
        for match in re.finditer(CELL, line):
            for side, found in enumerate((match.groups()[:3], match.groups()[3:])):
                colour[side] = tuple(map(int, found)) if found[0] else colour[side]
            above.append(colour[0])
            below.append(colour[1])
        rows += [above, below] if above else []
    return rows


@pytest.fixture
def halves(tmp_path, monkeypatch):
    """An image, 8 x 8, of a red half above and a blue one below."""
    monkeypatch.chdir(tmp_path)
    data = np.zeros((8, 8, 3), "u1")
    data[:4, :, 0] = data[4:, :, 2] = 255
    Pillow.fromarray(data).save("a.png")


IDENTITY = "conv2d", "a.png", "-k", "identity", "-o", "o.png"
FILTERS = {
    "conv2d": ("a.png", "-k", "box:3"),
    "conv3d": ("v.npy", "-k", "box:3", "--axes", "ZYX"),
    "upsample": ("a.png", "-k", "bilinear"),
    "separable": ("a.png", "--depthwise", "box:3", "--pointwise", "1 0 0; 0 1 0; 0 0 1", "-t", "uint8"),
    "dilate": ("a.png", "-k", "box:3", "--rate", "2"),
}


@pytest.mark.parametrize("command", FILTERS)
def test_every_filter_shows_both(command, halves):
    np.save("v.npy", np.arange(5 * 8 * 8, dtype="f4").reshape(5, 8, 8))
    shown, code = on_terminal(command, *FILTERS[command], "-o", "o.tif", "--preview", **TRUE)
    assert 0 == code
    rows = blocks(shown)
    assert rows
    title = next(line for line in shown.splitlines() if line.startswith(FILTERS[command][0]))
    assert title.endswith("o.tif")


def test_half_blocks_have_the_colours_of_the_pixels(halves):
    shown, code = on_terminal(*IDENTITY, "--preview", **TRUE)
    assert 0 == code
    rows = blocks(shown)
    assert 48 == len(rows)  # 24 lines: 6 of the 30 are for words
    assert {(255, 0, 0)} == {colour for row in rows[:24] for colour in row}
    assert {(0, 0, 255)} == {colour for row in rows[24:] for colour in row}
    assert {96} == {len(row) for row in rows}  # 48 for each, in the 100 columns


ODD = 1, 2, 3, 5, 24, 25


@pytest.mark.parametrize("height", ODD)
def test_half_blocks_are_the_pixels_whatever_their_number(height):
    """Below an odd last row there is the terminal's own colour."""
    data = np.random.default_rng(height).integers(0, 256, (height, 7, 3), "u1")
    rows = blocks("\n".join(terminal.characters(Pillow.fromarray(data), "blocks")))
    assert [[tuple(pixel) for pixel in row] for row in data.tolist()] == rows[:height]
    assert [[None] * 7] * (height % 2) == rows[height:]


@pytest.mark.parametrize("height", ODD)
@pytest.mark.parametrize("way", ["blocks", "256", "shades", "ascii"])
def test_every_way_has_a_line_for_its_rows(way, height):
    lines = [*terminal.characters(Pillow.new("RGB", (3, height)), way)]
    assert (height if way in terminal.RAMPS else -(-height // 2)) == len(lines)


WAYS = {
    "blocks": TRUE, "256": {"TERM": "xterm-256color"}, "shades": {"TERM": "vt100"},
    "kitty": TRUE | {"TERM": "xterm-kitty"}, "sixel": TRUE | {"TERM": "foot"},
}  # fmt: skip
SIZES = (24, 80, 0, 0), (25, 80, 0, 0), (31, 101, 1010, 620), (7, 9, 0, 0), (1, 1, 0, 0), (60, 213, 0, 0)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("env", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize("shape", [(400, 600), (9, 16), (1, 90), (90, 1)], ids=str)
def test_any_picture_is_shown_in_any_window(shape, size, env, halves):
    Pillow.fromarray(np.zeros((*shape, 3), "u1")).save("a.png")
    shown, code = on_terminal(*IDENTITY, "--preview", size=size, **env)
    assert 0 == code, shown


def test_where_the_system_has_no_termios_the_window_has_its_size(halves):
    ours, theirs = open_terminal()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON") and name not in SAYING}
    with listening(ours) as said:
        done = subprocess.run(
            [sys.executable, "-W", "error", HERE / "elsewhere.py", *IDENTITY, "--preview"],
            stdin=subprocess.DEVNULL, stderr=theirs, env=kept | TRUE, check=False,
        )  # fmt: skip
        os.close(theirs)
    assert (0, {96}, 48) == (done.returncode, {len(row) for row in blocks(said[0])}, len(blocks(said[0]))), said[0]


def test_fewer_colours_where_a_terminal_has_fewer(halves):
    shown, _ = on_terminal(*IDENTITY, "--preview", TERM="xterm-256color")
    assert {"196", "21"} == {*re.findall(r"[34]8;5;(\d+)m", shown)}
    assert "8;2;" not in shown


@pytest.mark.parametrize("env", [{"TERM": "vt100"}, {**TRUE, "NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_shades_where_it_has_none(env, halves):
    shown, _ = on_terminal(*IDENTITY, "--preview", **env)
    lines = [line for line in shown.splitlines() if line.endswith("░░")]
    assert 12 == len(lines)  # the red half; blue is as dark as the darkest shade
    assert not re.search("[34]8;[25];", shown)


def test_ascii_where_nothing_else_can_be_written(halves):
    shown, _ = on_terminal(*IDENTITY, "--preview", TERM="vt100", encoding="ascii")
    assert shown.isascii()
    assert ":" * 48 in shown
    assert "." * 48 in shown


def test_kitty_gets_a_png_of_the_windows_size(halves):
    shown, _ = on_terminal(*IDENTITY, "--preview", size=(30, 100, 1000, 600), TERM="xterm-kitty", COLORTERM="truecolor")
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert pieces[0][0].startswith("a=T,f=100,q=2,")
    assert ["m=1"] * (len(pieces) - 1) + ["m=0"] == [keys.rpartition(",")[2] for keys, _ in pieces]
    image = Pillow.open(io.BytesIO(b64decode("".join(data for _, data in pieces))))
    assert image.width <= 1000
    assert image.height <= 24 * 20
    assert [(255, 0, 0), (0, 0, 255)] == [image.getpixel((5, y)) for y in (5, image.height - 5)]


def unsixel(text):
    """The pixels of a Sixel picture, read as the manual says."""
    head, body = re.fullmatch(r'\x1bP0;1q("[\d;]*)(.*)\x1b\\', text, re.DOTALL).groups()
    width, height = map(int, head.split(";")[2:])
    pixels, palette, x, y, colour = np.zeros((-(-height // 6) * 6, width, 3), "u1"), {}, 0, 0, None
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+[?-~]|[?-~]|[$-]", body):
        if token.startswith("#") and ";" in token:
            number, _, *rgb = token[1:].split(";")
            palette[number] = [round(int(value) * 2.55) for value in rgb]
        elif token.startswith("#"):
            colour = palette[token[1:]]
        elif token in "$-":
            x, y = 0, y + 6 * (token == "-")
        else:
            count, letter = (int(token[1:-1]), token[-1]) if token[0] == "!" else (1, token)
            for bit in range(6):
                if (ord(letter) - 63) >> bit & 1:
                    pixels[y + bit, x : x + count] = colour
            x += count
    return pixels[:height]


def test_a_sixel_picture_is_the_picture():
    data = np.random.default_rng(1).choice([0, 51, 255], (20, 33, 3)).astype("u1")
    assert np.array_equal(data, unsixel(terminal.sixel(Pillow.fromarray(data))))


def test_foot_gets_sixels(halves):
    shown, _ = on_terminal(*IDENTITY, "--preview", size=(30, 100, 800, 480), **TRUE | {"TERM": "foot"})
    pixels = unsixel(re.search(r"\x1bP.*?\x1b\\", shown, re.DOTALL)[0])
    assert [[255, 0, 0], [0, 0, 255]] == [pixels[y, 5].tolist() for y in (5, len(pixels) - 5)]


def test_tmux_which_passes_no_graphics_on_gets_blocks():
    assert "blocks" == way_of({"TERM": "screen", "KITTY_WINDOW_ID": "1", "TMUX": "x"}, "truecolor", "utf-8")


@pytest.mark.parametrize("more", [("-q",), ("-q", "--json")], ids=" ".join)
def test_quiet_shows_nothing(more, halves):
    shown, code = on_terminal(*IDENTITY, "--preview", *more, **TRUE)
    assert (0, "") == (code, shown)


def test_nothing_is_shown_where_there_is_no_terminal(halves):
    plain, previewed = convcli(*IDENTITY), convcli(*IDENTITY, "-f", "--preview")
    assert 0 == previewed.returncode
    assert plain.stderr.count(b"\n") == previewed.stderr.count(b"\n")
    assert b"\x1b" not in previewed.stderr


@pytest.mark.parametrize("option", ["--explain", "--dry-run"])
def test_a_plan_has_no_preview(option, halves):
    done = convcli(*IDENTITY, "--preview", option)
    assert 2 == done.returncode
    assert b"drop one of them" in done.stderr


def test_what_goes_into_a_pipe_is_shown_too(halves):
    ours, theirs = open_terminal()
    words = "conv2d", "a.png", "-k", "identity", "-o", "-", "--preview"
    with listening(ours) as said:
        done = subprocess.run(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=theirs, env=environment(**TRUE), check=True
        )
        os.close(theirs)
    assert (8, 8) == Pillow.open(io.BytesIO(done.stdout)).size
    assert {96} == {len(row) for row in blocks(said[0])}


def test_what_is_replaced_in_place_is_shown_as_it_was(halves):
    shown, _ = on_terminal("conv2d", "a.png", "-k", "0", "--in-place", "--preview", **TRUE)
    rows = blocks(shown)
    assert [(255, 0, 0), (0, 0, 0)] == [rows[0][0], rows[0][-1]]


def test_each_file_of_a_batch_is_shown(halves):
    Path("out").mkdir()
    Pillow.open("a.png").transpose(Pillow.Transpose.FLIP_TOP_BOTTOM).save("b.png")
    shown, code = on_terminal("conv2d", "a.png", "b.png", "-k", "identity", "-o", "out/", "--preview", **TRUE)
    assert 0 == code
    assert 2 * 48 == len(blocks(shown))


def test_names_cannot_command_the_terminal(halves):
    Path("a.png").rename("\x1b[2Ja.png")
    shown, _ = on_terminal("conv2d", "\x1b[2Ja.png", "-k", "identity", "-o", "o.png", "--preview", **TRUE)
    assert "\x1b[2J" not in shown
    assert "\\x1b[2Ja.png" in shown


def test_nor_can_the_reason_why_a_result_is_not_shown(halves, monkeypatch):
    monkeypatch.setattr(terminal, "preview", lambda *_: ["shown"])
    answer = Answer({"input": "a"}, [], pictures={"said": ["\x1b[2J\u202e"], "kernels": []})
    ours, theirs = open_terminal()
    with listening(ours) as said, os.fdopen(theirs, "w") as stream, redirect_stderr(stream):
        reports.show_pictures(answer)
    assert "shown\n\\x1b[2J\\u202e\n" == said[0]


def test_a_window_may_be_tiny():
    look = {"title": "a", "kind": "b", "size": (1, 1), "said": []}
    assert (1, 1) == Screen("blocks", 2, 3).room
    assert ["a", "b"] == [*terminal.caption(look, 1, 1)]
