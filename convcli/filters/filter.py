"""A filter as the user asked for it, and what it makes of an image: shapes, axes and the problem to plan, no pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.errors import ConvError
from convcli.filters.borders import Border
from convcli.filters.positions import Places, moved_grid, moved_spacing
from convcli.geometry.axis import Geometry, padded
from convcli.geometry.problem import ACCURACY, Problem
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.records import record, replace
from convcli.samples import SAMPLES, as_sample

if TYPE_CHECKING:
    from convcli.kernels.pairs import Pair

WIDE = tuple(name for name, sample in SAMPLES.items() if sample.whole > SAMPLES["float32"].whole)
"""Sample types whose values float32 cannot hold exactly: they are computed in float64."""
SHORT = ("uint8", "uint16", "int16")
"""Sample types that are summed as the integers that they are where all taps are alike."""
LARGE = 1e10
"""Constants of a border from here on may make an overflow of float32."""
TIE = 1e-3
"""How near to a tie, in output units, rounding may go either way."""
LEAVING_OUT = ("ignore", "preserve")
"""The rules for NaN by which the rest of the kernel stands for what it misses; `preserve` keeps holes as they are."""
FILTERS = "m"
"""The axis of several results while pixels are computed; it becomes part of C in the output."""
Pads = str | tuple[tuple[int, int], ...]
"""A rule, or (begin, end) for each spatial axis."""


@record
class Numbers:
    """How samples become numbers and results become samples again.

    Results that are missing get the value that marks these, if `marked`; else they are NaN.
    `offset` is the kernel's own, added to the result of each filter; scale and bias come after results are combined.
    `biases` are a layer's own, one for each filter, added to its results before they are scaled. Where `nan` leaves
    samples out, results of which less than `min_weight` of the kernel was known are missing.
    """

    dtype: str = "auto"
    precision: str = "auto"
    range: str = "clip"
    scale: float = 1.0
    bias: float = 0.0
    offset: float = 0.0
    nan: str = "keep"
    marked: bool = True
    alpha: str = "premultiply"
    linear: bool = False
    biases: tuple[float, ...] = ()
    min_weight: float = 0.0


class Layout(NamedTuple):
    """Which axis of the input plays which part. Letters of the input's axes; `outputs` also has `FILTERS`."""

    spatial: str
    channel: str = ""  # what a bank sums over
    samples: str = ""  # colour samples, filtered alike but premultiplied together
    loops: str = ""
    outputs: str = ""  # the output's axes while results are computed
    axes: str = ""  # the output's axes in the end

    @property
    def read_order(self) -> str:
        """The order the engine reads in: loops, samples, channel, space."""
        return self.loops + self.samples + self.channel + self.spatial


@record
class Folded:
    """The filters of a bank whose results are to be added up, "sum", or averaged, "mean"; and its groups."""

    kernel: Kernel
    combine: str
    groups: int


