"""What every filtering command computes, from its definition: float64, one tap after the other, NaN and infinities as
IEEE 754 adds them. Beside each value stands the convolution of the absolute values, by which accuracy is promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oracle import PAD

ACCURACY = 2e-5
"""What is promised of floating-point results, relative to the convolution of absolute values at each output."""
TIE = 1e-3
"""How near to a tie a result may be rounded either way."""


ROUNDING = 2.0**-23
"""Results are computed in float32 at least, the bias with them."""


@dataclass
class Values:
    """Results (planes, channels, *space), and how far from them the tool may be, element by element."""

    value: np.ndarray
    slack: np.ndarray

    def each(self, change):
        """The same after a change of the arrays, such as a reshape."""
        return Values(change(self.value), change(self.slack))


def bordered(image, pads, rules):
    """(channels, *space) with what lies outside: for each axis (begin, end) pixels by a rule, or by a number."""
    for axis, ((begin, end), rule) in enumerate(zip(pads, rules, strict=True), 1):
        widths = [(0, 0)] * image.ndim
        widths[axis] = (max(0, begin), max(0, end))
        constant = isinstance(rule, float)
        image = np.pad(
            image, widths, "constant" if constant else PAD[rule], **{"constant_values": rule} if constant else {}
        )
        keep = [slice(None)] * image.ndim
        keep[axis] = slice(max(0, -begin), image.shape[axis] - max(0, -end))
        image = image[tuple(keep)]
    return image


@np.errstate(invalid="ignore", over="ignore")
def weighed(image, taps, stride, dilation):
    """(sums, sums of absolute values) of (channels, *space) by (O, I/g, *kernel), where the kernel lies inside."""
    groups = image.shape[0] // taps.shape[1]
    axes = list(zip(image.shape[1:], taps.shape[2:], stride, dilation, strict=True))
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
    value, size = np.zeros((taps.shape[0], *out)), np.zeros((taps.shape[0], *out))
    finite = np.where(np.isfinite(image), np.abs(image), 0)
    filters = taps.shape[0] // groups
    for o in range(taps.shape[0]):
        first = o // filters * taps.shape[1]
        for i, *tap in zip(*np.nonzero(taps[o]), strict=True):
            cut = tuple(
                slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in zip(tap, dilation, stride, out, strict=True)
            )
            weight = taps[(o, i, *tap)]
            value[o] += weight * image[(first + i, *cut)]
            size[o] += abs(weight) * finite[(first + i, *cut)]
    return value, size


@np.errstate(invalid="ignore", over="ignore")
def lay(image, taps, stride, dilation, groups):
    """(values, sizes) of every pixel's taps added where they fall: (O, *out), out = s (n - 1) + d (k - 1) + 1."""
    axes = zip(image.shape[1:], taps.shape[2:], stride, dilation, strict=True)
    out = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in axes]
    fan_in, fan_out = image.shape[0] // groups, taps.shape[1]
    value, size = np.zeros((groups * fan_out, *out)), np.zeros((groups * fan_out, *out))
    finite = np.where(np.isfinite(image), np.abs(image), 0)
    for i, o, *tap in zip(*np.nonzero(taps), strict=True):
        cut = tuple(
            slice(t * d, t * d + s * (n - 1) + 1, s)
            for t, d, s, n in zip(tap, dilation, stride, image.shape[1:], strict=True)
        )
        place = (i // fan_in * fan_out + o, *cut)
        value[place] += taps[(i, o, *tap)] * image[i]
        size[place] += abs(taps[(i, o, *tap)]) * finite[i]
    return value, size


def bank_slack(size, taps, image, *, plain):
    """How far results may be off: by output for plain kernels, by sum|k| max|x| for banks."""
    if plain:
        return ACCURACY * size
    finite = np.abs(image[np.isfinite(image)]).max(initial=0.0)
    sums = np.abs(taps).sum(axis=tuple(range(1, taps.ndim)))
    return np.broadcast_to(ACCURACY * finite * sums.reshape(-1, *(1,) * (size.ndim - 1)), size.shape)


def by_rule(image, rule, compute, totals):
    """A linear step under a rule for NaN: `compute` gives (values, sizes), `totals` are the sums of the filters.

    A filter without taps, of a bank, sees nothing that is known.
    """
    unknown = np.isnan(image)
    if rule == "keep" or not (unknown.any() or (rule == "ignore" and not np.all(totals))):
        return compute(image)
    value, size = compute(np.where(unknown, 0.0, image))
    if rule == "ignore":
        weight, _ = compute(np.where(unknown, 0.0, 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = weight / np.asarray(totals).reshape(-1, *(1,) * (weight.ndim - 1))
            value, size = np.where(weight > 0, value / share, np.nan), np.where(weight > 0, 3 * size / share, 0)
    return value, size


def convolved(image, taps, *, stride, dilation, pads, border, nan="keep", plain=True):
    """A convolution of (C, *space) by (O, I/g, *kernel): Values (O, *out)."""
    known = bordered(image, pads, border)
    totals = taps.sum(axis=tuple(range(1, taps.ndim)))
    value, size = by_rule(known, nan, lambda x: weighed(x, taps, stride, dilation), totals)
    weighed_by_known = nan == "ignore" and bool(np.isnan(known).any())  # else banks keep their own promise
    return Values(value, bank_slack(size, taps, known, plain=plain or weighed_by_known))


def transposed(image, taps, *, stride, dilation, crop, extra, border, groups=1, nan="keep", overlap=False, plain=True):
    """A transposed convolution of (C, *space) by (I, O/g, *kernel); what lies outside lays taps, too: Values (O, *out).

    `overlap` divides each output by the weights that fall there, of pixels that are known; a border of zeros has none.
    """
    space, kernel = image.shape[1:], taps.shape[2:]
    reach = [-(-(d * (k - 1) + 1 + e) // s) + 1 for k, d, e, s in zip(kernel, dilation, extra, stride, strict=True)]
    around = bordered(image, [(r, r) for r in reach], border)
    inside = tuple(
        slice(r * s + begin, r * s + s * (n - 1) + d * (k - 1) + 1 - end + e)
        for r, s, n, d, k, (begin, end), e in zip(reach, stride, space, dilation, kernel, crop, extra, strict=True)
    )

    def compute(x):
        return tuple(each[(slice(None), *inside)] for each in lay(x, taps, stride, dilation, groups))

    if overlap:
        outside = bordered(np.zeros(image.shape), [(r, r) for r in reach], [np.nan if b == 0.0 else b for b in border])
        counted = np.where(np.isnan(outside), np.nan, around)
        value, size = by_rule(counted, "zero", compute, 1)
        weight, _ = compute(np.where(np.isnan(counted), 0.0, 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            value, size = value / weight, 3 * size / weight
        return Values(value, ACCURACY * np.where(np.isfinite(size), size, 0))
    value, size = by_rule(around, "zero" if nan == "zero" else "keep", compute, 1)
    per = taps.shape[0] // groups
    forward = taps.reshape(groups, per, *taps.shape[1:]).swapaxes(1, 2).reshape(-1, per, *kernel)
    return Values(value, bank_slack(size, forward, around, plain=plain))


CURVES = {
    "nearest": (0.5, None),
    "bilinear": (1, lambda x: 1 - x),
    "bicubic": (2, lambda x: np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)),
    "lanczos": (3, lambda x: np.sinc(x) * np.sinc(x / 3)),
}
"""Reach and weight by distance of each curve, as in Pillow."""


def resampled(image, name, wanted):
    """(C, *space) at other sizes, pixel centres at halves, weights only inside: Values (C, *wanted)."""
    value, size = image, np.where(np.isfinite(image), np.abs(image), 0)
    for axis, new in enumerate(wanted, 1):
        n = image.shape[axis]
        matrix = np.zeros((new, n))
        for u in range(new):
            if name == "nearest":
                matrix[u, min(n - 1, (2 * u + 1) * n // (2 * new))] = 1
                continue
            reach, curve = CURVES[name]
            stretch = max(1.0, n / new)
            distance = np.abs(np.arange(n) - ((u + 0.5) * n / new - 0.5)) / stretch
            weights = np.where(distance < reach - 1e-12, curve(np.minimum(distance, reach)), 0)
            matrix[u] = np.where(np.abs(weights / weights.sum()) > 1e-15, weights / weights.sum(), 0)
        value, size = _rows(matrix, value, axis), _rows(np.abs(matrix), size, axis)
    return Values(value, ACCURACY * size)


@np.errstate(invalid="ignore", over="ignore")
def _rows(matrix, values, axis):
    """A matrix along an axis; weights of 0 meet nothing, so that 0 times NaN is 0."""
    lines = np.moveaxis(values, axis, 0)
    rows = [sum((w * lines[i] for i, w in enumerate(row) if w), np.zeros(lines.shape[1:])) for row in matrix]
    return np.moveaxis(np.stack(rows), 0, axis)


@np.errstate(invalid="ignore", over="ignore")
def combined(parts, how):
    """Results of several filters (list of Values) as one, or side by side along channels."""
    values, slacks = np.stack([p.value for p in parts]), np.stack([p.slack for p in parts])
    if how == "sum":
        return Values(values.sum(axis=0), slacks.sum(axis=0))
    if how == "mean":
        return Values(values.sum(axis=0) / len(parts), slacks.sum(axis=0) / len(parts))
    if how == "magnitude":
        return Values(np.sqrt(np.square(values).sum(axis=0)), np.sqrt(np.square(slacks).sum(axis=0)))
    return Values(values.max(axis=0), slacks.max(axis=0))


@dataclass
class Stored:
    """What a sample may be, from `least` to `most` (NaN where unknown), and how many were clipped at least and most."""

    least: np.ndarray
    most: np.ndarray
    below: tuple[int, int]
    above: tuple[int, int]
    nan: int


@np.errstate(invalid="ignore", over="ignore")
def stored(values, dtype, *, scale=1.0, bias=0.0, range_="clip", nodata=None, whole=False):
    """Results as samples of a type; `whole`: they come of integers, and may be off by a tie only."""
    value, slack = values.value * scale + bias, values.slack * abs(scale)
    kind = np.dtype(dtype)
    finest = 0.0
    if range_ == "abs":
        value = np.abs(value)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    low, high = float(limits.min), float(limits.max)
    if range_ == "rescale":
        slack = slack + ROUNDING * np.abs(np.where(np.isfinite(value), value, 0))
        finite = value[np.isfinite(value)]
        first, last = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        bottom, top = (0.0, 1.0) if kind.kind == "f" else (low, high)
        slope = (top - bottom) / (last - first) if last > first else 0.0
        most = 4 * slack.max(initial=0.0)
        alike = most > 0 and last - first <= most  # what is spread then may be nothing but rounding
        slack = np.full_like(value, top - bottom if alike else most * slope)
        whole = whole and not alike
        finest = 4e-15 * (abs(top) + abs(bottom))
        slack += finest
        value = (value - first) * slope + bottom
    unknown = np.isnan(value)
    slack = slack + ROUNDING * np.abs(np.where(np.isfinite(value), value, 0))
    with np.errstate(over="ignore", invalid="ignore"):
        if kind.kind in "iu":
            slack = np.full_like(value, TIE) + finest if whole else slack + TIE
            least, most = np.rint(value - slack), np.rint(value + slack)
        else:
            slack = (
                slack
                + np.abs(np.where(np.isfinite(value), value, 0)) * float(limits.eps)
                + float(limits.smallest_subnormal)
            )
            least, most = value - slack, value + slack
        infinite = np.isinf(value) if kind.kind == "f" else np.zeros(value.shape, bool)
        clipped = [
            (int((hard & ~infinite).sum()), int((soft & ~infinite).sum()))
            for hard, soft in (((most < low), (least < low)), ((least > high), (most > high)))
        ]
        least, most = (np.where(infinite, value, np.clip(each, low, high)) for each in (least, most))
    filled = (0.0 if kind.kind in "iu" else np.nan) if nodata is None else nodata
    least, most = (np.where(unknown, filled, each) for each in (least, most))
    return Stored(least, most, *clipped, int(unknown.sum()))


def pads_by_rule(padding, size, kernel, stride, dilation, origin):
    """(begin, end) along an axis by the name of a padding."""
    extent = dilation * (kernel - 1) + 1
    outputs = -(-size // stride)
    if padding == "same":
        begin = origin * dilation
        return begin, max(0, stride * (outputs - 1) + extent - begin - size)
    if padding == "tf-same":
        total = max(0, stride * (outputs - 1) + extent - size)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "full": (extent - 1, extent - 1)}[padding]


def crop_by_rule(padding, kernel, stride, dilation):
    """(begin, end) cut off a transposed convolution by the name of a padding."""
    extent = dilation * (kernel - 1) + 1
    if padding == "same":
        rest = extent - stride
        return -(-rest // 2), rest - -(-rest // 2)
    return {"valid": (0, 0), "full": (extent - 1, extent - 1)}[padding]
