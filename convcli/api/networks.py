"""Networks as text, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convcli.errors import ConvError, UsageError
from convcli.networks.costs import Convention
from convcli.networks.notation import parse, parse_shape
from convcli.networks.readers.toml import Design, read_design
from convcli.networks.told.json import listing_dict
from convcli.networks.told.tables import Listing
from convcli.networks.trace import trace
from convcli.records import record

FILES = (".toml", ".txt")


@record
class Network:
    """A network on its input, as ``convcli flops --json`` tells it.

    Each of `layers` has "name", "kind", "output", "params", "macs", "flops", "pad", "receptive_field", "jump", ...;
    `total` has their sums.
    """

    input: str
    layers: tuple[Mapping[str, Any], ...]
    total: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def parse_network(source: str | os.PathLike[str], *, inputs: Mapping[str, Sequence[int]] | None = None) -> Network:
    """Read a network in the layer notation, with the sizes and costs of every layer.

    Parameters
    ----------
    source : str or path
        The input and a word for each layer, or the name of a file (.txt, .toml) that holds them, or of a model.
    inputs : mapping of str to sequence of int, optional
        Sizes of the inputs that a model leaves open, by name: ``{"input": (1, 3, 224, 224)}``.

    Returns
    -------
    Network
        Its `input`, `layers`, `total` and `warnings`.

    Raises
    ------
    ConvError
        With a `code` in a word: "layer", "shape", "not-found", ...

    Examples
    --------
    >>> network = parse_network("3@224x224 conv7-64/2p3 max3/2p1")
    >>> network.total["output"], network.layers[0]["params"]
    ([64, 56, 56], 9472)
    """
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"{type(source).__name__} is no notation and no name of a file", where="source")
    text = os.fspath(source)
    if _is_model(text):
        return _model(text, inputs or {})
    if inputs:
        raise UsageError("is for model files; in words the input comes first: 3@224x224", where="inputs")
    is_file = not isinstance(source, str) or (text.endswith(FILES) and len(text.split()) == 1)
    design = _read(text) if is_file else _parsed(text)
    if design.input is None:
        raise UsageError("says no input; add one, such as 3@224x224", "shape", where=text if is_file else None)
    traced = trace(design.network, design.input, design.settings.rules())
    return _told(listing_dict(Listing(traced, Convention())))


def _told(told: Mapping[str, Any]) -> Network:
    """What the commands tell, as a value."""
    return Network(told["input"], tuple(told["layers"]), told["total"], tuple(told["warnings"]))


def _is_model(text: str) -> bool:
    """True for the name of a file that is called a model, or is one."""
    from convcli.networks import models

    if text.lower().endswith(models.SUFFIXES):
        return True
    try:
        with Path(text).open("rb") as stream:
            return models.is_model(stream.read(models.HEAD))
    except (OSError, ValueError):
        return False


def _model(path: str, inputs: Mapping[str, Sequence[int]]) -> Network:
    """A model on its inputs."""
    from convcli.networks import models
    from convcli.networks.onnx.graph import Asked, graph_of
    from convcli.networks.told.graphs import GraphListing

    try:
        model = models.read(path)
    except OSError as error:
        raise ConvError(error.strerror or "cannot be read", "not-found", where=path) from None
    sizes = {name: tuple(map(int, size)) for name, size in inputs.items()}
    return _told(GraphListing(graph_of(model, Asked(sizes)), Convention()).as_dict(with_algorithms=False))


def _parsed(text: str) -> Design:
    """Words: the input, then the layers."""
    first, _, layers = text.strip().partition(" ")
    if not ("@" in first or (first.isascii() and first.isdecimal())):
        raise UsageError(
            "the input comes first, as channels@size: 3@224x224 conv7-64/2p3", "shape", where=first or None
        )
    return Design(parse(layers), parse_shape(first))


def _read(path: str) -> Design:
    """A file of words, or of TOML."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise ConvError(error.strerror or "cannot be read", "not-found", where=path) from None
    except UnicodeDecodeError:
        raise UsageError("is no text; a network file holds words such as conv3-64", "layer", where=path) from None
    return read_design(text, toml=path.endswith(".toml"))
