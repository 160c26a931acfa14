"""Random layers and chains drawn as SVG: every cell and every mark is counted against sliding windows, one by one.

python tests/crossing_drawings.py --cases 1000

The brute force knows nothing of sizes by formula: it pads lists of places, slides a window while it fits, and lays
kernels on outputs, as the definition says.
"""

import random
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import product
from math import prod

from convcli.errors import ConvError
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.trace import trace
from convcli.pictures.maps import maps_of
from convcli.pictures.scene import frames, picture, scene_of
from convcli.pictures.svg import svg_text
from crossing import main

MARKS = ("padding", "zero", "dropped", "skipped", "marked", "hole", "chosen")
KINDS = ("conv", "conv", "tconv", "max", "avg", "dw", "sep", "up")
POOLED, BANKS = ("max", "avg"), ("conv", "tconv", "sep")
MOST_FRAMES = 30  # of a case: what many frames show is what one shows


# --- the definition, axis by axis


def windows(size, kernel, stride, dilation, begin, end, ceil=False):
    """What each output of an axis reads, padding too, by sliding the taps along the padded places."""
    padded, found, start = list(range(-begin, size + end)), [], -begin
    while True:
        taps = [start + tap * dilation for tap in range(kernel)]
        if taps[-1] > padded[-1] and not (ceil and found and found[-1][-1] < padded[-1] and start < size):
            return found
        found.append(taps)
        start += stride


def laid(size, kernel, stride, dilation, begin, end, extra):
    """The inputs of each output of a transposed axis, by laying the kernel on a long strip, and cutting its ends."""
    strip = [[] for _ in range((size - 1) * stride + (kernel - 1) * dilation + 1 + extra)]
    for i in range(size):
        for tap in range(kernel):
            strip[i * stride + tap * dilation].append(i)
    return strip[begin : max(0, len(strip) - end)]


# --- random layers


