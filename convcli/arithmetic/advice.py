"""What a traced network should make its author think of: lost columns, shifted padding, checkerboards."""

from __future__ import annotations

from collections.abc import Callable

from convcli.arithmetic.sizes import Transposed
from convcli.arithmetic.trace import Step, Trace

NAMED = 3
"""Layers that one line of advice names; the others are counted."""


def advice(trace: Trace) -> list[str]:
    """One line for each thing, naming its first layers; the warnings of the walk itself come first."""
    found = [(text, named(trace, question)) for text, question in QUESTIONS]
    return [*trace.warnings, *(f"{layers}: {text}" for text, layers in found if layers)]


def named(trace: Trace, question: Callable[[Step], bool]) -> str:
    """The layers that a question is true of.

    >>> from convcli.arithmetic.notation import parse
    >>> from convcli.arithmetic.network import Shape
    >>> from convcli.arithmetic.trace import trace
    >>> named(trace(parse("max2 5*conv2-1"), Shape(1, (99,))), drops)
    'max2'
    """
    words = list(dict.fromkeys(step.word for step in trace.steps if question(step)))
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


QUESTIONS = (
    ("columns at the end are never read (an odd size); --inputs lists the sizes that lose nothing", drops),
    ("SAME pads one side more here: padding k//2 makes the same size, but shifted by a pixel", shifts),
    ("the kernel is no multiple of the stride: outputs overlap unevenly (checkerboard)", overlaps_unevenly),
)
