"""Numbers in the cells of one layer: exact fractions, so that what is drawn is what the sum comes to."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from math import prod
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.kernels.kernel import Kernel, default_centre
from convcli.numerals import number_text
from convcli.pictures.maps import Map, Place, Written, counted_places, inside
from convcli.pictures.scene import Scene

Exact = Mapping[Place, Fraction]

MOST = 10_000  # terms of all sums: what is drawn in cells has fewer
LONGEST_TEXT = 7
OPTION = "--draw-values"
IMAGE = (3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1)
KERNEL = (0, 1, 2, 2, 2, 0, 0, 1, 2)
"""Numbers from 0 to 3, those of figure 1.1 of Dumoulin and Visin, arXiv:1603.07285, over and over."""


class Numbers(NamedTuple):
    """Numbers that are to stand in the cells: those of an image and of a kernel, small ones where there is None.

    `option` is the one that asked for them.
    """

    image: Kernel | None = None
    kernel: Kernel | None = None
    option: str = OPTION


class Values(NamedTuple):
    """The numbers of a layer's input, of its kernel (none for a pooling), and of its output.

    `counts_padding` says whether a mean divides by the padding under its window, too.
    """

    image: Exact
    taps: Exact
    outputs: Exact
    counts_padding: bool = True


class Term(NamedTuple):
    """One product of a sum: the pixel, None for padding, and the number of the kernel on it."""

    pixel: Fraction | None
    tap: Fraction


def with_numbers(scene: Scene, given: Numbers) -> Scene:
    """A scene of one layer with numbers in its cells, and the sum behind each output.

    Raises UsageError for several layers, for sums over several channels, and for numbers that do not fit.
    """
    if not scene.is_layer:
        raise UsageError(f"is for one layer, and {len(scene.maps) - 1} are given", where=given.option)
    layer = scene.maps[1]
    values = values_of(layer, given, counts_padding=scene.counts_padding)
    sums = {place: sum_text(layer, place, values) for place in layer.places}
    return scene._replace(written=Written(texts(values.image), texts(values.taps), texts(values.outputs), sums))


def values_of(layer: Map, given: Numbers, *, counts_padding: bool) -> Values:
    """The numbers of a layer on an image; one channel of each."""
    assert layer.step is not None
    axes = layer.step.applied.axes
    check_summable(layer, given.option)
    if layer.step.kind in ("max", "avg") and given.kernel is not None:
        raise UsageError(f"{layer.word} has no kernel; leave it out", where="--draw-kernel")
    sizes = tuple(axis.size for axis in axes)
    pixels = numbers(sizes, given.image, IMAGE, "--draw-values")
    if layer.step.kind in ("max", "avg"):
        values = Values(pixels, {}, {}, counts_padding)
        return values._replace(outputs={place: pooled(layer, place, values) for place in layer.places})
    taps = numbers(taps_of(layer), given.kernel, KERNEL, "--draw-kernel")
    outputs = {place: sum_of(terms(layer, place, pixels, taps)) for place in layer.places}
    return Values(pixels, taps, outputs)


def check_summable(layer: Map, option: str) -> None:
    """Refuse what has no sums of one channel, or too many."""
    step = layer.step
    assert step is not None
    if step.kind not in ("conv", "tconv", "dw", "pw", "max", "avg"):
        what = "is two layers: draw dw and pw" if step.kind == "sep" else "is none of conv, tconv, dw, pw, max and avg"
        raise UsageError(f"numbers are not drawn of {layer.word}, which {what}", where=option)
    if not all(isinstance(axis, (Geometry, Transposed)) for axis in step.applied.axes):
        hint = f"say the window: {step.kind}2"
        raise UsageError(f"numbers are not drawn of {layer.word}, which says its output; {hint}", where=option)
    if step.applied.banks and step.applied.banks[0].inputs != step.applied.banks[0].groups:
        bank = step.applied.banks[0]
        raise UsageError(
            f"each sum of {layer.word} runs over {bank.inputs // bank.groups} channels; draw one: 1@5x5 conv3-1",
            where=option,
        )
    if prod(layer.sizes) * prod(taps_of(layer)) > MOST:
        raise UsageError(
            f"{layer.word} has too many numbers to be drawn; use a smaller input", "too-large", where=option
        )


def taps_of(layer: Map) -> tuple[int, ...]:
    """The size of a layer's kernel or window."""
    assert layer.step is not None
    return tuple(axis.kernel for axis in layer.step.applied.axes if isinstance(axis, (Geometry, Transposed)))


def numbers(sizes: tuple[int, ...], given: Kernel | None, default: tuple[int, ...], option: str) -> Exact:
    """Numbers for each place: those that are given, as their text says them, or the default ones."""
    places = list(product(*map(range, sizes)))
    if given is None:
        return {place: Fraction(default[i % len(default)]) for i, place in enumerate(places)}
    check_plain(given, option)
    shape = (1,) * (len(sizes) - given.ndim) + tuple(given.spatial)
    if shape[-len(sizes) :] != sizes or prod(shape) != prod(sizes) or given.bank:
        wanted, found = ("x".join(map(str, each)) for each in (sizes, given.shape))
        raise UsageError(f"{wanted} numbers are needed, not {found}", "shape", where=option)
    exact = (Fraction(number_text(value)) for value in given.values())
    return dict(zip(places, exact, strict=True))


