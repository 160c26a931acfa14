"""Formats keep their contract: each gives what it does under the names that callers look for, and nothing beside."""

import ast
import os
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import convcli
from convcli.errors import ConvError
from convcli.formats import FORMATS, Format, probe, read
from convcli.formats.contract import FormatModule
from convcli.formats.source import source_of
from convcli.image import Image, ImageInfo

ROOT = Path(convcli.__file__).parent
HOOKS = [each.name for each in fields(FormatModule)]
OWN = ("table.py", "kinds.py", "metadata.py")
"""The tables of formats, and of what each holds beside the pixels, by its column."""
NAMESPACES = {
    *(("pixels.py", "tiff"), ("__init__.py", "jpeg")),
    *(("channels.py", "ome"), ("channels.py", "imagej"), ("channels.py", "zarr")),
    ("contract.py", "jpeg"),
}
"""Keys of what a file says beside its pixels, which stands under the name of its format; and a compression in TIFF."""


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


# A source is a file, bytes or a folder


def test_a_folder_is_an_image_of_a_format_that_has_folders(tmp_path, monkeypatch):
    """A format of one line and one module: bands of rows, each a file, named in a list."""
    data = np.arange(35, dtype=np.uint8).reshape(7, 5)
    folder = bands_of(data, tmp_path / "bands")
    with pytest.raises(ConvError, match="is a folder, not a file") as refused:
        probe(folder)
    assert ("is-directory", str(folder)) == (refused.value.code, refused.value.where)

    monkeypatch.setitem(sys.modules, "convcli.formats.banded", BANDED)
    monkeypatch.setitem(FORMATS, "banded", Format("banded", "bands", "banded", (), dtypes=(), marks=("bands.txt",)))

    assert ((7, 5), "banded") == (probe(folder).shape, probe(folder).format)
    np.testing.assert_array_equal(data, read(folder).data, strict=True)


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        ("../secret", "unsafe", "lies elsewhere"),
        ("/etc/passwd", "unsafe", "lies elsewhere"),
        ("gone", "not-found", "no such file"),
        ("pipe", "not-regular", "is a pipe"),
    ],
)
def test_a_part_of_a_folder_is_a_regular_file_in_it(part, code, words, tmp_path, monkeypatch):
    folder = bands_of(np.zeros((2, 3), np.uint8), tmp_path / "bands")
    (folder / "bands.txt").write_text(part)
    (tmp_path / "secret").write_bytes(bytes(3))
    os.mkfifo(folder / "pipe")
    monkeypatch.setitem(sys.modules, "convcli.formats.banded", BANDED)
    monkeypatch.setitem(FORMATS, "banded", Format("banded", "bands", "banded", (), dtypes=(), marks=("bands.txt",)))
    with pytest.raises(ConvError, match=words) as refused:
        read(folder)
    assert code == refused.value.code


def test_a_part_that_changes_between_two_looks_is_refused(tmp_path):
    folder = bands_of(np.zeros((2, 3), np.uint8), tmp_path / "bands")
    source = source_of(folder)
    assert bytes(3) == source.head(3, "0")
    (folder / "0").write_bytes(b"other")
    with pytest.raises(ConvError, match="changed while it was read"):
        source.head(3, "0")


def bands_of(data, folder):
    """A folder with the rows of a picture."""
    folder.mkdir()
    for number, row in enumerate(data):
        (folder / str(number)).write_bytes(row.tobytes())
    (folder / "bands.txt").write_text("\n".join(map(str, range(len(data)))))
    return folder


def probe_bands(source, _options):
    names = source.head(1000, "bands.txt").decode().split()
    return ImageInfo((len(names), len(source.head(1000, names[0]))), "uint8", "YX", "banded")


def read_bands(source, options):
    info = probe_bands(source, options)
    rows = [source.head(info.shape[1], name) for name in source.head(1000, "bands.txt").decode().split()]
    return Image(info, np.frombuffer(b"".join(rows), np.uint8).reshape(info.shape))


BANDED = SimpleNamespace(FORMAT=FormatModule(probe_bands, read_bands, lambda *_: None))
