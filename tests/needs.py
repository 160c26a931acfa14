"""What not every system has, and some tests need: there they are skipped, by the name of what is missing.

No test says so itself. What it asks for is read from its source and from all that it calls or takes as a fixture: names
of `os` and `signal` and modules that Windows lacks, paths like /proc, kinds of use like symbolic links (`KINDS`). A
table leaves out the rows that ask for such: `... if there(thing)`.
"""

import ast
import importlib
import os
import re
import tempfile
from functools import cache
from pathlib import Path

import pytest

from elsewhere import LACKING, MODULES

HERE = Path(__file__).parent
NAMES = {"os": {*LACKING["os"]}, "signal": {*LACKING["signal"], "SIGKILL"}, "socket": {"AF_UNIX"}}
TEXTS = re.compile(rf"\b(?:os\.({'|'.join(LACKING['os'])})|import .*?\b({'|'.join(MODULES)}))\b")
"""What a script in a text asks for."""
PATHS = re.compile(r"/proc|/dev/\w+|/bin/\w+")
CALLED = {
    "symlink_to": "symbolic links",
    "chmod": "file modes",
    "send_signal": "signals to processes",
    "preexec_fn": "forks",
    "pass_fds": "forks",
}
"""Methods, functions and words of calls, with the kind that they need."""


def _makes_links():
    """Whether a symbolic link can be made: on Windows that is a right."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "link").symlink_to("nowhere")
        except OSError:
            return False
    return True


KINDS = {
    "symbolic links": _makes_links,
    "file modes": lambda: hasattr(os, "chown"),
    "signals to processes": lambda: hasattr(os, "killpg"),
    "forks": lambda: hasattr(os, "fork"),
}


@cache
def there(thing):
    """Whether this system has it: a module, a name in one, a path, or one of `KINDS`."""
    if thing in KINDS:
        return KINDS[thing]()
    if thing.startswith("/"):
        return hasattr(os, "fork") and Path(thing).exists()  # also where Windows is only played
    module, _, name = thing.partition(".")
    try:
        found = importlib.import_module(module)
    except ImportError:
        return False
    return not name or hasattr(found, name)


def skip_what_cannot_be(items):
    """Skip those of the tests that need what this system lacks; Linux lacks nothing, and no test is read."""
    names = (f"{module}.{name}" for module, names in NAMES.items() for name in names)
    if all(map(there, ("/proc", "/dev/full", "/bin/bash", *names))):
        return
    for item in items:
        if isinstance(item, pytest.Function):
            missing = sorted(thing for thing in asked(item.path.stem, item.originalname) if not there(thing))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"this system lacks {', '.join(missing)}"))


def parts(node):
    """A piece of code and all in it, but for rows of a table that are there only `if there(...)`."""
    match node:
        case ast.GeneratorExp(generators=[ast.comprehension(ifs=[ast.Call(func=ast.Name(id="there"))])]):
            return
    yield node
    for part in ast.iter_child_nodes(node):
        yield from parts(part)


def things(node):
    """What one node of the code asks for itself."""
    match node:
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in NAMES.get(module, ()):
            yield f"{module}.{name}"
        case ast.Attribute(value=ast.Name(id="os"), attr="kill"):
            yield "signals to processes"
        case ast.Import(names=names):
            yield from (each.name for each in names if each.name in MODULES)
        case ast.Name(id=name) if name in MODULES:
            yield name
        case ast.Constant(value=str(text)):
            if path := PATHS.match(text):
                yield path[0]
            yield from (f"os.{name}" if name else module for name, module in TEXTS.findall(text))
    match node:
        case ast.Attribute(attr=name) | ast.keyword(arg=name) if name in CALLED:
            yield CALLED[name]


def spoken_of(node):
    """What one node speaks of by name, or takes: (module or None, name)."""
    match node:
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            yield module, name
        case ast.Name(id=name) | ast.arg(arg=name):
            yield None, name


@cache
def module(name):
    """What a module of tests defines, and where it has the rest from.

    Each definition comes with what it asks for itself, and what it speaks of.
    """
    pieces, imported = {}, {}
    for node in ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.ImportFrom(module=other, names=others) if (HERE / f"{other}.py").exists():
                imported |= {each.asname or each.name: (other, each.name) for each in others}
                continue
            case ast.FunctionDef(name=defined) | ast.ClassDef(name=defined):
                names = [defined]
            case ast.Assign(targets=targets):
                names = [each.id for part in targets for each in ast.walk(part) if isinstance(each, ast.Name)]
            case _:
                continue
        piece = tuple({each for part in parts(node) for each in of(part)} for of in (things, spoken_of))
        pieces |= dict.fromkeys(names, piece)
    return pieces, imported


def find(name, other, defined):
    """Where it is defined what a module speaks of: there, where it is imported from, or among the fixtures of all."""
    if other is not None:
        return (other, defined) if (HERE / f"{other}.py").exists() and defined in module(other)[0] else None
    pieces, imported = module(name)
    if defined in pieces:
        return name, defined
    if defined in imported:
        return find(imported[defined][0], None, imported[defined][1])
    return None if name == "conftest" else find("conftest", None, defined)


def asked(name, defined):
    """Everything that a piece of a module asks for, also by what it speaks of."""
    found, seen, left = set(), set(), [(name, defined)]
    while left:
        place = left.pop()
        if place is None or place in seen:
            continue
        seen.add(place)
        own, others = module(place[0])[0].get(place[1], ((), ()))
        found.update(own)
        left += [find(place[0], *other) for other in others]
    return found


def asked_at_import(path):
    """What a module of tests asks of Python as it is loaded: what it imports and names outside of functions."""
    found, left = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        if not isinstance(node, ast.Constant):
            found.update({*things(node)} - {*KINDS})
        later = node.body if isinstance(node, ast.FunctionDef) else [node.body] if isinstance(node, ast.Lambda) else []
        left += [part for part in ast.iter_child_nodes(node) if part not in later]
    return found
