"""The `expect` of a network file: what a design is said to cost, held against what it does."""

from __future__ import annotations

from collections.abc import Mapping

from convcli.errors import ConvError, UsageError
from convcli.networks.costs import Cost, peak_elements
from convcli.networks.trace import Fields, Trace

BEFORE = "receptive_field_before_"
SOURCES = ("source", "note")
KNOWN = (
    "output",
    "params",
    "macs",
    "macs_real",
    "flops",
    "activations",
    "peak",
    "products",
    "receptive_field",
    f"{BEFORE}KIND",
)


def check_expectations(expect: Mapping[str, object], trace: Trace, total: Cost) -> None:
    """Refuse a design that does not keep what its file says: exit code 1, all differences in one line."""
    wanted = {name: value for name, value in expect.items() if name not in SOURCES}
    found = {name: measured(name, trace, total) for name in wanted}
    unmet = [name for name in wanted if str(found[name]) != str(wanted[name])]
    differences = [f"{name} is {found[name]}, expected {wanted[name]}" for name in unmet]
    if differences:
        raise ConvError("; ".join(differences), "verify")


def measured(name: str, trace: Trace, total: Cost) -> object:
    """What an expectation is compared with."""
    if name == "output":
        return str(trace.output)
    if name == "peak":
        return peak_elements(trace)
    if name == "receptive_field" and trace.steps:
        return largest(trace.steps[-1].fields)
    if name.startswith(BEFORE):
        return largest(fields_before(trace, name.removeprefix(BEFORE)))
    if name not in KNOWN:
        raise UsageError(f"nothing to expect is called {name!r}; known are {', '.join(KNOWN)}", "layer")
    return getattr(total, name)


def fields_before(trace: Trace, kind: str) -> Fields:
    """The receptive fields of what the first layer of a kind reads."""
    for step in trace.steps:
        if step.kind == kind and step.sources and step.sources[0] >= 0:
            return trace.steps[step.sources[0]].fields
    raise UsageError(f"no layer in front of a {kind}, which is expected", "layer")


def largest(fields: Fields) -> int:
    """The largest receptive field over axes and phases.

    >>> from convcli.networks.receptive import Field
    >>> largest((Field(1, ((0, 2), (0, 1))),))
    3
    """
    return max((field.extent[1] for field in fields if field), default=0)
