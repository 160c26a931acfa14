"""The header of a JPEG XL codestream, bit by bit: how large the picture is, what its samples are, which way is up.

Source: ISO/IEC 18181-1:2024, clause 9 and annex D, as libjxl (lib/jxl/headers.cc, image_metadata.cc) reads it.
"""

from __future__ import annotations

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.records import record

TITLE = "JPEG XL"
SIGNATURE = b"\xff\x0a"
ALPHA = 0
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
GREY, XYB, CUSTOM = 1, 2, 2  # colour spaces; white points and primaries of its own
D65, SRGB_PRIMARIES, LINEAR_TRANSFER, SRGB_TRANSFER, RELATIVE = 1, 1, 8, 13, 1
SPACES = {LINEAR_TRANSFER: "linear", SRGB_TRANSFER: "srgb"}
LONGEST = 200  # bytes of a header that libjxl's encoder makes

Choice = tuple[int, int]
"""A number is told by its least value, and how many bits hold what it is more than that."""


class Bits:
    """The bits of some bytes, the lowest of each first."""

    def __init__(self, content: bytes, place: int = 0) -> None:
        self.number = int.from_bytes(content, "little")
        self.size = 8 * len(content)
        self.place = place

    def take(self, count: int) -> int:
        """The number that the next bits are."""
        if self.place + count > self.size:
            raise corrupt(TITLE, "its header is cut short")
        value = self.number >> self.place & ((1 << count) - 1)
        self.place += count
        return value

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == 1

    def choice(self, *choices: Choice) -> int:
        """A number told in one of four ways, which two bits pick."""
        least, count = choices[self.take(2)]
        return least + self.take(count)

    def enumerated(self) -> int:
        """One of a list."""
        return self.choice((0, 0), (1, 0), (2, 4), (18, 6))


@record
class Header:
    """What a codestream says: its size as stored, the EXIF number of what makes it upright, and its samples.

    `bits` and `exponent` are those of a sample, the latter 0 for whole numbers; `space` tells what its
    colours are: "srgb", "linear" (the same in linear light), "profile" (one is packed in it) or "other"; `known` is
    false for channels that are neither colour nor opacity.
    """

    width: int
    height: int
    orientation: int
    bits: int
    exponent: int
    grey: bool
    alpha: bool
    premultiplied: bool
    animated: bool
    space: str
    known: bool

    @property
    def samples(self) -> str:
        """What the samples of a pixel mean."""
        return ("grey" if self.grey else "rgb") + "+alpha" * self.alpha

    @property
    def dtype(self) -> str:
        """The type that holds a sample."""
        if self.exponent:
            return "float16" if (self.bits, self.exponent) == (16, 5) else "float32"
        return "uint8" if self.bits <= 8 else "uint16"


def parsed(content: bytes) -> Header:
    """The header that a codestream begins with. Raises ConvError: corrupt."""
    if content[:2] != SIGNATURE:
        raise corrupt(TITLE, "its data do not begin with a codestream")
    bits = Bits(content, 16)
    height, width = size(bits)
    if bits.flag():  # all as usual
        return Header(width, height, 1, 8, 0, False, False, False, False, "srgb", True)
    orientation, animated, more = 1, False, bits.flag()
    if more:
        orientation = 1 + bits.take(3)
        if bits.flag():
            size(bits)
        if bits.flag():
            preview(bits)
        animated = bits.flag()
        if animated:
            animation(bits)
    depth, exponent, kinds = channels(bits)
    grey, space = colour(bits)
    known = all(kind == ALPHA for kind, _ in kinds[:1]) and len(kinds) <= 1 and depth <= 32
    return Header(
        width,
        height,
        orientation,
        depth,
        exponent,
        grey,
        bool(kinds),
        any(associated for _, associated in kinds),
        animated,
        space,
        known,
    )


def channels(bits: Bits) -> tuple[int, int, list[tuple[int, bool]]]:
    """Bits of a sample and of its exponent, and the channels beside the colours; then comes what these are."""
    depth, exponent = sample(bits)
    bits.flag()  # whether 16 bits are enough to decode it
    kinds = [channel(bits) for _ in range(bits.choice((0, 0), (1, 0), (2, 4), (1, 12)))]
    bits.flag()  # whether its colours are XYB
    return depth, exponent, kinds


def size(bits: Bits) -> tuple[int, int]:
    """Height and width, which may be told by their ratio."""
    small = bits.flag()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else 1 + bits.choice((0, 9), (0, 13), (0, 18), (0, 30))

    height = side()
    ratio = bits.take(3)
    return height, height * RATIOS[ratio][0] // RATIOS[ratio][1] if ratio else side()


