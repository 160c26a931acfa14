"""One tile: its window of the image, through colour, NaN and the method, to samples of the target.

Where nothing but the filter, a scale and a bias acts on the samples of a picture they go a short way: through the
native extension in one pass, with no floats in memory. Interleaved colour is filtered where it lies, as rows of `step`
samples per pixel; what stands beyond the image is looked up, not copied. Tiles in which NaN or infinities turn up go
the long way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli.engine.job import Job, Variants
from convcli.engine.samples import (
    ROUGH,
    Counts,
    add_biases,
    combine,
    count_nan,
    full_scale,
    narrow,
    premultiply,
    put,
    store,
    to_linear,
    to_srgb,
    unpremultiply,
)
from convcli.engine.slabs import Task
from convcli.engine.windows import WINDOW, Look, lean_window, read_window
from convcli.errors import ConvError
from convcli.filters.filter import LEAVING_OUT, Filter
from convcli.methods.contract import Fused, Prepared

if TYPE_CHECKING:
    from convcli import native

Array = np.ndarray[Any, Any]
Crop = tuple[slice, ...]
"""Which results of a tile are wanted, along each spatial axis."""
ROUNDED = 1e-6
"""How far below the least weight one may be that is as large but for its rounding."""
ZERO_SUM = 1e-6
"""A kernel whose sum is smaller than this share of its absolute sum counts as zero-sum."""


class OverflowsError(Exception):
    """Results of finite numbers that float32 cannot hold."""


def store_tile(job: Job, method: Variants, task: Task, target: Array, spare: Array | None = None) -> Counts:
    """Compute one tile and put its samples into `target` (samples, filters, *tile), as far as they are the slab's.

    Where float32 overflows the tile is computed in float64, up to its samples: what these cannot hold is counted.
    Results where `spare` (filters, *tile) is true have no place, and do not count then.
    """
    crop = job.slab.crop(task)
    if job.plan.problem.halves:
        from convcli.engine.integers import store_halves

        return store_halves(job, method, task, target, crop)
    fused = method.fused if spare is None and crop is None else None
    if fused is not None and (counts := store_fused(job, fused, task, target)):
        return counts
    with np.errstate(over="ignore", invalid="ignore"):  # of infinities, and of numbers whose products become such
        try:
            return _store_as(job.plan.problem.dtype, job, method, task, target, spare, crop)
        except OverflowsError:
            return _store_as("float64", job, method, task, target, spare, crop)


def _store_as(
    dtype: str, job: Job, method: Variants, task: Task, target: Array, spare: Array | None, crop: Crop | None
) -> Counts:
    """The same by arithmetic of a floating-point type."""
    block, look = lean_block(job, task, dtype) if method.apply.looks_up else (tile_block(job, task, dtype), WINDOW)
    planned = job.plan.problem.dtype
    keeps = job.filter.keeps_results(job.info, planned)
    plain = keeps and dtype == planned
    if (
        plain and crop is None and spare is None and target.strides[-1] == target.itemsize
    ):  # BLAS writes elsewhere with other bits
        finite = filter_block(job, method, block, target, look)
        holes = put_holes(job, block, task, target, look)
        return Counts(target.size, nan=0 if finite and not holes else count_nan(target))
    opacity = centre_opacity(job, block, task, look)
    results = np.empty((block.shape[0], job.plan.problem.channels_out, *task.shape), block.dtype)
    filter_block(job, method, block, results, look)
    put_holes(job, block, task, results, look)
    if crop is not None:
        part: Any = (..., *crop)
        results, opacity = results[part], None if opacity is None else opacity[part]
    if spare is not None:
        results[:, spare] = 0
    if plain:
        target[...] = results
        return Counts(target.size, nan=count_nan(results))
    return narrow(results, target) if keeps else finish(job, results, opacity, target)


def tile_block(job: Job, task: Task, dtype: str) -> Array:
    """The window of a tile (samples, channels, *window): missing as NaN, light linear, colour premultiplied."""
    window = _window(job, task)
    pixels = read_window(job.source[task.loop], window, job.filter.borders, dtype, job.slab.held)
    return _with_colour(job, pixels, inside(job, window))


def lean_block(job: Job, task: Task, dtype: str) -> tuple[Array, Look]:
    """The same with each pixel once, however often the window has it, and how the window is looked up."""
    pixels, reads = lean_window(job.source[task.loop], _window(job, task), job.filter.borders, dtype, job.slab.held)
    return _with_colour(job, pixels, _inside_lean(job, pixels.shape, reads)), Look(reads)


def _window(job: Job, task: Task) -> list[tuple[int, int]]:
    """What a tile reads of each axis."""
    return [axis.window(*span) for axis, span in zip(job.plan.problem.axes, task.tile, strict=True)]


def _with_colour(job: Job, block: Array, within: Array | bool) -> Array:
    """Pixels (samples, channels, ...): missing ones `within` as NaN, light linear, colour premultiplied."""
    filter_, info = job.filter, job.info
    numbers = filter_.numbers
    if info.missing is None and not numbers.linear and not filter_.premultiplies(info):
        return block
    block = block.copy() if np.may_share_memory(block, job.data) else block
    colour = block[:-1] if info.has_alpha and filter_.each else block
    if info.missing is not None:
        colour[(colour == info.missing) & within] = np.nan
    if numbers.linear:
        colour /= full_scale(info.dtype)
        to_linear(colour)
    if filter_.premultiplies(info):
        premultiply(block, full_scale(info.dtype))
    return block


def inside(job: Job, window: Sequence[tuple[int, int]]) -> Array | bool:
    """Which pixels of a window are samples of the image, and not a constant border's that equal its missing ones."""
    found: Array | bool = True
    for number, ((start, stop), border) in enumerate(zip(window, job.filter.borders, strict=True)):
        if border.rule == "constant" and border.value == job.info.missing:
            places = np.arange(start, stop)
            within = (places >= 0) & (places < job.plan.problem.axes[number].size)
            found = found & within.reshape(-1, *(1,) * (len(window) - number - 1))
    return found


