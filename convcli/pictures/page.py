"""Pages: one file each, with pictures, styles and scripts inside, which needs no network and is not allowed any.

The Content-Security-Policy names this very style and script by their hashes and permits nothing else: what a file name
or a layer's name might smuggle in does not run. Colours follow the reader's system, light or dark, and a button.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from convcli.pictures.colours import COLOURS
from convcli.pictures.svg import escaped


class Page(NamedTuple):
    """A page: `body` is HTML whose texts are `escaped`; styles and scripts are names of files beside this one.

    `data` is what scripts read: `JSON.parse(document.getElementById("data").textContent)`.
    """

    title: str
    body: str
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    data: Any = None


def page_text(page: Page) -> str:
    """A page as the text of an HTML file."""
    style = "\n".join((colour_variables(), *map(part, ("page.css", *page.styles))))
    script = "\n".join(map(part, ("page.js", *page.scripts)))
    policy = (
        f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = "" if page.data is None else f'<script type="application/json" id="data">{inlined(page.data)}</script>\n'
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(page.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<header><h1>{escaped(page.title)}</h1><button id="theme" type="button">light / dark</button></header>\n'
        f"{page.body}\n{data}<script>{script}</script>\n</body>\n</html>\n"
    )


def part(name: str) -> str:
    """The text of a style sheet or a script beside this file."""
    return files("convcli.pictures").joinpath(name).read_text(encoding="utf-8")


def hashed(text: str) -> str:
    """How a Content-Security-Policy names what may run."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def inlined(data: Any) -> str:
    """Data as JSON that ends no script element.

    >>> inlined({"name": "</script>"})
    '{"name":"\\\\u003c/script>"}'
    """
    from json import dumps

    return dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def colour_variables() -> str:
    """The colours as variables of CSS: by the reader's system, and by the button over that."""
    bright = "".join(f"--{name}:{both[0]};" for name, both in COLOURS.items())
    night = "".join(f"--{name}:{both[1]};" for name, both in COLOURS.items())
    return (
        f":root{{{bright}}}\n@media (prefers-color-scheme: dark){{:root:not([data-theme='light']){{{night}}}}}\n"
        f":root[data-theme='dark']{{{night}}}"
    )
