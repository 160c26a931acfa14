"""Convolution of images and volumes, and its arithmetic.

The public names resolve on first use, so that importing this package, or asking it for help, loads no NumPy.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing's own is true for type checkers too, but `python -m` would look for typing.py right here
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "convolve": "convcli.api.filters",
    "make_plan": "convcli.planner",
    "parse_kernel": "convcli.kernels",
    "read": "convcli.formats",
    "write": "convcli.formats",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 -- every entry is a string; the linter does not follow the unpacking


def __getattr__(name: str) -> "Any":
    if name not in _PUBLIC:
        raise AttributeError(f"module 'convcli' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