@record
class Filter:
    """A kernel, and what every way of applying it makes of an image: axes, samples and numbers.

    `kernel` is plain, or a bank (O, I/g, ...); with `each` its O filters act on every channel alone. `borders` has one
    entry per spatial axis. `approximation` is how much of the kernel, relative to sum|k|, separable terms may leave
    out. `warnings` and `remarks` tell how it was built. What becomes of sizes is a matter of the kind of filter.
    """

    kernel: Kernel
    each: bool = True
    flip: bool = False
    borders: tuple[Border, ...] = ()
    groups: int = 1
    approximation: float = 0.0
    numbers: Numbers = field(default_factory=Numbers)
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def combine(self) -> str:
        """What several results become."""
        return "stack"

    @property
    def pair(self) -> Pair | None:
        """The two steps whose product a bank is, where it is computed by them."""
        return None

    @property
    def steps(self) -> Folded | None:
        """The filters whose results the kernel adds up, where it stands for several."""
        return None

    @property
    def middles(self) -> tuple[tuple[int, ...], ...]:
        """The places, in an output's window, of the pixel that it stands for, one for each phase.

        Without them that is the one under the kernel's centre.
        """
        return ()

    @property
    def ndim(self) -> int:
        """Spatial axes: 2 or 3."""
        return self.kernel.ndim

    @property
    def spatial(self) -> str:
        """Their letters."""
        return "ZYX"[-self.ndim :]

    @property
    def name(self) -> str:
        """The kernel's name, with what becomes of several results."""
        added = self.combine in ("sum", "mean")
        return f"{self.combine} of {self.kernel.name}" if added else self.kernel.name

    @property
    def gain(self) -> float:
        """The most that results can be of pixels of size 1, before they are scaled."""
        times = {"sum": float(self.kernel.outputs), "magnitude": sqrt(self.kernel.outputs)}
        return self.kernel.absolute_sum() * times.get(self.combine, 1.0)

    @property
    def size(self) -> float:
        """The most that any step makes of pixels of size 1: of a pair both steps, though their product may be less."""
        return max(self.gain, self.pair.absolute_sum if self.pair else 0.0)

    @property
    def whole_taps(self) -> bool:
        """Whether all taps, of every step, are whole numbers."""
        return self.pair.is_whole if self.pair else bool((self.kernel.array() % 1 == 0).all())

    @property
    def bias(self) -> float:
        """What is added to samples in the end; an offset has been added before, where results were combined."""
        numbers = self.numbers
        return numbers.bias + (numbers.scale * numbers.offset if self.combine == "stack" else 0.0)

    @property
    def results(self) -> int:
        """Result channels per input channel (each) or in all (bank)."""
        return 1 if self.combine != "stack" else self.kernel.outputs

    def channels(self, info: ImageInfo) -> int:
        """Input channels that meet the bank: those it sums over, times the groups; alpha is left out if that fits."""
        wanted = self.kernel.inputs * self.groups
        letter = self.layout(info).channel
        there = info.size(letter) if letter else 1
        if wanted != there and not (letter == "S" and info.has_alpha and wanted == there - 1):
            grouped = f" in {self.groups} groups" if self.groups > 1 else ""
            raise ConvError(
                f"the bank sums over {wanted} channels{grouped}, "
                f"the image has {there} ({info.axes} {_times(info.shape)})",
                "shape",
            )
        return wanted

    def layout(self, info: ImageInfo) -> Layout:
        """The part that each axis of an image plays."""
        missing = [letter for letter in self.spatial if letter not in info.axes]
        if missing:
            found = f"{info.axes} {_times(info.shape)}"
            way = "use conv2d, or --axes where a dimension goes by another letter" if self.ndim == 3 else "use --axes"
            raise ConvError(f"a {self.ndim}-D filter needs axis {missing[0]}, the image has {found}; {way}", "shape")
        return _layout(info.axes, self.spatial, self.results, each=self.each)

    def sizes(self, info: ImageInfo) -> dict[str, int]:
        """How many outputs there are along each spatial axis; a kind of filter says."""
        raise NotImplementedError

    def places(self, info: ImageInfo) -> Places:
        """Where they lie along each spatial axis; a kind of filter says."""
        raise NotImplementedError

    def output_info(self, info: ImageInfo) -> ImageInfo:
        """What the result will be, before any pixel is read."""
        layout, places = self.layout(info), self.places(info)
        sizes = {letter: info.size(letter) for letter in info.axes}
        sizes.update(self.sizes(info))
        if self.results > 1 or (layout.channel and FILTERS in layout.outputs):
            sizes["C"] = self.results * (sizes.get("C", 1) if self.each else 1)
        axes = layout.axes
        if "S" in sizes and self.drops_alpha(info):
            sizes["S"] -= 1
            axes = axes if sizes["S"] > 1 else axes.replace("S", "")  # what is left is grey
        samples = info.samples if "S" in layout.axes else ""
        return replace(
            info,
            shape=tuple(sizes[letter] for letter in axes),
            axes=axes,
            dtype=self.output_dtype(info),
            samples=samples.removesuffix("+alpha") if self.drops_alpha(info) else samples,
            missing=as_sample(info.missing, self.output_dtype(info)),
            spacing=moved_spacing(info.spacing, places),
            grid=moved_grid(info.grid, places),
            metadata=self._metadata(info.metadata, places),
        )

    def promises_each(self, info: ImageInfo) -> bool:
        """True where accuracy holds at each output: of each channel alone, results or pixels in floating point.

        Everywhere, if sums are divided by weights that may be as small as the smallest tap.
        """
        whole = all(map(_is_integer, (info.dtype, self.output_dtype(info))))
        return self.reweighs(info) or not (whole or self.pair or self.kernel.inputs > 1)

    def reweighs(self, info: ImageInfo) -> bool:
        """True where results may be divided by the share of the kernel that met a known pixel."""
        return self.numbers.nan in LEAVING_OUT and self.meets_unknown(info)

    def output_dtype(self, info: ImageInfo) -> str:
        """The sample type of the result: as asked, else the input's for pictures and floating point for features."""
        if self.numbers.dtype == "same":
            return info.dtype
        if self.numbers.dtype == "auto":
            return info.dtype if self.each else ("float64" if info.dtype in WIDE else "float32")
        return self.numbers.dtype

    def notes(self, info: ImageInfo) -> tuple[str, ...]:
        """What a user might not expect of this filter on this image."""
        notes = list(self.warnings)
        if self.layout(info).channel == "S" and self.channels(info) < info.size("S"):
            notes.append(f"the bank sums over {self.channels(info)} colours; the opacity was left out")
        slope, inter = info.metadata.get("scaling", (1.0, 0.0))
        if inter and self._gain() is None:
            notes.append(f"no scaling fits these results: of {slope:g} x {inter:+g} only the slope was kept")
        return tuple(notes)

    def drops_alpha(self, info: ImageInfo) -> bool:
        """True where the result has no opacity though the image does."""
        return self.each and info.has_alpha and self.numbers.alpha == "drop"

    def premultiplies(self, info: ImageInfo) -> bool:
        """True where colour is multiplied by its opacity before the filter."""
        return self.each and info.has_alpha and self.numbers.alpha == "premultiply"

    def meets_unknown(self, info: ImageInfo) -> bool:
        """True where NaN or infinities may come under the taps: from the pixels, missing ones too, or a border."""
        constants = all(abs(border.value) < LARGE for border in self.borders)
        return info.dtype.startswith("float") or info.missing is not None or not constants

    def keeps_results(self, info: ImageInfo, working: str) -> bool:
        """True where results computed in a type are stored as they are: no range, colour or opacity to see to."""
        numbers = self.numbers
        plain = numbers.range == "clip" and numbers.scale == 1 and self.bias == 0 and info.missing is None
        plain = plain and not numbers.biases
        colours = not numbers.linear and not (self.each and info.has_alpha) and self.combine == "stack"
        return plain and colours and self.output_dtype(info) == working

    def _metadata(self, metadata: Mapping[str, Any], places: Places) -> Mapping[str, Any]:
        """The metadata with fewer pixels per inch or centimetre where outputs lie further apart, and its scaling."""
        changed = dict(metadata)
        if "resolution" in metadata:
            x, y, unit = metadata["resolution"]
            changed["resolution"] = (x / places["X"][1], y / places["Y"][1], unit)
        if "scaling" in metadata:
            slope, inter = metadata["scaling"]
            changed["scaling"] = (slope, inter and inter * (self._gain() or 0.0))
        return changed

    @property
    def sums(self) -> set[float]:
        """The sum of each filter, told apart where they differ by more than rounding."""
        kernel = self.kernel
        each = kernel.array().reshape(kernel.outputs, -1).sum(axis=1).tolist() if kernel.bank else [kernel.sum()]
        size = kernel.absolute_sum() or 1.0
        return {round(total / size, 9) * size for total in each}

    def _gain(self) -> float | None:
        """What becomes of a constant added to the image; None where that depends on the pixels or the filter."""
        sums, added = self.sums, {"sum": self.kernel.outputs, "mean": 1}.get(self.combine, 0)
        linear = self.numbers.range == "clip" and (self.combine == "stack" or added) and not self.numbers.linear
        if sums == {0.0}:
            return 0.0
        return sums.pop() * (added or 1) * self.numbers.scale if linear and len(sums) == 1 else None

    def _itemsize(self, info: ImageInfo) -> int:
        size = self.kernel.absolute_sum()
        wide = info.dtype in WIDE or self.output_dtype(info) in WIDE[:4]
        extreme = size != 0 and not 1e-20 < size < 1e20  # the taps themselves would leave float32
        rescaled = self.numbers.range == "rescale"  # what is spread over a range must not be clipped before
        sums = prod(self.kernel.spatial) * info.sample.magnitude if self.kernel.alike and info.dtype in SHORT else 0
        large = sums > SAMPLES["float32"].whole  # which would be rounded
        return 8 if self.numbers.precision == "double" or wide or extreme or rescaled or large else 4

    def _tolerance(self, info: ImageInfo) -> float:
        """The relative error that still rounds an integer result right, except within TIE of a tie."""
        output = self.output_dtype(info)
        if not _is_integer(output):
            return ACCURACY
        largest = SAMPLES[info.dtype if info.sample.is_integer else output].magnitude
        gain = self.gain * abs(self.numbers.scale) * largest * (2 if self.reweighs(info) else 1)  # of sum and weight
        if self.numbers.linear:
            gain *= 12.92  # the steepest slope of the sRGB curve, IEC 61966-2-1
        if self.premultiplies(info):
            gain *= largest  # colour is divided by an alpha as small as one step
        return min(ACCURACY, TIE / gain) if gain else ACCURACY

    def _exact(self, info: ImageInfo) -> bool:
        if not _is_integer(info.dtype) or self.numbers.linear or self.premultiplies(info):
            return False
        small = self.kernel.absolute_sum() * info.sample.magnitude < SAMPLES["float32"].whole
        constants = all(float(border.value).is_integer() for border in self.borders)
        return (
            small and constants and not self.kernel.terms and all(float(v).is_integer() for v in self.kernel.values())
        )


