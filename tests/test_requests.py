"""Requests are values: the same from a command line and from Python, small, and whole in another process."""

import pickle
import shlex
import subprocess
import sys

import numpy as np
import pytest

import convcli.requests.dilated
import convcli.runs.many
from convcli.api.plans import request
from convcli.cli import run
from convcli.engine.run import run as run_stages
from convcli.filters.filter import Numbers
from convcli.image import Image, ImageInfo
from convcli.kernels.given import ByName, parse_given
from convcli.records import replace
from convcli.requests.calls import correlate, dilated, pair, resample, transpose
from convcli.runs.journal import fingerprint

MOST = 4096
"""Bytes of a pickled request whose kernels are numbers or names."""
NINE = "1 2 3; 4 5 6; 7 8 9"
MIX = "1 0 1; 0 1 1"
SAME = {
    "conv2d -k gaussian:2": lambda: correlate("gaussian:2"),
    "conv2d -k Gaussian:2.0": lambda: correlate("gaussian:2"),
    "conv2d -k gaussian:100": lambda: correlate("gaussian:100"),
    "conv2d -k disk:40": lambda: correlate("disk:40"),
    "conv2d -k disk:9 --tolerance 0.01 --scale -2 --bias 3 --nan zero --range abs": lambda: correlate(
        "disk:9", tolerance=0.01, numbers=Numbers(scale=-2.0, bias=3.0, nan="zero", range="abs")
    ),
    "conv2d -k gaussian:2um": lambda: correlate("gaussian:2um"),
    f"conv2d -k '{NINE}' --flip --origin 0,1": lambda: correlate(NINE, flip=True, origin=(0, 1)),
    "conv2d -k sobel:x -k sobel:y --combine magnitude": lambda: correlate(["sobel:x", "sobel:y"], combine="magnitude"),
    "conv2d -k box:3 -s 2 -d 1,2 -p 1 --border reflect": lambda: correlate(
        "box:3", stride=2, dilation=(1, 2), padding=1, border="reflect"
    ),
    "conv2d -k '1 2^3 4' -t int16": lambda: correlate("1 2^3 4", dtype="int16"),
    "conv2d -k '1 2;2 4' --normalize sum -p 0:1,1:0 -b zero": lambda: correlate(
        "1 2; 2 4", normalize="sum", padding=[(0, 1), (1, 0)], border="zero"
    ),
    "conv2d -k gaussian:2 --region 5:-3,: --channels 0,2": lambda: request(
        "convolve", "gaussian:2", region="5:-3,:", channels=[0, 2]
    ),
    "dilate -k box:3 --chain 1,2 --region :9,1:": lambda: request(
        "dilate", "box:3", chain=[1, 2], region=[(None, 9), slice(1, None)]
    ),
    "conv3d -k '1|2|1' -b z=edge,yx=wrap": lambda: correlate("1|2|1", border="z=edge,yx=wrap"),
    "upsample -k bilinear": lambda: transpose("bilinear"),
    "upsample -k lanczos -s 2,3": lambda: transpose("lanczos", stride=(2, 3)),
    "upsample -k gaussian:2um --normalize overlap": lambda: transpose("gaussian:2um", normalize="overlap"),
    f"upsample -k '{NINE}' -p 1 --output-padding 1": lambda: transpose(NINE, padding=1, output_padding=1),
    "upsample -k box:3 --output-size 80x100": lambda: transpose("box:3", output_size=(80, 100)),
    "upsample -k lanczos --scale 1.5": lambda: resample(1.5),
    "upsample -k nearest --scale 2,4/3 -b edge": lambda: resample((2, "4/3"), "nearest", border="edge"),
    f"separable --depthwise box:3 --pointwise '{MIX}'": lambda: pair("box:3", MIX),
    f"separable --depthwise gaussian:2um --pointwise '{MIX}' -s 2": lambda: pair("gaussian:2um", MIX, stride=2),
    "dilate -k laplacian --rate 2": lambda: dilated("laplacian", rate=2),
    "dilate -k log:1 --rates 1,2x1,4": lambda: dilated("log:1", rates=[1, (2, 1), 4]),
    "dilate -k box:3 --rates 1,2 --combine max": lambda: dilated("box:3", rates=[1, 2], combine="max"),
    "dilate -k box:3 -k box:1um --chain 1,2": lambda: dilated(["box:3", "box:1um"], chain=[1, 2]),
}
"""A command line without its files, and the same from Python."""


@pytest.fixture(params=SAME)
def line(request):
    return request.param


