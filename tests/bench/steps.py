"""Dilated and depthwise separable convolution against scipy and PyTorch, and against our own plain filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.ndimage
import torch

from convcli import convolve
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import Pair
from convcli.operations.operation import Limits
from convcli.operations.pair import planned_pair
from convcli.planner import DEFAULT_MEMORY
from tests.bench.engine import check
from tests.bench.turns import Measured, take_turns

Run = Callable[[], object]
RATE = 8
PAIRS = ((64, 128, 112), (128, 256, 56), (3, 64, 512))


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a job."""
    torch.set_num_threads(threads)
    for job, runs in (*dilated_jobs(threads), *pair_jobs(threads)):
        yield Measured(job, take_turns(runs, rounds))


def dilated_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """2048x2048 float32 at rate 8: against zeros between the taps, and against rate 1."""
    rng = np.random.default_rng(5)
    image = rng.standard_normal((2048, 2048)).astype(np.float32)
    taps = rng.standard_normal((3, 3)).astype(np.float32)
    stuffed = np.zeros((2 * RATE + 1, 2 * RATE + 1), np.float32)
    stuffed[::RATE, ::RATE] = taps
    runs: dict[str, Run] = {
        "convcli": lambda: convolve(image, taps, dilation=RATE, threads=threads),
        "convcli at rate 1": lambda: convolve(image, taps, threads=threads),
        "scipy.ndimage.correlate": lambda: scipy.ndimage.correlate(image, stuffed, mode="nearest"),
    }
    check("rate", runs["convcli"], runs["scipy.ndimage.correlate"], 1e-4)
    yield f"2048x2048 float32, 3x3 random at rate {RATE}", runs


def pair_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """Layers of MobileNet's kind, both steps."""
    rng = np.random.default_rng(6)
    for channels, filters, side in PAIRS:
        image = rng.standard_normal((channels, side, side)).astype(np.float32)
        kernels = rng.standard_normal((channels, 1, 3, 3)).astype(np.float32)
        mix = rng.standard_normal((filters, channels, 1, 1)).astype(np.float32)
        runs: dict[str, Run] = {
            "convcli": ours(image, kernels, mix, threads),
            "torch.conv2d twice": theirs(image, kernels, mix),
        }
        check("pair", runs["convcli"], runs["torch.conv2d twice"], 1e-4)
        yield f"{channels} -> {filters}, depthwise 3x3 and pointwise on {side}x{side}", runs


def ours(image: np.ndarray, kernels: np.ndarray, mix: np.ndarray, threads: int) -> Run:
    """The pair by convcli, planned once as torch's layers are."""
    pair = Pair(Kernel.from_array("d", kernels, bank=True), Kernel.from_array("p", mix, bank=True), len(image))
    borders = parse_border("zero", "YX")
    ones = (1, 1)
    filter_ = Correlation(pair.product, each=False, stride=ones, dilation=ones, borders=borders, pair=pair)
    info = ImageInfo(image.shape, "float32", "CYX")
    work = planned_pair(filter_, info, Limits("auto", threads, DEFAULT_MEMORY))
    return lambda: work.run(Image(info, image))[0].data


def theirs(image: np.ndarray, kernels: np.ndarray, mix: np.ndarray) -> Run:
    """The same as two layers."""
    tensor, first, second = torch.from_numpy(image)[None], torch.from_numpy(kernels), torch.from_numpy(mix)
    layer = torch.nn.functional.conv2d
    return lambda: layer(layer(tensor, first, padding=1, groups=len(image)), second)[0]
