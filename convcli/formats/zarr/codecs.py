"""How the bytes of a chunk are packed: each codec of Zarr by its name, from bytes to bytes.

Nothing is unpacked beyond the size that the caller allows, whatever the packed bytes say of themselves. Codecs that
Zarr's own libraries know and that are not here are refused by name; `pickle` is among them, which can run any program.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from convcli.errors import ConvError
from convcli.formats.codecs import function
from convcli.formats.failures import corrupt, decoding
from convcli.records import record

Config = Mapping[str, Any]
CRC = 4
"""Bytes of a checksum."""
CASTAGNOLI = 0x82F63B78
SHUFFLES = {"noshuffle": "noshuffle", "shuffle": "shuffle", "bitshuffle": "bitshuffle"}
SHUFFLES_OF_V2 = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}
LEVEL = 3
"""Of zstd where 0, its default, is asked for."""


@record
class Codec:
    """A codec by its name, as in the metadata of Zarr 2, and its settings there."""

    name: str
    config: Config

    def unpack(self, data: bytes, most: int) -> bytes:
        """What was packed; at most so many bytes. Raises ConvError: corrupt."""
        with decoding("chunk", *damage()):
            found: bytes = CODECS[self.name].unpack(data, self.config, most)
        return found

    def pack(self, data: bytes) -> bytes:
        """Packed bytes, for a codec that is written."""
        made: bytes = CODECS[self.name].pack(data, self.config)
        return made


def damage() -> tuple[type[Exception], ...]:
    """What decoders raise: those of imagecodecs are RuntimeErrors of their own."""
    return (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError, OverflowError, TypeError)


def codec_of(name: object, config: object) -> Codec:
    """A codec that is known here, from its metadata.

    >>> codec_of("numcodecs.zlib", {"level": 1}).name
    'zlib'
    >>> codec_of("pickle", {})
    Traceback (most recent call last):
    convcli.errors.ConvError: is packed by the codec 'pickle', which is not known here; known are ... [codec-missing]
    """
    short = str(name).removeprefix("numcodecs.")
    if short not in CODECS:
        known = f"{', '.join(sorted(CODECS))}; write it anew with one of them"
        raise ConvError(
            f"is packed by the codec {short!r}, which is not known here; known are {known}",
            "codec-missing",
        )
    if not isinstance(config, Mapping):
        raise corrupt("Zarr", f"the settings of its codec {short} are not an object")
    return Codec(short, config)


def zstd(data: bytes, _config: Config, most: int) -> bytes:
    """Zstandard, one frame."""
    return bytes(function("zstd_decode", "a chunk packed by zstd")(data, out=most))


def to_zstd(data: bytes, config: Config) -> bytes:
    """A frame of Zstandard."""
    return bytes(function("zstd_encode", "a chunk packed by zstd")(data, level=config.get("level") or LEVEL))


def blosc(data: bytes, _config: Config, most: int) -> bytes:
    """Blosc 1, whatever is inside."""
    return bytes(function("blosc_decode", "a chunk packed by blosc")(data, out=most))


def to_blosc(data: bytes, config: Config) -> bytes:
    """Blosc 1; the size of the numbers tells what is shuffled."""
    shuffle, size = config.get("shuffle", 1), config.get("typesize", 1)
    if shuffle == -1:
        shuffle = 2 if size == 1 else 1
    named = SHUFFLES_OF_V2.get(shuffle) or SHUFFLES[shuffle]
    packing = {"level": config.get("clevel", 5), "compressor": config.get("cname", "lz4")}
    return bytes(
        function("blosc_encode", "a chunk packed by blosc")(
            data, shuffle=named, typesize=size, blocksize=config.get("blocksize", 0), **packing
        )
    )


def lz4(data: bytes, _config: Config, most: int) -> bytes:
    """LZ4 behind four bytes of the size."""
    return bytes(function("lz4_decode", "a chunk packed by lz4")(data, header=True, out=most))


def to_lz4(data: bytes, config: Config) -> bytes:
    """LZ4 behind four bytes of the size."""
    return bytes(
        function("lz4_encode", "a chunk packed by lz4")(data, level=config.get("acceleration", 1), header=True)
    )


def inflated(bits: int) -> Callable[[bytes, Config, int], bytes]:
    """Deflate with a wrapper that zlib knows by such a number."""

    def unpack(data: bytes, _config: Config, most: int) -> bytes:
        stream = zlib.decompressobj(bits)
        found = stream.decompress(data, most + 1)
        if not stream.eof:
            raise EOFError("it is cut short, or larger than declared")
        return found

    return unpack


def deflated(bits: int) -> Callable[[bytes, Config], bytes]:
    """Deflate in such a wrapper."""

    def pack(data: bytes, config: Config) -> bytes:
        stream = zlib.compressobj(config.get("level", 1), wbits=bits)
        return stream.compress(data) + stream.flush()

    return pack


def bunzip(data: bytes, _config: Config, most: int) -> bytes:
    """Bzip2, one stream."""
    return ended(bz2.BZ2Decompressor(), data, most)


def unlzma(data: bytes, config: Config, most: int) -> bytes:
    """LZMA in the container that the settings name; none, with filters, is one too."""
    form = config.get("format", lzma.FORMAT_XZ)
    filters = config.get("filters") if form == lzma.FORMAT_RAW else None
    return ended(lzma.LZMADecompressor(lzma.FORMAT_AUTO if filters is None else form, filters=filters), data, most)


def ended(stream: Any, data: bytes, most: int) -> bytes:
    """All that a decompressor makes of data that must be complete."""
    found: bytes = stream.decompress(data, most + 1)
    if not stream.eof:
        raise EOFError("it is cut short, or larger than declared")
    return found


def crc32c(data: bytes) -> int:
    """The checksum CRC-32C of bytes, as iSCSI has it (RFC 3720).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if castagnoli := fast_crc32c():
        return int(castagnoli(data))
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def fast_crc32c() -> Callable[[bytes], int] | None:
    """The same by a library, where it is installed: 100 times as fast."""
    try:
        from google_crc32c import value
    except ImportError:
        return None
    found: Callable[[bytes], int] = value
    return found


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = _table()


