"""What an array of Zarr says of itself, in versions 2 (.zarray) and 3 (zarr.json): read, checked, and written.

Metadata are read as what they are, a stranger's: each number is looked at before anything is made of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from math import inf, nan
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.layout import DTYPES
from convcli.formats.zarr.codecs import CODECS, Codec, codec_of
from convcli.formats.zarr.pipeline import Pipeline, Shards
from convcli.records import record

Json = Mapping[str, Any]
LONGEST = 2**26
"""Bytes of metadata that are read; those of a plate of thousands of images are a hundredth of it."""
LARGEST = 2**62
"""Samples along an axis."""
MOST_AXES = 32
ROOTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
"""Keys that tell of an array or a group."""
NUMBERS = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}
BYTE_ORDERS = {"little": "<", "big": ">"}
DIMENSIONS = "_ARRAY_DIMENSIONS"
"""The attribute by which xarray names the dimensions of arrays of version 2."""


@record
class Keys:
    """What chunks are called: "c/0/1" or, as in version 2, "0/1" or "0.1"."""

    prefix: str
    separator: str

    def of(self, place: Sequence[int]) -> str:
        """The key of a chunk, below the array's."""
        if not place:
            return self.prefix.rstrip(self.separator) or "0"
        return self.prefix + self.separator.join(map(str, place))


@record
class ArrayMeta:
    """An array: its shape, how its chunks are stored and called, and the value of those that are not there.

    `names` are those of its dimensions, where it has any; `attributes` are the user's.
    """

    version: int
    shape: tuple[int, ...]
    pipeline: Pipeline
    fill: float
    keys: Keys
    names: tuple[str | None, ...] = ()
    attributes: Json = field(default_factory=dict)

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """The shape of what lies under one key."""
        return self.pipeline.shape

    @property
    def dtype(self) -> str:
        """NumPy's name of its type, in the machine's byte order."""
        return self.pipeline.type.name


