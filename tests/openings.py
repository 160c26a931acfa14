"""Arrays as sources and targets of boxes: in memory, or in a file that any process can open."""

from contextlib import nullcontext
from threading import Lock

import numpy as np

from convcli.image import Grid
from convcli.records import record

ONE_BY_ONE = Lock()
"""NumPy's headers are read as Python's syntax, which not every Python 3.11 parses in several threads at once."""


class Pixels:
    """An array, of which boxes are read and written."""

    def __init__(self, data, block=None):
        self.data, self.grid = data, Grid(block or (1,) * data.ndim)

    def read(self, spans, out):
        out[...] = self.data[tuple(slice(*span) for span in spans)]

    def write(self, spans, pixels):
        self.data[tuple(slice(*span) for span in spans)] = pixels


@record(eq=False)
class Kept:
    """An array in memory."""

    data: object

    def opened(self):
        return nullcontext(Pixels(self.data))


@record
class Mapped:
    """An array in a .npy file."""

    path: str
    block: tuple | None = None

    def opened(self):
        with ONE_BY_ONE:
            return nullcontext(Pixels(np.load(self.path, mmap_mode="r+"), self.block))
