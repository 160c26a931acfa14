"""The folders that outputs go into: made where they are not there yet, and gone again where nothing came into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convcli.errors import ConvError
from convcli.formats.failures import told
from convcli.runs.names import outer_folder
from convcli.runs.one import is_stream
from convcli.stores.names import is_remote

if TYPE_CHECKING:
    from convcli.runs.many import Batch


def check_outer(outer: str, *, parents: bool) -> None:
    """Refuse a folder for outputs that cannot be made: it may be missing, but what it would be in must be there."""
    place = Path(outer)
    if not outer or is_remote(outer) or place.is_dir():
        return
    if place.exists() or place.is_symlink():
        raise ConvError("is not a folder", "not-found", where=outer)
    if not parents and not place.parent.is_dir():
        way = "make it first, or use --parents"
        raise ConvError(f"there is no folder {str(place.parent)!r} to make it in; {way}", "not-found", where=outer)


def folders_of(batch: Batch, targets: Iterable[str]) -> Iterator[str]:
    """The folders that outputs go into, which may have to be made."""
    outer = outer_folder(batch.output)
    if outer and not is_remote(outer):
        yield outer
    named = (name for name in targets if batch.parents and not (is_stream(name) or is_remote(name)))
    yield from dict.fromkeys(str(Path(name).parent) for name in named)


@contextmanager
def folders_made(batch: Batch, targets: Iterable[str]) -> Iterator[None]:
    """They are there inside of the block; those that were made for it and are still empty at its end go again."""
    made: list[Path] = []
    try:
        for folder in () if batch.settings.explain else folders_of(batch, targets):
            try:
                make(Path(folder), made)
            except OSError as error:
                raise told(error, folder) from error
        yield
    finally:
        for place in reversed(made):
            with suppress(OSError):  # something is in it
                place.rmdir()


def make(place: Path, made: list[Path]) -> None:
    """Make a folder, after those that it is in."""
    if place.is_dir():
        return
    make(place.parent, made)
    place.mkdir(exist_ok=True)
    made.append(place)
