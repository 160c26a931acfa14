"""Memory that one tile leaves to the next: fresh pages from the system cost as much as the arithmetic done on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@record
class Workspace:
    """Buffers of one method, lent to as many threads as ask; each holds at least what its last borrower needed."""

    spare: list[Array] = field(default_factory=list, init=False)

    @contextmanager
    def borrow(self, shape: tuple[int, ...], dtype: Any) -> Iterator[Array]:
        """An array with any values in it, until the end of the block."""
        import numpy as np

        needed = prod(shape) * np.dtype(dtype).itemsize
        buffer = self.spare.pop() if self.spare else np.empty(0, np.uint8)
        if len(buffer) < needed:
            buffer = np.empty(needed, np.uint8)
        yield buffer[:needed].view(dtype).reshape(shape)
        self.spare.append(buffer)
