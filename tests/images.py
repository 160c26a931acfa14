"""Images for every format: pictures and stacks of every sample type, and which format holds which."""

import numpy as np

from convcli.formats import FORMATS, ReadOptions
from convcli.image import Image, ImageInfo

COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4, "cmyk": 4}
WRITTEN = [entry for entry in FORMATS.values() if entry.dtypes and not entry.folder]
ALL_SAMPLES = tuple(COUNTS)


def picture(samples="rgb", dtype="uint8", size=(11, 7), **metadata):
    """A picture with values over the whole range of its dtype."""
    count = COUNTS[samples]
    shape = size if count == 1 else (*size, count)
    kind = np.dtype(dtype)
    rng = np.random.default_rng(count)
    if kind.kind == "f":
        data = rng.normal(0, 1000, shape).astype(dtype)
    else:
        data = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, dtype, endpoint=True)
    named = samples if count > 1 else ""
    return Image(ImageInfo(shape, dtype, "YX" if count == 1 else "YXS", samples=named, metadata=metadata), data)


def stack(axes="ZYX", dtype="uint16", **fields):
    """A volume with different sizes along all axes."""
    shape = tuple({"T": 2, "Z": 3, "C": 4, "Y": 9, "X": 7, "S": 3}[axis] for axis in axes)
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    return Image(ImageInfo(shape, dtype, axes, samples="rgb" if "S" in axes else "", **fields), data)


def with_names(entry, info):
    """Reading options that tell arrays' axes, which their files do not."""
    return ReadOptions(axes=info.axes, alpha=info.has_alpha) if entry.module == "npy" else ReadOptions()


CASES = [
    (entry.name, dtype, samples)
    for entry in WRITTEN
    for dtype in entry.dtypes
    for samples in entry.samples or ALL_SAMPLES
    if not (entry.name == "imagej" and (dtype not in ("uint8", "uint16", "float32") or samples not in ("grey", "rgb")))
    if not (entry.name == "imagej" and samples == "rgb" and dtype != "uint8")
    if not (entry.module == "csv" and (dtype != "float64" or samples != "grey"))  # text has no type: tests/test_csv.py
    if not (entry.name == "ome" and dtype in ("uint64", "int64", "float16"))
    if not (entry.name == "nrrd" and samples not in ("grey", "rgb", "rgb+alpha"))
    if not (entry.name in ("metaimage", "mrc", "mgh", "mgz") and samples != "grey")
    if not (entry.module == "nifti.whole" and samples != "grey" and (samples[:3] != "rgb" or dtype != "uint8"))
]
