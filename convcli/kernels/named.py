"""The named kernels, `name[:parameters]`, and how their parameters are told apart.

To add one: write a function `name(ndim, *parameters) -> Kernel` whose docstring says in one line what it is, annotate
the parameters with types of `convcli.kernels.parameters`, and give it a line in `KERNELS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, signature
from typing import Any, get_type_hints

from convcli.errors import KernelError
from convcli.kernels import edges, resampling, smoothing
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import Reader, Space, value_text
from convcli.records import record

SIZE = r"([0-9]+\.?[0-9]*)x([0-9]+\.?[0-9]*)"
Words = dict[str, list[str]]


@record
class NamedKernel:
    """A kernel function, an example of its use, and the numbers of axes it exists for (with what to use otherwise)."""

    function: Callable[..., Kernel]
    example: str
    ndims: tuple[int, ...] = (2, 3)
    instead: str = ""

    @property
    def name(self) -> str:
        """What to type before the colon."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """What the kernel is, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0].rstrip(".")

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters in order, each as Python's signature has it."""
        return dict(list(signature(self.function).parameters.items())[1:])

    @cached_property
    def readers(self) -> Mapping[str, Reader]:
        """How each parameter is read."""
        hints = get_type_hints(self.function, include_extras=True)
        return {name: hints[name].__metadata__[0] for name in self.parameters}

    @property
    def positional(self) -> list[str]:
        """Parameters that need no `key=`."""
        return [name for name, each in self.parameters.items() if each.kind is Parameter.POSITIONAL_OR_KEYWORD]

    @property
    def usage(self) -> str:
        """The parameters with their defaults, where they have one.

        >>> KERNELS["gaussian"].usage
        'sigma=1, fwhm, truncate=4, size, order=0'
        """
        defaults = {name: value_text(each.default) for name, each in self.parameters.items()}
        return ", ".join(f"{name}={default}" if default else name for name, default in defaults.items())


KERNELS: Mapping[str, NamedKernel] = {
    kernel.name: kernel
    for kernel in (
        NamedKernel(smoothing.identity, "identity"),
        NamedKernel(smoothing.box, "box:5"),
        NamedKernel(smoothing.gaussian, "gaussian:2"),
        NamedKernel(smoothing.binomial, "binomial:5"),
        NamedKernel(smoothing.disk, "disk:4", (2,), "ball"),
        NamedKernel(smoothing.ball, "ball:4", (3,), "disk"),
        NamedKernel(edges.laplacian, "laplacian"),
        NamedKernel(edges.log, "log:2"),
        NamedKernel(edges.dog, "dog:1,1.6"),
        NamedKernel(edges.sharpen, "sharpen"),
        NamedKernel(edges.unsharp, "unsharp:2,0.5"),
        NamedKernel(edges.emboss, "emboss", (2,), "sobel:x, sobel:y or sobel:z"),
        NamedKernel(smoothing.motion, "motion:9,45", (2,), "conv2d, which filters every plane"),
        NamedKernel(edges.gabor, "gabor:8,45", (2,), "conv2d, which filters every plane"),
        NamedKernel(edges.sobel, "sobel:x"),
        NamedKernel(edges.prewitt, "prewitt:x"),
        NamedKernel(edges.scharr, "scharr:x"),
        NamedKernel(edges.roberts, "roberts:x", (2,), "sobel:x, sobel:y or sobel:z"),
        NamedKernel(edges.kirsch, "kirsch:ne", (2,), "sobel:x, sobel:y or sobel:z"),
        NamedKernel(resampling.nearest, "nearest:2"),
        NamedKernel(resampling.bilinear, "bilinear:2"),
        NamedKernel(resampling.bicubic, "bicubic:2"),
        NamedKernel(resampling.lanczos, "lanczos:2"),
    )
}