@record
class Windowed(Filter):
    """A filter each of whose outputs reads one window of the image: a single problem for the planner."""

    def geometry(self, info: ImageInfo) -> tuple[Geometry, ...]:
        """The windows along each spatial axis; a kind of filter says."""
        raise NotImplementedError

    def sizes(self, info: ImageInfo) -> dict[str, int]:
        """As many outputs as windows."""
        return dict(zip(self.spatial, (axis.output for axis in self.geometry(info)), strict=True))

    def problem(self, info: ImageInfo, rank: int | None = None) -> Problem:
        """The sizes and precision that the planner needs; `rank` is the number of separable terms, where known."""
        layout = self.layout(info)
        if self.numbers.linear and info.samples == "cmyk":
            raise ConvError("CMYK has no linear light; leave --linear out", "dtype")
        channels = 1 if self.each else self.channels(info)
        rest = prod(info.size(letter) for letter in layout.loops + layout.samples)
        working = f"float{8 * self._itemsize(info)}"
        return Problem(
            axes=self.geometry(info),
            planes=rest,
            channels_in=channels,
            channels_out=self.kernel.outputs,
            groups=1 if self.each else self.groups,
            rank=len(self.kernel.terms) or (1 if self.kernel.alike else rank),
            border=tuple(map(str, self.borders)),
            itemsize=self._itemsize(info),
            tolerance=self._tolerance(info),
            exact=self._exact(info),
            approximation=self.approximation,
            together=prod(info.size(letter) for letter in layout.samples),
            plain=info.dtype == working and self.keeps_results(info, working),
            multiplier=self.pair.multiplier if self.pair else 0,
            halves=self._in_halves(info),
            local=self.promises_each(info),
            alike=self.kernel.alike,
            short=info.dtype in SHORT,
        )

    def _in_halves(self, info: ImageInfo) -> bool:
        """Whether 64-bit integers are filtered in two parts."""
        if not info.sample.is_long:
            return False
        from convcli.filters.exactness import halves

        return halves(self, info)


