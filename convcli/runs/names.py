"""Which output belongs to which input, and whether it may be written there. Nothing is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from convcli.errors import ConvError, UsageError
from convcli.formats.atomic import destination, is_special, same_file, try_output
from convcli.formats.failures import local_path, told
from convcli.runs.selection import Input
from convcli.streams import STREAM

FIELD = re.compile(r"\{(\w*)\}")


def output_names(inputs: Sequence[Input], output: str, fields: Mapping[str, str], suffix: str = "") -> list[str]:
    """One output for each input.

    `output` is a file, "-", a folder (ends in /), or a template with {stem}, {name}, {ext}, {parent}, {folder}, {index}
    and what `fields` gives. In a folder a file keeps its name and the sub-folder it was found in, with `suffix`
    (".png") instead of its own where given.

    >>> output_names([Input("a/x.png"), Input("b/y.png")], "out/{stem}_{kernel}.tif", {"kernel": "box:3"})
    ['out/x_box-3.tif', 'out/y_box-3.tif']
    """
    if output == STREAM:
        names = [STREAM] * len(inputs)
    elif FIELD.search(output):
        names = [fill(output, one, index, fields) for index, one in enumerate(inputs)]
    elif output.endswith("/"):
        names = [os.path.join(output, one.folder, _in_folder(one.name, suffix)) for one in inputs]  # noqa: PTH118 -- as typed
    elif Path(output).is_dir():
        raise ConvError("is a folder; end it in '/' to write into it", "is-directory", where=output)
    else:
        names = [output] * len(inputs)
    refuse_collisions([one.name for one in inputs], names)
    return names


def outer_folder(output: str) -> str:
    """The folder that all outputs are in, which must be there; "" where a single name says nothing of others.

    >>> outer_folder("out/"), outer_folder("a/b/{folder}/{name}"), outer_folder("{stem}.png"), outer_folder("a/x.png")
    ('out', 'a/b', '.', '')
    """
    field = FIELD.search(output)
    if field is None:
        return os.path.dirname(output) if output.endswith("/") else ""  # noqa: PTH120 -- "/" alone is itself
    return os.path.dirname(output[: field.start()]) or "."  # noqa: PTH120


def fill(template: str, given: Input, index: int, fields: Mapping[str, str]) -> str:
    """A template with the fields of one input put in.

    >>> fill("{stem}-{index}.{ext}", Input("a/x.png"), 3, {})
    'x-3.png'
    """
    path = Path("stdin" if given.name == STREAM else given.name)
    known = {
        "stem": path.stem,
        "name": path.name,
        "ext": path.suffix.lstrip("."),
        "parent": str(path.parent),
        "folder": given.folder or ".",
        "index": str(index),
        **{key: safe(value) for key, value in fields.items()},
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            usable = ", ".join("{" + field + "}" for field in known)
            raise UsageError(f"no field {match[0]} in {template!r}; use {usable}", where="-o")
        return known[match[1]]

    return FIELD.sub(value, template)


def safe(text: str) -> str:
    """Text as part of a file name.

    >>> safe("0 -1 0; -1 5 -1; 0 -1 0"), safe("gaussian:2")
    ('0_-1_0_-1_5_-1_0_-1_0', 'gaussian-2')
    """
    return re.sub(r"[^\w.+-]+", "_", text.replace(":", "-")).strip("_")[:80]


def _in_folder(name: str, suffix: str) -> str:
    if name == STREAM:
        return "stdin" + suffix
    return Path(name).stem + suffix if suffix else Path(name).name


def refuse_collisions(inputs: Sequence[str], names: Sequence[str]) -> None:
    """Refuse two inputs that would become one output, under whatever names."""
    first: dict[str, str] = {}
    for source, name in zip(inputs, names, strict=True):
        place = name if name == STREAM else os.path.realpath(name)
        if place in first:
            raise UsageError(
                f"{first[place]!r} and {source!r} would both be written there; "
                "use a folder (out/) or a template such as {stem}-{index}.png",
                where=name,
            )
        first[place] = source


FileId = tuple[int, int]


def file_id(name: str) -> FileId | None:
    """What tells a file from every other, by whatever links it is reached; None where there is none."""
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def check_target(
    source: str, target: str, inputs: frozenset[FileId], *, force: bool = False, in_place: bool = False
) -> None:
    """Refuse an output that cannot be written, that exists (without `force`), or that is an input (but `in_place`)."""
    if not in_place and file_id(target) in inputs:
        own = same_file(Path(source), Path(target))
        message = "is the input itself; --in-place replaces it" if own else "is another input; write elsewhere"
        raise ConvError(message, "exists", where=target)
    try:
        place = destination(local_path(target), force or in_place)
    except OSError as error:
        raise told(error, target) from error
    except ConvError as error:
        error.where = target  # as it was typed
        raise
    if is_special(place):
        if not os.access(place, os.W_OK):
            raise ConvError("nothing may be written there", "permission", where=target)
        return
    try:
        try_output(Path(target), force=force or in_place)
    except ConvError as error:
        code = error.code if error.code in ("disk-full", "exists") else "permission"
        raise ConvError(
            f"nothing may be written in {str(place.parent)!r}: {error.message}", code, where=target
        ) from None
