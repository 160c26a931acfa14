"""An image on its way into a Zarr: where its pixels go, in which chunks, at which levels, and what is said of them.

Chunks are what viewers read, shards what one task writes. Small chunks cost little where a box reads a halo around
itself; large shards keep objects few and the halo of each small: with a halo of 8, chunks of 32x64x64 in shards of
256x512x512 have 1.95 times the bytes of the result read, chunks of 64x128x128 alone 27 times (uint16, volumes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from convcli.errors import UsageError
from convcli.formats.codecs import function, imagecodecs
from convcli.formats.contract import WriteOptions
from convcli.formats.zarr.codecs import Codec
from convcli.formats.zarr.metadata import ArrayMeta, Keys, as_json, held_type, written_array
from convcli.formats.zarr.ngff import ORDER, TYPES, UNITS, Axis, Level, colours_of, described
from convcli.formats.zarr.origin import KEY, OWN, Origin
from convcli.formats.zarr.pipeline import Pipeline, Shards
from convcli.formats.zarr.pixels import ZarrPixels
from convcli.formats.zarr.whole import kind_of
from convcli.image import ImageInfo
from convcli.records import record, replace
from convcli.stores.contract import Store

VOLUME = {"Z": 32, "Y": 64, "X": 64}
PLANE = {"Y": 256, "X": 256}
ALONE = 2
"""How much longer chunks are along each axis where there are no shards around them."""
LARGEST = 2**26
"""Bytes of a shard, unpacked, at most: four of them are in memory for each box that is computed."""
SHARE = 8
"""The part of the memory that is allowed which one shard may take."""
DEFAULT = {"cname": "zstd", "clevel": 1, "shuffle": 2, "blocksize": 0}
"""Blosc's zstd at level 1 with shuffled bits: of photon counts in uint16, it makes 39 % of their size at 780 MB/s; zstd
alone 45 % at 310 MB/s (one core, AMD EPYC, November 2026)."""
SMALLEST = 256
"""Rows or columns from which on there is a coarser level."""
ISOTROPIC = 1.5
"""How much finer than the finest axis may others be, and are still halved with it: the root of 2, and rounding."""
Sizes = Mapping[str, int]


@record
class Placed:
    """One level: its array at a path, with a slash at its end if there is any, and how much coarser it has become."""

    path: str
    meta: ArrayMeta
    factors: Sizes


@record
class Output:
    """An output, planned: its levels, the finest first; `root` are the objects that make it one, written last.

    `axes` are the image's; `order` says which axis of the array each of them is; `budget` bounds what one task writes.
    """

    store: Store
    axes: str
    levels: tuple[Placed, ...]
    order: tuple[int, ...]
    budget: int
    root: Mapping[str, bytes]

    def opening(self, number: int) -> ZarrPixels:
        """The array of a level, for writing in blocks of one object, a chunk or a shard."""
        placed = self.levels[number]
        meta = replace(placed.meta, attributes={})
        return ZarrPixels(self.store, placed.path, meta, self.order, meta.chunks)

    def in_blocks(self, number: int, block: Sequence[int]) -> ZarrPixels:
        """The same in blocks of several objects, whose sizes are given for the axes of the image."""
        own = tuple(block[self.order.index(place)] for place in range(len(block)))
        return replace(self.opening(number), block=own)

    def back(self, number: int) -> ZarrPixels:
        """The array of a level, for reading: its blocks are what is unpacked at once."""
        opening = self.opening(number)
        return replace(opening, block=opening.meta.pipeline.grain)

    def is_sharded(self, number: int) -> bool:
        """Whether the chunks of a level lie in shards, each of which is one task's."""
        return self.levels[number].meta.pipeline.shards is not None

    def finish(self) -> None:
        """Write what makes readers see the arrays, the root's part last."""
        for placed in self.levels:
            if placed.path:
                for key, data in written_array(placed.meta).items():
                    self.store.put(placed.path + key, data)
        for key, data in self.root.items():
            self.store.put(key, data)


