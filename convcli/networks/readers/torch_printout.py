"""What `print(model)` of PyTorch shows, as a network.

A printout lists modules, not what forward() does with them. They are taken in the order printed, and the channels that
each one says it expects are a check-sum: where they do not arrive, there was a branch, and the reading stops there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from convcli.errors import UsageError
from convcli.networks.network import Layer, Network, Place, wrong
from convcli.networks.shortforms import call_layers
from convcli.records import record

LINE = re.compile(r"\s*(?:\((?P<name>[^()]*)\): )?(?P<body>.*?)\s*", re.ASCII)
OPENING = re.compile(r"(?P<kind>[A-Za-z_]\w*)\(", re.ASCII)
IN_ORDER = ("Sequential",)
WITHOUT_ORDER = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


@record
class Printout:
    """The network, and the classes whose forward() was taken to run their parts in the order printed."""

    network: Network
    classes: tuple[str, ...]


@record(frozen=False)
class Reading:
    """The layers so far, the names of the containers that are open, and the classes that were met."""

    layers: list[Layer] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    classes: dict[str, None] = field(default_factory=dict)
    done: bool = False

    def line(self, number: int, text: str) -> None:
        """Read one line: a container that opens or closes, or a module."""
        found = LINE.fullmatch(text)
        name, body = (found["name"] or "", found["body"]) if found else ("", text)
        place = Place(len(self.layers) + 1, body, number)
        if self.done:
            raise wrong(place, "stands behind the end of the model; paste one model")
        opening = OPENING.fullmatch(body)
        if opening:
            self.open(name, opening["kind"], place)
        elif body == ")":
            self.close(place)
        else:
            self.module(name, body, place)
        self.done = not self.path

    def open(self, name: str, kind: str, place: Place) -> None:
        """A container with parts."""
        if kind in WITHOUT_ORDER:
            raise wrong(place, f"{kind} {name} does not say in which order its parts run; write it in the notation")
        if self.path and kind not in IN_ORDER:
            self.classes[kind] = None
        self.path.append(name)

    def close(self, place: Place) -> None:
        """The end of a container."""
        if not self.path:
            raise wrong(place, "closes nothing that is open; paste the whole printout")
        self.path.pop()

    def module(self, name: str, body: str, place: Place) -> None:
        """A module without parts, perhaps several of it; an empty container changes nothing."""
        dotted = ".".join(part for part in (*self.path, name) if part)
        if body in [f"{kind}()" for kind in IN_ORDER]:
            return
        for layer in call_layers(body, place):
            self.layers.append(layer._replace(name=dotted, place=place))


def read_printout(text: str) -> Printout:
    """The network of a printout.

    >>> printed = "Sequential(\\n  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\\n  (1): ReLU()\\n)"
    >>> [layer.name for layer in read_printout(printed).network.words()]
    ['0', '1']
    """
    reading = Reading()
    for number, line in numbered(text):
        reading.line(number, line)
    if reading.path:
        inside = ".".join(part for part in reading.path if part)
        raise UsageError(f"the printout ends inside {inside or 'the model'}; paste it to its last ')'", "layer")
    if not reading.layers:
        raise UsageError("no module in it; paste what print(model) shows", "layer")
    return Printout(Network(tuple(reading.layers)), tuple(reading.classes))


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines with something on them, and their numbers."""
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
