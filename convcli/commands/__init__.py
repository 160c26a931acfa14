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
    "help": "Show what commands there are, or the help of one.",
}


def overview() -> str:
    """What `convcli --help` prints."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name.ljust(width)}  {does}" for name, does in COMMANDS.items())
    return f"""Usage: convcli COMMAND [OPTIONS] WORDS...

  Filter images and volumes by convolution, and answer shape and cost questions.

Commands:
{commands}

Options:
  -V, --version  Print the version and what it runs on.
  -h, --help     Show this message; after a command, its examples and the options used most.
  --help-all     After a command: all its options.

  Example: convcli conv2d photo.jpg -k sharpen -o out.jpg"""


def command_function(name: str) -> Callable[..., Any]:
    """The function behind a subcommand.

    >>> command_function("kernels").__module__
    'convcli.commands.kernels'
    """
    function: Callable[..., Any] = getattr(import_module(f"convcli.commands.{name}"), name)
    return function
