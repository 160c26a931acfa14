"""MINC files by the published layouts: version 1 through SciPy's netCDF, version 2 through h5py."""

import io

import numpy as np
from scipy.io import netcdf_file

NAMES = {"T": "time", "Z": "zspace", "Y": "yspace", "X": "xspace", "C": "vector_dimension"}
PLACES = {
    "X": {"step": 1.5, "start": -20.0, "direction_cosines": [1.0, 0.0, 0.0]},
    "Y": {"step": -0.5, "start": 7.0, "direction_cosines": [0.0, 0.8, 0.6]},
    "Z": {"step": 3.0, "start": 2.0, "direction_cosines": [0.0, -0.6, 0.8]},
    "T": {"step": 2.0, "start": 0.0},
}
UNITS = {"T": "s"}
CODES = {"u1": "b", "i1": "b", "u2": "h", "i2": "h", "i4": "i", "u4": "i", "f4": "f", "f8": "d"}


class Kept(io.BytesIO):
    """Bytes that are there when who wrote them has closed them."""

    def close(self):
        """Keep them."""
        if not self.closed:
            self.content = self.getvalue()
        super().close()


def places(axes):
    """What is said of each dimension, and its name."""
    return [(NAMES[axis], {**PLACES.get(axis, {}), "units": UNITS.get(axis, "mm")}, axis) for axis in axes]


def extremes_of(lows, highs):
    """What the ends of the valid numbers stand for, as far as they are given, by their names."""
    given = ("image-min", lows), ("image-max", highs)
    return [(name, np.asarray(values, float)) for name, values in given if values is not None]


def minc1(pixels, axes="ZYX", *, lows=None, highs=None, valid=None, version=1):
    """A volume as MINC-1; `lows` and `highs` of all, or of each plane."""
    stream = Kept()
    with netcdf_file(stream, "w", version=version) as file:
        for (name, said, axis), size in zip(places(axes), pixels.shape, strict=True):
            file.createDimension(name, size)
            if axis in PLACES:
                variable = file.createVariable(name, "i", ())
                variable.spacing = b"regular__"
                for key, value in said.items():
                    setattr(variable, key, value)
        names = tuple(NAMES[axis] for axis in axes)
        image = file.createVariable("image", CODES[pixels.dtype.str[1:]], names)
        image.signtype = b"unsigned" if pixels.dtype.kind == "u" else b"signed__"
        if valid is not None:
            image.valid_range = np.array(valid, float)
        image[:] = pixels if pixels.dtype.kind == "f" else pixels.view(pixels.dtype.str.replace("u", "i"))
        for name, values in extremes_of(lows, highs):
            extremes = file.createVariable(name, "d", names[: values.ndim])
            if values.ndim:
                extremes[:] = values
            else:
                extremes.data[...] = values
    return stream.content


def minc2(pixels, axes="ZYX", *, lows=None, highs=None, valid=None, **how):
    """A volume as MINC-2; `how` its array is made."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        root = file.create_group("minc-2.0")
        dimensions, held = root.create_group("dimensions"), root.create_group("image/0")
        for name, said, axis in places(axes):
            dimension = dimensions.create_dataset(name, data=0)
            dimension.attrs["spacing"] = np.bytes_("regular__")
            for key, value in said.items() if axis in PLACES else ():
                dimension.attrs[key] = np.bytes_(value) if isinstance(value, str) else value
        how = how if "shape" in how else {**how, "data": pixels}
        image = held.create_dataset("image", dtype=pixels.dtype, **how)
        order = ",".join(NAMES[axis] for axis in axes)
        image.attrs["dimorder"] = np.bytes_(order)
        if valid is not None:
            image.attrs["valid_range"] = np.array(valid, float)
        for name, values in extremes_of(lows, highs):
            extremes = held.create_dataset(name, data=values)
            if values.ndim:
                extremes.attrs["dimorder"] = np.bytes_(",".join(order.split(",")[: values.ndim]))
    return stream.getvalue()
