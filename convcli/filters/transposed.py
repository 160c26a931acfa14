"""Transposed convolution as a user asked for it, and what it makes of an image; then as ordinary filters.

Every pixel lays the kernel, times its value, on the output: out[i s + t d - p] += x[i] k[t]. Computed the other way
round, each output phase is an ordinary convolution with its own taps (`convcli.geometry.phases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import nan, prod
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError
from convcli.filters.borders import Border
from convcli.filters.filter import Correlation, Filter, Numbers, Pads
from convcli.filters.positions import Places
from convcli.geometry.axis import tf_same_padding
from convcli.geometry.phases import Phase, Piece, phases, pieces
from convcli.geometry.sizes import Transposed
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Place = tuple[tuple[slice, ...], tuple[slice, ...]]
"""Where the results of a phase lie in the output, and which cells of a tile have them."""
Tile = tuple[tuple[int, int], ...]


@record
class Part:
    """Cells of the output, phase by phase along each axis, and the ordinary filter that computes them all.

    The filter's results are output channel by output channel, each with all phases in row-major order.
    """

    pieces: tuple[Piece, ...]
    filter: Correlation

    def places(self, tile: Tile, outputs: Tile) -> Iterator[Place]:
        """Where in a box of outputs the results of a tile of cells belong, phase by phase."""
        for combination in product(*(piece.phases for piece in self.pieces)):
            steps = zip(self.pieces, combination, tile, outputs, strict=True)
            each = (piece.places(phase, *span, box) for piece, phase, span, box in steps)
            there, cells = zip(*each, strict=True)
            yield there, cells


@record
class TransposedFilter(Filter):
    """A kernel laid on the output at every pixel. As a `Filter` it says what becomes of axes, samples and numbers.

    `kernel` is plain, or a bank from input to output channels, (O, I/g, ...), see `forward`. `output_size` decides
    the output padding, where it is given.
    `overlap` divides every output by the weights of the known pixels that overlap there; a border of zeros has none.
    Where nothing lands the result is unknown, 0 / 0.
    """

    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: Pads = "same"
    output_padding: tuple[int, ...] = ()
    output_size: tuple[int, ...] = ()
    overlap: bool = False

    @property
    def laid_shape(self) -> tuple[int, ...]:
        """The kernel's shape as PyTorch's layers have it: (I, O/g, *space), or that of a plain kernel."""
        if not self.kernel.bank:
            return self.kernel.spatial
        return self.kernel.inputs * self.groups, self.kernel.outputs // self.groups, *self.kernel.spatial

    @property
    def whole_taps(self) -> bool:
        """Whether all taps are whole, and stay so."""
        return super().whole_taps and not self.overlap

    def axes(self, info: ImageInfo) -> tuple[Transposed, ...]:
        """Sizes, strides, dilations, padding and output padding along each spatial axis."""
        self.layout(info)
        return tuple(self._axis(place, letter, info.size(letter)) for place, letter in enumerate(self.spatial))

    def _axis(self, place: int, letter: str, size: int) -> Transposed:
        bare = Transposed(size, self.kernel.spatial[place], self.stride[place], self.dilation[place])
        begin, end = crops(bare, self.padding if isinstance(self.padding, str) else self.padding[place])
        axis = bare._replace(begin=begin, end=end, extra=self.output_padding[place] if self.output_padding else 0)
        if self.output_size:
            axis = axis._replace(extra=self.output_size[place] - axis.possible[0])
        return checked(axis, letter)

    def sizes(self, info: ImageInfo) -> dict[str, int]:
        """More pixels."""
        return dict(zip(self.spatial, (axis.output for axis in self.axes(info)), strict=True))

    def places(self, info: ImageInfo) -> Places:
        """Closer together."""
        axes = self.axes(info)
        firsts = (((axis.begin - (axis.extent - 1) / 2) / axis.stride, 1 / axis.stride) for axis in axes)
        return dict(zip(self.spatial, firsts, strict=True))

    def parts(self, info: ImageInfo) -> list[Part]:
        """The ordinary filters that compute all outputs, the one with the most work first.

        Some results may have no place in the output, but not where every result is clipped and counted.
        """
        whole = self.keeps_results(info, f"float{8 * self._itemsize(info)}")
        return list(_parts(self, self.axes(info), whole=whole))

    def ordinary(self, each: tuple[Piece, ...]) -> Correlation:
        """The filter of one part; `overlap` is normalised convolution over what lies inside."""
        axes = [piece.geometry for piece in each]
        return Correlation(
            self._bank([piece.phases for piece in each]),
            each=self.each,
            stride=(1,) * self.ndim,
            dilation=tuple(axis.dilation for axis in axes),
            padding=tuple((axis.begin, axis.end) for axis in axes),
            borders=tuple(map(_without_weight, self.borders)) if self.overlap else self.borders,
            groups=self.groups,
            approximation=self.approximation,
            numbers=self._numbers(prod(len(piece.phases) for piece in each)),
            middles=tuple(product(*([piece.middle(phase) for phase in piece.phases] for piece in each))),
        )

    def _numbers(self, phases: int) -> Numbers:
        """Numbers for a part: `overlap` leaves unknown pixels out, and each phase of a filter has its bias."""
        numbers = replace(self.numbers, nan="ignore") if self.overlap else self.numbers
        biases = tuple(bias for bias in numbers.biases for _ in range(phases))
        return replace(numbers, biases=biases) if biases else numbers

    def _bank(self, combined: list[tuple[Phase, ...]]) -> Kernel:
        """The taps of some phases as one bank: (O phases, I/g, *taps of a phase)."""
        import numpy as np

        filters = np.stack([self._taps(each) for each in product(*combined)], axis=1)
        if self.overlap:
            sums = filters.sum(axis=tuple(range(2, filters.ndim)), keepdims=True)
            filters = np.divide(filters, sums, out=np.zeros_like(filters), where=sums != 0)
        return Kernel.from_array(self.kernel.name, filters.reshape(-1, *filters.shape[2:]), bank=True)

    def _taps(self, combination: tuple[Phase, ...]) -> Array:
        """The taps (O, I/g, *space) that meet an input in one phase; a single tap of zero where none does."""
        import numpy as np

        taps = self.kernel.as_bank()
        if not all(phase.taps for phase in combination):
            return np.zeros((*taps.shape[:2], *(max(1, len(phase.taps)) for phase in combination)))
        for axis, phase in enumerate(combination, 2):
            taps = taps.take(phase.taps, axis)
        return taps

    def gains(self, info: ImageInfo) -> Array:
        """What each phase makes of a constant image of ones, away from its edges: (phases, O)."""
        import numpy as np

        combined = product(*(phases(axis) for axis in self.axes(info)))
        sums = np.array([self._taps(each).sum(axis=tuple(range(1, self.ndim + 2))) for each in combined])
        return (sums != 0).astype(float) if self.overlap else sums

    def macs(self, info: ImageInfo) -> int:
        """Multiply-adds of the definition: N prod(in) O (I/g) prod(k)."""
        return self._per_position(info) * prod(info.size(letter) for letter in self.spatial)

    def stuffed_macs(self, info: ImageInfo) -> int:
        """Those of a convolution over the image with zeros between its pixels: N prod(out) O (I/g) prod(k)."""
        return self._per_position(info) * prod(axis.output for axis in self.axes(info))

    def _per_position(self, info: ImageInfo) -> int:
        layout = self.layout(info)
        planes = prod(info.size(letter) for letter in layout.loops + layout.samples)
        return planes * (prod(self.kernel.shape) if self.kernel.bank else prod(self.kernel.spatial))


def _without_weight(border: Border) -> Border:
    """What lies outside, as unknown where it is zeros: no pixels are there to lay a kernel."""
    return Border("constant", nan) if str(border) == "zero" else border


@lru_cache(maxsize=16)
def _parts(frame: TransposedFilter, axes: tuple[Transposed, ...], *, whole: bool) -> tuple[Part, ...]:
    """The parts for images of one size, cut once for all of them."""
    cut = [list(pieces(axis, whole=whole)) for axis in axes]
    found = (Part(each, frame.ordinary(each)) for each in product(*cut))
    return tuple(sorted(found, key=lambda part: -work(part)))


def forward(kernel: Kernel, groups: int) -> Kernel:
    """A transposed bank (I, O/g, ...) as the bank from input to output channels, (O, I/g, ...).

    >>> forward(Kernel.from_values("k", (2, 3, 1, 1), range(6), bank=True), 1).values().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    if not kernel.bank:
        return kernel
    inputs, outputs, *space = kernel.shape
    if inputs % groups:
        raise ConvError(f"{groups} groups do not divide the bank's {inputs} input channels", "shape")
    taps = kernel.array().reshape(groups, inputs // groups, outputs, *space).swapaxes(1, 2)
    return Kernel.from_array(kernel.name, taps.reshape(groups * outputs, inputs // groups, *space), bank=True)


def crops(axis: Transposed, rule: str | tuple[int, int]) -> tuple[int, int]:
    """(p0, p1) of a rule. `same` leaves s n outputs, the kernel's middle on the pixel's; begin takes what is odd.

    >>> crops(Transposed(8, 4, 2), "same"), crops(Transposed(8, 3, 2), "same"), crops(Transposed(8, 3, 2), "tf-same")
    ((1, 1), (1, 0), (0, 1))
    """
    if isinstance(rule, tuple):
        return rule
    if rule == "full":
        return axis.extent - 1, axis.extent - 1
    if rule == "valid":
        return 0, 0
    rest = axis.extent - axis.stride
    if rule == "same":
        begin = -(-rest // 2)
    elif rule == "tf-same":
        begin, _ = tf_same_padding(axis.stride * axis.size, axis.kernel, axis.stride, axis.dilation)
    else:
        raise ConvError(f"unknown padding {rule!r}; use same, tf-same, valid, full or numbers", "usage")
    return begin, rest - begin


def default_laid_border(padding: Pads, *, overlap: bool) -> str:
    """What lies outside, where nobody says: the edge where the size is a multiple of the image's, else nothing."""
    return "edge" if padding == "same" and not overlap else "zero"


def checked(axis: Transposed, letter: str) -> Transposed:
    """The axis, refusing an output padding, or an output size, that no forward convolution would come from."""
    sizes = axis.possible
    if not 0 <= axis.extra < len(sizes):
        made = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
        raise ConvError(
            f"{axis.size} pixels along {letter} become {made}, not {sizes[0] + axis.extra} (output padding is below "
            f"the stride or the dilation, {len(sizes)}); change the size, the padding or the stride",
            "shape",
        )
    if axis.output < 1:
        made = f"{axis.stride} ({axis.size} - 1) + {axis.extent}"
        raise ConvError(
            f"the padding {axis.begin} + {axis.end} takes all {made} pixels along {letter}; pad less", "shape"
        )
    return axis


def work(part: Part) -> int:
    """Multiply-adds for one plane."""
    cells = prod(piece.last - piece.first for piece in part.pieces)
    return cells * prod(part.filter.kernel.shape)
