"""Scans of a JPEG in compiled code: their Huffman codes walked through to the end of the data, or cut into parts."""

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
    "a brightness beyond what a code can say",
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


PLACES = 9
"""Numbers that say where a scan stands: the byte, bits at hand in three, the units done, four first coefficients."""


def cut(
    content: bytes,
    place: np.ndarray[Any, Any],
    units: tuple[int, int, int],
    tables: tuple[bytes, bytes, bytes],
    components: bytes,
) -> tuple[int, bytes]:
    """(fault, data) of the next units of a scan of kind 0 whose components are together, decodable by themselves.

    `place` has `PLACES` numbers (int64) and moves on; where a scan begins all are 0 but the byte. `units` are those of
    this part, those of the scan, and those between restarts (0: none). `tables` are as for `walk`, and the eight with
    which first coefficients are written; `components` has the number (0 to 3) of each block of a unit. The last part
    is at fault where the data go on. ValueError for what cannot be.
    """
    found: tuple[int, bytes] = _built(_entropy).cut(content, place, *units, *tables, components)
    return found
