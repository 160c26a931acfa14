"""Kernels as Python and NumPy print lists: `[[0, -1, 0], [-1, 5, -1]]`, `[[ 0. -1.]\\n [ 1.  0.]]`, `array([...])`.

MATLAB's matrices and C's braces are read, too. Lists are shaped like the arrays of a file; none is ever padded, and no
list is run as code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from convcli.errors import KernelError
from convcli.kernels.inline import flatten, layout, number_at, parse_inline, shape_of, spelled
from convcli.kernels.kernel import Kernel
from convcli.numerals import number_text

CALL = re.compile(
    r"(?:(?:np|numpy|torch)\.)?(?:array|asarray|tensor)\s*\((.*?)(?:,\s*(?:dtype|device)\s*=[^\[\](),]+)*\s*,?\s*\)",
    re.DOTALL,
)
TOKEN = re.compile(r"[\[\](){},]|[^\s\[\](){},]+")
MATRIX = re.compile(r"\[([^\[\](){}]*;[^\[\](){}]*)\]")
"""MATLAB's rows in one pair of brackets: [0 -1 0; -1 5 -1; 0 -1 0]."""
CLOSING = {"[": "]", "(": ")", "{": "}"}
DEEPEST = 5  # (O, I/g, kd, kh, kw)
LEVELS = {2: ("filter", "channel", "row", "value"), 3: ("filter", "channel", "slice", "row", "value")}


def is_list(text: str) -> bool:
    """True for what begins like a printed list.

    >>> is_list("[[1, 2]]"), is_list("np.array([1])"), is_list("1 2"), is_list("array")
    (True, True, False, False)
    """
    return text.startswith(tuple(CLOSING)) or CALL.fullmatch(text) is not None


def parse_list(text: str, ndim: int) -> Kernel:
    """The kernel in a printed list: rows of values, or an array of more axes, as in a file.

    >>> parse_list("[[0,-1,0],[-1,5,-1],[0,-1,0]]", 2).name
    '0 -1 0; -1 5 -1; 0 -1 0'
    """
    if matrix := MATRIX.fullmatch(text):
        return parse_inline(matrix[1].strip().removesuffix(";"), ndim)
    call = CALL.fullmatch(text)
    nested = read_list(call[1].strip() if call else text)
    depth, first = 0, nested
    while isinstance(first, list):
        depth, first = depth + 1, first[0] if first else None
    layout([1] * depth, ndim)  # a depth that no kernel has is refused before the values are looked at
    levels = LEVELS[ndim][-depth:]
    taps = numbers(nested, levels)
    shape, bank = layout(shape_of(taps, levels), ndim)
    name = listed(taps) if bank else spelled(taps, levels)
    return Kernel.from_values(name, shape, flatten(taps), bank=bank)


def read_list(text: str) -> Any:
    """Nested lists of words; between two values stands a comma, a blank, or both.

    >>> read_list("[[1, 2],\\n [3  4]]")
    [['1', '2'], ['3', '4']]
    """
    tokens = TOKEN.finditer(text)
    first = next(tokens, None)
    if first is None or first[0] not in CLOSING:
        raise KernelError(f"{text[:40]!r} is no list of numbers, such as [[0,-1,0],[-1,5,-1],[0,-1,0]]")
    found = items(tokens, first[0], 1)
    if more := next(tokens, None):
        raise KernelError(f"{more[0]!r} behind the end of the list, at character {more.start() + 1}")
    return found


def items(tokens: Iterator[re.Match[str]], opening: str, depth: int) -> list[Any]:
    """The values up to the bracket that closes a list."""
    if depth > DEEPEST:
        raise KernelError(f"lists are nested deeper than {DEEPEST}, the axes of a filter bank of volumes")
    found: list[Any] = []
    divided = True  # a comma may not come here
    for token in tokens:
        what = token[0]
        if what == CLOSING[opening]:
            return found
        if what in CLOSING:
            found.append(items(tokens, what, depth + 1))
        elif what in CLOSING.values():
            raise KernelError(f"{what!r} at character {token.start() + 1} closes a {opening!r}")
        elif what == ",":
            if divided:
                raise KernelError(f"no value before the comma at character {token.start() + 1}")
        elif what == "...":
            raise KernelError("NumPy shortened the list (...); save the array as .npy, and give that file")
        else:
            found.append(what)
        divided = what == ","
    raise KernelError(f"the list is not closed: {CLOSING[opening]!r} is missing")


def numbers(value: Any, levels: Sequence[str], place: str = "") -> Any:
    """The same nested lists with numbers for words, as deep as `levels`."""
    if not levels:
        if isinstance(value, list):
            raise KernelError(f"{place} is a list, not a number")
        return number_at(place, value)
    if not isinstance(value, list):
        raise KernelError(f"{place} is {value}, not a list")
    before = f"{place}, " if place else ""
    return [numbers(part, levels[1:], f"{before}{levels[0]} {i}") for i, part in enumerate(value, 1)]


def listed(nested: Any) -> str:
    """Nested numbers as a list is written.

    >>> listed([[1.0, 0.5]])
    '[[1,0.5]]'
    """
    return f"[{','.join(map(listed, nested))}]" if isinstance(nested, list) else number_text(nested)
