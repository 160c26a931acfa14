"""Models as files: a graph of ONNX or torch.export in the place of the words of a design."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from convcli.commands.designs import DesignOptions, TableOptions, errors_in, read_bytes
from convcli.errors import UsageError
from convcli.networks import models
from convcli.networks.costs import Convention
from convcli.networks.network import Shape
from convcli.networks.onnx.graph import Asked, graph_of, parse_sizes
from convcli.networks.onnx.layers import shape_of
from convcli.networks.onnx.model import Model
from convcli.networks.onnx.walk import Walked
from convcli.networks.told.graphs import GraphListing, Part
from convcli.networks.trace import Trace
from convcli.streams import STREAM


class GivenModel(NamedTuple):
    """A model on its inputs."""

    model: Model
    graph: Walked
    asked: Asked
    part: Part
    source: str
    notes: tuple[str, ...] = ()
    expect: Mapping[str, object] = MappingProxyType({})

    @property
    def input(self) -> Shape:
        """Its first input, which a design beside it gets, too."""
        return next(map(shape_of, self.graph.inputs.values()), Shape(1))

    def listing(self, convention: Convention, table: TableOptions) -> GraphListing:
        """What it comes to."""
        return GraphListing(self.graph, convention, self.notes, self.part._replace(every=table.all_))

    def text(self, toml: bool) -> str:
        """The model in the notation, as a text or TOML file."""
        from convcli.networks.onnx.emit import emitted

        return emitted(self.graph, toml=toml)

    def trace(self) -> Trace:
        """The model at work."""
        return GraphListing(self.graph, Convention()).trace


def read_given_model(path: str, shape: Shape | None, options: DesignOptions) -> GivenModel:
    """The model in a file, on the sizes that the command line says."""
    if options.source or options.assume_order or options.framework or options.no_bias or options.bn or options.pad:
        raise UsageError(
            "a model says everything itself; drop --from, --framework, --no-bias, --bn and --pad", where=path
        )
    sizes = parse_sizes(options.sizes or ())
    if shape is not None:
        sizes.setdefault("", (options.batch, shape.channels, *shape.spatial))
    asked = Asked(sizes, options.batch, options.upto)
    with errors_in(path):
        model = opened(path)
        graph = graph_of(model, asked)
    return GivenModel(model, graph, asked, Part(depth=options.depth, group=options.group), path)


def opened(path: str) -> Model:
    """The model in a file or on standard input."""
    if path == STREAM:
        data = read_bytes(path)
        if not models.is_model(data[: models.HEAD]):
            raise UsageError("standard input holds no model; --file - reads words and TOML", "unknown-format")
        return models.parse(data)
    return models.read(path)