@pytest.fixture
def asked(monkeypatch):
    """What a command line asks of every image."""
    found = []
    for module in (convcli.runs.many, convcli.requests.dilated):
        monkeypatch.setattr(module, "run_batch", lambda request, _batch: found.append(request) or 0)

    def parse(line):
        assert 0 == run([*shlex.split(line), "in.tif", "-o", "out.tif"])
        return found.pop()

    return parse


def image_for(line):
    """An image that fits: three channels, or two for a bank; as small as is of use."""
    axes = "CZYX" if line.startswith("conv3d") else "CYX"
    sizes = {"C": 2 if "^" in line else 3, "Z": 7, "Y": 40, "X": 50}
    shape = tuple(sizes[letter] for letter in axes)
    info = ImageInfo(shape, "float32", axes, spacing=dict.fromkeys("ZYX", (0.5, "um")))
    return Image(info, np.random.default_rng(1).random(shape, "float32"))


def test_a_command_line_and_python_ask_for_the_same(asked, line):
    assert SAME[line]() == asked(line)


def test_a_request_survives_a_pickle(line):
    request = SAME[line]()
    assert request == pickle.loads(pickle.dumps(request))


def test_a_request_is_as_small_after_use_as_before(line):
    request = SAME[line]()
    before, image = pickle.dumps(request), image_for(line)
    assert len(before) < MOST
    work = request.on(image.info)
    work.run(image)
    assert work.facts()
    assert before == pickle.dumps(request)


def test_a_large_array_makes_a_request_as_large_as_its_taps():
    taps = np.random.default_rng(1).random((255, 255))
    assert taps.nbytes < len(pickle.dumps(correlate(taps))) < taps.nbytes + MOST


ELSEWHERE = """
import pickle, sys
from convcli.engine.boxes import Course

class Array:
    def __init__(self, data):
        self.data = data

    def read(self, spans, out):
        out[...] = self.data[tuple(slice(*span) for span in spans)]

results = []
for request, image, box in pickle.load(sys.stdin.buffer):
    results.append(Course(request.on(image.info).stages, Array(image.data)).results(box)[0])
pickle.dump(results, sys.stdout.buffer)
"""


def test_a_request_computes_its_box_in_another_process_with_the_same_bits():
    jobs, expected = [], []
    for line, make in SAME.items():
        request = make()
        image = image_for(line)
        whole = run_stages(request.on(image.info).stages, image.data)[0]
        box = tuple((size // 3, size - size // 4) for size in whole.shape)
        jobs.append((request, image, box))
        expected.append(whole[tuple(slice(*span) for span in box)])
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], input=pickle.dumps(jobs), capture_output=True, check=True)
    for line, truth, found in zip(SAME, expected, pickle.loads(done.stdout), strict=True):
        np.testing.assert_array_equal(truth, found, line, strict=True)


def test_equal_requests_have_one_fingerprint_and_others_another(line):
    request = SAME[line]()
    assert fingerprint(SAME[line]()) == fingerprint(request)
    request.on(image_for(line).info)
    assert fingerprint(SAME[line]()) == fingerprint(request)


def test_requests_that_differ_in_anything_have_other_fingerprints():
    requests = dict.fromkeys(make() for make in SAME.values())
    base = correlate("gaussian:2")
    changed = [replace(base, numbers=replace(base.numbers, bias=1.0)), replace(base, approximation=0.1)]
    every = [*requests, *changed]
    assert len(every) == len({*map(fingerprint, every)})


def test_a_fingerprint_is_the_same_in_every_process():
    code = (
        "from convcli.requests.calls import correlate; from convcli.runs.journal import fingerprint; "
        "print(fingerprint(correlate(['sobel:x', '1 2 1'], combine='sum')))"
    )
    here = fingerprint(correlate(["sobel:x", "1 2 1"], combine="sum"))
    there = {subprocess.check_output([sys.executable, "-c", code], text=True).strip() for _ in range(2)}
    assert {here} == there


@pytest.mark.parametrize("text", ["gaussian:2.50", "Sobel:X", "box:3,5", "gabor:5,0.3", "dog:1,2", "disk:2.5"])
def test_a_name_is_kept_as_it_is_usually_written_and_gives_the_same_taps(text):
    given = parse_given(text, 2)
    assert isinstance(given, ByName)
    assert given.text == parse_given(given.text, 2).text
    np.testing.assert_array_equal(parse_given(text, 2).on({}).array(), given.on({}).array())


def test_a_length_in_units_becomes_what_each_image_says():
    request = correlate("box:3um")
    infos = [ImageInfo((9, 9), "uint8", "YX", spacing={"Y": (y, "um"), "X": (1.0, "um")}) for y in (1.0, 0.5)]
    assert [(3, 3), (7, 3)] == [request.on(info).filter.kernel.shape for info in infos]
