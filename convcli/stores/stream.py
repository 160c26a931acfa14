"""An object as a file that is open for reading: what is asked for is fetched by ranges, and little else.

Small reads are served from blocks that are kept. Who reads one block after the other gets more at a time; who knows
which parts come next says so (`fetch`), and gets them side by side. Who reads at a place gets just that.
"""

from __future__ import annotations

import io
from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

BLOCK = 1 << 16
"""Bytes of a block: what a store sends in about the time that it takes to answer at all."""
KEPT = 512
"""Blocks that are kept."""
AHEAD = 128
"""Blocks that are read at a time, at most, by who reads on."""
LARGE = 1 << 20
"""Bytes from which a read is a request of its own."""
FETCHED = 1 << 23
"""Bytes of one request, at most, of those that are made side by side."""
SIDE_BY_SIDE = 8

Read = Callable[[int, int], bytes]
"""Brings the bytes from the first number to before the second."""
Span = tuple[int, int]


class RemoteFile(io.RawIOBase):
    """`size` bytes that `read` brings; the first of them are here."""

    def __init__(self, read: Read, size: int, first: bytes = b"") -> None:
        self.bring, self.size = read, size
        self.blocks: OrderedDict[int, bytes] = OrderedDict()
        self.held: list[tuple[Span, bytes]] = []
        self.lock = allocate_lock()
        self.place, self.after, self.ahead = 0, -1, 1
        whole = len(first) if len(first) >= size else len(first) // BLOCK * BLOCK
        self._keep(0, first[:whole])

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, from the start, from here, or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{base + offset} lies before the start")
        self.place = base + offset
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes."""
        count = self._fill(memoryview(buffer).cast("B"), self.place, LARGE)
        self.place += count
        return count

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from a place on, without going there; how many bytes there were."""
        return self._fill(buffer, offset, 0)

    def fetch(self, spans: Iterable[Span]) -> None:
        """Bring what will be read next, side by side: spans from a first byte to before a last one."""
        from concurrent.futures import ThreadPoolExecutor

        runs = merged(span for span in spans if not self._is_here(*span))
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            self.held = list(zip(runs, pool.map(lambda run: self.bring(*run), runs), strict=True))

    def _fill(self, buffer: memoryview, start: int, large: int) -> int:
        """Fill a buffer, by a request for just that where it is not smaller than `large` and nothing of it is here."""
        stop = min(start + len(buffer), self.size)
        if stop <= start:
            return 0
        for (first, last), data in self.held:
            if first <= start and stop <= last:
                buffer[: stop - start] = memoryview(data)[start - first : stop - first]
                return stop - start
        here = stop - start < large or self._is_here(start, stop)
        buffer[: stop - start] = self._kept(start, stop) if here else self.bring(start, stop)
        return stop - start

    def _kept(self, start: int, stop: int) -> bytes:
        """Some bytes, of blocks that are kept from now on."""
        with self.lock:
            found = b"".join([self._block(number) for number in range(start // BLOCK, -(-stop // BLOCK))])
        return found[start % BLOCK : start % BLOCK + stop - start]

    def _is_here(self, start: int, stop: int) -> bool:
        """Whether all blocks of a span are kept."""
        return all(number in self.blocks for number in range(start // BLOCK, -(-stop // BLOCK)))

    def _block(self, number: int) -> bytes:
        """A block, with those after it where the one before was read before."""
        if number in self.blocks:
            self.blocks.move_to_end(number)
            return self.blocks[number]
        self.ahead = min(2 * self.ahead, AHEAD) if number == self.after else 1
        self.after = number + self.ahead
        self._keep(number, self.bring(number * BLOCK, min(self.after * BLOCK, self.size)))
        return self.blocks[number]

    def _keep(self, number: int, data: bytes) -> None:
        """Keep blocks from one on, instead of those that were not used for the longest time."""
        for place in range(0, len(data), BLOCK):
            self.blocks[number + place // BLOCK] = data[place : place + BLOCK]
        while len(self.blocks) > KEPT:
            self.blocks.popitem(last=False)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those together that lie close to each other, as far as one request brings them.

    >>> merged([(10, 20), (0, 10), (1_000_000, 1_000_010)])
    [(0, 20), (1000000, 1000010)]
    """
    runs: list[Span] = []
    for start, stop in sorted(spans):
        if runs and start <= runs[-1][1] + BLOCK and stop - runs[-1][0] <= FETCHED:
            runs[-1] = runs[-1][0], max(stop, runs[-1][1])
        else:
            runs.append((start, stop))
    return runs