def preview(bits: Bits) -> None:
    """The size of a preview, which is passed over."""
    eighths = bits.flag()
    ways = ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*ways)
    if not bits.take(3):
        bits.choice(*ways)


def animation(bits: Bits) -> None:
    """Times of an animation, which are passed over."""
    bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
    bits.flag()


def sample(bits: Bits) -> tuple[int, int]:
    """Bits of a sample, and of its exponent."""
    if bits.flag():
        depth = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        return depth, 1 + bits.take(4)
    return bits.choice((8, 0), (10, 0), (12, 0), (1, 6)), 0


def channel(bits: Bits) -> tuple[int, bool]:
    """The kind of a channel beside the colours, and whether these are multiplied by it."""
    if bits.flag():
        return ALPHA, False
    kind = bits.enumerated()
    sample(bits)
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))
    bits.take(8 * bits.choice((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == ALPHA:
        return kind, bits.flag()
    raise ConvError(
        f"is a kind of {TITLE} that is not read here (channels that are no colour and no opacity); convert it first",
        "codec-missing",
    )


def colour(bits: Bits) -> tuple[bool, str]:
    """Whether it is grey, and what its colours are."""
    if bits.flag():
        return False, "srgb"
    profile, space = bits.flag(), bits.enumerated()
    if profile:
        return space == GREY, "profile"
    white = D65 if space == XYB else bits.enumerated()
    custom(bits, 1 if white == CUSTOM else 0)
    primaries = SRGB_PRIMARIES if space in (GREY, XYB) else bits.enumerated()
    custom(bits, 3 if primaries == CUSTOM else 0)
    gamma = space != XYB and bits.flag()
    transfer = bits.take(24) if gamma else SRGB_TRANSFER if space == XYB else bits.enumerated()
    bits.enumerated()  # how colours are rendered that a screen does not have
    usual = space <= GREY and white == D65 and primaries == SRGB_PRIMARIES and not gamma
    return space == GREY, SPACES.get(transfer, "other") if usual else "other"


def custom(bits: Bits, points: int) -> None:
    """Coordinates of colours, which are passed over."""
    for _ in range(2 * points):
        bits.choice((0, 19), (524288, 19), (1048576, 20), (2097152, 21))


def rewritten(content: bytes, turn: int, *, linear: bool | None) -> bytes:
    """A codestream of libjxl's encoder that says which way is up, and whether its samples are linear light.

    `linear` is None where that stays. All that follows the header begins with a whole byte, so it may become longer.
    """
    bits = Bits(content[:LONGEST], 16)
    size(bits)
    start = bits.place
    if bits.flag():
        fields = [(0, 1), (0, 2), (1, 1), (0, 2), (1, 1)]  # 8 bits; no other channel; XYB
        shown = [(1, 1)]
        bits.place -= 1  # what follows is as usual, too, and has no bits but the last
    else:
        assert not bits.flag()
        first = bits.place
        channels(bits)
        fields = [(bits.number >> first & ((1 << bits.place - first) - 1), bits.place - first)]
        first = bits.place
        grey = colour(bits)[0]
        shown = [(bits.number >> first & ((1 << bits.place - first) - 1), bits.place - first)]
        if linear is not None:
            shown = colour_fields(grey=grey, linear=linear)
        assert bits.take(2) == 0  # no extensions
    assert bits.flag()  # usual transforms
    more = turn > 1
    fields = [(0, 1), (more, 1), *[(turn - 1, 3), (0, 3)] * more, *fields, *shown, *[(1, 1)] * more, (0, 2), (1, 1)]
    head, place = bits.number & ((1 << start) - 1), start
    for value, count in fields:
        head |= value << place
        place += count
    return head.to_bytes(-(-place // 8), "little") + content[-(-bits.place // 8) :]


def colour_fields(*, grey: bool, linear: bool) -> list[tuple[int, int]]:
    """Colours of sRGB, or grey, with its curve or in linear light: numbers, and in how many bits each stands."""
    if not grey and not linear:
        return [(1, 1)]
    space, primaries = (1, []) if grey else (0, [(1, 2)])
    curve = LINEAR_TRANSFER if linear else SRGB_TRANSFER
    return [(0, 1), (0, 1), (space, 2), (1, 2), *primaries, (0, 1), (2, 2), (curve - 2, 4), (RELATIVE, 2)]
