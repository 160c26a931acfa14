"""Codecs of imagecodecs, which a build of it may lack."""

from __future__ import annotations

from typing import Any

from convcli.errors import ConvError


def codec(name: str, title: str) -> Any:
    """imagecodecs, with the codec of a name in it. Raises ConvError: codec-missing."""
    try:
        import imagecodecs
    except ImportError as error:
        raise missing(title) from error
    if not getattr(imagecodecs, name).available:
        raise missing(title)
    return imagecodecs


def missing(title: str) -> ConvError:
    """The error where there is no codec for a format."""
    return ConvError(
        f"the imagecodecs installed here has no {title}; install one that does, or convert", "codec-missing"
    )