def _inside_lean(job: Job, shape: tuple[int, ...], reads: Sequence[Array | None]) -> Array | bool:
    """The same of pixels of which each is there once, and a constant last."""
    found: Array | bool = True
    for number, (read, border) in enumerate(zip(reads, job.filter.borders, strict=True)):
        if read is not None and border.rule == "constant" and border.value == job.info.missing:
            size = shape[number - len(reads)]
            found = found & (np.arange(size) < size - 1).reshape(-1, *(1,) * (len(reads) - number - 1))
    return found


def centre_opacity(job: Job, block: Array, task: Task, look: Look = WINDOW) -> Array | None:
    """The opacity of the pixel that each output stands for, where colours have one: (1 or phases, *tile)."""
    if not (job.filter.each and job.info.has_alpha):
        return None
    return under_centre(job, block[-1, 0], task, look)


def under_centre(job: Job, pixels: Array, task: Task, look: Look) -> Array:
    """The pixel that each output stands for: (1 or phases, ..., *tile) of (..., *window)."""
    axes = job.plan.problem.axes
    taps = (0,) * len(axes) if job.filter.middles else job.filter.kernel.centre
    unders = [axis.under(tap, *span) for axis, tap, span in zip(axes, taps, task.tile, strict=True)]
    starts = job.filter.middles or ((0,) * len(axes),)
    every = [[[start + place for place in under] for under, start in zip(unders, each, strict=True)] for each in starts]
    return np.stack([look.at(pixels, each) for each in every])