def checked(function: Callable[[bytes], int], *, at_end: bool) -> Callable[[bytes, Config, int], bytes]:
    """What unpacks data with a checksum, of four bytes from the lowest to the highest."""

    def unpack(data: bytes, config: Config, _most: int) -> bytes:
        last = config.get("location", "end" if at_end else "start") == "end"
        body, said = (data[:-CRC], data[-CRC:]) if last else (data[CRC:], data[:CRC])
        if len(said) < CRC or function(body) != int.from_bytes(said, "little"):
            raise ValueError("its checksum does not fit")
        return body

    return unpack


def to_crc32c(data: bytes, _config: Config) -> bytes:
    """Data with its checksum behind it."""
    return data + crc32c(data).to_bytes(CRC, "little")


def unshuffled(data: bytes, config: Config, _most: int) -> bytes:
    """Bytes whose first ones of all numbers came first."""
    size = int(config.get("elementsize", 4))
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()


def undone_delta(data: bytes, config: Config, _most: int) -> bytes:
    """Numbers of which each was stored as what it adds to the one before."""
    dtype = plain(config["dtype"])
    return np.frombuffer(data, plain(config.get("astype", config["dtype"]))).cumsum(dtype=dtype).tobytes()


def unscaled(data: bytes, config: Config, _most: int) -> bytes:
    """Numbers that were stored as (x - offset) * scale."""
    stored = np.frombuffer(data, plain(config.get("astype", config["dtype"])))
    numbers = stored / float(config["scale"]) + float(config["offset"])
    return numbers.astype(plain(config["dtype"])).tobytes()


def unpacked_bits(data: bytes, _config: Config, _most: int) -> bytes:
    """True and false, eight to a byte, behind one that counts the bits to spare."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8)[1:])
    return bits[: len(bits) - data[0]].tobytes()


def as_it_is(data: bytes, _config: Config, _most: int) -> bytes:
    """Numbers that were only rounded before they were stored."""
    return data


def plain(name: object) -> np.dtype[Any]:
    """The type of a number that a codec names."""
    dtype = np.dtype(str(name))
    if dtype.kind not in "iufb":
        raise ValueError(f"{name} is not a type of numbers")
    return dtype


def not_written(_data: bytes, _config: Config) -> bytes:
    """For codecs that are only read."""
    raise NotImplementedError("a codec that is only read")


class Packing(NamedTuple):
    """The two ways of a codec: (packed bytes, settings, most) and (bytes, settings)."""

    unpack: Callable[[bytes, Config, int], bytes]
    pack: Callable[[bytes, Config], bytes] = not_written


CODECS = {
    "zstd": Packing(zstd, to_zstd),
    "blosc": Packing(blosc, to_blosc),
    "gzip": Packing(inflated(31), deflated(31)),
    "zlib": Packing(inflated(15), deflated(15)),
    "lz4": Packing(lz4, to_lz4),
    "bz2": Packing(bunzip),
    "lzma": Packing(unlzma),
    "crc32c": Packing(checked(crc32c, at_end=True), to_crc32c),
    "crc32": Packing(checked(zlib.crc32, at_end=False)),
    "adler32": Packing(checked(zlib.adler32, at_end=False)),
    "shuffle": Packing(unshuffled),
    "delta": Packing(undone_delta),
    "fixedscaleoffset": Packing(unscaled),
    "packbits": Packing(unpacked_bits),
    "bitround": Packing(as_it_is),
    "quantize": Packing(as_it_is),
}
KEPT = ("zstd", "blosc", "gzip", "zlib", "lz4")
"""Codecs that an output has where its source has them."""