@record
class Correlation(Windowed):
    """A kernel that is laid on every pixel, or on some.

    Sequences have one entry per spatial axis. `padding` is a rule or (begin, end) pairs. `pair` holds the two steps
    whose product a bank is, where it is computed by them; `steps` holds the filters whose results the kernel adds up,
    where it stands for several. `middles` are the places, in an output's window, of the pixel that it stands for.
    """

    combine: str = "stack"
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: Pads = "same"
    pair: Pair | None = None
    steps: Folded | None = None
    middles: tuple[tuple[int, ...], ...] = ()

    def geometry(self, info: ImageInfo) -> tuple[Geometry, ...]:
        """Sizes, strides, dilations and padding along each spatial axis."""
        axes = []
        for place, letter in enumerate(self.spatial):
            rule = self.padding if isinstance(self.padding, str) else self.padding[place]
            kernel, centre = self.kernel.spatial[place], self.kernel.centre[place]
            axes.append(padded(info.size(letter), kernel, self.stride[place], self.dilation[place], rule, centre))
        return tuple(axes)

    def places(self, info: ImageInfo) -> Places:
        """Where outputs lie: under the kernel's centre, a stride apart."""
        axes = zip(self.spatial, self.geometry(info), self.kernel.centre, strict=True)
        return {letter: (centre * axis.dilation - axis.begin, axis.stride) for letter, axis, centre in axes}


@lru_cache(maxsize=64)
def _layout(axes: str, spatial: str, results: int, *, each: bool) -> Layout:
    """The parts of axes that hold all the spatial ones."""
    channel = "" if each else next((c for c in "CS" if c in axes), "")
    samples = "S" if "S" in axes and channel != "S" else ""
    loops = "".join(a for a in axes if a not in spatial + channel + samples)
    outputs = _output_axes(axes, spatial, channel, results, each=each)
    merged = outputs.replace("C" + FILTERS, "C") if each else outputs
    return Layout(spatial, channel, samples, loops, outputs, merged.replace(FILTERS, "C"))


def _output_axes(axes: str, spatial: str, channel: str, results: int, *, each: bool) -> str:
    """The axes of the result, with `FILTERS` where several results go."""
    if channel:  # C stays where it is named, also for one result; S, a colour, becomes grey then
        return axes.replace(channel, FILTERS if results > 1 or channel == "C" else "")
    if results == 1:
        return axes
    if each and "C" in axes:
        return axes.replace("C", "C" + FILTERS)
    first = min(axes.index(letter) for letter in spatial + "S" if letter in axes)
    return axes[:first] + FILTERS + axes[first:]


def _is_integer(dtype: str) -> bool:
    return SAMPLES[dtype].is_integer


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