def put_holes(job: Job, block: Array, task: Task, results: Array, look: Look = WINDOW) -> bool:
    """With `--nan preserve`, leave an output missing whose own pixel is, in all channels that it sums over.

    True where there was one.
    """
    if job.filter.numbers.nan != "preserve" or not job.filter.meets_unknown(job.info):
        return False
    unknown, groups = np.isnan(under_centre(job, block, task, look)), job.plan.problem.groups
    own: Array = np.all(unknown.reshape(*unknown.shape[:2], groups, -1, *unknown.shape[3:]), axis=3)
    phases = np.moveaxis(own, 0, 2)[:, :, None]  # (samples, groups, 1, phases, *tile): those of each filter
    shape = (*phases.shape[:2], results.shape[1] // groups // phases.shape[3], *phases.shape[3:])
    holes = np.broadcast_to(phases, shape).reshape(results.shape)
    results[holes] = np.nan
    return bool(holes.any())


def filter_block(job: Job, method: Variants, block: Array, results: Array, look: Look = WINDOW) -> bool:
    """Filter a block into (samples, filters, *tile), with NaN and infinities only where taps meet them.

    True where all results are known to be finite.
    """
    if not job.filter.meets_unknown(job.info):
        for channels, result in zip(block, results, strict=True):
            look(method.apply, channels, result)
        finite = [True]
    else:
        each = zip(block, results, strict=True)
        finite = [_filter_any(job, method, channels, result, look) for channels, result in each]
    results[:, method.weightless] = np.nan
    return all(finite) and not method.weightless


def _filter_any(job: Job, method: Variants, channels: Array, result: Array, look: Look) -> bool:
    """Filter channels that may hold NaN, infinities, or numbers too large for float32; True where none showed.

    No method loses what a tap meets: where all results are finite, all that was read is.
    """
    wide = result.dtype != method.plan.problem.dtype
    apply = method.wide if wide else method.apply
    with np.errstate(over="ignore", invalid="ignore"):
        look(apply, channels, result)
        shown = _all_safe(channels, result, method.safe) or _all_finite(result)
        if shown and not (method.hides and not _all_finite(channels)):
            if wide:
                _keep_what_fits(method, channels, result, look)
            return True
        if not (known := _all_finite(channels)):
            channels, seen = np.where(np.isfinite(channels), channels, 0), channels
            look(apply, channels, result)
        else:
            seen = channels
        if wide:
            _keep_what_fits(method, channels, result, look)
        if result.dtype == np.float32 and not _all_finite(result):
            raise OverflowsError
        if not known:
            _put_back(job, method, seen, result, look)
    return False


def _keep_what_fits(method: Variants, channels: Array, result: Array, look: Look) -> None:
    """Put results that float32 holds in place of those of float64: how tiles are cut must not change their bits."""
    planned = method.plan.problem.dtype
    narrow = np.empty(result.shape, planned)
    look(method.apply, channels.astype(planned), narrow)
    np.copyto(result, narrow, where=np.isfinite(narrow))


def _all_finite(values: Array) -> bool:
    """Whether all are finite; a finite sum says so in one pass."""
    return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _all_safe(channels: Array, result: Array, size: float) -> bool:
    """Whether no pixel is larger, or NaN; looked for only where results are so many that these take longer."""
    return 2 * channels.size <= result.size and bool(-size <= channels.min() and channels.max() <= size)


def _put_back(job: Job, method: Variants, channels: Array, result: Array, look: Look) -> None:
    """Let NaN and infinities act on the outputs whose taps look at them, by the rule for NaN."""
    unknown, rule = np.isnan(channels), job.filter.numbers.nan
    if unknown.any():
        if rule == "error":
            raise ConvError("there are NaN in it; --nan keep, ignore or zero would go on", "nan")
        if rule in LEAVING_OUT:
            _reweigh(job, method, unknown, result, look)
        elif rule == "keep":
            result[_meets(method.reach, unknown, result, look)] = np.nan
    if np.isinf(channels).any():
        _put_infinities(method, channels, result, look)


def _put_infinities(method: Variants, channels: Array, result: Array, look: Look) -> None:
    plus, minus = channels == np.inf, channels == -np.inf
    met = {
        (sign, way): _meets(reach, marked, result, look)
        for sign, marked in (("+", plus), ("-", minus))
        for way, reach in (("+", method.reach_positive), ("-", method.reach_negative))
    }
    up, down = met["+", "+"] | met["-", "-"], met["-", "+"] | met["+", "-"]
    known = ~np.isnan(result)
    result[up & known] = np.inf
    result[down & known] = -np.inf
    result[up & down] = np.nan


def _reweigh(job: Job, method: Variants, unknown: Array, result: Array, look: Look) -> None:
    """Normalised convolution: divide by the share of the kernel that met a known pixel (Knutsson and Westin, 1993)."""
    share = np.empty_like(result)
    apply = method.apply if result.dtype == method.plan.problem.dtype else method.wide
    look(apply, (~unknown).astype(result.dtype), share)
    share /= job.taps.sum(axis=tuple(range(1, job.taps.ndim))).reshape(-1, *(1,) * (share.ndim - 1))
    seen, nothing = _meets(method.reach, unknown, result, look), ~_meets(method.reach, ~unknown, result, look)
    nothing |= seen & (share < job.filter.numbers.min_weight - ROUNDED)
    share[nothing] = 1
    # where all is known the share is 1 but for its rounding, which other tiles do not have
    np.divide(result, share, out=result, where=seen)
    result[nothing] = np.nan


def _meets(reach: Prepared, marked: Array, result: Array, look: Look) -> Array:
    """Which outputs look at a marked pixel."""
    count = np.empty(result.shape, np.float32)
    look(reach, marked.astype(np.float32), count)
    return count > 0.5


def finish(job: Job, results: Array, opacity: Array | None, target: Array) -> Counts:
    """Undo what was done to colour, combine the filters' results, store samples; `opacity` is that under the centre."""
    if opacity is None:
        return _store_colour(job, results, target)
    colour, opacities = results[:-1], _opacities(job, results, opacity)
    if job.filter.drops_alpha(job.info):
        return _store_colour(job, colour, target)
    counts = _store_colour(job, colour, target[:-1])
    counts.add(put(np.array(np.broadcast_to(opacities, target[-1].shape)), target[-1]))
    return counts


def _opacities(job: Job, results: Array, opacity: Array) -> Array:
    """The opacity of each result; where opacity was filtered too, colour is divided by it, in place.

    The kernel's sum acts on colour alone. Where it is zero (an edge filter) there is nothing to divide by: the opacity
    under the centre stays.
    """
    filter_, info = job.filter, job.info
    stays = np.broadcast_to(opacity, results[-1].shape)
    if filter_.numbers.alpha == "straight":
        return _of_all(filter_, results[-1], opacity)
    if filter_.numbers.alpha != "premultiply":
        return _of_all(filter_, stays, opacity)
    scale, taps = full_scale(info.dtype), job.taps
    opacities = stays.copy()
    for number, (total, size) in enumerate(
        zip(taps.sum(axis=_all_but_first(taps)), np.abs(taps).sum(axis=_all_but_first(taps)), strict=True)
    ):
        if abs(total) > ZERO_SUM * size:
            opacities[number] = np.clip(results[-1, number] / total, 0, scale)
            if filter_.premultiplies(info):
                unpremultiply(results[:-1, number], opacities[number] / scale)
    return _of_all(filter_, opacities, opacity)


def _of_all(filter_: Filter, opacities: Array, opacity: Array) -> Array:
    """The opacity of results that are combined: of sums and means the mean of theirs, else that under the centre."""
    if filter_.combine in ("sum", "mean"):
        mean: Array = opacities.mean(axis=0, keepdims=True)
        return mean
    return opacities if filter_.combine == "stack" else opacity


def _store_colour(job: Job, results: Array, target: Array) -> Counts:
    filter_, scale = job.filter, full_scale(job.info.dtype) if job.filter.numbers.linear else 1.0
    if filter_.combine != "stack":
        numbers, bare = filter_.numbers, (filter_.numbers.scale, filter_.bias) == (1, 0)
        plain = numbers.range != "rescale" and not numbers.linear and (bare or target.dtype.kind == "f")
        rough = target.dtype.name in ROUGH and plain  # else a change in one precision or the other would show
        results = combine(results, filter_.combine, filter_.numbers.offset / scale, rough=rough)
    if filter_.numbers.biases:
        add_biases(results, filter_.numbers)
    if filter_.numbers.linear:
        to_srgb(results)
        results *= scale
    return store(results, target, filter_.numbers, filter_.bias, job.setup.after.missing)


def _all_but_first(array: Array) -> tuple[int, ...]:
    return tuple(range(1, array.ndim))


def store_fused(job: Job, compiled: Fused, task: Task, target: Array) -> Counts | None:
    """Compute one tile into `target` (samples, filters, *tile); None where it has to go the long way."""
    if not job.data.dtype.isnative:
        return None
    total, told, safe = Counts(), told_of(job, task), job.setup.method.safe
    for channels, results, step in planes_at(job, task, target):
        counts = counted(compiled(channels, results, step=step, **told), safe, channels, results)
        if counts is None:
            return None
        total.add(counts)
    return total


def told_of(job: Job, task: Task) -> dict[str, Any]:
    """What a compiled method is told of a tile besides its samples."""
    _, reads = job.slab.look_up(task.tile)
    numbers = job.filter.numbers
    return {"scale": numbers.scale, "bias": job.filter.bias, "reads": reads, "outside": job.setup.outside}


def planes_at(job: Job, task: Task, target: Array) -> Iterator[tuple[Array, Array, int]]:
    """The samples that a tile reads, and those of `target` (samples, filters, *tile), as compiled methods take them."""
    parts, _ = job.slab.look_up(task.tile)
    return _planes(_samples_last(job.source[task.loop][..., *parts]), _samples_last(target))


def counted(counts: native.Counts | None, safe: float, pixels: Array, results: Array) -> Counts | None:
    """What became of results as the image's counts; None where they have to be computed the long way."""
    if counts is None or counts.nan:
        return None
    if (counts.below or counts.above) and not is_clipped(safe, pixels, results):
        return None
    return Counts(results.size, counts.below, counts.above)


def is_clipped(safe: float, pixels: Array, results: Array) -> bool:
    """Whether results beyond a type are truly so: whole numbers, from sums that did not overflow on their way."""
    if results.dtype.kind == "f":
        return False
    return pixels.dtype.kind != "f" or bool(-safe <= pixels.min() and pixels.max() <= safe)


def _samples_last(planes: Array) -> Array:
    """(samples, *space) as (*space, samples); np.moveaxis takes ten times as long."""
    return planes.transpose(*range(1, planes.ndim), 0)


def _planes(source: Array, target: Array) -> Iterator[tuple[Array, Array, int]]:
    """(..., rows, columns, samples) as rows in memory: all samples at once where they are interleaved."""
    samples = source.shape[-1]
    if _interleaved(source) and _interleaved(target):
        yield source.reshape(*source.shape[:-2], -1), target.reshape(*target.shape[:-2], -1), samples
        return
    for sample in range(samples):
        yield source[..., sample], target[..., sample], 1


def _interleaved(pixels: Array) -> bool:
    """Whether the samples of a row follow each other without gaps."""
    return pixels.strides[-1] == pixels.itemsize and pixels.strides[-2] == pixels.itemsize * pixels.shape[-1]
