"""What a traced network should make its author think of: lost columns, shifted padding, checkerboards."""

from __future__ import annotations

import re

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed, ceil_output
from convcli.networks.trace import Step, Trace

CEIL = "a printed AvgPool does not say its ceil_mode, False is taken: with ceil_mode=True it would make more"
NAMED = 3
"""Layers that one line of advice names; the others are counted."""


def advice(trace: Trace) -> list[str]:
    """One line for each thing, naming its first layers; what the walk itself remarked comes first.

    >>> from convcli.networks.notation import parse
    >>> from convcli.networks.network import Shape
    >>> from convcli.networks.trace import trace
    >>> advice(trace(parse("2*{ conv2-1p0:1 | id }"), Shape(1, (9,))))
    ['layers 1 to 2 (0.5 px): the branches do not align, their centres differ']
    """
    found: dict[str, list[str]] = {}
    for text, where, amount in trace.remarks:
        found.setdefault(text, []).append(f"{where} ({amount})" if amount else where)
    for text, question in QUESTIONS:
        found[text] = [step.word for step in trace.steps if question(step)]
    return [f"{named(places)}: {text}" for text, places in found.items() if places]


def doubts(trace: Trace) -> list[str]:
    """What of the advice says that the sizes, and so the costs, may be others."""
    return [line for line in advice(trace) if line.endswith(CEIL)]


def named(places: list[str]) -> str:
    """The first of several places, and how many more there are; each counts once.

    >>> named(["a", "b", "a"]), named(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    words = list(dict.fromkeys(places))
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def drops(step: Step) -> bool:
    """True where columns at the end are never read."""
    return any(step.dropped)


def shifts(step: Step) -> bool:
    """True where SAME pads one side more than the other."""
    return step.layer.pad in ("s", "l") and any(begin != end for begin, end in step.applied.pads)


def overlaps_unevenly(step: Step) -> bool:
    """True where a transposed kernel is no multiple of its stride."""
    return any(isinstance(axis, Transposed) and axis.kernel % axis.stride for axis in step.applied.axes)


def hides_ceil(step: Step) -> bool:
    """True for a printed AvgPool of which ceil_mode, that it does not print, would change the size."""
    if step.kind != "avg" or step.layer.ceil or not PRINTED_AVERAGE.match(step.layer.place.text):
        return False
    return any(isinstance(axis, Geometry) and ceil_output(axis) != axis.output for axis in step.applied.axes)


PRINTED_AVERAGE = re.compile(r"AvgPool\dd\(kernel_size=.*, padding=[^=]*\)", re.ASCII)
"""How PyTorch prints an average pooling; one that is typed says its ceil_mode."""

QUESTIONS = (
    (CEIL, hides_ceil),
    ("columns at the end are never read (an odd size); --inputs lists the sizes that lose nothing", drops),
    ("SAME pads one side more here: padding k//2 makes the same size, but shifted by a pixel", shifts),
    ("the kernel is no multiple of the stride: outputs overlap unevenly (checkerboard)", overlaps_unevenly),
)