def check_plain(given: Kernel, option: str) -> None:
    """Refuse what a file says beside its numbers, and no layer does: something added, a tap of its own on the pixel."""
    if given.offset:
        raise UsageError(f"{given.name} adds {given.offset:g} to each result, which no layer does", where=option)
    if given.centre != default_centre(given.spatial):
        at = ",".join(map(str, given.centre))
        raise UsageError(f"{given.name} has its origin at {at}; a layer places its kernel by its padding", where=option)


def terms(layer: Map, place: Place, pixels: Exact, taps: Exact) -> list[Term]:
    """The products that make one output, in the order of the kernel; of a transposed layer, of the inputs."""
    assert layer.step is not None
    axes = layer.step.applied.axes
    if all(isinstance(axis, Transposed) for axis in axes):
        reads = product(*(inside(axis, at) for axis, at in zip(axes, place, strict=True)))
        return [Term(pixels[read], taps[tap_on(layer, place, read)]) for read in reads]
    each = (list(axis.reads(at)) for axis, at in zip(axes, place, strict=True))
    pairs = zip(product(*each), taps.values(), strict=True)
    return [Term(pixels.get(read), tap) for read, tap in pairs]


def tap_on(layer: Map, place: Place, read: Place) -> Place:
    """The tap by which a transposed layer brings an input to an output: (u + p0 - i s) / d."""
    assert layer.step is not None
    pairs = zip(layer.step.applied.axes, place, read, strict=True)
    return tuple(
        (at + axis.begin - i * axis.stride) // axis.dilation
        for axis, at, i in pairs
        if isinstance(axis, (Transposed, Geometry))
    )


def sum_of(products: list[Term]) -> Fraction:
    """What products come to."""
    return sum((term.pixel * term.tap for term in products if term.pixel is not None), Fraction(0))


def pooled(layer: Map, place: Place, values: Values) -> Fraction:
    """The largest pixel under the window, or their mean."""
    found, count = window(layer, place, values)
    if not found:
        raise UsageError(f"a window of {layer.word} lies on padding alone; pad less", "shape", where=OPTION)
    assert layer.step is not None
    return max(found) if layer.step.kind == "max" else sum(found, Fraction(0)) / count


def window(layer: Map, place: Place, values: Values) -> tuple[list[Fraction], int]:
    """The pixels under a pooling window, and by how many a mean divides.

    These are the pixels alone (TensorFlow, and ONNX by default), or all places up to the end of the declared padding,
    as PyTorch counts by default (ATen/native/cpu/AvgPoolKernel.cpp, count_include_pad).
    """
    assert layer.step is not None
    applied = layer.step.applied
    each = [
        [at for at in axis.reads(u) if at in places]
        for axis, u, places in zip(
            applied.axes, place, counted_places(layer.step, counts_padding=values.counts_padding), strict=True
        )
    ]
    found = [values.image[read] for read in product(*each) if read in values.image]
    return found, prod(map(len, each))


def text_of(value: Fraction) -> str:
    """A number as it stands in a cell: whole, decimal or fraction, rounded (~) where that is too long.

    >>> text_of(Fraction(17)), text_of(Fraction(1, 9)), text_of(Fraction(-5, 2)), text_of(Fraction(100001, 30001))
    ('17', '1/9', '-2.5', '~3.33')
    """
    if value.denominator == 1:
        exact = str(value.numerator)
    else:
        decimal = f"{float(value):.6g}"
        exact = decimal if Fraction(decimal) == value else str(value)
    return exact if len(exact) <= LONGEST_TEXT else f"~{float(value):.3g}"


def texts(values: Exact) -> dict[Place, str]:
    """Numbers as they stand in cells."""
    return {place: text_of(value) for place, value in values.items()}


def sum_text(layer: Map, place: Place, values: Values) -> str:
    """The sum that makes one output, or what a pooling takes.

    Products by padding, which are 0, are left out.
    """
    assert layer.step is not None
    name = f"output ({', '.join(map(str, place))})"
    result = text_of(values.outputs[place])
    if layer.step.kind == "max":
        found, _ = window(layer, place, values)
        return f"{name} = the largest of {', '.join(map(text_of, found))} = {result}"
    if layer.step.kind == "avg":
        found, count = window(layer, place, values)
        return f"{name} = ({' + '.join(map(bracketed, found))}) / {count} = {result}"
    products = [term for term in terms(layer, place, values.image, values.taps) if term.pixel is not None]
    shown = " + ".join(f"{bracketed(term.pixel)}*{bracketed(term.tap)}" for term in products if term.pixel is not None)
    return f"{name} = {shown or '0'} = {result}"


def bracketed(value: Fraction) -> str:
    """A number in a sum; negative ones and fractions stand in brackets."""
    text = text_of(value)
    return f"({text})" if text[0] in "-~" or "/" in text else text
