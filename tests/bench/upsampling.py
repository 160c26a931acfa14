"""Transposed convolution against PyTorch, enlargement against Pillow, in one process; planning is timed, too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow

from convcli.image import Image, ImageInfo
from convcli.operations.operation import Limits, Operation
from convcli.requests.options import SampleOptions
from convcli.requests.particular import TransposedOptions
from convcli.requests.transposed import build_resample, build_transpose
from tests.bench.engine import check
from tests.bench.turns import Measured, take_turns

Run = Callable[[], object]


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a job."""
    torch.set_num_threads(threads)
    for job, runs in (*layers(threads), *pictures(threads)):
        yield Measured(job, take_turns(runs, rounds))


def layers(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """4x4 kernels at stride 2: one large plane, and a layer of a network."""
    rng = np.random.default_rng(1)
    for channels, filters, side in ((1, 1, 2048), (64, 32, 128)):
        image = rng.standard_normal((channels, side, side), np.float32)
        bank = rng.standard_normal((channels, filters, 4, 4), np.float32)
        tensor, weights = torch.from_numpy(image)[None], torch.from_numpy(bank)
        runs: dict[str, Run] = {
            "convcli": enlarged(transposing(bank), image, "CYX", threads),
            "torch.conv_transpose2d": lambda tensor=tensor, weights=weights: torch.nn.functional.conv_transpose2d(
                tensor, weights, stride=2, padding=1
            )[0].squeeze(0),
        }
        check(f"{channels} -> {filters}", runs["convcli"], runs["torch.conv_transpose2d"], 1e-4)
        yield f"{channels} -> {filters}, 4x4 transposed, stride 2, {side}x{side} float32", runs


def transposing(bank: np.ndarray) -> Operation:
    """The transposed convolution with a bank, as the command line builds it."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "bank.npy", bank)
        return build_transpose(TransposedOptions(kernel=[f"{folder}/bank.npy"], padding="1"), SampleOptions())


def pictures(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """12 megapixels of RGB twice as large, by the phases of a stride and by a scale."""
    ramp = np.add.outer(np.arange(3000), np.arange(4000))[..., None] // np.array([9, 13, 17]) % 256
    photo = Pillow.fromarray(ramp.astype(np.uint8))
    resized = {"Pillow resize": lambda: photo.resize((8000, 6000), Pillow.Resampling.BICUBIC)}
    laid = {
        "--stride 2": build_transpose(TransposedOptions(kernel=["bicubic"]), SampleOptions()),
        "--scale 2": build_resample(TransposedOptions(kernel=["bicubic"], scale="2"), SampleOptions()),
    }
    for words, operation in laid.items():
        ours = enlarged(operation, np.asarray(photo), "YXS", threads)
        difference = np.asarray(ours(), int)[8:-8, 8:-8] - np.asarray(resized["Pillow resize"]())[8:-8, 8:-8]
        assert np.abs(difference).max() <= 24, words  # Pillow clips between its two passes
        yield f"12 Mpx RGB uint8, bicubic {words}", {"convcli": ours, **resized}


def enlarged(operation: Operation, image: np.ndarray, axes: str, threads: int) -> Run:
    """A run of an operation from planning to pixels."""
    info = ImageInfo(image.shape, image.dtype.name, axes, samples="rgb" if "S" in axes else "")
    limits = Limits("auto", threads, 2**28)
    return lambda: operation.on(info, limits).run(Image(info, image))[0].data
