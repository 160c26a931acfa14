"""In which order the parts of a printed PyTorch module run: proven, asked for, or refused.

Proven is what a Sequential holds, and a class of `torch_classes` whose printed parts are exactly those of its library,
by names and classes. Of any other class nothing is known but its name: its forward() may branch, pool or reshape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from convcli.errors import UsageError
from convcli.networks.network import Branches, Layer, Network, Place, Repeat, Unit, wrong
from convcli.networks.notation import parse
from convcli.networks.readers.torch_classes import CHAINS, GROUPS, KNOWN, PIXELWISE, WRAPPERS, Forward
from convcli.networks.shortforms import call_layers
from convcli.records import record, replace

MAXIMUM_DEPTH = 60
WAY_OUT = "export it: torch.onnx.export(model, input, 'model.onnx'); --assume-order takes the order printed"


@record
class Part:
    """One printed module: its own name, its class, where and how it was written, and its parts.

    `times` is how often a list holds it; `path` are the names of the modules around it and its own.
    """

    name: str
    kind: str
    place: Place
    text: str
    parts: tuple[Part, ...] = ()
    times: int = 1
    path: str = ""

    @property
    def inner(self) -> tuple[Part, ...]:
        """The parts, with their paths."""
        return tuple(replace(part, path=dotted(self.path, part.name)) for part in self.parts)

    def at(self, *names: str) -> Part:
        """A part of a part.

        >>> Part("", "A", Place(), "", (Part("b", "B", Place(), "", (Part("c", "C", Place(), ""),)),)).at("b", "c").path
        'b.c'
        """
        found = self
        for name in names:
            found = next(part for part in found.inner if part.name == name)
        return found


def dotted(*names: str) -> str:
    """
    >>> dotted("", "layer1", "0")
    'layer1.0'
    """
    return ".".join(name for name in names if name)


@record(frozen=False)
class Reader:
    """Reads modules as networks.

    `classes` are the known ones that were met; `wrapper` is that of a model with one part, whose forward() is unknown.
    """

    assumes: bool = False
    wrapper: str = ""
    classes: dict[str, None] = field(default_factory=dict)

    def model(self, part: Part) -> Network:
        """The network of a whole model: one that only holds a Sequential has nothing to put in order."""
        while part.kind in WRAPPERS and len(part.parts) == 1:
            part = replace(part.inner[0], path="")
        if len(part.parts) != 1 or self.assumes or self.forward_of(part) or part.kind in (*FUSED, *LISTS):
            return self.network(part)
        network = self.chained(part)
        if part.parts[0].kind not in CHAINS or part.kind in KNOWN:
            raise refused(part)
        self.wrapper = part.kind
        return network

    def network(self, part: Part) -> Network:
        """The network of one module."""
        if not part.parts:
            return self.leaf(part)
        if part.kind in FUSED:
            return Network((*named(part, part.text), *self.chained(part).units))
        if forward := self.forward_of(part):
            return self.known(part, forward)
        if not self.assumes:
            raise refused(part)
        return self.chained(part)

    def forward_of(self, part: Part) -> Forward | None:
        """What is known of the class of a module, if its parts are those of that class."""
        if part.kind in CHAINS:
            return Forward("*")
        return next((forward for forward in KNOWN.get(part.kind, ()) if fits(part, forward)), None)

    def chained(self, part: Part) -> Network:
        """The parts one after the other."""
        units: list[Unit] = []
        for each in part.inner:
            network = self.network(each)
            units += [Repeat(each.times, network)] if each.times > 1 and network.units else network.units
        return Network(tuple(units))

    def known(self, part: Part, forward: Forward) -> Network:
        """The parts as the forward() of a known class runs them."""
        if part.kind not in CHAINS:
            self.classes[part.kind] = None
        if not forward.text:
            network = self.chained(part)
        elif forward.text in BUILDERS:
            network = BUILDERS[forward.text](self, part)
        else:
            network = self.filled(part, forward)
        return with_shortcut(network, part) if forward.shortcut and keeps_shape(network) else network

    def filled(self, part: Part, forward: Forward) -> Network:
        """The text of a forward with the networks of the parts in their places; what is absent changes nothing."""
        absent = {name: NOTHING for name, _, _ in forward.expected}
        present = {each.name: self.network(each) for each in part.inner}
        present = {name: network if network.units else NOTHING for name, network in present.items()}
        return located(parse(forward.text, absent | present), part)

    def leaf(self, part: Part) -> Network:
        """A module without parts; an empty container changes nothing."""
        if part.text == f"{part.kind}()" and part.kind in (*CHAINS, *LISTS):
            return Network(())
        return Network(tuple(named(part, part.text)))


LISTS = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
FUSED = ("BatchNormAct2d", "BatchNormAct3d")
"""A normalisation with its activation inside: what it prints of itself, then its parts."""

NOTHING = Network((Layer("id"),))


def refused(part: Part) -> UsageError:
    """The error of a module whose order is not known."""
    what = f"{part.kind} {part.path}".rstrip()
    if part.kind in LISTS:
        return wrong(part.place, f"{what} does not say in which order its parts run; {WAY_OUT}")
    almost = " has other parts than the class that is known" if part.kind in KNOWN else " is not known"
    return wrong(part.place, f"{what}{almost}, its forward may branch; {WAY_OUT}")


def named(part: Part, text: str) -> list[Layer]:
    """The layers of one call, under the name of their parameters."""
    return [layer._replace(name=part.path, place=part.place) for layer in call_layers(text, part.place)]


def fits(part: Part, forward: Forward) -> bool:
    """True where a module has exactly the parts of a known class."""
    if forward.parts.startswith("*"):
        return {each.kind for each in part.parts} <= {forward.parts[2:]} or forward.parts == "*"
    printed = {each.name: each.kind for each in part.parts}
    expected = [(name, kinds) for name, kinds, may_lack in forward.expected if name in printed or not may_lack]
    if [each.name for each in part.parts] != [name for name, _ in expected]:
        return False
    return all(printed[name] in GROUPS.get(kind, (kind,)) for name, kind in expected if kind not in ("*",))


def located(network: Network, part: Part) -> Network:
    """A network whose own units, those of no printed line, stand where the module does."""
    return Network(tuple(located_unit(unit, part) for unit in network.units))


def located_unit(unit: Unit, part: Part) -> Unit:
    """The same for one unit."""
    if isinstance(unit, Repeat):
        return unit._replace(body=located(unit.body, part))
    if isinstance(unit, Branches):
        branches = tuple(located(branch, part) for branch in unit.branches)
        return unit._replace(branches=branches, place=unit.place if unit.place.line else part.place)
    return unit if unit.place.line else unit._replace(name=part.path, place=part.place)


def keeps_shape(network: Network) -> bool:
    """True where the last convolution makes as many channels as the first one reads, and nothing moves by more than 1.

    >>> from convcli.networks.notation import parse
    >>> [keeps_shape(parse(words)) for words in ("conv1-8i4 conv1-4", "conv1-8i4 conv1-4/2", "conv1-8i4")]
    [True, False, False]
    """
    words = list(network.words())
    banks = [layer for layer in words if layer.channels and layer.kind in ("conv", "dw", "fc")]
    strided = any(layer.stride for layer in words)
    return bool(banks) and banks[0].inputs == banks[-1].channels and not strided


def with_shortcut(network: Network, part: Part) -> Network:
    """A network beside a plain shortcut."""
    return Network((Branches("add", (network, NOTHING), part.place),))


# --- forwards that no text says


def dense_block(reader: Reader, part: Part) -> Network:
    """DenseNet: every layer reads what all before it have made."""
    layers = [reader.network(each) for each in part.inner]
    return Network(tuple(Branches("concat", (NOTHING, layer), part.place) for layer in layers))


def pixelwise_block(reader: Reader, part: Part) -> Network:
    """ConvNeXt: its Linear layers work on each pixel, and each channel has a scale of its own that is not printed."""
    block = part.at("block")
    if tuple(each.kind for each in block.parts) != PIXELWISE:
        raise refused(part)
    units = [unit for each in block.inner if each.kind != "Permute" for unit in reader.network(each).units]
    scale = Layer("bn", bias=False, name=dotted(part.path, "layer_scale"), place=part.place)
    return with_shortcut(Network((*map(at_each_pixel, units), scale)), part)


def at_each_pixel(unit: Unit) -> Unit:
    """A fully connected layer as a 1x1 convolution."""
    if isinstance(unit, Layer) and unit.kind == "fc":
        return unit._replace(kind="pw")
    return unit


def halves_block(reader: Reader, part: Part) -> Network:
    """ShuffleNet V2: one half of the channels passes, or both branches read all; then the channels are shuffled."""
    first, second = (reader.network(each) for each in part.inner)
    half = next((layer.inputs for layer in second.words() if layer.inputs), None)
    if first.units or not half:
        return joined_and_shuffled((first, second), part)
    keeps, works = (Layer("slice", span=span, place=part.place) for span in ((0, half), (half, 2 * half)))
    return joined_and_shuffled((Network((keeps,)), Network((works, *second.units))), part)


def joined_and_shuffled(branches: tuple[Network, Network], part: Part) -> Network:
    """Two branches one behind the other, their channels in turns."""
    return Network((Branches("concat", branches, part.place), Layer("cshuffle", (2,), place=part.place)))


BUILDERS: Mapping[str, Callable[[Reader, Part], Network]] = {
    "dense": dense_block,
    "halves": halves_block,
    "pixelwise": pixelwise_block,
}
"""What the text of a `Forward` may name instead."""
