"""Depthwise separable and dilated convolution against PyTorch's layers, on over a thousand random problems each."""

import numpy as np
import pytest

from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import Pair
from convcli.operations.operation import Limits
from convcli.records import replace
from ready import Ready

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[bench]')")

LIMITS = Limits("auto", 1, 2**28)
EACH, SEEDS = 140, 8


@pytest.fixture(autouse=True)
def small_problems(monkeypatch):
    """Spare each of thousands of tiny problems the time that looking for threads takes."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    torch.set_num_threads(1)


def draw(rng):
    """Sizes of a random layer: spatial axes, kernel, stride, dilation, padding, channels."""
    ndim = 2 if rng.random() < 0.7 else 3
    sides, taps = ((5, 24), (1, 6)) if ndim == 2 else ((4, 10), (1, 4))
    kernel, stride, padding = (tuple(map(int, rng.integers(*span, ndim))) for span in (taps, (1, 4), (0, 4)))
    dilation = tuple(map(int, rng.integers(1, 6 if ndim == 2 else 4, ndim)))
    size = tuple(int(rng.integers(*sides)) + d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    return size, kernel, stride, dilation, padding


def filter_of(kernel, stride, padding, **more):
    """A bank as a filter, with zeros outside the image as PyTorch has them."""
    ndim = kernel.ndim
    pads = tuple((p, p) for p in padding)
    borders = parse_border("zero", "ZYX"[-ndim:])
    return Correlation(kernel, each=False, stride=stride, padding=pads, borders=borders, **more)


def computed(operation, image):
    """What an operation makes of an array (C, *space), with C kept."""
    info = ImageInfo(image.shape, image.dtype.name, "C" + "ZYX"[1 - image.ndim :])
    result, _ = operation.on(info, LIMITS).run(Image(info, image))
    return result.data.reshape(-1, *result.data.shape[1 - image.ndim :])


def layer(image, taps, **geometry):
    """PyTorch's convolution in float64."""
    function = torch.nn.functional.conv2d if image.ndim == 3 else torch.nn.functional.conv3d
    return function(torch.from_numpy(image)[None], torch.from_numpy(taps), **geometry)[0].numpy()


def check_near(expected, found, taps, image):
    assert expected.shape == found.shape
    assert np.abs(expected - found).max() <= 2e-5 * np.abs(taps).sum() * np.abs(image).max()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_pair_is_a_layer_with_groups_and_a_1x1_layer(seed):
    rng = np.random.default_rng(2000 + seed)
    for _ in range(EACH):
        size, kernel, stride, dilation, padding = draw(rng)
        channels, multiplier, outputs = map(int, rng.integers(1, 5, 3))
        image = rng.standard_normal((channels, *size))
        kernels = rng.standard_normal((channels * multiplier, 1, *kernel))
        mix = rng.standard_normal((outputs, channels * multiplier, *(1,) * len(size)))
        pair = Pair(Kernel.from_array("d", kernels, bank=True), Kernel.from_array("p", mix, bank=True), channels)
        filter_ = filter_of(pair.product, stride, padding, dilation=dilation, pair=pair)
        geometry = {"stride": stride, "dilation": dilation, "padding": padding}
        expected = layer(layer(image, kernels, groups=channels, **geometry), mix)
        found = computed(Ready(filter_), image.astype(np.float32))
        check_near(expected, found, np.abs(mix).sum() * np.abs(kernels), image)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rate_is_the_dilation_of_a_layer_with_groups(seed):
    rng = np.random.default_rng(3000 + seed)
    for _ in range(EACH):
        size, kernel, stride, dilation, padding = draw(rng)
        groups, fan_in, per_group = map(int, rng.integers(1, 4, 3))
        image = rng.standard_normal((groups * fan_in, *size))
        taps = rng.standard_normal((groups * per_group, fan_in, *kernel))
        bank = Kernel.from_array("bank", taps, bank=True)
        filter_ = filter_of(bank, stride, padding, groups=groups, dilation=(1,) * len(size))
        expected = layer(image, taps, stride=stride, dilation=dilation, padding=padding, groups=groups)
        operation = Ready(replace(filter_, dilation=dilation))
        check_near(expected, computed(operation, image.astype(np.float32)), taps, image)
