"""Zarr arrays and OME-Zarr images written byte by byte, as the specifications have them, for tests to read."""

import json
from itertools import product
from pathlib import Path

import numpy as np

AXES = {
    "t": {"name": "t", "type": "time", "unit": "second"},
    "c": {"name": "c", "type": "channel"},
    **{letter: {"name": letter, "type": "space", "unit": "micrometer"} for letter in "zyx"},
}
CHANNEL = {"color": "00FF00", "label": "GFP", "window": {"start": 0, "end": 900, "min": 0, "max": 4095}, "active": True}


def put(path, content):
    """A JSON file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def array(path, data, *, version=3, chunks=None, names=None, fill=0, attributes=None, **more):
    """An array without compression; `more` replaces what its metadata say."""
    path, chunks = Path(path), chunks or data.shape
    attributes = attributes or {}
    if version == 2:
        said = {"zarr_format": 2, "shape": data.shape, "chunks": chunks, "dtype": data.dtype.str, "order": "C"}
        put(path / ".zarray", said | {"compressor": None, "filters": None, "fill_value": fill} | more)
        put(path / ".zattrs", attributes | ({"_ARRAY_DIMENSIONS": list(names)} if names else {}))
    else:
        put(path / "zarr.json", described(data, chunks, names, fill, attributes) | more)
    for place in product(*(range(-(-size // step)) for size, step in zip(data.shape, chunks, strict=True))):
        key = ".".join(map(str, place)) if version == 2 else "/".join(["c", *map(str, place)])
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        (path / key).write_bytes(chunk(data, place, chunks, fill).tobytes())
    return path


def described(data, chunks, names, fill, attributes):
    """The zarr.json of an array."""
    endian = "big" if data.dtype.byteorder == ">" else "little"
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": data.shape,
        "data_type": data.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [{"name": "bytes", "configuration": {"endian": endian}}],
        "attributes": attributes,
        **({"dimension_names": list(names)} if names else {}),
    }


def chunk(data, place, chunks, fill):
    """The numbers of a chunk, up to its full size."""
    part = data[tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, chunks, strict=True))]
    whole = np.full(chunks, fill, data.dtype)
    whole[tuple(slice(size) for size in part.shape)] = part
    return whole


def image(path, levels, *, axes="zyx", version=3, scales=None, translations=None, attributes=None, ome=None, **more):
    """An OME-Zarr of 0.4 (Zarr 2) or 0.5 of arrays; `more` is said of its multiscale, `ome` beside it."""
    path = Path(path)
    datasets = []
    for number, data in enumerate(levels):
        array(path / str(number), data, version=version, **({"chunks": (8,) * data.ndim} if data.ndim else {}))
        scale = scales[number] if scales else [1.0 * 2**number] * data.ndim
        moves = [{"type": "translation", "translation": translations[number]}] if translations else []
        transformations = [{"type": "scale", "scale": scale}, *moves]
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    said = {"name": "cells", "axes": [AXES[letter] for letter in axes], "datasets": datasets, **more}
    group(path, {"multiscales": [said], **(ome or {})}, version=version, attributes=attributes)
    return path


def group(path, ome, *, version=3, attributes=None):
    """A group with OME's attributes, and others."""
    if version == 2:
        for said in ome.get("multiscales", ()):
            said["version"] = "0.4"
        put(Path(path) / ".zgroup", {"zarr_format": 2})
        put(Path(path) / ".zattrs", {**(attributes or {}), **ome})
    else:
        said = {**(attributes or {}), "ome": {"version": "0.5", **ome}}
        put(Path(path) / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": said})
    return Path(path)
