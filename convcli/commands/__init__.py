"""The table of subcommands, in the order of `convcli --help`, each with its sentence there.

A name is that of a module of this package with a function of the same name, imported only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own takes a quarter of the instructions of `convcli --help`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COMMANDS = {
    "conv2d": "Filter every plane of an image with 2-D kernels.",
    "conv3d": "Filter every volume of an image with 3-D kernels.",
    "upsample": "Make images larger: by transposed convolution with a stride, or by a scale.",
    "separable": "Filter each channel alone, then mix the channels: depthwise separable convolution.",
    "dilate": "Filter with kernels whose taps lie a rate apart: dilated (atrous) convolution.",
    "shapes": "Say what size every layer makes, what it pads and drops, and how far it sees.",
    "flops": "Count the parameters, multiply-adds, FLOPs and memory of every layer.",
    "kernels": "List the named kernels, show what a kernel is, save one to a file, or draw it.",
    "tune": "Measure this machine, and keep the numbers that the planner chooses methods by.",
    "completion": "Print a script that completes commands, options and their values in a shell.",
}


def command_function(name: str) -> Callable[..., Any]:
    """The function behind a subcommand.

    >>> command_function("kernels").__module__
    'convcli.commands.kernels'
    """
    function: Callable[..., Any] = getattr(import_module(f"convcli.commands.{name}"), name)
    return function
