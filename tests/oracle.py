"""The definition of convolution, written for being read: pads with NumPy, loops over taps, adds in float64."""

from __future__ import annotations

from itertools import product

import numpy as np

PAD = {"edge": "edge", "zero": "constant", "reflect": "reflect", "symmetric": "symmetric", "wrap": "wrap"}


def same_pads(size, kernel, stride, dilation, origin=None):
    """(begin, end) such that tap `origin` visits 0, s, 2s, ... below `size`, found by trying each position."""
    origin = kernel // 2 if origin is None else origin
    visited = range(0, size, stride)
    reads = [centre + (tap - origin) * dilation for centre in visited for tap in range(kernel)]
    return max(0, -min(reads)), max(0, max(reads) - size + 1)


def pads_of(padding, size, kernel, stride, dilation, origin=None):
    """(begin, end) of one axis by rule."""
    if padding == "same":
        _, end = same_pads(size, kernel, stride, dilation, origin)
        return (kernel // 2 if origin is None else origin) * dilation, end
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return (kernel - 1) * dilation, (kernel - 1) * dilation
    return padding


def correlate(image, taps, *, stride, dilation, pads, border="zero", groups=1):
    """(O, *out) from an image (I, *space) and taps (O, I/g, *kernel), all in float64, one rule for every border."""
    image, taps = np.asarray(image, np.float64), np.asarray(taps, np.float64)
    ndim = image.ndim - 1
    padded = np.pad(image, [(0, 0), *pads], mode=PAD[border]) if sum(map(sum, pads)) else image
    axes = list(zip(padded.shape[1:], taps.shape[2:], stride, dilation, strict=True))
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
    filters, fan_in = taps.shape[0] // groups, taps.shape[1]
    result = np.zeros((taps.shape[0], *out))
    for o in range(taps.shape[0]):
        channels = padded[o // filters * fan_in : (o // filters + 1) * fan_in]
        for tap in product(*map(range, taps.shape[2:])):
            places = zip(tap, dilation, stride, out, strict=True)
            cut = tuple(slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in places)
            weights = taps[(o, slice(None), *tap)]
            result[o] += sum(w * channel[cut] for w, channel in zip(weights, channels, strict=True) if w != 0)
    assert result.ndim == ndim + 1
    return result


def transposed(image, taps, *, stride, dilation, pads, extra=None, groups=1):
    """The transposed convolution (O, *out) of (I, *space) by taps (I, O/g, *kernel): every pixel lays them down."""
    image, taps = np.asarray(image, np.float64), np.asarray(taps, np.float64)
    axes = list(zip(image.shape[1:], taps.shape[2:], stride, dilation, extra or (0,) * len(stride), strict=True))
    whole = [s * (n - 1) + d * (k - 1) + 1 + more for n, k, s, d, more in axes]
    fan_in, fan_out = image.shape[0] // groups, taps.shape[1]
    result = np.zeros((groups * fan_out, *whole))
    for i, o in product(range(image.shape[0]), range(fan_out)):
        for tap in product(*map(range, taps.shape[2:])):
            cut = tuple(slice(t * d, t * d + s * (n - 1) + 1, s) for t, (n, _, s, d, _) in zip(tap, axes, strict=True))
            result[(i // fan_in * fan_out + o, *cut)] += taps[(i, o, *tap)] * image[i]
    inner = (slice(begin, size - end) for (begin, end), size in zip(pads, whole, strict=True))
    return result[(slice(None), *inner)]
