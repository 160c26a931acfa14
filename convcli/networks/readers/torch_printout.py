"""What `print(model)` of PyTorch shows, as a tree of parts, and the network that they make.

A printout lists modules, not what forward() does with them. So it becomes a network only where the order is proven (see
`torch_order`), or where it is asked for as printed. The channels that each module says it expects are a check-sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from convcli.errors import UsageError
from convcli.networks.network import Network, Place, wrong
from convcli.networks.readers.torch_order import MAXIMUM_DEPTH, Part, Reader
from convcli.records import record

LINE = re.compile(r"\s*(?:\((?P<name>[^()]*)\): )?(?:(?P<times>[1-9]\d{0,4}) x )?(?P<body>.*?)\s*", re.ASCII)
OPENING = re.compile(r"(?P<kind>[A-Za-z_]\w*)\(", re.ASCII)
CALL = re.compile(r"(?P<kind>[A-Za-z_]\w*)\(.*\)", re.ASCII)


@record
class Printout:
    """The network, and what was taken for granted.

    `classes` are those whose forward() is known from their libraries, `wrapper` that of a model with one part whose
    forward() is not; `is_assumed` says that the order printed was asked for.
    """

    network: Network
    classes: tuple[str, ...] = ()
    wrapper: str = ""
    is_assumed: bool = False


@record(frozen=False)
class Open:
    """A container whose end has not come yet."""

    name: str
    kind: str
    place: Place
    times: int
    extra: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def closed(self) -> Part:
        """The container with all its parts."""
        extra = " ".join(self.extra)
        return Part(self.name, self.kind, self.place, f"{self.kind}({extra})", tuple(self.parts), self.times)


@record(frozen=False)
class Lines:
    """The containers that are open, outermost first, and the model once it is whole."""

    open: list[Open] = field(default_factory=list)
    modules: int = 0
    model: Part | None = None

    def line(self, number: int, text: str) -> None:
        """Read one line: a container that opens or closes, a module, or more arguments of the container."""
        found = LINE.fullmatch(text)
        name, times, body = (found["name"] or "", int(found["times"] or 1), found["body"]) if found else ("", 1, text)
        place = Place(self.modules + 1, body, number)
        if self.model:
            raise wrong(place, "stands behind the end of the model; paste one model")
        if body == ")":
            self.close(place)
        elif opening := OPENING.fullmatch(body):
            self.begin(Open(name, opening["kind"], place, times))
        elif found and found["name"] is None and self.open:
            self.more(body, place)
        else:
            self.modules += 1
            called = CALL.fullmatch(body)
            self.add(Part(name, called["kind"] if called else "", place, body, times=times))

    def begin(self, container: Open) -> None:
        """A container begins."""
        if len(self.open) >= MAXIMUM_DEPTH:
            raise wrong(container.place, f"more than {MAXIMUM_DEPTH} modules inside each other; paste a smaller part")
        self.open.append(container)

    def close(self, place: Place) -> None:
        """A container ends."""
        if not self.open:
            raise wrong(place, "closes nothing that is open; paste the whole printout")
        self.add(self.open.pop().closed())

    def more(self, text: str, place: Place) -> None:
        """What a container prints of itself, before its parts."""
        if self.open[-1].parts:
            raise wrong(place, "is no module; a printed one looks like (conv1): Conv2d(3, 64, kernel_size=(7, 7))")
        self.open[-1].extra.append(text)

    def add(self, part: Part) -> None:
        """A part of the container that is open, or the model itself."""
        if self.open:
            self.open[-1].parts.append(part)
        else:
            self.model = part


def read_printout(text: str, *, assume_order: bool = False) -> Printout:
    """The network of a printout, refused where the order of its parts is neither proven nor asked for.

    >>> printed = "Sequential(\\n  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\\n  (1): ReLU()\\n)"
    >>> [layer.name for layer in read_printout(printed).network.words()]
    ['0', '1']
    """
    model = read_parts(text)
    reader = Reader(assume_order)
    network = reader.model(model)
    if not network.units:
        raise UsageError("no module in it; paste what print(model) shows", "layer")
    return Printout(network, tuple(reader.classes), reader.wrapper, assume_order)


def read_parts(text: str) -> Part:
    """The tree of a printout."""
    lines = Lines()
    for number, line in numbered(text):
        lines.line(number, line)
    if lines.open:
        inside = ".".join(each.name for each in lines.open if each.name)
        raise UsageError(f"the printout ends inside {inside or 'the model'}; paste it to its last ')'", "layer")
    if not lines.model:
        raise UsageError("no module in it; paste what print(model) shows", "layer")
    return lines.model


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines with something on them, and their numbers."""
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
