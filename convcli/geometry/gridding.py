"""Dilated layers one after the other: how far they see, and whether they see every pixel on the way.

Layers whose rates have a common factor, or grow too fast, read their receptive field through a grid: some pixels inside
never reach an output. Wang et al. called it gridding ("Understanding Convolution for Semantic Segmentation", 2018,
arXiv:1702.08502, section 3.2) and gave a rule, M_2 <= K, for rates without a common factor. Here the pixels that are
read are counted instead, which is exact for any rates, kernel sizes and strides.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from convcli.records import record


@record
class Reach:
    """What one output sees along an axis: `field` pixels from the first to the last, `read` of them by some path."""

    field: int
    read: int


def reach(layers: Iterable[tuple[int, int, int]]) -> Reach:
    """What layers of (taps, rate, stride), the first one first, see together.

    >>> reach([(3, 1, 1), (3, 2, 1), (3, 4, 1)]), reach([(3, 2, 1), (3, 2, 1), (3, 2, 1)])
    (Reach(field=15, read=15), Reach(field=13, read=7))
    """
    seen, jump = 1, 1  # a bit for each pixel from the first on
    for taps, rate, stride in layers:
        seen = reduce(or_, [seen << tap * rate * jump for tap in range(taps)])
        jump *= stride
    return Reach(seen.bit_length(), seen.bit_count())
