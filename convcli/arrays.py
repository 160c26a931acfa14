"""Arrays as other libraries hand them over: of any kind that can be filtered, in any byte order and layout."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from convcli.errors import ConvError

Array = np.ndarray[Any, Any]
LARGEST = 8
"""Bytes of a sample."""


def as_pixels(image: Any) -> Array:
    """An image as an array of real numbers, without a copy where that is possible; true and false are 255 and 0.

    Takes whatever NumPy makes an array of, in any byte order and layout. Raises ConvError: dtype.
    """
    if type(image) is np.ndarray and image.dtype.kind in "iuf" and image.dtype.itemsize <= LARGEST:
        return in_order(image)
    if isinstance(image, (str, bytes, os.PathLike)):
        raise ConvError(f"{image!r} is a name, not pixels; convcli.read(name).data has those of a file", "dtype")
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ConvError("the image is a masked array; fill what is masked, as by image.filled(nan)", "dtype")
    try:
        pixels: Array = np.asarray(image)
    except ValueError as error:  # lists of different lengths
        raise ConvError(f"the image is no array: {error}", "shape") from None
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "b":
        return pixels.view(np.uint8) * np.uint8(255)
    if kind not in "iuf" or size > LARGEST:
        way = "convert it to integers, float32 or float64 first, as by image.astype('float64')"
        raise ConvError(f"the image holds {pixels.dtype}, which cannot be filtered; {way}", "dtype")
    return in_order(pixels)


def in_order(pixels: Array) -> Array:
    """The same array, said to be in the machine's byte order in the one way that compiled code understands.

    `<u2` is `u2` on most machines, but NumPy's buffers tell them apart. Numbers in another order stay as they are.
    """
    dtype = pixels.dtype
    return pixels.view(dtype.newbyteorder("=")) if dtype.isnative and dtype.byteorder not in "=|" else pixels
