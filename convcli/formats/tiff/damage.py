"""What tifffile and the codecs raise on broken files, and what they only log."""

from __future__ import annotations

import logging
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convcli.formats.contract import ReadOptions
from convcli.formats.failures import ADDRESS, corrupt
from convcli.formats.source import SMALL

DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError, ZeroDivisionError),
    *(RuntimeError, EOFError, struct.error, zlib.error),
)
"""What tifffile and the codecs raise on broken files: they trust what the tags say of each other."""
UNHEARD = ("GDAL_NODATA",)  # what tifffile logs of tags that are read here, by other rules

ONE_NUMBER = (256, 257, 259, 262, 277, 278, 284, 317, 322, 323)
"""Tags of sizes, compression, colours, layout and prediction."""
TILE_WIDTH, TILE_LENGTH = 322, 323
SIZES = (277, 278, TILE_WIDTH, TILE_LENGTH)  # a page without rows or columns is called empty elsewhere
WHOLE = (1, 3, 4, 6, 8, 9, 16, 17)  # types of integers
OF_FLOATS, FLOATS = 3, 3  # a predictor, and a format of samples
FAXES = (2, 3, 4)


@contextmanager
def listening() -> Iterator[list[str]]:
    """What tifffile and imagecodecs log in this thread from warnings on, as a growing list of lines."""
    heard: list[str] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if threading.get_ident() == thread:
                heard.append(record.getMessage())

    listener = Listener(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        yield heard
    finally:
        for logger in loggers:
            logger.removeHandler(listener)


def judged(heard: list[str], options: ReadOptions) -> tuple[str, ...]:
    """The lines of tifffile's log as notes; an error unless the reading is lenient."""
    serious = [line for line in dict.fromkeys(heard) if not any(word in line for word in UNHEARD)]
    if serious and not options.lenient:
        raise corrupt("TIFF", serious[0])
    return tuple(f"tifffile says: {re.sub(ADDRESS, '', line).strip()}" for line in serious)


def check_page(page: Any) -> None:
    """Refuse a page whose tags contradict themselves or each other, as libtiff does.

    tifffile takes the first of several numbers, of whatever type, and memory for a tile as it is declared.
    """
    for code in ONE_NUMBER:
        if code in page.tags and (page.tags[code].count != 1 or page.tags[code].dtype not in WHOLE):
            raise corrupt("TIFF", f"tag {code} is not one whole number")
        if code in page.tags and code in SIZES and not 0 < page.tags[code].value < 2**32:
            raise corrupt("TIFF", f"tag {code} declares a size of {page.tags[code].value}")
    if (TILE_WIDTH in page.tags) != (TILE_LENGTH in page.tags):
        raise corrupt("TIFF", "of its tiles only one side is declared")
    if page.is_tiled and page.tilewidth * page.tilelength > max(4 * page.imagewidth * page.imagelength, SMALL):
        tile = f"{page.tilewidth:,} x {page.tilelength:,}"
        raise corrupt(
            "TIFF", f"its tiles ({tile}) are larger than its {page.imagewidth:,} x {page.imagelength:,} pixels"
        )
    if page.predictor == OF_FLOATS and page.sampleformat != FLOATS:
        raise corrupt("TIFF", "a predictor of floating-point numbers is declared for other samples")
    if page.compression in FAXES and (page.bitspersample, page.samplesperpixel) != (1, 1):
        raise corrupt(
            "TIFF", f"fax data are declared to be {page.samplesperpixel} samples of {page.bitspersample} bits"
        )