def parse_named(text: str, space: Space, stride: Sequence[int] = ()) -> Kernel:
    """The kernel that `name[:parameters]` stands for; its name is the same text, tidied, with lengths in samples.

    `stride` is what a kernel with a stride takes where the text gives none.

    >>> parse_named("gaussian:sigma=2.0", Space(2)).name
    'gaussian:2'
    """
    name, colon, rest = text.partition(":")
    kernel = KERNELS[name.strip()]
    try:
        return build(kernel, assign(kernel, rest if colon else None), space, stride)
    except KernelError as error:
        raise KernelError(f"{kernel.name}: {error.message}") from None


def build(kernel: NamedKernel, words: Words, space: Space, stride: Sequence[int]) -> Kernel:
    """A named kernel from the words of its parameters."""
    if space.ndim not in kernel.ndims:
        raise KernelError(f"there is no {space.ndim}-D form; use {kernel.instead}")
    values = {name: read(name, kernel.readers[name], words[name], space) for name in words}
    if stride and "stride" in kernel.parameters:
        values.setdefault("stride", tuple(stride))
    return kernel.function(space.ndim, **values).named(spelled(kernel, values))


def assign(kernel: NamedKernel, text: str | None) -> Words:
    """The words of each parameter: positional ones first, then `key=value`; words after a key belong to it.

    >>> assign(KERNELS["gaussian"], "1,2,truncate=3")
    {'sigma': ['1', '2'], 'truncate': ['3']}
    """
    positional, keyed = split_words(kernel, text)
    names = kernel.positional
    if len(names) == 1:  # it takes all of them: one for each axis
        words = {names[0]: positional} if positional else {}
    elif len(positional) > len(names):
        more = "; a threshold is an option, --threshold" * (kernel.name == "unsharp")
        raise KernelError(f"takes {', '.join(names) or 'no parameters'}; got {', '.join(positional)}{more}")
    else:
        words = {name: [word] for name, word in zip(names, positional, strict=False)}
    twice = words.keys() & keyed.keys()
    if twice:
        raise KernelError(f"{min(twice)} is given twice")
    return words | keyed


def split_words(kernel: NamedKernel, text: str | None) -> tuple[list[str], Words]:
    """The words without a key, and those with one."""
    positional: list[str] = []
    keyed: Words = {}
    current = positional
    for word in [] if text is None else text.split(","):
        key, equals, value = word.partition("=")
        if equals:
            current = keyed.setdefault(known_key(kernel, key.strip()), [])
            if current:
                raise KernelError(f"{key.strip()} is given twice")
        current.append((value if equals else word).strip())
    return positional, keyed


def known_key(kernel: NamedKernel, key: str) -> str:
    """A parameter's name, or an error that lists those there are."""
    if key in kernel.parameters:
        return key
    names = ", ".join(kernel.parameters) or "none"
    raise KernelError(f"unknown parameter {key!r}{suggestion(key, kernel.parameters)} (parameters: {names})")


def read(name: str, reader: Reader, words: Sequence[str], space: Space) -> Any:
    """A parameter's value, or an error that names the parameter."""
    try:
        return reader.read(words, space)
    except KernelError as error:
        size = re.fullmatch(SIZE, ",".join(words))
        way = f"; write {kernel_values(size[1], size[2])}" if size else ""
        raise KernelError(f"{name} {error.message}{way}") from None


def kernel_values(first: str, second: str) -> str:
    """Two numbers that somebody wrote as a size, or as ImageMagick's radius x sigma with a radius of 0.

    >>> kernel_values("3", "5"), kernel_values("0", "2")
    ('3,5', '2')
    """
    return second if float(first) == 0 else f"{first},{second}"


def spelled(kernel: NamedKernel, values: Mapping[str, Any]) -> str:
    """The text that gives these parameters, the shortest way."""
    parts = []
    leading = kernel.positional
    for name in (name for name in kernel.parameters if name in values):
        text = value_text(values[name])
        bare = leading[:1] == [name] and ("," not in text or len(kernel.positional) == 1)
        leading = leading[1:] if bare else []
        parts.append(text if bare else f"{name}={text}")
    return f"{kernel.name}:{','.join(parts)}" if parts else kernel.name


def suggestion(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """A tail for an error message that offers the nearest known word, or nothing where none is near.

    >>> suggestion("gausian", KERNELS)
    "; did you mean 'gaussian'?"
    """
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
