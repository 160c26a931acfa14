"""Convolution of images and volumes, and its arithmetic.

The public names resolve on first use, so that importing this package, or asking it for help, loads no NumPy.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing's own is true for type checkers too, but `python -m` would look for typing.py right here
if TYPE_CHECKING:
    from convcli.api.files import read, write
    from convcli.api.filters import convolve, dilate, resize, separable, upsample
    from convcli.api.networks import Network, parse_network
    from convcli.api.plans import make_plan, request
    from convcli.errors import ConvError
    from convcli.filters.filter import Numbers
    from convcli.image import Image, ImageInfo
    from convcli.kernels import Kernel, parse_kernel
    from convcli.operations.dilated import Chain, Dilate, Joined, SideBySide
    from convcli.operations.filter import Correlate
    from convcli.operations.pair import Pair
    from convcli.operations.resampled import Resample
    from convcli.operations.transposed import Transpose
    from convcli.planner import Plan

__version__ = "0.2.0"

_PUBLIC = {
    **dict.fromkeys(("convolve", "dilate", "resize", "separable", "upsample"), "convcli.api.filters"),
    **dict.fromkeys(("read", "write"), "convcli.api.files"),
    **dict.fromkeys(("Network", "parse_network"), "convcli.api.networks"),
    **dict.fromkeys(("make_plan", "request"), "convcli.api.plans"),
    **dict.fromkeys(("Kernel", "parse_kernel"), "convcli.kernels"),
    **dict.fromkeys(("Image", "ImageInfo"), "convcli.image"),
    **dict.fromkeys(("Chain", "Dilate", "Joined", "SideBySide"), "convcli.operations.dilated"),
    "Correlate": "convcli.operations.filter",
    "Pair": "convcli.operations.pair",
    "Resample": "convcli.operations.resampled",
    "Transpose": "convcli.operations.transposed",
    "Numbers": "convcli.filters.filter",
    "Plan": "convcli.planner",
    "ConvError": "convcli.errors",
}
"""What the package offers, and where it is; the imports above tell the same to type checkers."""

__all__ = [  # what _PUBLIC has, spelled out for type checkers
    "Chain",
    "ConvError",
    "Correlate",
    "Dilate",
    "Image",
    "ImageInfo",
    "Joined",
    "Kernel",
    "Network",
    "Numbers",
    "Pair",
    "Plan",
    "Resample",
    "SideBySide",
    "Transpose",
    "__version__",
    "convolve",
    "dilate",
    "make_plan",
    "parse_kernel",
    "parse_network",
    "read",
    "request",
    "resize",
    "separable",
    "upsample",
    "write",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _PUBLIC:
            raise AttributeError(f"module 'convcli' has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
        return found

    def __dir__():
        return sorted(__all__)
