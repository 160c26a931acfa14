"""JSON whose every value is looked at before it is believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from convcli.errors import ConvError

LARGEST = 2**63
LONGEST_TEXT = 1 << 16


def damaged(what: str) -> ConvError:
    """The error of an archive that is none."""
    return ConvError(f"is no sound archive of torch.export: {what}; export or download it again", "corrupt")


class Fields(NamedTuple):
    """An object of JSON; `where` says which one, for errors."""

    found: Mapping[str, object]
    where: str

    def names(self) -> list[str]:
        """The names of its members."""
        return list(self.found)

    def fields(self, key: str) -> Fields:
        """A member that is an object."""
        return as_fields(self.found.get(key), f"{self.where}: {key}")

    def rows(self, key: str) -> list[Fields]:
        """A member that is a list of objects."""
        return [as_fields(each, f"{self.where}: {key}") for each in self.items(key)]

    def items(self, key: str) -> list[object]:
        """A member that is a list."""
        found = self.found.get(key)
        if not isinstance(found, list):
            raise self.wrong(key, "no list")
        return found

    def text(self, key: str) -> str:
        """A member that is text."""
        found = self.found.get(key)
        if not isinstance(found, str) or len(found) > LONGEST_TEXT:
            raise self.wrong(key, "no text")
        return found

    def whole(self, key: str) -> int:
        """A member that is an integer of 64 bits."""
        found = self.found.get(key)
        if not isinstance(found, int) or isinstance(found, bool) or not -LARGEST <= found < LARGEST:
            raise self.wrong(key, "no integer")
        return found

    def flag(self, key: str) -> bool:
        """A member that is true or false; false where it is not there."""
        return self.found.get(key) is True

    def only(self) -> tuple[str, object]:
        """The one member of a choice: {"as_int": 3}."""
        if len(self.found) != 1:
            raise damaged(f"{self.where[-80:]!r} has {len(self.found)} members instead of one")
        return next(iter(self.found.items()))

    def pairs(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The members of a member, which are objects."""
        inner = self.fields(key)
        for name in inner.names():
            yield name, inner.fields(name)

    def wrong(self, key: str, what: str) -> ConvError:
        """The error of a member that is not what it must be."""
        return damaged(f"{f'{self.where}: {key}'[-80:]!r} is {what}")


def as_fields(found: object, where: str) -> Fields:
    """A value that must be an object."""
    if not isinstance(found, dict):
        raise damaged(f"{where[-80:]!r} is no object")
    return Fields(found, where)
