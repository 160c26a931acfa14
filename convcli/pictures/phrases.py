"""What a layer does, in words for somebody who has never seen one."""

from __future__ import annotations

from collections.abc import Callable

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.networks.trace import Step


def what_it_does(step: Step, *, counts_padding: bool = True) -> str:
    """A layer in two or three sentences; `counts_padding` says whether a mean divides by the padding, too."""
    text = PHRASES.get(step.kind, other)(step)
    if step.kind == "avg" and any(map(any, step.applied.pads)):
        text += " Padding counts as zeros." if counts_padding else " Padding does not count."
    return text


def sliding(step: Step) -> list[Geometry | Transposed]:
    """The axes of a window."""
    return [axis for axis in step.applied.axes if isinstance(axis, (Geometry, Transposed))]


def size_text(step: Step) -> str:
    """The size of a kernel or window."""
    return "x".join(str(axis.kernel) for axis in sliding(step))


def convolution(step: Step) -> str:
    """conv, pw."""
    text = (
        f"A kernel of {size_text(step)} numbers lies on the input. Each pixel under it is multiplied by the number on "
        f"it, and the sum is one output. {moves(step)}"
    )
    return text + channels(step)


def channels(step: Step) -> str:
    """What happens with several channels."""
    bank = step.applied.banks[0]
    depth = bank.inputs // bank.groups
    over = f" It has as many numbers for each of {depth} channels, and sums over all of them." if depth > 1 else ""
    return over + (f" Each of {bank.outputs} kernels makes a channel of the output." if bank.outputs > 1 else "")


def moves(step: Step) -> str:
    """By how much a kernel moves."""
    strides = [axis.stride for axis in sliding(step)]
    if set(strides) == {1}:
        return f"Then the kernel moves on by one pixel.{dilation(step)}"
    by = str(strides[0]) if len(set(strides)) == 1 else " by ".join(map(str, strides))
    return f"Then the kernel moves on by {by} pixels, its stride.{dilation(step)}"


def dilation(step: Step) -> str:
    """What a dilation does."""
    rates = [axis.dilation for axis in sliding(step)]
    if set(rates) <= {1}:
        return ""
    rate = str(rates[0]) if len(set(rates)) == 1 else " and ".join(map(str, rates))
    what = "numbers" if step.applied.banks else "pixels"
    return f" Its taps lie {rate} pixels apart (dilation), so that it sees further with as many {what}."


def transposed(step: Step) -> str:
    """tconv."""
    return (
        f"A transposed convolution goes the other way: each input is multiplied by all {size_text(step)} numbers of "
        "the kernel and laid on the output, its stride further each time; what meets in a place is added up. Drawn as "
        "a convolution, zeros stand between and around the inputs, and the kernel, turned by 180 degrees, moves by one "
        "place." + dilation(step)
    )


def depthwise(step: Step) -> str:
    """dw."""
    return (
        f"Each channel has a kernel of {size_text(step)} numbers of its own, and no sum mixes channels. {moves(step)}"
    )


def separable(step: Step) -> str:
    """sep."""
    return (
        f"First each channel is filtered alone by a kernel of {size_text(step)} numbers (depthwise), then 1x1 kernels "
        f"mix the channels of each place (pointwise). {moves(step)}"
    )


def largest(step: Step) -> str:
    """max."""
    return f"{window(step)} The largest of its pixels is one output.{rounded(step)}"


def mean(step: Step) -> str:
    """avg."""
    return f"{window(step)} The mean of its pixels is one output.{rounded(step)}"


def window(step: Step) -> str:
    """The window of a pooling."""
    if not sliding(step):
        return "The input is divided into windows of nearly equal size, one for each output."
    strides = "x".join(str(axis.stride) for axis in sliding(step))
    return f"A window of {size_text(step)} pixels moves over each channel in steps of {strides}.{dilation(step)}"


def rounded(step: Step) -> str:
    """What ceil does."""
    return " The last windows may hang over the end (ceil)." if step.layer.ceil else ""


def fixed(text: str) -> Callable[[Step], str]:
    """The same words for all."""
    return lambda _: text


def other(step: Step) -> str:
    """What has no words of its own."""
    return f"The layer {step.word} makes {step.output} of {step.input}."


PHRASES: dict[str, Callable[[Step], str]] = {
    "conv": convolution,
    "pw": convolution,
    "tconv": transposed,
    "dw": depthwise,
    "sep": separable,
    "max": largest,
    "avg": mean,
    "gap": fixed("Each channel becomes one number, the mean of all its pixels."),
    "up": fixed("Each output takes the value of the nearest pixel of the input."),
    "bilinear": fixed("Each output mixes the nearest pixels of the input, by how near they are."),
    "pad": fixed("Places are added around the input."),
    "crop": fixed("Rows and columns are cut off at the ends of the input."),
    "fc": fixed("Every output is a weighted sum of all numbers of the input."),
    "flatten": fixed("All numbers of the input stand behind each other as one vector."),
    "attend": fixed("Every place of the queries looks at the keys, and takes what it finds of the values."),
    "tokens": fixed("The places of all axes stand behind each other."),
    "attn": fixed("Every place looks at every other place."),
    "shuffle": fixed("Groups of channels become blocks of pixels: the image grows, the channels become fewer."),
    "unshuffle": fixed("Blocks of pixels become channels: the image shrinks, the channels become more."),
}
"""Kind of layer -> its words."""
