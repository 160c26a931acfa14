"""One job for each output of many objects: the mark that says who is writing it, and that it is not finished."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from convcli import __version__
from convcli.errors import ConvError
from convcli.records import record
from convcli.stores.contract import MARK
from convcli.streams import say
from convcli.system import is_running, user

if TYPE_CHECKING:
    from convcli.stores.contract import Store


TURNS = 10
"""How often a mark is looked at again that went, or became another one, while it was looked at."""


@record
class Claim:
    """Who writes an output, in which process since when, and what comes of it: the fingerprint of the whole job."""

    fingerprint: str
    who: str = ""
    host: str = ""
    process: int = 0
    since: str = ""
    version: str = ""

    @property
    def data(self) -> bytes:
        """The mark."""
        return json.dumps({**vars(self), "unfinished": True}).encode()

    @property
    def holder(self) -> str:
        """Who it is, in words."""
        return f"{self.who}@{self.host} (process {self.process}) since {self.since}"

    @property
    def is_alive(self) -> bool:
        """Whether it is a process of this machine that still runs; of others nobody can tell."""
        if self.host != platform.node() or self.process == os.getpid():
            return False
        return is_running(self.process)


def own_claim(fingerprint: str) -> Claim:
    """This process's."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Claim(fingerprint, user(), platform.node(), os.getpid(), now, __version__)


def read_claim(data: bytes) -> Claim:
    """The claim of a mark; what is no such thing is one of nobody."""
    try:
        said: dict[str, Any] = json.loads(data)
        known = {name: said[name] for name in ("fingerprint", "who", "host", "since", "version")}
        return Claim(**{name: str(value) for name, value in known.items()}, process=int(said["process"]))
    except (ValueError, KeyError, TypeError):
        return Claim("", "somebody", "?")


@contextmanager
def claimed(store: Store, fingerprint: str, *, resume: bool, force: bool) -> Iterator[Callable[[], None]]:
    """Mark an output as unfinished and ours, or raise ConvError that says whose it is.

    The mark of a job that ended without finishing is taken over by `resume` where the job is the same, and by `force`.
    A store that does not honour conditional creation cannot tell two jobs apart: that needs `force`, and is said.

    The mark stays behind unless it is removed; but a new one goes if the block fails before it has called what it is
    given, which says that something of the output is going to be changed.
    """
    fresh, changing = claim(store, fingerprint, resume=resume, force=force), list[bool]()
    try:
        yield lambda: changing.append(True)
    except BaseException:
        if fresh and not changing:
            store.delete(MARK)
        raise


def claim(store: Store, fingerprint: str, *, resume: bool, force: bool) -> bool:
    """Make the mark, or take it over, so that of several who try one succeeds; whether there was none."""
    own = own_claim(fingerprint)
    if not store.honours_create():
        if not force:
            way = "make sure that this is the only job on it, and use --force"
            raise ConvError(f"the store does not refuse two jobs for one output; {way}", "unsafe", where=store.name)
        say(f"convcli: {store.name!r}: the store does not refuse two jobs for one output; there must be no other")
        there = store.get(MARK)
        if there is not None:
            check_free(store, read_claim(there), own, resume=resume, force=force)
        store.put(MARK, own.data)
        return there is None
    for _ in range(TURNS):
        if store.create(MARK, own.data):
            return True
        found = store.whole(MARK)
        if found is not None:
            check_free(store, read_claim(found[1]), own, resume=resume, force=force)
            if store.replace(MARK, own.data, found[0].tag):
                return False
    raise ConvError("others begin jobs on it and end them all the time", "exists", where=store.name)


def check_free(store: Store, other: Claim, own: Claim, *, resume: bool, force: bool) -> None:
    """Refuse to take over the mark of a job that is at work, or of another job."""
    if other.is_alive:
        raise ConvError(f"is being written by {other.holder}", "exists", where=store.name)
    if force or (resume and other.fingerprint == own.fingerprint):
        if other.host != own.host:
            way = "nobody can tell from here whether it still runs; there must be no two"
            say(f"convcli: {store.name!r}: taken over from {other.holder}: {way}")
        return
    if resume:
        way = "this is another command, or another input, or another version; --force begins anew"
    else:
        way = "--resume goes on after the same command, --force begins anew"
    raise ConvError(f"was left unfinished by {other.holder}; {way}", "exists", where=store.name)
