"""The short forms people write instead of the notation: calls of PyTorch and Keras, and the phrases of papers."""

from __future__ import annotations

from convcli.networks.network import Layer, Place, wrong
from convcli.networks.phrases import phrase
from convcli.networks.readers.calls import Signature, read, translated
from convcli.networks.readers.keras_layers import LAYERS
from convcli.networks.readers.torch_modules import MODULES
from convcli.networks.words import format_layer, parse_word


def read_phrase(text: str, start: int, place: Place) -> tuple[list[Layer], int]:
    """The layer of a phrase that starts somewhere in a text, and where it ends.

    >>> read_phrase("3x3 conv, 64, /2 relu", 0, Place())[1]
    16
    """
    layer, end = phrase(text, start, place)
    return [checked(layer, place)], end


def read_call(text: str, start: int, place: Place) -> tuple[list[Layer], int]:
    """The layers of a call that starts somewhere in a text, and where it ends.

    >>> read_call("max2 Conv2d(3, 64, 7, stride=2, padding=3) relu", 5, Place())[1]
    42
    """
    end = closing(text, start)
    if not end:
        raise wrong(place, f"{text[start:][:40]!r} is never closed by ')'")
    return call_layers(text[start:end], place._replace(text=text[start:end])), end


def closing(text: str, start: int) -> int:
    """Behind the bracket that closes the first one; 0 where none does.

    >>> closing("f((1, 2), ')') g", 0)
    14
    """
    depth, quote = 0, ""
    for position in range(start, len(text)):
        character = text[position]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return position + 1
    return 0


def call_layers(text: str, place: Place) -> list[Layer]:
    """The layers of one call.

    >>> [layer.kind for layer in call_layers("Conv2D(64, 7, strides=2, padding='same', activation='relu')", Place())]
    ['conv', 'relu']
    """
    call = read(text, place)
    layers = translated(call, signature(call.name, place))
    return [checked(layer, place) for layer in layers]


def checked(layer: Layer, place: Place) -> Layer:
    """The layer, if the notation can say it: one set of limits for all forms."""
    word = format_layer(layer)
    return parse_word(word, place._replace(text=word))._replace(place=place)


def signature(name: str, place: Place) -> Signature:
    """The constructor of that name."""
    found = MODULES.get(name) or LAYERS.get(name)
    if found:
        return found
    close = next((known for known in (*MODULES, *LAYERS) if is_slip(name, known)), "")
    hint = f"did you mean {close}?" if close else "write its layers in the notation, or id where it changes nothing"
    raise wrong(place, f"unknown module {name!r}; {hint}")


def is_slip(name: str, known: str) -> bool:
    """True where one letter is too many, missing, or another: a longer difference is another module (DeformConv2d).

    >>> [is_slip(name, "Conv2d") for name in ("Conv2dd", "Cnv2d", "conv2d", "Conv2dSame", "DeformConv2d")]
    [True, True, True, False, False]
    """
    if name.lower() == known.lower():
        return True
    start = next((i for i, (a, b) in enumerate(zip(name, known, strict=False)) if a != b), min(len(name), len(known)))
    rests = (
        (name[start + 1 :], known[start:]),
        (name[start:], known[start + 1 :]),
        (name[start + 1 :], known[start + 1 :]),
    )
    return any(a == b for a, b in rests)
