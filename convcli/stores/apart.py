"""Looks into stores before workers are forked: in a process that ends when it has looked.

What speaks to a store has threads of its own, which a fork leaves behind: a worker forked from a process that has used
a store would wait for ever. So whoever may fork later looks in a child, and stays clean himself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from convcli.errors import ConvError, UsageError
from convcli.stores.opening import USERS
from convcli.stores.store import object_at
from convcli.system import forks

LARGEST = 1 << 28


def apart(look: Callable[[], Any]) -> Any:
    """What a function returns (anything that JSON holds), found out by a process forked for it.

    It is called here where that makes no difference: a store was used already, or there are threads, as in a program
    that uses convcli as a library; or processes are not forked on this system. Raises the ConvError that it raises.
    """
    threads = sys.modules.get("threading")
    if not forks() or USERS or (threads and threads.active_count() > 1):
        return look()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        told(look, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    if not answer:
        raise ConvError("the process that looked into the store ended without an answer", "crashed")
    found, error = json.loads(answer)
    if error:
        kind, message, code, where = error
        raise (UsageError if kind else ConvError)(message, code, where=where)
    return found


def told(look: Callable[[], Any], writer: int) -> None:
    """The child's whole life: look, say what was found or what went wrong, end."""
    try:
        try:
            answer: Any = [look(), None]
        except ConvError as error:
            answer = [None, [isinstance(error, UsageError), error.message, error.code, error.where]]
        with os.fdopen(writer, "wb") as stream:
            stream.write(json.dumps(answer).encode())
    except BaseException:  # noqa: BLE001 -- a fault of ours is shown here, for nobody catches it outside
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def fetched(name: str, most: int = LARGEST) -> bytes:
    """All bytes of a small object, as those of a list or a kernel.

    Raises UsageError where the URL names none; ConvError: not-found, too-large, permission, unreachable.
    """

    def look() -> str:
        store, key = object_at(name)
        found = store.seen(key)
        if found and found.size > most:
            raise ConvError(f"has {found.size:,} bytes; at most {most:,} are read", "too-large", where=name)
        data = store.get(key)
        if data is None:
            raise ConvError("there is no such object", "not-found", where=name)
        return data.decode("latin-1")

    text: str = apart(look)
    return text.encode("latin-1")
