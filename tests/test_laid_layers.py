"""A ConvTranspose of an ONNX file on an image, against ONNX's definition, tap by tap; and what `shapes` says of it.

total_padding = strides (input - 1) + output_padding + (kernel - 1) dilations + 1 - output, where output = input strides
for SAME_UPPER and SAME_LOWER; SAME_UPPER has the larger half at the end. Source: onnx/defs/nn/defs.cc, ConvTranspose.
"""

import itertools
import json

import numpy as np
import pytest

from command import InProcess
from convcli.errors import ConvError
from convcli.filters.transposed import crops
from convcli.geometry.sizes import Transposed
from onnx_files import node, small, tensor

SIZES = (4, 3)
RULES = ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")


def defined(pixels, taps, stride, dilation, rule, extra):
    """Rows of `pixels` and `taps` laid by the definition, along each axis, and cut as the rule says."""
    ends = [stride * (n - 1) + dilation * (k - 1) + 1 for n, k in zip(pixels.shape, taps.shape, strict=True)]
    full = np.zeros([end + e + 9 for end, e in zip(ends, extra, strict=True)])
    for (i, j), (p, q) in itertools.product(np.ndindex(pixels.shape), np.ndindex(taps.shape)):
        full[i * stride + p * dilation, j * stride + q * dilation] += pixels[i, j] * taps[p, q]
    cut = []
    for n, end, e in zip(pixels.shape, ends, extra, strict=True):
        output = n * stride if rule.startswith("SAME") else end + e
        total = max(0, end + e - output)
        begin = {"SAME_UPPER": total // 2, "SAME_LOWER": total - total // 2}.get(rule, 0)
        cut.append(slice(begin, begin + output))
    return full[tuple(cut)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_layer_is_laid_as_onnx_defines_it_and_shapes_tells_its_size(tmp_path, capsys, rule, stride, dilation):
    pixels = np.arange(1, 13, dtype="f4").reshape(1, *SIZES)
    np.save(tmp_path / "x.npy", pixels)
    for kernel, extra in itertools.product(((1, 3), (2, 1), (3, 4), (4, 2)), extras(stride, dilation)):
        taps = np.arange(1, 1 + np.prod(kernel), dtype="f4").reshape(1, 1, *kernel)
        words = {"strides": [stride] * 2, "dilations": [dilation] * 2, "output_padding": [*extra], "auto_pad": rule}
        made = node("ConvTranspose", "x w", "y", "c", **words)
        (tmp_path / "m.onnx").write_bytes(small([made], [tensor("w", taps.shape, raw=taps.tobytes())], (1, 1, *SIZES)))
        expected = defined(pixels[0], taps[0, 0], stride, dilation, rule, extra)
        words = ("--axes", "CYX", "--layer", f"{tmp_path}/m.onnx:c", "-o", tmp_path / "y.npy", "-f", "-q")
        code, errors = InProcess(capsys)("upsample", tmp_path / "x.npy", *words)
        assert code == 0, errors
        np.testing.assert_allclose(expected, np.load(tmp_path / "y.npy")[0], atol=2e-5, err_msg=f"{kernel} {extra}")
        assert [1, 1, *expected.shape] == output_of(capsys, tmp_path / "m.onnx")


def extras(stride, dilation):
    """Output padding of both axes: all that is below the stride or the dilation."""
    return [(a, b) for a in range(max(stride, dilation)) for b in {0, max(stride, dilation) - 1}]


def output_of(capsys, path):
    """The size of the output, as `shapes` says it."""
    from convcli.cli import run

    assert run(["shapes", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["total"]["outputs"]["y"]


def test_a_rule_that_no_transposed_convolution_has_is_refused():
    with pytest.raises(ConvError, match="unknown padding 'same-lower'"):
        crops(Transposed(8, 4, 2), "same-lower")