class Axis:
    """One axis of a random layer, and what its outputs read; the stride of `up` is how often it repeats a pixel."""

    def __init__(self, chance, kind, size, ceil=False):
        self.size, self.kernel, self.stride = size, chance.randint(1, 4), chance.randint(1, 3)
        self.dilation = chance.choice((1, 1, 1, 2, 3))
        self.begin, self.end = chance.randint(0, 3), chance.randint(0, 3)
        self.extra = chance.randint(0, max(self.stride, self.dilation) - 1) if kind == "tconv" else 0
        self.ceil = ceil
        if kind == "up":
            self.kernel = self.dilation = 1
            self.begin = self.end = 0
        numbers = (self.size, self.kernel, self.stride, self.dilation, self.begin, self.end)
        if kind == "up":
            self.reads = [[at // self.stride] for at in range(size * self.stride)]
        else:
            self.reads = laid(*numbers, self.extra) if kind == "tconv" else windows(*numbers, ceil)

    @property
    def drawn(self):
        """The places of the input that are drawn."""
        last = max([self.size + self.end - 1, *(taps[-1] for taps in self.reads if taps)])
        return range(-self.begin, last + 1)


def word_of(kind, axes, channels):
    """The layer in the notation."""

    def joined(letter, values):
        return letter + "x".join(map(str, values))

    if kind == "up":
        return joined("up", (a.stride for a in axes))
    kernel = joined(kind, (a.kernel for a in axes))
    rest = joined("/", (a.stride for a in axes)) + joined("p", (f"{a.begin}:{a.end}" for a in axes))
    rest += joined("d", (a.dilation for a in axes))
    if kind == "tconv":
        rest += joined("o", (a.extra for a in axes))
    return kernel + (f"-{channels}" if kind in BANKS else "") + rest + ("ceil" if any(a.ceil for a in axes) else "")


def layer(chance):
    """A random layer: (its word, its axes, its kind)."""
    kind, rank = chance.choice(KINDS), chance.choice((1, 2, 2, 2, 3))
    ceil = kind in POOLED and chance.random() < 0.4
    while True:
        axes = [Axis(chance, kind, chance.randint(1, 7 if rank < 3 else 4), ceil) for _ in range(rank)]
        if all(axis.reads for axis in axes) and prod(len(axis.reads) for axis in axes) < 400:
            return word_of(kind, axes, chance.randint(1, 3)), axes, kind


# --- what a drawing shows


def cells_of(text, name="data-layer"):
    """Each cell of each map: {map: {place: its marks}}, from the text of an SVG."""
    found = {}
    for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}rect"):
        if name in element.attrib and "data-sheet" not in element.attrib and "data-seen" not in element.attrib:
            place = tuple(int(element.get(f"data-{axis}")) for axis in "zyx" if f"data-{axis}" in element.attrib)
            marks = frozenset(mark for mark in MARKS if f"data-{mark}" in element.attrib)
            of_map = found.setdefault(element.get(name), {})
            assert place not in of_map, ("drawn twice", name, place)
            of_map[place] = marks
    return found


def with_mark(cells, mark):
    """The places of cells with a mark."""
    return {place for place, marks in cells.items() if mark in marks}


def texts_of(text, name):
    """The texts in the cells of a map."""
    found = {}
    for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text"):
        if f"data-{name}" in element.attrib:
            place = tuple(int(element.get(f"data-{axis}")) for axis in "zyx" if f"data-{axis}" in element.attrib)
            found[place] = element.text
    return found


def check(seed, _folder=None):
    """What is wrong with one drawing, line by line."""
    chance = random.Random(seed)
    yield from (f"{seed}: {line}" for line in (layer_wrong if chance.random() < 0.7 else chain_wrong)(chance))


def layer_wrong(chance):
    """One layer."""
    word, axes, kind = layer(chance)
    shape = Shape(1 if kind in ("conv", "tconv") else 2, tuple(axis.size for axis in axes))
    place = tuple(chance.randrange(len(axis.reads)) for axis in axes)
    design = f"{shape} {word} at {place}"
    try:
        done = trace(parse(word), shape)
    except ConvError as error:
        yield f"{design}: {error}"
        return
    scene = scene_of(done, maps_of(done), ",".join(map(str, place)))
    drawn = svg_text(picture(scene))
    cells = cells_of(drawn)
    made = [] if 'data-layer="1" data-sheet' in drawn else output_wrong(cells["1"], axes, place)
    for line in (*input_wrong(cells["0"], axes, kind, place), *made):
        yield f"{design}: {line}"
    if kind == "tconv":
        for line in transposed_wrong(drawn, axes, place):
            yield f"{design}: {line}"
    count = prod(len(axis.reads) for axis in axes)
    if count <= MOST_FRAMES and count != len(shown := frames(scene)):
        yield f"{design}: {len(shown)} frames"


def differ(what, expected, found):
    """A line where two sets of places differ."""
    if expected != found:
        yield f"{what}: {len(found)} drawn, {len(expected)} expected; {sorted(expected ^ found)[:4]}"


def input_wrong(cells, axes, kind, place):
    """The input: every padded place a cell, those that are read marked, those never read crossed out."""
    drawn = [range(axis.size) if kind == "tconv" else axis.drawn for axis in axes]
    yield from differ("cells of the input", set(product(*drawn)), set(cells))
    inside = set(product(*(range(axis.size) for axis in axes)))
    yield from differ("padding", set(product(*drawn)) - inside, with_mark(cells, "padding"))
    reads = set(product(*(axis.reads[at] for axis, at in zip(axes, place, strict=True))))
    yield from differ("marks", reads, with_mark(cells, "marked"))
    if kind == "tconv":
        return
    ever = set(product(*({at for taps in axis.reads for at in taps} for axis in axes)))
    unread = with_mark(cells, "dropped") | with_mark(cells, "skipped")
    yield from differ("never read", set(product(*drawn)) - ever, unread)
    lasts = [max(at for taps in axis.reads for at in taps) for axis in axes]
    beyond = {at for at in product(*drawn) if any(a > last for a, last in zip(at, lasts, strict=True))}
    yield from differ("dropped", beyond, with_mark(cells, "dropped"))
    box = set(
        product(*(range(axis.reads[at][0], axis.reads[at][-1] + 1) for axis, at in zip(axes, place, strict=True)))
    )
    yield from differ("holes", box - reads, with_mark(cells, "hole"))


def output_wrong(cells, axes, place):
    """The output: a cell for each, the one looked at chosen."""
    yield from differ("outputs", set(product(*(range(len(axis.reads)) for axis in axes))), set(cells))
    yield from differ("chosen", {place}, with_mark(cells, "chosen"))


def transposed_wrong(drawn, axes, place):
    """The stretched input with its zeros and its window, and how many inputs meet in each output."""
    counted = {
        at: str(prod(len(a.reads[i]) for a, i in zip(axes, at, strict=True))) for at in product(*map(outputs, axes))
    }
    found = texts_of(drawn, "overlap")
    if counted != found and not re.search('data-overlap="" data-sheet', drawn):  # to scale, it has no numbers
        yield f"meeting inputs: {Counter(found.values())}, {Counter(counted.values())} expected"
    if 'data-inset=""' in drawn:
        return  # so many zeros that the map is drawn to scale
    cells = cells_of(drawn, "data-stretched")["0"]
    inside = set(product(*(range((axis.size - 1) * axis.stride + 1) for axis in axes)))
    pixels = set(product(*(range(0, axis.size * axis.stride, axis.stride) for axis in axes)))
    yield from differ("inserted zeros", inside - pixels, with_mark(cells, "zero"))
    marked = with_mark(cells, "marked")
    if len(marked) != prod(axis.kernel for axis in axes):
        yield f"{len(marked)} taps on the stretched input"
    reached = {tuple(at // a.stride for at, a in zip(each, axes, strict=True)) for each in marked & pixels}
    reads = set(product(*(axis.reads[at] for axis, at in zip(axes, place, strict=True))))
    yield from differ("pixels under the turned kernel", reads, reached)


def outputs(axis):
    """The outputs of an axis."""
    return range(len(axis.reads))


# --- chains


def chain_wrong(chance):
    """Layers behind each other: all that one output sees in every map, by following each place back."""
    rank = chance.choice((1, 2, 2))
    sizes = tuple(chance.randint(5, 11) for _ in range(rank))
    words, reads, now = [], [], sizes
    for _ in range(chance.randint(2, 4)):
        kind = chance.choice(KINDS)
        axes = [Axis(chance, kind, size) for size in now]
        lengths = tuple(len(axis.reads) for axis in axes)
        if 0 in lengths or max(lengths) > 20:
            continue
        words.append(word_of(kind, axes, 1))
        reads.append(axes)
        now = lengths
    if len(words) < 2:
        return
    design, place = " ".join(words), tuple(chance.randrange(size) for size in now)
    done = trace(parse(design), Shape(1, sizes))
    scene = scene_of(done, maps_of(done), ",".join(map(str, place)))
    cells = cells_of(svg_text(picture(scene)))
    expected = {place}
    for number in range(len(words), -1, -1):
        if str(number) in cells:
            found = cells[str(number)]
            mark = "chosen" if number == len(words) else "marked"
            for line in differ(f"map {number}", expected, with_mark(found, mark)):
                yield f"1@{'x'.join(map(str, sizes))} {design} at {place}: {line}"
        if number:
            axes = reads[number - 1]
            each = (product(*(axis.reads[i] for axis, i in zip(axes, at, strict=True))) for at in expected)
            before = tuple(axis.size for axis in axes)
            expected = {
                read for some in each for read in some if all(0 <= i < n for i, n in zip(read, before, strict=True))
            }


if __name__ == "__main__":
    sys.exit(main(check, __doc__.splitlines()[0]))
