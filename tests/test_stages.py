"""Stages: any box of a result computed alone has the bits that it has in the whole, whatever it is computed by."""

from dataclasses import replace

import numpy as np
import pytest

from command import InProcess
from convcli.engine import run as engine
from convcli.engine.boxes import Course
from convcli.engine.run import run
from convcli.engine.stages.filter import FilterStage
from convcli.engine.steady import ranked
from convcli.errors import ConvError, UsageError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.methods import METHODS
from convcli.planner import make_plan
from test_streaming import STAGED, Array, draw_filter


def draw_boxes(rng, shape, count):
    """Random boxes: any, one of a single sample, and one at the end of every axis."""
    for _ in range(count):
        ends = [sorted(rng.choice(size + 1, 2, replace=False)) for size in shape]
        yield tuple((int(start), int(stop)) for start, stop in ends)
    yield tuple((place, place + 1) for place in map(int, rng.integers(shape)))
    yield tuple((size - 1 - int(rng.integers(size)), size) for size in shape)


def check_boxes(stages, pixels, rng, count=3):
    """Every box of the whole is what it is alone."""
    whole, _ = run(stages, pixels)
    for box in draw_boxes(rng, whole.shape, count):
        found = Course(stages, Array(pixels)).results(box)[0]
        np.testing.assert_array_equal(whole[tuple(slice(*span) for span in box)], found, err_msg=str(box), strict=True)


BUILT = [
    ("YX", (400, 300), 2),
    ("ZYX", (70, 66, 80), 3),
    ("TCZYX", (2, 3, 12, 20, 22), 3),
    ("YXS", (90, 80, 3), 2),
    ("CYX", (4, 170, 160), 2),
    ("YXC", (60, 50, 4), 2),
    ("XY", (60, 50), 2),
]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16", "uint64"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("axes", "shape", "ndim"), BUILT)
def test_a_box_of_a_filtered_image_alone_is_that_of_the_whole(axes, shape, ndim, method, dtype):
    rng = np.random.default_rng([len(axes), ndim, len(method), len(dtype)])
    for _ in range(4):
        filter_ = draw_filter(rng, axes, shape, ndim, method, ranges=("clip", "abs"))
        if method in ("winograd", "minimal"):
            filter_ = replace(filter_, kernel=threes(rng, filter_.kernel), stride=(1,) * ndim, dilation=(1,) * ndim)
        pixels = (rng.random(shape) * 250).astype(dtype)
        if dtype.startswith("float") and rng.random() < 0.5:
            pixels.flat[rng.integers(pixels.size, size=3)] = [np.nan, np.inf, 3e38]
        info = ImageInfo(shape, dtype, axes, samples="rgb" if "S" in axes else "")
        try:
            problem = ranked(filter_.problem(info), filter_.kernel)
            plan = make_plan(problem, method=method, threads=2, memory=2**20)
        except (ConvError, UsageError):  # a method that cannot, or a kernel that does not fit
            continue
        check_boxes((FilterStage(filter_, info, plan),), pixels, rng)


@pytest.mark.parametrize(("method", "dtype"), [("winograd", "float32"), ("winograd", "uint8"), ("gemm", "float32")])
def test_a_box_of_a_bank_alone_is_that_of_the_whole(method, dtype):
    rng = np.random.default_rng(9)
    pixels, taps = (rng.random((24, 150, 90)) * 250).astype(dtype), rng.random((20, 24, 3, 3))
    info, steps = ImageInfo(pixels.shape, dtype, "CYX"), {"stride": (1, 1), "dilation": (1, 1)}
    bank = Kernel.from_array("bank", taps, bank=True)
    filter_ = Correlation(bank, each=False, borders=parse_border("reflect", "YX"), **steps)
    plan = make_plan(filter_.problem(info), method=method, threads=2)
    check_boxes((FilterStage(filter_, info, plan),), pixels, rng, count=6)


def threes(rng, kernel):
    """As many filters of three taps along each axis."""
    lead = (kernel.outputs, kernel.inputs) if kernel.bank else ()
    return Kernel.from_array("threes", rng.random((*lead, *(3,) * kernel.ndim)), bank=kernel.bank)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("axes", "shape", "words"), [each for each in STAGED if "rescale" not in each[2]])
def test_a_box_of_any_work_alone_is_that_of_the_whole(axes, shape, words, dtype, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    pixels = (np.random.default_rng(7).random(shape) * 250).astype(dtype)
    np.save("in.npy", pixels)
    found = []
    monkeypatch.setattr(
        engine, "run", lambda stages, *more, **named: (found.append(stages), run(stages, *more, **named))[1]
    )
    assert 0 == InProcess(capfd)(*words.split(), "in.npy", "--axes", axes, "-q", "-o", "out.npy")[0]
    check_boxes(found[0], pixels, np.random.default_rng(8), count=5)