def parsed_json(data: bytes, key: str) -> dict[str, Any]:
    """A JSON object. Raises ConvError: corrupt, too-large."""
    if len(data) > LONGEST:
        raise ConvError(f"has {len(data):,} bytes of metadata in {key}, more than {LONGEST:,}", "too-large")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise corrupt("Zarr", f"{key} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise corrupt("Zarr", f"{key} is not a JSON object")
    return found


def as_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object as the bytes of a file."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def sizes_of(value: object, name: str, least: int) -> tuple[int, ...]:
    """A list of numbers of samples."""
    if not isinstance(value, list) or len(value) > MOST_AXES:
        raise corrupt("Zarr", f"its {name} is not a list of sizes")
    for each in value:
        if not isinstance(each, int) or isinstance(each, bool) or not least <= each <= LARGEST:
            raise corrupt("Zarr", f"its {name} has {json.dumps(each)[:40]}, which is not a size")
    return tuple(value)


def object_of(value: object, name: str) -> dict[str, Any]:
    """A part of metadata that must be an object."""
    if not isinstance(value, dict):
        raise corrupt("Zarr", f"its {name} is not an object")
    return value


def held_type(name: object) -> str:
    """NumPy's name, with a byte order, of a type that is known here. Raises ConvError: dtype.

    >>> held_type(">u2"), held_type("float32"), held_type("|b1")
    ('>u2', '<f4', '|b1')
    """
    try:
        dtype = np.dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.name not in DTYPES:
        shown = name if isinstance(name, str) else json.dumps(name)
        raise ConvError(
            f"holds {shown[:60]}, which cannot be filtered; convert it to integers or floats first", "dtype"
        )
    return dtype.str if dtype.byteorder != "=" else dtype.newbyteorder("<").str


def fill_of(value: object, dtype: str) -> float:
    """The value of what is not there; of a type without one, 0.

    >>> fill_of("NaN", "<f4"), fill_of("0x7fc00000", "<f4"), fill_of(None, "<u2"), fill_of(True, "|b1")
    (nan, nan, 0, 1)
    """
    kind = np.dtype(dtype)
    if value is None:
        return 0
    if kind.kind == "f" and isinstance(value, str):
        return NUMBERS[value] if value in NUMBERS else bits_of(value, kind)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind.kind == "f" and isinstance(value, (int, float)):
        return float(value)
    if kind.kind == "b" and value in (0, 1):
        return int(bool(value))
    if kind.kind in "iu" and whole and np.iinfo(kind).min <= int(value) <= np.iinfo(kind).max:  # type: ignore[call-overload]
        return int(value)  # type: ignore[call-overload, no-any-return]
    raise corrupt("Zarr", f"its fill_value {json.dumps(value)[:40]} is no {kind.name}")


def bits_of(text: str, kind: np.dtype[Any]) -> float:
    """A floating-point number that is told by its bits."""
    try:
        bits = int(text, 16) if text.startswith("0x") else -1
        code = {2: "<He", 4: "<If", 8: "<Qd"}[kind.itemsize]
        return float(struct.unpack("<" + code[2], struct.pack(code[:2], bits))[0])
    except (ValueError, struct.error):
        raise corrupt("Zarr", f"its fill_value {text[:40]!r} is not a number") from None


def array_of_v2(said: Json, attributes: Json) -> ArrayMeta:
    """An array of version 2, of .zarray and .zattrs."""
    if said.get("zarr_format") != 2:
        raise corrupt("Zarr", f".zarray is of version {json.dumps(said.get('zarr_format'))[:20]}, not 2")
    shape, chunks = sizes_of(said.get("shape"), "shape", 0), sizes_of(said.get("chunks"), "chunks", 1)
    check_rank(shape, chunks)
    dtype = held_type(said.get("dtype"))
    if (order := said.get("order", "C")) not in ("C", "F"):
        raise corrupt("Zarr", f"its order is {json.dumps(order)[:20]}, not C or F")
    axes = tuple(range(len(shape)))
    filters = said.get("filters") or []
    if not isinstance(filters, list):
        raise corrupt("Zarr", "its filters are not a list")
    packings = [*filters, *([] if said.get("compressor") is None else [said["compressor"]])]
    codecs = tuple(codec_of(object_of(each, "codec").get("id"), each) for each in packings)
    if (separator := said.get("dimension_separator", ".")) not in (".", "/"):
        raise corrupt("Zarr", f"its dimension_separator is {json.dumps(separator)[:20]}")
    return ArrayMeta(
        version=2,
        shape=shape,
        pipeline=Pipeline(chunks, dtype, axes if order == "C" else axes[::-1], codecs),
        fill=fill_of(said.get("fill_value"), dtype),
        keys=Keys("", separator),
        names=names_of(attributes.get(DIMENSIONS), shape),
        attributes=attributes,
    )


def array_of_v3(said: Json) -> ArrayMeta:
    """An array of version 3, of zarr.json."""
    shape = sizes_of(said.get("shape"), "shape", 0)
    dtype = held_type(said.get("data_type"))
    grid = object_of(said.get("chunk_grid"), "chunk_grid")
    if grid.get("name") != "regular":
        raise ConvError(f"has a chunk grid of the kind {str(grid.get('name'))[:40]!r}, not regular", "codec-missing")
    chunks = sizes_of(object_of(grid.get("configuration"), "chunk_grid").get("chunk_shape"), "chunk_shape", 1)
    check_rank(shape, chunks)
    if said.get("storage_transformers"):
        raise ConvError("has storage transformers, which are not known here", "codec-missing")
    pipeline = pipeline_of(said.get("codecs"), chunks, dtype)
    return ArrayMeta(
        version=3,
        shape=shape,
        pipeline=pipeline,
        fill=fill_of(said.get("fill_value"), dtype),
        keys=keys_of(object_of(said.get("chunk_key_encoding"), "chunk_key_encoding")),
        names=names_of(said.get("dimension_names"), shape),
        attributes=object_of(said.get("attributes") or {}, "attributes"),
    )


def check_rank(shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    """Refuse chunks of other dimensions than the array has."""
    if len(shape) != len(chunks):
        raise corrupt("Zarr", f"its shape has {len(shape)} dimensions, its chunks have {len(chunks)}")


def names_of(said: object, shape: tuple[int, ...]) -> tuple[str | None, ...]:
    """The names of dimensions, where there is one or none for each."""
    fits = isinstance(said, list) and len(said) == len(shape)
    return tuple(str(name) if isinstance(name, str) else None for name in said) if fits else ()  # type: ignore[attr-defined]


def keys_of(said: Json) -> Keys:
    """What chunks are called in version 3."""
    name, config = said.get("name"), object_of(said.get("configuration") or {}, "chunk_key_encoding")
    separator = config.get("separator", "/" if name == "default" else ".")
    if name not in ("default", "v2") or separator not in ("/", "."):
        raise ConvError(f"names its chunks by the rule {str(name)[:40]!r}, which is not known here", "codec-missing")
    return Keys(f"c{separator}" if name == "default" else "", separator)


def pipeline_of(said: object, shape: tuple[int, ...], dtype: str) -> Pipeline:
    """The codecs of version 3: those of arrays, the one that makes bytes, and those of bytes."""
    if not isinstance(said, list) or not said:
        raise corrupt("Zarr", "it has no list of codecs")
    named = [named_codec(each) for each in said]
    order = tuple(range(len(shape)))
    while named and named[0][0] == "transpose":
        order = transposed(order, named.pop(0)[1].get("order"))
    if not named:
        raise corrupt("Zarr", "no codec makes bytes of its numbers")
    (name, config), *packings = named
    codecs = tuple(codec_of(*each) for each in packings)
    if name == "sharding_indexed":
        if order != tuple(range(len(shape))):
            raise ConvError("has shards whose axes are stored in another order, which are not read", "codec-missing")
        return Pipeline(shape, dtype, order, codecs, shards_of(config, shape, dtype))
    if name != "bytes":
        known = ", ".join(sorted({"bytes", "sharding_indexed", "transpose", *CODECS}))
        raise ConvError(f"is packed by the codec {name!r}, which is not known here; known are {known}", "codec-missing")
    endian = config.get("endian", "little")
    if endian != "little" and endian != "big":  # noqa: PLR1714 -- as mypy understands it
        raise corrupt("Zarr", f"its byte order is {json.dumps(endian)[:20]}")
    return Pipeline(shape, np.dtype(dtype).newbyteorder(endian).str, order, codecs)


def named_codec(said: object) -> tuple[str, dict[str, Any]]:
    """The name and the settings of a codec of version 3."""
    if isinstance(said, str):
        return said, {}
    found = object_of(said, "codec")
    return str(found.get("name"))[:40], object_of(found.get("configuration") or {}, "codec")


def transposed(order: tuple[int, ...], said: object) -> tuple[int, ...]:
    """The order of axes after one more change."""
    axes = list(range(len(order)))
    wanted = {"C": axes, "F": axes[::-1]}.get(said) if isinstance(said, str) else said
    if not isinstance(wanted, list) or sorted(map(str, wanted)) != sorted(map(str, axes)):
        raise corrupt("Zarr", f"its axes are stored in the order {json.dumps(said)[:40]}, which is none")
    return tuple(order[int(axis)] for axis in wanted)


def shards_of(config: Json, shape: tuple[int, ...], dtype: str) -> Shards:
    """How chunks lie in shards."""
    inner = sizes_of(config.get("chunk_shape"), "chunk_shape", 1)
    check_rank(shape, inner)
    if any(size % step for size, step in zip(shape, inner, strict=True)):
        raise corrupt("Zarr", f"its shards of {shape} are not made of whole chunks of {inner}")
    index = [named_codec(each) for each in config.get("index_codecs") or ["bytes"]]
    if index[0][0] != "bytes" or [name for name, _ in index[1:]] not in ([], ["crc32c"]):
        raise ConvError("has shards whose index is packed, which are not read", "codec-missing")
    if (place := config.get("index_location", "end")) not in ("start", "end"):
        raise corrupt("Zarr", f"the index of its shards lies at {json.dumps(place)[:20]}")
    return Shards(
        pipeline_of(config.get("codecs"), inner, dtype),
        tuple(size // step for size, step in zip(shape, inner, strict=True)),
        tuple(codec_of(*each) for each in index[1:]),
        BYTE_ORDERS.get(index[0][1].get("endian", "little"), "<"),
        place == "end",
    )


def written_array(meta: ArrayMeta) -> dict[str, bytes]:
    """The objects that describe an array, by their keys below it; the one without which there is none comes last."""
    if meta.version == 3:
        return {"zarr.json": as_json(described_v3(meta))}
    attributes = {**meta.attributes, **({DIMENSIONS: list(meta.names)} if meta.names else {})}
    return {**({".zattrs": as_json(attributes)} if attributes else {}), ".zarray": as_json(described_v2(meta))}


def described_v2(meta: ArrayMeta) -> dict[str, Any]:
    """The content of .zarray."""
    packed = [{**without(codec.config, "typesize"), "id": codec.name} for codec in meta.pipeline.codecs]
    return {
        "zarr_format": 2,
        "shape": list(meta.shape),
        "chunks": list(meta.chunks),
        "dtype": meta.pipeline.dtype,
        "compressor": packed[-1] if packed else None,
        "fill_value": meta.fill,
        "order": "C",
        "filters": None,
        "dimension_separator": meta.keys.separator,
    }


def without(mapping: Json, *keys: str) -> dict[str, Any]:
    """All of an object but some keys."""
    return {key: value for key, value in mapping.items() if key not in keys}


def described_v3(meta: ArrayMeta) -> dict[str, Any]:
    """The content of an array's zarr.json."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(meta.shape),
        "data_type": meta.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(meta.chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": meta.keys.separator}},
        "fill_value": meta.fill,
        "codecs": described_codecs(meta.pipeline),
        **({"dimension_names": list(meta.names)} if meta.names else {}),
        "attributes": dict(meta.attributes),
    }


def described_codecs(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The codecs of version 3 as metadata."""
    shards, packed = pipeline.shards, [named_v3(codec, pipeline.type.itemsize) for codec in pipeline.codecs]
    if shards is None:
        endian = {"configuration": {"endian": "little"}} if pipeline.type.itemsize > 1 else {}
        return [{"name": "bytes", **endian}, *packed]
    config = {
        "chunk_shape": list(shards.inner.shape),
        "codecs": described_codecs(shards.inner),
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": config}, *packed]


def named_v3(codec: Codec, itemsize: int) -> dict[str, Any]:
    """A codec as the metadata of version 3 have it."""
    config = without(codec.config, "id", "name")
    if codec.name == "blosc":
        shuffle = config.get("shuffle", 1)
        names = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "bitshuffle" if itemsize == 1 else "shuffle"}
        named = names.get(shuffle, shuffle)
        config |= {"shuffle": named, "typesize": itemsize, "blocksize": config.get("blocksize", 0)}
    if codec.name == "zstd":
        config = {"level": config.get("level", 0), "checksum": False}
    if codec.name in ("zlib", "lz4"):
        return {"name": f"numcodecs.{codec.name}", "configuration": config}
    return {"name": codec.name, "configuration": config}
