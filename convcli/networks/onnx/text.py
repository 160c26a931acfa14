"""Words of a graph, each with what it reads and makes, as a text: what is remembered, and blocks that come again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convcli.networks.onnx.layouts import Key

SHORTEST_BLOCK = 3


class Word(NamedTuple):
    """What a step is written as: its word, the values that it reads, the value that it makes.

    `join` is how it puts several together: cat, add or mul, or attend, whose word has the names of the others.
    """

    text: str
    reads: tuple[Key, ...]
    makes: Key
    join: str = ""

    def ordered(self, current: Key) -> tuple[Key, ...]:
        """What it reads, first what arrives where the order does not matter."""
        first, *others = self.reads or (self.makes,)
        if self.join in ("add", "mul") and first != current and current in others:
            others[others.index(current)], first = first, current
        return first, *others


def written(words: Sequence[Word]) -> Iterator[str]:
    """Words in order, with what must be remembered and gone on from."""
    last, wanted = last_uses(words), remembered(words)
    names: dict[Key, str] = {}
    current: Key = (-1, 0)
    yield from named(current, names, wanted, last, -1)
    for i, word in enumerate(words):
        first, *others = word.ordered(current)
        if word.reads and first != current:
            yield f"from:{names[first]}"
        if word.join == "attend":
            yield ":".join((word.text, *(names[other] for other in others)))
        elif word.join:
            yield from (f"{word.join}:{names[other]}" for other in others)
        else:
            yield from word.text.split()
        current = word.makes
        yield from named(current, names, wanted, last, i)


def remembered(words: Sequence[Word]) -> set[Key]:
    """The values that are read when they are not the last ones made."""
    found, current = set[Key](), (-1, 0)
    for word in words:
        first, *others = word.ordered(current)
        found.update([first] if word.reads and first != current else [], others)
        current = word.makes
    return found


def last_uses(words: Sequence[Word]) -> dict[Key, int]:
    """The last word that reads each value."""
    return {key: i for i, word in enumerate(words) for key in word.reads}


def named(made: Key, names: dict[Key, str], wanted: set[Key], last: dict[Key, int], now: int) -> Iterator[str]:
    """as:NAME for a value that must be remembered, under the first name that is free again."""
    if made not in wanted:
        return
    taken = {name for key, name in names.items() if last.get(key, -1) > now}
    for key in [key for key, name in names.items() if name not in taken]:
        del names[key]
    names[made] = next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)
    yield f"as:{names[made]}"


def folded_lines(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Words as lines, and blocks that stand in them several times, by name."""
    from convcli.networks.told.folding import folded

    lines: list[str] = []
    blocks: dict[str, list[str]] = {}
    for run in folded(words):
        some = list(words[run.start : run.start + run.length])
        if run.times == 1 or run.length < SHORTEST_BLOCK:
            lines += some * run.times
            continue
        name = next((name for name, block in blocks.items() if block == some), f"block{len(blocks) + 1}")
        blocks[name] = some
        lines.append(f"{run.times}*{name}")
    return lines, blocks
