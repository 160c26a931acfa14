"""Scans of a JPEG in compiled code: their Huffman codes walked through, to find where the data end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convcli.native import _built, _load, _wanted

if TYPE_CHECKING:
    import numpy as np

_entropy = _load("_entropy")
AVAILABLE: bool = _wanted(_entropy)
FAULTS = (
    "",
    "the data end too early",
    "bits that are no code",
    "more bytes than the picture needs",
    "a restart marker of another number",
    "more coefficients than a block has",
    "a Huffman table is missing or impossible",
)
"""What is wrong with a scan, by number."""


def walk(
    content: bytes,
    start: int,
    scan: tuple[int, int, int],
    units: tuple[int, int],
    tables: tuple[bytes, bytes],
    seen: np.ndarray[Any, Any],
) -> tuple[int, int, int]:
    """(fault, place, units walked through): 0 for none, the marker behind the data or where the fault is.

    `scan` is its kind (0 sequential, 1 and 2 first coefficients and their refinement, 3 and 4 the others, 5 lossless)
    and the numbers of the first and last coefficient; `units` how many there are, and between restarts (0: none);
    `tables` those of each block of a unit, two bytes, and the eight Huffman tables; `seen` has 64 bits for each block
    of the component in scans of kinds 3 and 4: the coefficients that are not zero. ValueError for what cannot be.
    """
    found: tuple[int, int, int] = _built(_entropy).walk(content, start, *scan, *units, *tables, seen)
    return found
