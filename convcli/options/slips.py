"""What is answered to slips of the pen, and to habits from other tools. Loaded only when something is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from convcli.errors import ConvError, UsageError

OF_A_PART = "what is left out would stay as it is, which has no place in a result of another size; use conv2d or conv3d"
ELSEWHERE = {
    "--sigma": "a Gaussian of that width is -k gaussian:2",
    "--radius": "sizes belong to the kernel: -k box:5, -k gaussian:2, -k disk:4",
    "--size": "the size belongs to the kernel: -k box:5; that of the result to upsample --output-size",
    "--ksize": "the size belongs to the kernel: -k box:5",
    "--kernel-size": "the size belongs to the kernel: -k box:5; in shapes and flops it is in the word: conv3-64",
    "--blur": "a blur is -k gaussian:2 or -k box:5",
    "--gaussian-blur": "a Gaussian blur is -k gaussian:2",
    "--sharpen": "that is -k sharpen, or -k unsharp:2,0.5",
    "--edge": "edges are found by -k sobel:x, -k laplacian or -k log:2",
    "--weights": "weights are a kernel: -k weights.npy",
    "--weight": "weights are a kernel: -k weights.npy",
    "--filter": "that is -k: a name, numbers or a file",
    "--truncate": "that belongs to the kernel: -k gaussian:2,truncate=4",
    "--order": "that belongs to the kernel: -k gaussian:2,order=1",
    "--angle": "that belongs to the kernel: -k motion:9,45",
    "--direction": "that belongs to the kernel: -k sobel:x",
    "--in-channels": "a filter bank says how many: -k weights.npy of (O, I, kh, kw)",
    "--out-channels": "a filter bank says how many: -k weights.npy of (O, I, kh, kw)",
    "--cval": "the value belongs to the border: --border constant=0",
    "--fill": "the value belongs to the border: --border constant=0",
    "--value": "the value belongs to the border: --border constant=0",
    "--workers": "files at once are --jobs N, threads in one --threads N",
    "--parallel": "files at once are --jobs N, threads in one --threads N",
    "--overwrite": "that is --force",
    "--yes": "that is --force",
    "--silent": "that is --quiet, which leaves warnings; given twice it leaves errors alone",
    "--divide": "that is --scale 1/9 as a decimal, or --normalize sum",
    "--divisor": "that is --normalize sum, or --scale with a decimal",
    "--delta": "that is --bias",
    "--offset": "that is --bias",
    "--gain": "that is --scale",
    "--anchor": "that is --origin",
    "--depth": "that is --dtype uint8, uint16 ...",
    "--ddepth": "that is --dtype uint8, uint16 ...",
    "--type": "that is --dtype",
    "--in": "inputs need no option: convcli conv2d in.png -k box:3 -o out.png",
    "--input": "inputs need no option: convcli conv2d in.png -k box:3 -o out.png",
    "--out": "that is --output, or -o",
    "--resize": "sizes change with convcli upsample --scale",
    "--rate": "steps between taps are --dilation, or convcli dilate --rate",
    "--dilate": "that is --dilation",
    "--strides": "that is --stride",
    "--pad": "that is --padding",
    "--padding-mode": "that is --border",
    "--pad-mode": "that is --border",
    "--mode": "what lies outside is --border, how much comes back --padding",
    "--boundary": "that is --border",
    "--border-type": "that is --border",
    "--virtual-pixel": "that is --border",
    "--device": "it computes on the processor; --threads N",
    "--cuda": "it computes on the processor; --threads N",
    "--gpu": "it computes on the processor; --threads N",
    "--list": "named kernels are listed by convcli kernels",
    "--version": "that stands alone: convcli --version",
    **dict.fromkeys(("--mask", "--region", "--channels", "--threshold"), OF_A_PART),
}
"""What other tools call an option, and where it is here."""


def no_such_option(name: str, argument: str, named: Mapping[str, Any]) -> UsageError:
    """The error for an option that a command has not, with what comes near."""
    from difflib import get_close_matches

    whole = argument if argument.startswith("--") else f"-{argument}"
    plain = whole.partition("=")[0].lower().replace("_", "-")
    longer = [option for option in named if option.startswith(plain) and option.startswith("--")]
    near = [plain] if plain in named else longer or get_close_matches(plain, list(named), 1, 0.7)
    if plain in ELSEWHERE and plain not in named:
        hint = f"; {ELSEWHERE[plain]}"
    else:
        hint = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    inside = f" in {argument!r}" if argument.partition("=")[0] != name else ""
    return UsageError(f"no such option{inside}{hint}", where=name)


COMMANDS_ELSEWHERE = {
    **dict.fromkeys("convolve convolve2d correlate correlate2d filter2d sepfilter2d imfilter".split(), "conv2d"),
    "conv": "conv2d",
    "conv1d": "conv2d",
    "filter": "conv2d",
    "blur": "conv2d -k gaussian:2",
    "gaussian": "conv2d -k gaussian:2",
    "sharpen": "conv2d -k sharpen",
    "sobel": "conv2d -k sobel:x",
    "edge": "conv2d -k sobel:x",
    "resize": "upsample --scale",
    "scale": "upsample --scale",
    "deconv": "upsample",
    "transpose": "upsample",
    "convtranspose2d": "upsample",
    "depthwise": "separable",
    "atrous": "dilate",
    "dilated": "dilate",
    "cost": "flops",
    "macs": "flops",
    "params": "flops",
    "summary": "shapes",
    "size": "shapes",
    "list": "kernels",
    "benchmark": "tune",
    "version": "--version",
    "-v": "--version",
}
"""What others call what a command does."""


def no_such_command(name: str, commands: Sequence[str] | Mapping[str, str], before: str = "convcli") -> UsageError:
    """The error for a word that is no command, with what comes near; `before` is what was typed before it."""
    from difflib import get_close_matches

    from convcli.kernels import meant_by

    plain = name.lower().replace("-", "").replace("_", "") if not name.startswith("-") else name
    near = [plain] if plain in commands else get_close_matches(plain, [*commands, "--version", "--help"], 1, 0.7)
    if plain in COMMANDS_ELSEWHERE:
        near = [COMMANDS_ELSEWHERE[plain]]
    hint = f"did you mean: {before} {near[0]}" if near else f"commands are {', '.join(commands)}"
    if not near and (kernel := meant_by(name)):
        hint = f"kernels are given to conv2d by -k{kernel}"
    if not near and ("." in name or name.startswith("-")):
        hint = f"the command comes first: convcli conv2d {name} ..."
    return UsageError(f"no such command; {hint}", where=name)


LAYERED = ("conv2d", "conv3d", "upsample")
"""Commands that take a layer of a network in place of a kernel."""


def missing(command: str, option: str, words: Sequence[str]) -> UsageError:
    """The error for the kernel that must be given; it may stand among the words."""
    from convcli.kernels import parse_kernel

    def is_kernel(text: str) -> bool:
        try:
            parse_kernel(text)
        except ConvError:
            return False
        return True

    given = [text for text in words if not os.path.lexists(text) and text != "-" and is_kernel(text)]
    example = "bilinear" if command == "upsample" else "gaussian:2"
    layer = ", or --layer model.onnx:NODE" if command in LAYERED else ""
    hint = f"if it is {given[0]!r}: {option} {given[0]}" if given else f"such as {option} {example}{layer}"
    return UsageError(f"the kernel is missing; {hint}", where=option)


def joined(value: str, numbers: Sequence[str]) -> str:
    """A value and the numbers behind it as one value: parameters of a kernel, its taps, or one for each axis.

    >>> joined("gaussian", ["2"]), joined("box:3", ["5"]), joined("2", ["2"]), joined("0", ["-1", "0"])
    ('gaussian:2', 'box:3,5', '2,2', '0,-1,0')
    """
    from convcli.kernels import KERNELS

    return f"{value}{':' if value.lower() in KERNELS else ','}{','.join(numbers)}"
