"""From a network at work to its picture: one layer in detail, or a chain of maps; still, moving, or for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.networks.trace import Trace
from convcli.pictures.cells import MOST_CELLS
from convcli.pictures.chain import chain_block, chain_formulas, chain_parts, check_count, what_is_seen
from convcli.pictures.channels import banks_block
from convcli.pictures.drawing import Drawing, Group
from convcli.pictures.kinds import encoded
from convcli.pictures.layer import Part, layer_block, layer_formulas, layer_parts, legend, looked_at
from convcli.pictures.layout import WIDEST, Block, below, line_of, words
from convcli.pictures.maps import Map, Place, Written, parse_place
from convcli.pictures.phrases import what_it_does

KINDS = (".svg", ".png", ".gif", ".html")
MOST_FRAMES = 256
MOST_OF_PAGE = 1 << 22  # places of all maps: a third of a second at each look
PAUSE = 700  # milliseconds
CELLS_OF_ALL, CELLS_OF_PAGE = 12_000, 760  # in a picture; in a page, for 150 kB; fewer with numbers
CELLS_OF_WORDS = 4  # what the words of a map take of that
FEW = 256  # cells of a map beside one that is drawn to scale
LARGE, SMALL = 30, 19  # pixels of cells at the most; of those of an animation, whose frames are to be small
MARGIN = 20


class Scene(NamedTuple):
    """What is drawn: a network at work, its maps, the place of the last one that is looked at, and numbers.

    `counts_padding` says whether a mean divides by the padding under its window, too.
    """

    trace: Trace
    maps: Sequence[Map]
    place: Place
    counts_padding: bool = True
    written: Written | None = None

    @property
    def is_layer(self) -> bool:
        """True for one layer on one input, which is drawn with its kernel."""
        return len(self.maps) == 2 and len(self.maps[1].links) == 1

    @property
    def title(self) -> str:
        """What it is."""
        layer = f"{self.maps[1].word}: " if self.is_layer else ""
        return (
            f"{layer}{self.maps[0].shape} -> {self.maps[-1].shape}{'' if self.is_layer else ': what one output sees'}"
        )

    @property
    def lead(self) -> str:
        """What happens, for somebody who has never seen it."""
        if self.is_layer and self.maps[1].step:
            return what_it_does(self.maps[1].step, counts_padding=self.counts_padding)
        return (
            "Each map is made of the one before it, unless arrows or words say of which. The orange places are all "
            "that the filled output depends on."
        )

    @property
    def told(self) -> list[str]:
        """What the place looked at reads, or sees."""
        if not self.is_layer:
            return [what_is_seen(self.maps, self.place)]
        read = looked_at(self.maps[1], self.place)
        return [read, self.written.sums[self.place]] if self.written else [read]

    @property
    def formulas(self) -> list[str]:
        """How sizes, or receptive fields, come about."""
        step = self.maps[1].step
        return layer_formulas(step) if self.is_layer and step else chain_formulas(self.trace)

    @property
    def parts(self) -> list[Part]:
        """The maps as they are drawn."""
        if self.is_layer:
            return list(layer_parts(self.maps[0], self.maps[1], self.place, self.written))
        return chain_parts(self.maps, self.place)

    @property
    def channels(self) -> list[Block]:
        """The channels and filters of a layer."""
        steps = [each.step for each in self.maps if each.step]
        if self.is_layer:
            return list(banks_block(steps[0].applied.banks)) if steps else []
        if [step.kind for step in steps] == ["dw", "pw"]:  # what `sep` is, in two words
            return list(banks_block(steps[0].applied.banks + steps[1].applied.banks))
        return []

    def arranged(self, parts: Sequence[Part], largest: float = LARGE) -> Block:
        """Maps where they stand."""
        return layer_block(parts, largest) if self.is_layer else chain_block(self.maps, parts)


def scene_of(trace: Trace, maps: Sequence[Map], at: str = "", *, counts_padding: bool = True) -> Scene:
    """A network at work as it is to be drawn; `at` is the place of the output, the middle where it is empty.

    Raises UsageError for what is too large, and a place outside. Numbers in the cells are `values.with_numbers`.
    """
    check_count(maps)
    return Scene(trace, maps, parse_place(at, maps[-1]), counts_padding)


# --- three ways to draw it


def picture(scene: Scene) -> Drawing:
    """All of it: the maps, what they are, what the colours mean, and the formulas filled in."""
    parts = within(scene.parts, CELLS_OF_ALL)
    body = [
        line_of(scene.title, 17, bold=True),
        words(scene.lead, WIDEST),
        scene.arranged(parts),
        *(words(text, WIDEST) for text in scene.told),
        legend(parts),
        *scene.channels,
        below([line_of(line, 12, "faint") for line in scene.formulas], 2),
    ]
    captions = "; ".join(", ".join((part.title, *part.notes)) for part in parts)
    description = f"{scene.lead} {' '.join(scene.told)} {captions}."
    return sheet_of(body, scene.title, description)


def frame(scene: Scene, place: Place) -> Drawing:
    """The maps alone, looked at from a place; nothing is enlarged, which would move about."""
    here = scene._replace(place=place)
    parts = [
        part._replace(board=part.board._replace(enlarged=False), notes=part.notes if scene.is_layer else part.notes[:1])
        for part in within(here.parts, CELLS_OF_ALL)
        if "overlap" not in part.board.data
    ]
    told = here.told[1:] if scene.is_layer else [here.told[0].partition(". ")[0]]
    body = [line_of(scene.title, 15, bold=True), here.arranged(parts, SMALL), *(words(text, WIDEST) for text in told)]
    return sheet_of(body, scene.title, " ".join(here.told))


def blank(scene: Scene) -> Drawing:
    """The maps for a page, whose script marks what is looked at."""
    parts = []
    for part in parts_of_page(scene):
        board = part.board._replace(enlarged=False)
        if "kernel" not in board.data:
            board = board._replace(marked={}, chosen=None)
        parts.append(part._replace(board=board, notes=part.notes if scene.is_layer else part.notes[:1]))
    return sheet_of([scene.arranged(parts)], scene.title, scene.lead)


def parts_of_page(scene: Scene) -> list[Part]:
    """The maps of a page, the larger ones to scale."""
    cells = CELLS_OF_PAGE - CELLS_OF_WORDS * len(scene.maps)
    return within(scene.parts, cells * 5 // 8 if scene.written else cells)


def within(parts: Iterable[Part], cells: int) -> list[Part]:
    """Maps in at most so many cells: the smaller ones in cells, those for which too few are left to scale.

    Where a map is to scale only few cells make another one: else the smaller map would be the larger one on paper.
    """
    given = list(parts)
    every = sum(part.board.cells for part in given) <= cells and all(part.board.fits for part in given)
    left, most = cells, {}
    for i in sorted(range(len(given)), key=lambda i: given[i].board.cells):
        board = given[i].board
        most[i] = min(MOST_CELLS if every else FEW, left)
        left -= board.cells if board._replace(most=most[i]).fits else 0
    return [part._replace(board=part.board._replace(most=most[i])) for i, part in enumerate(given)]


def sheet_of(blocks: Sequence[Block], title: str, description: str) -> Drawing:
    """Blocks below each other, with a margin around them."""
    block = below(blocks, 14)
    margin = Group(block.shapes, MARGIN, MARGIN)
    return Drawing(block.width + 2 * MARGIN, block.height + 2 * MARGIN, title, description, (margin,))


# --- files


def file_of(scene: Scene, kind: str) -> bytes:
    """A scene as the bytes of a file: .svg, .png, .gif or .html."""
    if kind == ".html":
        from convcli.pictures.explorer import explorer_page

        check_page(scene)
        return explorer_page(scene).encode()
    if kind == ".gif":
        from convcli.pictures.raster import gif_bytes

        return gif_bytes(frames(scene), PAUSE)
    return encoded(picture(scene), kind)


def check_page(scene: Scene) -> None:
    """Refuse maps of more places than the script of a page goes through at each move of the pointer."""
    count = sum(prod(each.sizes) for each in scene.maps)
    if count > MOST_OF_PAGE:
        raise UsageError(
            f"all maps have {count:,} places, more than the {MOST_OF_PAGE:,} of a page; use .svg",
            "too-large",
            where="--draw",
        )


def frames(scene: Scene) -> list[Drawing]:
    """One picture for each place of the output, row by row, all of one size."""
    last = scene.maps[-1]
    count = prod(last.sizes)
    if count > MOST_FRAMES:
        raise UsageError(
            f"{count:,} outputs would be as many frames, more than {MOST_FRAMES}; use a smaller input, .svg or .html",
            "too-large",
            where="--draw",
        )
    drawn = [frame(scene, place) for place in last.places]
    width, height = max(each.width for each in drawn), max(each.height for each in drawn)
    return [each._replace(width=width, height=height) for each in drawn]
