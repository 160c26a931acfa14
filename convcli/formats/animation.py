"""Animations: pictures along T, how long each is shown, and how often all of them are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.image import Image, ImageInfo

KEY = "animation"
USUAL = 100.0  # milliseconds, where nobody tells
FOR_EVER = 0


@record
class Animation:
    """The time of each picture in milliseconds, and how often all are shown: 0 for ever."""

    times: tuple[float, ...]
    plays: int = FOR_EVER


def animation_of(info: ImageInfo) -> Animation:
    """The times of an image's pictures; usual ones where none are told of as many."""
    held: Animation | None = info.metadata.get(KEY)
    count = info.size("T")
    return held if held is not None and len(held.times) == count else Animation((USUAL,) * count)


def still(info: ImageInfo) -> ImageInfo:
    """One of an image's pictures."""
    place = info.axes.find("T")
    if place < 0:
        return info
    return replace(info, axes=info.axes.replace("T", ""), shape=(*info.shape[:place], *info.shape[place + 1 :]))


def stills(image: Image) -> Iterator[Image]:
    """The pictures of an image, one after the other."""
    from convcli.image import Image

    place = image.info.axes.find("T")
    for number in range(image.info.size("T")):
        pixels = image.data if place < 0 else image.data[(slice(None),) * place + (number,)]
        yield Image(still(image.info), pixels)
