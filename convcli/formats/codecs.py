"""Codecs of imagecodecs, which a build of it may lack; musl (Alpine) has no build of it at all."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from convcli.errors import ConvError


def imagecodecs() -> ModuleType | None:
    """The module, where it is installed."""
    try:
        return import_module("imagecodecs")
    except ImportError:
        return None


def codec(name: str, title: str) -> Any:
    """imagecodecs, with the codec of a name in it. Raises ConvError: codec-missing."""
    module = imagecodecs()
    if module is None:
        raise lacking(title)
    if not getattr(module, name).available:
        raise missing(title)
    return module


def function(name: str, what: str) -> Any:
    """One of its functions, which every build has. Raises ConvError: codec-missing.

    >>> function("zlib_decode", "a strip")(function("zlib_encode", "a strip")(b"abc"))
    b'abc'
    """
    module = imagecodecs()
    if module is None:
        raise lacking(what)
    return getattr(module, name)


def missing(title: str) -> ConvError:
    """The error where there is no codec for a format."""
    return ConvError(
        f"the imagecodecs installed here has no {title}; install one that does, or convert", "codec-missing"
    )


def lacking(what: str) -> ConvError:
    """The error where there is no imagecodecs.

    >>> print(lacking("LZW"))
    LZW needs imagecodecs, which is not installed: pip install imagecodecs, or convert it first [codec-missing]
    """
    way = "pip install imagecodecs, or convert it first"
    return ConvError(f"{what} needs imagecodecs, which is not installed: {way}", "codec-missing")
