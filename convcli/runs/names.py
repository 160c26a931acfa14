"""Which files a run reads, which output belongs to which input, and whether it may be written there.

Inputs are those named, those that a list names, and those found below folders. Names are kept as the system gives them,
whatever bytes they hold. Nothing is opened but the list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.formats import FORMATS
from convcli.formats.atomic import destination, is_special, output_place, try_output
from convcli.formats.failures import told
from convcli.formats.table import ZARR, by_suffix
from convcli.stores.names import is_remote, is_url, local_name
from convcli.streams import STREAM, read_input

FIELD = re.compile(r"\{(\w*)\}")


def output_names(inputs: Sequence[Input], output: str, fields: Mapping[str, str], suffix: str = "") -> list[str]:
    """One output for each input.

    `output` is a file, "-", a folder (ends in /), or a template with {stem}, {name}, {ext}, {parent}, {folder}, {index}
    and what `fields` gives. In a folder a file keeps its name and the sub-folder it was found in, with `suffix`
    (".png") instead of its own where given.

    >>> output_names([Input("a/x.png"), Input("b/y.png")], "out/{stem}_{kernel}.tif", {"kernel": "box:3"})
    ['out/x_box-3.tif', 'out/y_box-3.tif']
    """
    if outer := zarr_around(output):
        raise ConvError(f"lies in {outer!r}, which is a Zarr; write elsewhere", "exists", where=output)
    if output == STREAM:
        names = [STREAM] * len(inputs)
    elif FIELD.search(output):
        names = [fill(output, one, index, fields) for index, one in enumerate(inputs)]
    elif output.endswith("/") and not names_folder(output):
        names = [os.path.join(output, one.folder, _in_folder(one.name, suffix)) for one in inputs]  # noqa: PTH118 -- as typed
    elif not is_remote(output) and Path(output).is_dir() and not names_folder(output):
        raise ConvError("is a folder; end it in '/' to write into it", "is-directory", where=output)
    else:
        names = [output.rstrip("/") if names_folder(output) else output] * len(inputs)
    refuse_collisions([one.name for one in inputs], names)
    return names


def names_folder(output: str) -> bool:
    """Whether a name is that of an output of many objects, which is a folder.

    >>> names_folder("out.ome.zarr"), names_folder("out.tif"), names_folder("out.zarr/")
    (True, False, True)
    """
    entry = by_suffix(output.rstrip("/"))
    return entry is not None and entry.folder


def zarr_around(output: str) -> str:
    """The folder around an output that is a Zarr, into which nothing is written; "" where there is none."""
    if output == STREAM:
        return ""
    if is_remote(output):
        return zarr_above(output)
    return next((str(folder) for folder in Path(output).parents if folder.name and is_zarr(folder)), "")


def zarr_above(output: str) -> str:
    """The same of a URL, looked up in its store; none where nobody may look."""
    from convcli.stores.address import SCHEMES, Address
    from convcli.stores.apart import apart

    named = output.rstrip("/") if names_folder(output) else output
    outer = FIELD.split(named)[0].rpartition("/")[0]
    try:
        Address.of(FIELD.sub("x", named))
        address = Address.of(outer)
    except UsageError:  # told of the output itself
        return ""
    if address.scheme not in SCHEMES:
        return ""
    parts = address.key.split("/") if address.key else []
    folders = [address._replace(key="/".join(parts[:count])).url for count in range(len(parts), 0, -1)]
    found: str = apart(lambda: next(filter(has_zarr, folders), "")) if folders else ""
    return found


def has_zarr(url: str) -> bool:
    """Whether what lies below a URL is a Zarr."""
    from convcli.stores.store import store_at

    try:
        return any(store_at(url).has(key) for key in ZARR)
    except ConvError as error:
        if error.code == "permission":  # as stores say of what is not there, to who may not list
            return False
        raise


def is_zarr(folder: Path) -> bool:
    """Whether a folder is one image, or several, of Zarr; its insides are no images of their own."""
    return any(os.path.isfile(folder / key) for key in ZARR)  # noqa: PTH113 -- no error where it may not be looked at


def outer_folder(output: str) -> str:
    """The folder that all outputs are in, which must be there; "" where a single name says nothing of others.

    >>> outer_folder("out/"), outer_folder("a/b/{folder}/{name}"), outer_folder("{stem}.png"), outer_folder("a/x.png")
    ('out', 'a/b', '.', '')
    """
    field = FIELD.search(output)
    if field is None:
        return os.path.dirname(output) if output.endswith("/") and not names_folder(output) else ""  # noqa: PTH120 -- "/" alone is itself
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
        "parent": given.name.rpartition("/")[0] if is_remote(given.name) else str(path.parent),
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
        place = place_named(name)
        if place in first:
            raise UsageError(
                f"{first[place]!r} and {source!r} would both be written there; "
                "use a folder (out/) or a template such as {stem}-{index}.png",
                where=name,
            )
        first[place] = source


def place_named(name: str) -> str:
    """What two names of one output have in common: links followed, URLs written alike."""
    if name == STREAM:
        return name
    return url_of(name) if is_remote(name) else os.path.realpath(name)


def url_of(name: str) -> str:
    """A URL as it is always written."""
    from convcli.stores.address import Address

    return Address.of(name).url


def anywhere(name: str) -> str:
    """A name that means the same to every process on a file system that all share; the standard streams have none."""
    if name == STREAM:
        raise UsageError("workers cannot read or write the standard streams of this process; name files", where=name)
    return name if is_url(name) else os.path.abspath(name)  # noqa: PTH100 -- links stay


FileId = tuple[int, int] | str


def file_id(name: str) -> FileId | None:
    """What tells a file from every other, by whatever links it is reached, or an object; None where there is no file.

    Raises UsageError for a URL that names no object.
    """
    if is_remote(name):
        return url_of(name)
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def check_target(
    source: str, target: str, inputs: frozenset[FileId], *, force: bool = False, in_place: bool = False
) -> None:
    """Refuse an output that cannot be written, that exists (without `force`), or that is an input (but `in_place`)."""
    check_input(source, target, inputs, in_place=in_place)
    given = output_place(target)
    if not isinstance(given, Path):
        from convcli.formats.sending import check_place

        check_place(given, force=force or in_place)
        return
    try:
        place = destination(given, force or in_place)
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
        try_output(given, force=force or in_place)
    except ConvError as error:
        code = error.code if error.code in ("disk-full", "exists") else "permission"
        raise ConvError(
            f"nothing may be written in {str(place.parent)!r}: {error.message}", code, where=target
        ) from None


def check_input(source: str, target: str, inputs: frozenset[FileId], *, in_place: bool = False) -> None:
    """Refuse an output that is an input (but `in_place`)."""
    if not in_place and file_id(target) in inputs:
        own = file_id(source) == file_id(target)
        message = "is the input itself; --in-place replaces it" if own else "is another input; write elsewhere"
        raise ConvError(message, "exists", where=target)


def check_named(source: str, target: str) -> None:
    """Refuse an input that has given its output a name without an ending, where it is no image itself."""
    if Path(target).suffix or source == STREAM or is_remote(source):
        return
    if not os.path.lexists(source):
        raise ConvError("no such file or folder", "not-found", where=source)
    if Path(source).is_dir() and not is_zarr(Path(source)):
        raise UsageError("is a folder; --recursive takes the images in it", "is-directory", where=source)


class Input(NamedTuple):
    """One image to read: its name, and the sub-folder it is in below the folder that was searched, if any was."""

    name: str
    folder: str = ""


class Selection(NamedTuple):
    """What a user says of the inputs; see `inputs`."""

    words: Sequence[str] = ()
    files_from: str = ""
    null: bool = False
    recursive: bool = False
    patterns: Sequence[str] = ()

    def inputs(self, outputs: str = "") -> list[Input]:
        """Every input, in the order given, those of a folder sorted; nothing below the folder `outputs` is one."""
        self._check()
        given = [*self.words, *(listed(self.files_from, null=self.null) if self.files_from else ())]
        names = [local_name(name) for name in given]
        if "" in names:
            raise UsageError("an empty name is not a file; is a variable unset?", where="")
        if names.count(STREAM) + (self.files_from == STREAM) > 1:
            raise UsageError("standard input can be read only once; name a file for the other", where=STREAM)
        found = [one for name in names for one in self._named(name, outputs)]
        if not found:
            raise UsageError(f"{self.files_from!r} lists no files", "not-found", where="--files-from")
        return found

    def _check(self) -> None:
        if not self.words and not self.files_from:
            raise UsageError("no input; name images, a folder with --recursive, or a list with --files-from")
        if self.null and not self.files_from:
            raise UsageError("tells how a list ends its names; add --files-from", where="--null")
        if self.patterns and not self.recursive:
            raise UsageError("chooses files in folders; add --recursive", where="--pattern")

    def _named(self, name: str, outputs: str) -> list[Input]:
        if not self.recursive or name == STREAM or not (is_remote(name) or Path(name).is_dir()):
            return [Input(name)]
        patterns = self.patterns or [f"*{suffix}" for entry in FORMATS.values() for suffix in entry.suffixes]
        if is_remote(name):
            found = list(searched_store(name, patterns, outputs))
        else:
            found = list(searched(name, patterns, outputs))
        if found:
            return found
        wanted = f"fits {' or '.join(map(repr, self.patterns))}" if self.patterns else "is named like an image"
        raise UsageError(f"no file below {wanted}", "not-found", where=name)


def listed(name: str, *, null: bool) -> list[str]:
    """The names in a list, one a line, or each ended by a NUL byte; empty ones are none."""
    try:
        content = read_input() if name == STREAM else list_content(name)
    except OSError as error:
        raise told(error, name) from error
    except ValueError as error:  # a NUL in the name of the list
        raise ConvError("no such file or folder", "not-found", where=name) from error
    if not null and b"\0" in content:
        raise UsageError("the list holds NUL bytes; read it with -0", where="--files-from")
    return [os.fsdecode(piece) for piece in content.split(b"\0" if null else b"\n") if piece]


def list_content(name: str) -> bytes:
    """The bytes of a list."""
    if not is_remote(name):
        return Path(local_name(name)).read_bytes()
    from convcli.stores.apart import fetched

    return fetched(name)


def searched(top: str, patterns: Sequence[str], outputs: str) -> Iterator[Input]:
    """The files below a folder whose names match, sorted; links to folders are not followed. A Zarr is one of them.

    As in a shell, what begins with a dot is found only by a pattern that does.
    """
    avoided = os.path.realpath(outputs) if outputs else None
    for place, folders, files in os.walk(top, onerror=_raise):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != avoided  # noqa: PTH118 -- keeps bytes
        )
        outer, found = place, sorted(files)
        if not set(ZARR).isdisjoint(files):
            folders.clear()
            outer, name = os.path.split(place.rstrip("/"))
            found = [name]
        relative = os.path.relpath(outer, top) if len(outer) >= len(top.rstrip("/")) else "."
        for name in found:
            if any(matches(name, pattern) for pattern in patterns):
                yield Input(os.path.join(outer, name), "" if relative == "." else relative)  # noqa: PTH118


def searched_store(top: str, patterns: Sequence[str], outputs: str) -> Iterator[Input]:
    """The objects below a URL whose names match, sorted, a Zarr as one; where nothing is below, the URL itself."""
    from convcli.stores.apart import apart
    from convcli.stores.store import ObjectStore

    root = url_of(top)
    avoided = f"{url_of(outputs)}/" if is_remote(outputs) else None
    keys = sorted(apart(lambda: list(ObjectStore(root).keys())))
    if not keys:
        yield Input(top)
    for key in united(keys):
        folder, _, name = key.rpartition("/")
        hidden = any(part.startswith(".") for part in folder.split("/"))
        if hidden or (avoided and f"{root}/{key}".startswith(avoided)):
            continue
        if any(matches(name, pattern) for pattern in patterns):
            yield Input(f"{root}/{key}", folder)


def united(keys: Sequence[str]) -> list[str]:
    """Keys in order, with one for all that a Zarr has.

    >>> united(["a.zarr/0/zarr.json", "a.zarr/zarr.json", "b.png"])
    ['a.zarr', 'b.png']
    """
    tops = {folder for folder, _, name in (key.rpartition("/") for key in keys) if folder and name in ZARR}

    def top(key: str) -> str:
        parts = key.split("/")
        outer = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return next((folder for folder in outer if folder in tops), key)

    return list(dict.fromkeys(map(top, keys)))


def matches(name: str, pattern: str) -> bool:
    """Whether a file's name is one that the pattern means; upper and lower case are alike.

    >>> matches("A.TIF", "*.tif"), matches(".a.tif", "*.tif"), matches(".a.tif", ".*")
    (True, False, True)
    """
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name.lower(), pattern.lower())


def _raise(error: OSError) -> None:
    raise told(error, os.fsdecode(error.filename))
