"""Which output belongs to which input: a file, a folder, a template, or standard output. Nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from convcli.errors import ConvError, UsageError

STREAM = "-"
FIELDS = ("stem", "name", "ext", "parent", "index", "kernel", "rate", "command")
FIELD = re.compile(r"\{(\w*)\}")


def output_names(inputs: Sequence[str], output: str, fields: Mapping[str, str], suffix: str = "") -> list[str]:
    """One output for each input.

    `output` is a file, "-", a folder (ends in / or is one), or a template with {stem}, {name}, {ext}, {parent}, {index}
    and what `fields` gives. In a folder a file keeps its name, with `suffix` (".png") instead of its own where given.

    >>> output_names(["a/x.png", "b/y.png"], "out/{stem}_{kernel}.tif", {"kernel": "box:3"})
    ['out/x_box-3.tif', 'out/y_box-3.tif']
    """
    if output == STREAM:
        names = [STREAM] * len(inputs)
    elif FIELD.search(output):
        names = [fill(output, name, index, fields) for index, name in enumerate(inputs)]
    elif output.endswith("/") or Path(output).is_dir():
        names = [str(Path(output, _in_folder(name, suffix))) for name in inputs]
    else:
        names = [output] * len(inputs)
    _refuse_collisions(inputs, names, output)
    return names


def fill(template: str, name: str, index: int, fields: Mapping[str, str]) -> str:
    """A template with the fields of one input put in.

    >>> fill("{stem}-{index}.{ext}", "a/x.png", 3, {})
    'x-3.png'
    """
    path = Path("stdin" if name == STREAM else name)
    known = {
        "stem": path.stem,
        "name": path.name,
        "ext": path.suffix.lstrip("."),
        "parent": str(path.parent),
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


def _refuse_collisions(inputs: Sequence[str], names: Sequence[str], output: str) -> None:
    first: dict[str, str] = {}
    for source, name in zip(inputs, names, strict=True):
        if name in first:
            what = f"{first[name]!r} and {source!r} would both become {name!r}"
            raise UsageError(
                f"{what}; use a folder (out/) or a template such as {{stem}}-{{index}}.png", where=f"-o {output}"
            )
        first[name] = source


def refuse_overwrite(source: str, target: str, *, force: bool, in_place: bool) -> None:
    """Refuse an output that exists, unless asked to replace it; and one that is its own input, unless in place."""
    path = Path(target)
    if target == STREAM or not path.exists():
        return
    if path.is_dir():
        raise ConvError("is a folder; end it in / to write into it, or name a file", "is-directory", where=target)
    if source != STREAM and Path(source).exists() and path.samefile(source):
        if not in_place:
            raise ConvError("is the input itself; --in-place replaces it", "exists", where=target)
    elif not force and path.is_file():
        raise ConvError("exists; --force replaces it", "exists", where=target)
