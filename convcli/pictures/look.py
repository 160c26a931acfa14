"""What there is to see of an image, as plain data: a small picture, pixels as they are, and how often samples have
which values. It travels between processes as JSON, and into pages.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class View(TypedDict):
    """A part of the plane that is shown: its `box` (top, left, bottom, right) in pixels, as a `picture` of fewer or as
    many: a data URL.
    """

    box: tuple[int, int, int, int]
    picture: str


class Bins(TypedDict):
    """How many samples have which values: `counts` of bins of a `width`, of which the first begins at `first`.

    `known` samples are numbers; the others are counted nowhere. Values are `whole` or not.
    """

    name: str
    first: float
    width: float
    counts: list[int]
    known: int
    whole: bool


class Look(TypedDict):
    """An image as it is shown. The first of the `views` is all of its plane, of `size`; a pixel there is the mean of
    `factor` along each side.

    `grid` is where its pixels are in those of the input, (first, step) along rows and columns. `span` is what is black
    and white, and whether that is not all that there may be; `said` is what else is not as it seems.
    """

    title: str
    kind: str
    size: tuple[int, int]
    grid: tuple[tuple[float, float], tuple[float, float]]
    factor: int
    span: tuple[float, float, bool]
    views: list[View]
    histogram: list[Bins]
    said: list[str]


class Pictures(TypedDict):
    """What is seen of an input, before and after; `said` is why something is not."""

    before: NotRequired[Look]
    after: NotRequired[Look]
    kernels: list[str]
    said: list[str]
