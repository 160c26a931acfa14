"""What an image says beside its pixels, on its way through: its tables are loaded for images that say something."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from convcli.image import ImageInfo

if TYPE_CHECKING:
    from convcli.formats.table import Format

__all__ = ["fitted", "left_out", "lost", "understood"]

OF_THE_ENCODER = {"jpeg"}  # keys that say how pixels were stored, and nothing of the picture


def is_silent(info: ImageInfo) -> bool:
    """True for an image without a word beside its pixels."""
    return info.metadata.keys() <= OF_THE_ENCODER and not info.spacing and info.axes in ("YX", "YXS")


def understood(info: ImageInfo) -> ImageInfo:
    """What a module found, with what it says beside the pixels made sure of."""
    found: ImageInfo = info if is_silent(info) else import_module("convcli.formats.metadata").understood(info)
    return found


def fitted(entry: Format, info: ImageInfo) -> ImageInfo:
    """The image with what it says beside the pixels in the form that a format has."""
    if is_silent(info):
        return info
    found: ImageInfo = import_module("convcli.formats.metadata").fitted(info, entry.place(info))
    return found


def lost(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """What matters and is lost in a format; a warning, or none."""
    found: tuple[str, ...] = () if is_silent(info) else import_module("convcli.formats.kinds").lost(entry, info)
    return found


def left_out(entry: Format, info: ImageInfo) -> tuple[str, ...]:
    """What hardly matters and is lost in a format; a remark, or none."""
    found: tuple[str, ...] = () if is_silent(info) else import_module("convcli.formats.kinds").lost_quietly(entry, info)
    return found
