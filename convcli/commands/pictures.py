"""Pictures that `shapes` and `flops` write beside what they print: the options, and the one way to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from convcli.errors import UsageError
from convcli.options.declare import Option, Options
from convcli.streams import read_input

if TYPE_CHECKING:
    from convcli.commands.designs import Given
    from convcli.commands.models import GivenModel
    from convcli.networks.trace import Trace
    from convcli.pictures.maps import Map
    from convcli.pictures.scene import Scene
    from convcli.pictures.values import Numbers


class PictureOptions(Options):
    """A picture."""

    draw: Annotated[
        str,
        Option(
            "--draw",
            metavar="FILE",
            paths="file",
            daily=True,
            help="Draw it: .svg, .png, .html (explore).",
        ),
    ] = ""
    force: Annotated[bool, Option("-f", "--force", help="Replace a picture that exists.")] = False


class LayerPictureOptions(PictureOptions):
    """A picture."""

    draw: Annotated[
        str,
        Option(
            "--draw",
            metavar="FILE",
            paths="file",
            daily=True,
            help="Draw it: .svg, .png, .html (explore), .gif (moves).",
        ),
    ] = ""
    at: Annotated[
        str, Option("--at", metavar="Y,X", daily=True, help="Look from this output, counted from 0; else the middle.")
    ] = ""
    draw_values: Annotated[
        str,
        Option(
            "--draw-values",
            alone="some",
            metavar="IMAGE",
            help="Numbers in the cells: small ones, or those of an image, '1 2;3 4' or FILE.",
        ),
    ] = ""
    draw_kernel: Annotated[
        str,
        Option("--draw-kernel", metavar="KERNEL", help="The kernel's numbers there, as for -k: sobel:x, '1 2;3 4'."),
    ] = ""


SOME = "some"


def save_picture(name: str, data: bytes, *, force: bool) -> None:
    """Write a picture, whole or not at all."""
    from convcli.formats.atomic import atomic_output, output_place

    with atomic_output(output_place(name), force=force) as stream:
        stream.write(data)


def check_alone(options: LayerPictureOptions) -> None:
    """Refuse what is about a picture where there is none."""
    about = {
        "--at": options.at,
        "--draw-values": options.draw_values,
        "--draw-kernel": options.draw_kernel,
        "--force": options.force,
    }
    for name in [name for name, value in about.items() if value]:
        if not options.draw:
            raise UsageError("is about a picture; it goes with --draw FILE.svg", where=name)


def draw_layers(given: Sequence[Given | GivenModel], options: LayerPictureOptions) -> None:
    """Draw one design: a layer, or a chain and what one output sees."""
    from convcli.pictures.kinds import kind_of
    from convcli.pictures.scene import KINDS, file_of

    kind = kind_of(options.draw, KINDS, "--draw")
    if len(given) > 1:
        raise UsageError("draws one design; drop vs and what follows", where="--draw")
    if options.at and kind == ".gif":
        raise UsageError("a .gif shows every output; leave it out", where="--at")
    save_picture(options.draw, file_of(scene(given[0], options), kind), force=options.force)


def scene(given: Given | GivenModel, options: LayerPictureOptions) -> Scene:
    """What is to be drawn of a design."""
    from convcli.commands.designs import Given, errors_in
    from convcli.pictures.maps import maps_of
    from convcli.pictures.scene import scene_of

    trace = given.trace()
    with errors_in(given.source):
        maps = maps_of(trace) if isinstance(given, Given) else maps_of_model(given, trace)
    drawn = scene_of(trace, maps, options.at, counts_padding=counts_padding(given, trace, maps[-1]))
    if not options.draw_values and not options.draw_kernel:
        return drawn
    from convcli.pictures.values import with_numbers

    return with_numbers(drawn, numbers(options, len(maps[-1].sizes)))


def maps_of_model(given: GivenModel, trace: Trace) -> list[Map]:
    """The maps of an ONNX model up to its first output; refuses what changes places in ways that no map shows."""
    from convcli.networks.onnx.layers import keeps_places, shape_of
    from convcli.pictures.maps import maps_of

    steps = given.graph.steps
    lost = next((step for step in steps if not keeps_places(step)), None)
    if lost is not None:
        hint = "name a node before it by --upto"
        raise UsageError(
            f"node {lost.name!r} ({lost.operator}) moves places in ways that no map shows; {hint}", "shape"
        )
    source = next(iter(given.graph.outputs.values())).source
    inputs = tuple(map(shape_of, given.graph.inputs.values()))
    return maps_of(trace, inputs, source)


def numbers(options: LayerPictureOptions, rank: int) -> Numbers:
    """The numbers that are to stand in the cells."""
    from convcli.kernels import parse_kernel
    from convcli.pictures.values import Numbers

    ndim = max(2, rank)
    image = options.draw_values if options.draw_values != SOME else ""
    return Numbers(
        parse_kernel(image, ndim, stdin=read_input) if image else None,
        parse_kernel(options.draw_kernel, ndim, stdin=read_input) if options.draw_kernel else None,
        "--draw-values" if options.draw_values else "--draw-kernel",
    )


def counts_padding(given: Given | GivenModel, trace: Trace, drawn: Map) -> bool:
    """Whether a mean divides by the padding under its window: as the framework, or the node that is drawn, says."""
    from convcli.commands.designs import Given

    if isinstance(given, Given):
        return given.rules.framework != "tf"
    nodes = (own.node for own, step in zip(given.graph.steps, trace.steps, strict=True) if step is drawn.step)
    return any(node.attributes.get("count_include_pad") for node in nodes)
