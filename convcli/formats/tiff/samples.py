"""What the samples of a TIFF stand for: numbers, bits, places in a palette, or colours that are converted to RGB."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.layout import DTYPES
from convcli.formats.pixels import Array, filling, native
from convcli.formats.tiff import colours as tiff_colours
from convcli.formats.tiff.colours import JPEG, OLD_JPEG, YCBCR
from convcli.formats.tiff.geotiff import PLACES
from convcli.image import ImageInfo
from convcli.records import record, replace

MINISWHITE, MINISBLACK, RGB, PALETTE, MASK, SEPARATED = range(6)
PHOTOMETRICS = {MINISWHITE: "miniswhite", MINISBLACK: "minisblack", RGB: "rgb", SEPARATED: "separated"}
ASSOCIATED, UNASSOCIATED = 1, 2  # alpha: colours multiplied by it, or not
STORED = (8, 16, 32, 64)  # bits that array types have


@record
class Meaning:
    """Samples that are numbers as they are.

    Where a meaning `gathers`, pixels need all of their samples at once, which come last then.
    """

    gathers: ClassVar[bool] = False

    def described(self, info: ImageInfo) -> ImageInfo:
        """The image as it will be read, given what the file says of its samples."""
        return info

    def pixels(self, samples: Array) -> Array:
        """Samples as pixels."""
        return native(samples)


@record
class Bits(Meaning):
    """Samples of fewer bits than their array type has; they are scaled to its range, as those of a PNG are."""

    bits: tuple[int, ...]

    @cached_property
    def scaled(self) -> Array:
        """The value in the range of 8 or 16 bits of each sample."""
        return filling(2 ** self.bits[0] - 1)

    @property
    def word(self) -> str:
        """How many bits, as one says it.

        >>> Bits((12,)).word, Bits((5, 6, 5)).word
        ('12-bit', '5-, 6-, 5-bit')
        """
        return ", ".join(f"{bits}-" for bits in self.bits) + "bit"

    def described(self, info: ImageInfo) -> ImageInfo:
        """In 8 or 16 bits, missing samples too."""
        full = np.iinfo(self.scaled.dtype).max
        known = info.missing is not None and 0 <= info.missing < len(self.scaled)
        return replace(
            info,
            dtype=self.scaled.dtype.name,
            missing=int(self.scaled[int(info.missing or 0)]) if known else None,
            notes=(*info.notes, f"{self.word} samples are scaled to {8 * self.scaled.itemsize} bits, 0 to {full}"),
        )

    def pixels(self, samples: Array) -> Array:
        """The scaled values; those of mixed bits are scaled by tifffile."""
        return self.scaled[samples.astype(np.uint8) if samples.dtype == bool else samples] if self.one else samples

    @property
    def one(self) -> bool:
        """Whether all samples have as many bits."""
        return len(self.bits) == 1


@record
class Places(Meaning):
    """Places in a palette (colours, 3), one a pixel, perhaps with other samples beside it: its opacity, if `alpha`."""

    gathers: ClassVar[bool] = True
    table: Array
    bits: int
    others: int
    alpha: bool

    def described(self, info: ImageInfo) -> ImageInfo:
        """In the colours of the palette."""
        word = f"the palette's {len(self.table)} colours are filtered, not places in it"
        classes = set(PLACES) & set(info.metadata.get("tiff", {}).get("tags", ()))
        found = coloured(replace(info, dtype=self.table.dtype.name, missing=None), alpha=self.alpha)
        if self.others > self.alpha:
            left = f"{self.others - self.alpha} samples beside the place in the palette are left out"
            found = replace(found, notes=(*found.notes, left))
        if classes or info.missing is not None:
            return replace(found, notes=(*found.notes, f"{word}: classes became colours"))
        return replace(found, remarks=(*found.remarks, word))

    def pixels(self, samples: Array) -> Array:
        """Colours, then opacity."""
        samples = samples.view(np.uint8) if samples.dtype == bool else native(samples)
        colours: Array = self.table[samples[..., 0] if self.others else samples]
        if not self.alpha:
            return colours
        full = int(np.iinfo(self.table.dtype).max)
        opacity = (samples[..., 1:2].astype(np.uint32) * full // (2**self.bits - 1)).astype(self.table.dtype)
        return np.concatenate([colours, opacity], axis=-1)


@record
class Colours(Meaning):
    """Colours of another kind, converted; samples beside them stay."""

    gathers: ClassVar[bool] = True
    space: tiff_colours.Space

    def described(self, info: ImageInfo) -> ImageInfo:
        """In RGB."""
        notes = (*info.notes, f"{self.space.title} colours are converted to {self.space.target}")
        metadata = {key: value for key, value in info.metadata.items() if key != "icc" or self.space.keeps_profile}
        size = info.size("S")
        found = replace(info, missing=None, notes=notes, metadata=metadata)
        return replace(gathered(found, size), samples={3: "rgb", 4: info.samples}.get(size, ""))

    def pixels(self, samples: Array) -> Array:
        """Red, green and blue, and what else there is."""
        result: Array = np.array(native(samples))
        tiff_colours.convert(result, self.space)
        return result


def coloured(info: ImageInfo, *, alpha: bool) -> ImageInfo:
    """The image with the samples of a colour, last."""
    return replace(gathered(info, 3 + alpha), samples="rgb+alpha" if alpha else "rgb")


def gathered(info: ImageInfo, count: int) -> ImageInfo:
    """The image with so many samples a pixel, last."""
    sizes = [(letter, size) for letter, size in zip(info.axes, info.shape, strict=True) if letter != "S"]
    axes, shape = "".join(letter for letter, _ in sizes), tuple(size for _, size in sizes)
    return replace(info, axes=axes + "S", shape=(*shape, count))


def meaning_of(page: Any, kind: str) -> Meaning:
    """What the samples of a page stand for; ImageJ's palettes are colours for the screen only.

    Raises ConvError where a filter can mean nothing, or the colours are of a kind that is not known here.
    """
    name = dtype_of(page)
    if page.photometric == PALETTE and kind != "imagej":
        return palette(page)
    if page.photometric in tiff_colours.LABS or is_ycbcr(page):
        return Colours(tiff_colours.space_of(page))
    if page.photometric not in (*PHOTOMETRICS, PALETTE, MASK) and not is_converted(page):
        colours = getattr(page.photometric, "name", page.photometric)
        raise ConvError(f"stores its colours as {colours}, which is not supported; convert it to RGB first", "dtype")
    bits = page.bitspersample if isinstance(page.bitspersample, tuple) else (page.bitspersample,)
    if not name.startswith(("uint", "bool")) or set(bits) <= set(STORED):
        return Meaning()
    if page.predictor != 1:
        raise ConvError(f"holds differences of {Bits(bits).word} samples, which have no definition", "dtype")
    return Bits(bits)


def dtype_of(page: Any) -> str:
    """The dtype of the stored samples; refused where no filter takes such."""
    name = "" if page.dtype is None else np.dtype(page.dtype).name
    odd = name == "uint32" and page.bitspersample not in STORED  # measured by nobody, and read in a wrong byte order
    if name not in DTYPES or odd:
        bits = f"{page.bitspersample}-bit {'integers' if odd else f'samples of kind {int(page.sampleformat)}'}"
        raise ConvError(
            f"holds {bits if odd or not name else name}, which cannot be filtered; convert it to 32-bit integers or "
            "floats first",
            "dtype",
        )
    return name


def is_converted(page: Any) -> bool:
    """True for YCbCr that is RGB once its codec is done."""
    return page.photometric == YCBCR and page.compression in (OLD_JPEG, JPEG) and not is_ycbcr(page)


def is_ycbcr(page: Any) -> bool:
    """True for YCbCr that comes as such: not of a JPEG, except where each of its samples has one of its own."""
    apart = page.compression == JPEG and page.planarconfig != 1
    return page.photometric == YCBCR and (apart or page.compression in tiff_colours.LOSSLESS)


def palette(page: Any) -> Places:
    """The palette, in 8 bits where its 16-bit values say no more."""
    table: Array | None = page.colormap
    if table is None or table.ndim != 2 or table.shape[0] != 3:
        raise corrupt("TIFF", "its palette is missing")
    if page.dtype == bool:
        table = table[:, :2]
    others = page.samplesperpixel - 1
    alpha = others > 0 and bool(page.extrasamples) and page.extrasamples[0] in (ASSOCIATED, UNASSOCIATED)
    return Places(in_few_bits(table).T, page.bitspersample, others, alpha)


def in_few_bits(table: Array) -> Array:
    """Colours of 16 bits in 8, where that loses nothing."""
    for scale in (257, 256):
        if not (table % scale).any():
            return (table // scale).astype(np.uint8)
    return table.astype(np.uint8 if table.max() < 256 else np.uint16)


def sample_names(page: Any) -> str:
    """What the samples of a pixel mean."""
    alpha = "+alpha" if page.extrasamples and page.extrasamples[0] in (ASSOCIATED, UNASSOCIATED) else ""
    count = page.samplesperpixel - bool(alpha)
    if page.photometric in (RGB, YCBCR, *tiff_colours.LABS) and count == 3:
        return "rgb" + alpha
    if page.photometric == SEPARATED and count == 4 and not alpha:
        return "cmyk"
    return "grey" + alpha if count == 1 else ""


def expanded(meaning: Meaning, samples: Array, axes: str) -> Array:
    """Samples as pixels, those of a colour last where the meaning gathers them."""
    if meaning.gathers and "S" in axes:
        samples = np.moveaxis(samples, axes.index("S"), -1)
    return meaning.pixels(samples)


def packed_bits(page: Any) -> int:
    """Bits of a pixel's samples as they are stored, on average."""
    bits = page.bitspersample
    return sum(bits) // len(bits) if isinstance(bits, tuple) else int(bits)
