"""Random transposed convolutions, and the tool's answer to them as an array."""

from __future__ import annotations

import numpy as np

from convcli.filters.borders import parse_border
from convcli.image import Image, ImageInfo
from convcli.kernels.given import Given
from convcli.kernels.kernel import Kernel
from convcli.operations.operation import Limits
from convcli.operations.transposed import Transpose

LIMITS = Limits("auto", 1, 2**28)


def draw(rng, *, back=False):
    """A problem that has an output: 2-D or 3-D, any stride, dilation, groups, padding and output padding.

    `back`: one that a convolution leads back from, which needs an output padding below the stride.
    """
    while True:
        ndim = int(rng.choice((2, 2, 3)))
        space, kernel = rng.integers(1, 9 if ndim == 2 else 5, ndim), rng.integers(1, 6 if ndim == 2 else 4, ndim)
        stride, dilation, pad = (
            rng.integers(1, 5 if ndim == 2 else 4, ndim),
            rng.integers(1, 4, ndim),
            rng.integers(0, 4, ndim),
        )
        extra = rng.integers(0, stride if back else np.maximum(stride, dilation))
        if (stride * (space - 1) + dilation * (kernel - 1) + 1 - 2 * pad + extra).min() >= 1:
            break
    groups, fan_in, fan_out, batch = map(int, rng.integers(1, 3, 4))
    return {
        "image": rng.standard_normal((batch, groups * fan_in, *space)),
        "taps": rng.standard_normal((groups * fan_in, fan_out, *kernel)),
        "stride": tuple(map(int, stride)),
        "dilation": tuple(map(int, dilation)),
        "pads": tuple((int(p), int(p)) for p in pad),
        "extra": tuple(map(int, extra)),
        "groups": groups,
    }


def tool(problem, border="zero", dtype="float32"):
    """What the tool makes of a problem, (batch, O, *out)."""
    image, ndim = problem["image"].astype(dtype), problem["taps"].ndim - 2
    info = ImageInfo(image.shape, dtype, "TC" + "ZYX"[-ndim:])
    kernel = Kernel.from_array("bank", problem["taps"], bank=True)
    asked = Transpose(
        Given((kernel,)),
        stride=problem["stride"],
        dilation=problem["dilation"],
        padding=problem["pads"],
        output_padding=problem["extra"],
        borders=parse_border(border, "ZYX"[-ndim:]),
        groups=problem["groups"],
    )
    result, counts = asked.on(info, LIMITS).run(Image(info, image))
    assert counts.samples == result.data.size
    return result.data.reshape(image.shape[0], -1, *result.data.shape[-ndim:])