def planned(info: ImageInfo, kind: str, store: Store, options: WriteOptions, memory: int) -> Output:
    """Where an image goes, under a format's name. Raises UsageError for chunks, shards or levels it cannot have."""
    is_ome = kind_of(info, kind) == "ome-zarr"
    origin: Origin | None = info.metadata.get(KEY)
    stored = sorted(info.axes, key=(ORDER.replace("C", "CS")).index) if is_ome else list(info.axes)
    letters = "".join(stored)
    order = tuple(letters.index(letter) for letter in info.axes)
    version = 3 if options.shards or origin is None else origin.version
    if options.levels not in (None, 1) and not is_ome:
        raise UsageError("a plain Zarr array has one level; name the output .ome.zarr for more", where="--levels")
    factors = factors_for(info, origin, options) if is_ome else []
    plan = Plan(letters, version, info.dtype, origin, options, max(1, min(LARGEST, memory // SHARE)))
    shape = tuple(info.size(letter) for letter in letters)
    levels = [Placed("0/" if is_ome else "", plan.array(shape, is_ome), dict.fromkeys(letters, 1))]
    for number, steps in enumerate(factors, 1):
        shape = tuple(size // steps.get(letter, 1) for letter, size in zip(letters, shape, strict=True))
        levels.append(Placed(f"{number}/", plan.array(shape, is_ome), steps))
    if is_ome:
        root = group_of(info, origin, letters, levels, version)
    else:
        levels = [replace(levels[0], meta=replace(levels[0].meta, attributes=origin.attributes if origin else {}))]
        root = written_array(levels[0].meta)
    return Output(store, info.axes, tuple(levels), order, plan.budget, root)


@record
class Plan:
    """How arrays of an output are stored: their axes' letters in their order, and all that this depends on."""

    letters: str
    version: int
    dtype: str
    origin: Origin | None
    options: WriteOptions
    budget: int

    def array(self, shape: tuple[int, ...], is_ome: bool) -> ArrayMeta:
        """The array of a level."""
        chunks, dtype = self.chunks(shape), held_type(self.dtype)
        axes = tuple(range(len(shape)))
        inner = Pipeline(chunks, dtype, axes, self.codecs())
        shards = self.shards(shape, chunks, inner)
        if shards is not None:
            counts = tuple(size // step for size, step in zip(shards, chunks, strict=True))
            inner = Pipeline(shards, dtype, axes, (), Shards(inner, counts, (Codec("crc32c", {}),)))
        names = tuple("c" if letter == "S" and is_ome else letter.lower() for letter in self.letters)
        keys = Keys("c/" if self.version == 3 else "", "/")
        named = () if is_ome and self.version == 2 else names  # the group names them
        return ArrayMeta(self.version, shape, inner, 0, keys, named)

    def chunks(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of chunks: as asked, as the source's, or such that a halo reads little more than itself."""
        sizes = dict(zip(self.letters, shape, strict=True))
        if self.options.chunks:
            wanted = self.last_axes(self.options.chunks, "--chunks")
        elif self.origin is not None:
            wanted = dict(self.origin.chunks)
        else:
            usual = VOLUME if sizes.get("Z", 1) > 1 else PLANE
            longer = 1 if self.version == 3 else ALONE
            wanted = {letter: step * longer for letter, step in usual.items()}
        wanted["S"] = sizes.get("S", 1)
        return tuple(max(1, min(size, wanted.get(letter, 1))) for letter, size in sizes.items())

    def last_axes(self, given: Sequence[int], option: str) -> dict[str, int]:
        """Sizes of the last axes by their letters."""
        letters = self.letters.replace("S", "")
        if len(given) > len(letters):
            raise UsageError(f"gives {len(given)} sizes, the image has {', '.join(letters)}", where=option)
        return dict(zip(letters[len(letters) - len(given) :], given, strict=True))

    def shards(self, shape: tuple[int, ...], chunks: tuple[int, ...], inner: Pipeline) -> tuple[int, ...] | None:
        """The shape of shards, in whole chunks; None where there are none."""
        if self.options.shards:
            wanted = self.last_axes(self.options.shards, "--shards")
            asked = self.last_axes(self.options.chunks, "--chunks") if self.options.chunks else {}
            for letter, size in wanted.items():
                step = asked.get(letter, dict(zip(self.letters, chunks, strict=True))[letter])
                if size % step:
                    raise UsageError(f"{size} along {letter} is not a multiple of chunks of {step}", where="--shards")
        elif self.version == 2 or (self.origin is not None and not self.origin.shards):
            return None
        elif self.origin is not None and not self.options.chunks:
            wanted = dict(self.origin.shards)
        else:
            meta = ArrayMeta(self.version, shape, inner, 0, Keys("", "/"))
            return grown(self.letters, shape, chunks, meta, self.budget)
        fitting = zip(self.letters, shape, chunks, strict=True)
        return tuple(-(-min(size, wanted.get(letter, step)) // step) * step for letter, size, step in fitting)

    def codecs(self) -> tuple[Codec, ...]:
        """How chunks are packed: as asked, as the source's, or well and fast."""
        size = {"typesize": int(held_type(self.dtype)[2:])}
        asked = self.options.compression
        if asked == "none":
            return ()
        if asked == "zstd":
            function("zstd_encode", "zstd")
            return (Codec("zstd", {"level": 1}),)
        if asked == "deflate":
            return self.deflate
        if asked is not None:
            raise UsageError(f"Zarr is not packed by {asked}; use none, deflate or zstd", where="--compression")
        if self.origin is not None and self.origin.codecs:
            kept = [Codec(codec.name, {**codec.config, **size} if codec.name == "blosc" else codec.config)
                    for codec in self.origin.codecs]  # fmt: skip
            return tuple(kept[:1]) if self.version == 2 else tuple(kept)
        if imagecodecs() is None:
            return self.deflate
        return (Codec("blosc", {**DEFAULT, **size}),)

    @property
    def deflate(self) -> tuple[Codec, ...]:
        """What every reader has, and every installation of this program."""
        return (Codec("gzip" if self.version == 3 else "zlib", {"level": 1}),)


def grown(
    letters: str, shape: tuple[int, ...], chunks: tuple[int, ...], meta: ArrayMeta, budget: int
) -> tuple[int, ...]:
    """A block of whole chunks of at most so many bytes, about as long along each spatial axis, the others last."""
    block, size = dict(zip(letters, chunks, strict=True)), meta.pipeline.type.itemsize
    whole = {letter: -(-n // step) * step for letter, n, step in zip(letters, shape, chunks, strict=True)}
    for axes in ("ZYX", "CTS"):
        while open_ := [letter for letter in axes if letter in block and block[letter] < whole[letter]]:
            shortest = min(open_, key=lambda letter: block[letter])
            longer = {**block, shortest: min(2 * block[shortest], whole[shortest])}
            if prod(longer.values()) * size > budget:
                break
            block = longer
    return tuple(block[letter] for letter in letters)


def factors_for(info: ImageInfo, origin: Origin | None, options: WriteOptions) -> list[Sizes]:
    """How much coarser each level is than the one before, along each axis that has become coarser.

    As the source's are, as many as asked for, or by halves until a plane fits a screen. Z is halved with rows and
    columns where its samples lie as close as theirs by then; where nobody says how far apart, they are alike.
    """
    sizes = {letter: info.size(letter) for letter in info.axes if letter in "ZYX"}
    steps = {letter: info.spacing.get(letter, (1.0, ""))[0] for letter in sizes}
    if len({info.spacing.get(letter, (1.0, ""))[1] for letter in sizes}) > 1:
        steps = dict.fromkeys(sizes, 1.0)
    most = options.levels - 1 if options.levels else None
    kept = list(origin.factors) if origin and origin.ome else None
    if info.sample.is_integer and info.sample.bits == 64 and options.levels is None:
        return []  # beyond 2^53 no mean is exact
    found: list[Sizes] = []
    while most is None or len(found) < most:
        if kept is not None and len(found) < len(kept):
            wanted = {letter: kept[len(found)].get(letter, 1) for letter in sizes}
        elif kept is not None and most is None:
            break
        else:
            if most is None and max(sizes[letter] for letter in "YX") <= SMALLEST:
                break
            wanted = halved(sizes, steps)
        fitting = {letter: step for letter, step in wanted.items() if 1 < step <= sizes[letter]}
        if not fitting:
            break
        sizes = {letter: size // fitting.get(letter, 1) for letter, size in sizes.items()}
        steps = {letter: step * fitting.get(letter, 1) for letter, step in steps.items()}
        found.append(fitting)
    return found


def halved(sizes: Sizes, steps: Mapping[str, float]) -> dict[str, int]:
    """The axes that are halved next: those whose samples lie about as close as the closest, rows with columns."""
    closest = min(steps[letter] for letter in "YX")
    return {letter: 2 for letter in sizes if letter in "YX" or steps[letter] < ISOTROPIC * closest}


def group_of(
    info: ImageInfo, origin: Origin | None, letters: str, levels: Sequence[Placed], version: int
) -> dict[str, bytes]:
    """The objects that make a group with an image of its arrays, the one that makes it a group last."""
    axes = [axis_of(letter, info, origin) for letter in letters]
    more = {"name": "0", **(origin.more if origin else {}), "type": "mean"}
    omero = dict(origin.omero) if origin and origin.channels == info.size("C") else {}
    own = {"omero": omero} if omero else colours_of(info.samples, info.sample.most if info.sample.is_integer else 1.0)
    words = described(axes, places_of(info, origin, letters, levels), more, "0.5" if version == 3 else "0.4", **own)
    attributes = {**(origin.attributes if origin else {}), **words}
    if "S" in letters:
        attributes[OWN] = {"samples": info.samples}
    if version == 3:
        return {"zarr.json": as_json({"zarr_format": 3, "node_type": "group", "attributes": attributes})}
    return {".zattrs": as_json(attributes), ".zgroup": as_json({"zarr_format": 2})}


def axis_of(letter: str, info: ImageInfo, origin: Origin | None) -> Axis:
    """An axis as OME-NGFF describes it."""
    if letter in "CS":
        return Axis("c", "channel")
    unit = info.spacing[letter][1] if letter in info.spacing else ""
    named = origin.units.get(letter, "") if origin else ""
    return Axis(letter.lower(), TYPES[letter], UNITS.get(unit, unit) or named)


def places_of(info: ImageInfo, origin: Origin | None, letters: str, levels: Sequence[Placed]) -> list[Level]:
    """Where the samples of each level lie: in the middle of those of the finest one that they are the mean of."""
    scale, first = [], []
    for letter in letters:
        offset, factor = info.grid.get(letter, (0.0, 1.0))
        known = origin.scale.get(letter, 1.0) if origin else 1.0
        step = info.spacing[letter][0] if letter in info.spacing else known * factor
        scale.append(step)
        first.append((origin.translation.get(letter, 0.0) if origin else 0.0) + offset * step / factor)
    found, coarser = [], [1] * len(letters)
    for placed in levels:
        coarser = [n * placed.factors.get(letter, 1) for n, letter in zip(coarser, letters, strict=True)]
        steps = tuple(step * n for step, n in zip(scale, coarser, strict=True))
        moved = tuple(at + step * (n - 1) / 2 for at, step, n in zip(first, scale, coarser, strict=True))
        found.append(Level(placed.path.rstrip("/"), steps, moved))
    return found
