"""Names as users give them: paths and URLs told apart. As light as can be, for every command asks it."""

from __future__ import annotations

import re

from convcli.errors import UsageError

URL = r"[A-Za-z][A-Za-z0-9+.-]*://"
LOCAL = "file://"
ESCAPE = rb"%([0-9A-Fa-f]{2})"


def is_url(name: str) -> bool:
    """True for what a browser opens and no file is called.

    >>> is_url("https://example.org/a.png"), is_url("a:b.png")
    (True, False)
    """
    return "://" in name and re.match(URL, name) is not None


def is_remote(name: str) -> bool:
    """True for a URL, whatever it names, but a local file's.

    >>> is_remote("s3://bucket/a.png"), is_remote("file:///a.png"), is_remote("a.png")
    (True, False, False)
    """
    return is_url(name) and not name.lower().startswith(LOCAL)


def local_name(name: str) -> str:
    """The path that a name means: a file:// URL without its scheme, its %XX decoded; any other name as it is.

    >>> local_name("file:///data/a%20b.png"), local_name("a%20b.png")
    ('/data/a b.png', 'a%20b.png')
    """
    if not name.lower().startswith(LOCAL):
        return name
    host, slash, rest = name[len(LOCAL) :].partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        way = f"file:///{host}{slash}{rest}" if slash else "file:///PATH"
        raise UsageError(f"names a file of the machine {host!r}; a path here has three slashes: {way}", where=name)
    path = re.sub(ESCAPE, lambda found: bytes([int(found[1], 16)]), f"/{rest}".encode("utf-8", "surrogateescape"))
    return path.decode("utf-8", "surrogateescape")
