"""Whole or slab by slab, an image has the same report, is as far when it is done, and is refused in the same words."""

import numpy as np
import pytest

from command import InProcess
from convcli.engine import run as engine
from convcli.runs import one, progress

KINDS = {
    "several combined": "conv2d -k gaussian:1 -k sobel:x --combine magnitude",
    "several stacked": "conv2d -k gaussian:1 -k sobel:x",
    "spread over a range": "conv2d -k gaussian:1 --range rescale -t uint8",
    "rates combined": "dilate -k box:3 --rates 1,2,4 --combine max",
    "rates beside each other": "dilate -k box:3 --rates 1,3",
    "a chain that wraps": "dilate -k box:3 --chain 1,2,4 --border wrap",
    "a chain that wraps and is spread": "dilate -k box:3 --chain 1,2 --border wrap --range rescale -t uint8",
    "laid": "upsample -k gaussian:1 --stride 2",
    "laid and overlapping": "upsample -k box:3 --stride 2,1 --normalize overlap",
    "laid with a border that wraps": "upsample -k bilinear --stride 2 --border wrap --range rescale -t uint8",
    "enlarged": "upsample -k lanczos --scale 1.5",
}
OPACITIES = ("drop", "keep", "premultiply")


@pytest.fixture
def ways(monkeypatch):
    """Makes all images whole, or cuts them."""

    def choose(*, cut):
        monkeypatch.setattr(one, "LONG", 1 if cut else 2**40)
        monkeypatch.setattr(engine, "LEAST", 1 if cut else 2**23)
        monkeypatch.setattr(engine, "SHARE", 100 if cut else 3)

    return choose


@pytest.fixture
def heard(monkeypatch):
    """What the last progress heard of (outputs told of beforehand, outputs done)."""
    found = []

    class Remembered(progress.Progress):
        def enter(self, doing, total=0):
            if self.total:
                found[:] = [(self.total, self.done)]
            super().enter(doing, total)

    monkeypatch.setattr(progress, "Progress", Remembered)
    return found


def samples_of(convcli, words):
    """The line of a run's report about samples."""
    code, lines = convcli(*words)
    assert code == 0
    return next(line for line in lines if line.startswith("samples"))


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_progress_ends_where_it_was_said_to_end(kind, cut, tmp_path, ways, heard, capsys):
    np.save(tmp_path / "in.npy", np.random.default_rng(3).random((300, 60)).astype("float32"))
    ways(cut=cut)
    words = [*KINDS[kind].split(), tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--memory", "1MiB"]
    assert InProcess(capsys)(*words)[0] == 0
    ((total, done),) = heard
    assert total == done


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("alpha", OPACITIES)
@pytest.mark.parametrize("command", ["conv2d", "dilate --chain 1,2", "upsample --stride 2"])
def test_progress_ends_so_with_opacity_too(command, alpha, cut, tmp_path, ways, heard, capsys):
    np.save(tmp_path / "in.npy", np.random.default_rng(3).integers(0, 256, (200, 50, 4)).astype("uint8"))
    ways(cut=cut)
    words = [*command.split(), "-k", "box:3", "--alpha", alpha, "--axes", "YXS", tmp_path / "in.npy"]
    assert InProcess(capsys)(*words, "-o", tmp_path / "out.npy", "--memory", "1MiB")[0] == 0
    ((total, done),) = heard
    assert total == done


def test_a_rescaled_stream_is_half_done_when_its_range_is_known(tmp_path, ways, monkeypatch, capsys):
    np.save(tmp_path / "in.npy", np.random.default_rng(3).random((8, 300, 60)).astype("float32"))
    ways(cut=True)
    far = []
    spread = engine.spread

    def noted(*arguments):
        far.append(told[0].done / told[0].total)
        return spread(*arguments)

    told = []

    class Remembered(progress.Progress):
        def __init__(self, name):
            super().__init__(name)
            told.append(self)

    monkeypatch.setattr(progress, "Progress", Remembered)
    monkeypatch.setattr(engine, "spread", noted)
    words = "conv2d -k box:3 --axes TYX --range rescale -t uint8".split()
    words += [tmp_path / "in.npy", "-o", tmp_path / "o.npy"]
    assert InProcess(capsys)(*words, "--memory", "1MiB")[0] == 0
    assert 0.5 <= far[0] < 0.75


@pytest.mark.parametrize("alpha", OPACITIES)
def test_a_chain_of_one_counts_the_samples_that_its_only_rate_counts(alpha, tmp_path, capsys):
    np.save(tmp_path / "in.npy", np.random.default_rng(3).integers(0, 256, (20, 30, 4)).astype("uint8"))
    convcli, words = InProcess(capsys), ["-k", "box:3", "--alpha", alpha, "--axes", "YXS", tmp_path / "in.npy", "-f"]
    by_rate = samples_of(convcli, ["dilate", "--rate", "1", *words, "-o", tmp_path / "out.npy"])
    assert f" {np.load(tmp_path / 'out.npy').size:,}: " in by_rate
    assert by_rate == samples_of(convcli, ["dilate", "--chain", "1", *words, "-o", tmp_path / "out.npy"])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("command", ["conv2d", "dilate --chain 1,2", "upsample --stride 2"])
def test_what_no_range_holds_is_counted_once_and_alike(command, flat, value, tmp_path, ways, capsys):
    pixels = np.random.default_rng(3).random((200, 60)).astype("float32") * (not flat)
    pixels[[3, 150], 7] = value
    np.save(tmp_path / "in.npy", pixels)
    words = [*command.split(), "-k", "box:3", "--range", "rescale", "-t", "uint8", tmp_path / "in.npy", "-f"]
    said = []
    for cut in (False, True):
        ways(cut=cut)
        said.append(samples_of(InProcess(capsys), [*words, "-o", tmp_path / "out.npy", "--memory", "1MiB"]))
    assert said[0] == said[1]
    assert "none clipped, 0 NaN" not in said[0]


REFUSED = {
    "NaN": (
        np.where(np.arange(12000).reshape(200, 60) % 7, 1.0, np.nan).astype("float32"),
        "conv2d -k box:3 --nan error",
        "there are NaN",
    ),
    "NaN in a chain": (
        np.where(np.arange(12000).reshape(200, 60) % 7, 1.0, np.nan).astype("float32"),
        "dilate -k box:3 --chain 1,2 --nan error",
        "there are NaN",
    ),
    "integers that are not exact": (
        2**52 + np.arange(12000).reshape(200, 60),
        "conv2d -k gaussian:1",
        "holds 4,503,599,627,382,495; ",
    ),
}
REFUSED["integers of both signs"] = (
    np.where(np.arange(200)[:, None] < 100, 1, -1) * REFUSED["integers that are not exact"][0],
    "dilate -k gaussian:1 --rate 2",
    "holds -4,503,599,627,382,495; ",
)


@pytest.mark.parametrize("why", REFUSED)
def test_a_refusal_does_not_say_which_slab_met_the_reason(why, tmp_path, ways, capsys):
    pixels, command, reason = REFUSED[why]
    np.save(tmp_path / "in.npy", pixels)
    words = [*command.split(), tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--memory", "1MiB"]
    ways(cut=False)
    expected = InProcess(capsys)(*words)
    ways(cut=True)
    assert expected == InProcess(capsys)(*words)
    assert expected[0] == 1
    assert reason in expected[1][0]
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]
