"""What tifffile and the codecs raise on broken files, and what they only log."""

from __future__ import annotations

import logging
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from convcli.formats.failures import ADDRESS, corrupt
from convcli.formats.options import ReadOptions

DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError, ZeroDivisionError),
    *(RuntimeError, EOFError, struct.error, zlib.error),
)
"""What tifffile and the codecs raise on broken files: they trust what the tags say of each other."""
UNHEARD = ("GDAL_NODATA",)  # what tifffile logs of tags that are read here, by other rules


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
    return tuple(f"tifffile says: {ADDRESS.sub('', line).strip()}" for line in serious)
