"""Formats keep their contract: each gives what it does under the names that callers look for, and nothing beside."""

import ast
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import convcli
from convcli.formats import FORMATS
from convcli.formats.contract import FormatModule

ROOT = Path(convcli.__file__).parent
HOOKS = [each.name for each in fields(FormatModule)]
OWN = ("table.py", "kinds.py", "metadata.py")
"""The tables of formats, and of what each holds beside the pixels, by its column."""
NAMESPACES = {("pixels.py", "tiff"), ("carried.py", "jpeg")}
"""Keys of what a file says beside its pixels, which stands under the name of its format."""


@pytest.mark.parametrize("name", FORMATS)
def test_a_hook_of_a_module_is_the_one_that_it_gives(name):
    """A function that is called like a hook and is not given would be silently ignored."""
    module = import_module(f"convcli.formats.{FORMATS[name].module}")
    written = {hook: vars(module)[hook] for hook in HOOKS if hook in vars(module)}
    assert isinstance(module.FORMAT, FormatModule)
    assert {hook: getattr(module.FORMAT, hook) for hook in written} == written


def test_a_misspelt_hook_is_an_error():
    given = FORMATS["npy"].load()
    with pytest.raises(TypeError, match="window"):
        FormatModule(given.probe, given.read, given.write, window=given.windows)


def test_no_format_is_named_outside_its_module():
    named = [
        (path.name, node.value)
        for path in sorted([*(ROOT / "formats").glob("*.py"), *(ROOT / "runs").glob("*.py")])
        if path.name not in (*OWN, *(f"{entry.module}.py" for entry in FORMATS.values()))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in FORMATS
    ]
    assert set() == set(named) - NAMESPACES


@pytest.mark.parametrize("name", ["png", "npy", "pgm"])
def test_a_format_loads_no_other_one(name):
    others = {f"convcli.formats.{entry.module}" for entry in FORMATS.values()} - {
        f"convcli.formats.{FORMATS[name].module}"
    }
    script = f"import sys; from convcli.formats import FORMATS; FORMATS[{name!r}].load(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set() == others & set(done.stdout.split())
