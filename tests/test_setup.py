"""Compiled loops, built or not: nothing of an earlier build is left, and whoever asks is told why."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1]
COMPILER = """#!{python}
import pathlib, sys
words = sys.argv[1:]
if any(word.endswith("minimal.c") for word in words):
    sys.exit("minimal.c:1: error: as a test wants it")
pathlib.Path(words[words.index("-o") + 1]).write_text("new")
"""
"""Makes a file of anything but one of the sources."""


def has_setuptools():
    """True where the package can be built with what is installed."""
    found = [each.version for each in importlib.metadata.distributions(name="setuptools")]
    return bool(found) and int(found[0].split(".")[0]) >= 77


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the compiler is a script"),
    pytest.mark.skipif(not has_setuptools(), reason="setuptools 77 is not installed"),
]


@pytest.fixture
def tree(tmp_path):
    """The sources, with modules of an earlier build in place, and a compiler that fails on one of them."""
    (tmp_path / "convcli").mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "convcli/__init__.py", "convcli/native"):
        copy = shutil.copytree if (SOURCES / name).is_dir() else shutil.copy
        copy(SOURCES / name, tmp_path / name)
    for path in tmp_path.glob("convcli/native/*.[cs]*"):
        path.unlink() if path.suffix == ".so" else (path.parent / f"_{path.stem}.abi3.so").write_text("old")
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text(COMPILER.format(python=sys.executable))
    compiler.chmod(0o755)
    return tmp_path


def build(tree, compiler, *where, **more):
    """The exit code and the last line of a build of the extension; what is in place afterwards, and the note."""
    done = subprocess.run(
        [sys.executable, "-P", "setup.py", "-q", "build_ext", *where],
        cwd=tree,
        env={**os.environ, "CC": str(compiler), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    note = next(iter(sorted(tree.rglob("unbuilt.txt"))), None)
    return done.returncode, done.stderr.strip().splitlines()[-1:], note and note.read_text().strip()


def modules(folder):
    """What was made of each source: its name and what is in it."""
    return {path.name.split(".")[0]: path.read_text() for path in folder.glob("*.so")}


EVERY = {f"_{path.stem}" for path in (SOURCES / "convcli" / "native").glob("*.c")}


def test_without_a_compiler_nothing_is_built_and_nothing_old_is_left(tree):
    code, lines, note = build(tree, "no-such-compiler", "--inplace")
    assert (0, "no C compiler was there at installation (no-such-compiler)") == (code, note)
    assert lines[0].endswith(note)
    assert {} == modules(tree / "convcli" / "native")


def test_in_place_a_source_that_does_not_compile_is_an_error_and_its_old_module_is_gone(tree):
    compiler = tree / "bin" / "cc"
    code, lines, note = build(tree, compiler, "--inplace")
    assert (1, f"{compiler} failed on minimal.c") == (code, note)
    assert [f"error: {note}; CONVCLI_NATIVE=0 installs convcli without compiled loops"] == lines
    assert dict.fromkeys(EVERY - {"_minimal"}, "new") == modules(tree / "convcli" / "native")


def test_elsewhere_it_is_a_warning_and_its_old_module_is_gone_too(tree):
    built = tree / "build" / "convcli" / "native"
    built.mkdir(parents=True)
    (built / "_minimal.abi3.so").write_text("old")
    os.utime(built / "_minimal.abi3.so", (0, 0))
    compiler = tree / "bin" / "cc"
    code, lines, note = build(tree, compiler, "--build-lib", "build")
    assert (0, f"{compiler} failed on minimal.c") == (code, note)
    assert lines[0].endswith(note)
    assert dict.fromkeys(EVERY - {"_minimal"}, "new") == modules(built)


def test_a_build_that_succeeds_takes_the_note_away(tree):
    build(tree, "no-such-compiler", "--inplace")
    compiler = tree / "bin" / "cc"
    compiler.write_text(compiler.read_text().replace("minimal.c", "no.c"))
    assert (0, [], None) == build(tree, compiler, "--inplace")
    assert dict.fromkeys(EVERY, "new") == modules(tree / "convcli" / "native")


def test_nothing_is_compiled_where_nobody_wants_it(tree):
    code, _, note = build(tree, tree / "bin" / "cc", "--inplace", CONVCLI_NATIVE="0")
    assert (0, "CONVCLI_NATIVE=0 was set at installation") == (code, note)
    assert {} == modules(tree / "convcli" / "native")


def test_the_version_says_why_loops_are_not_compiled(monkeypatch, tmp_path):
    from convcli import cli, native

    monkeypatch.setenv("CONVCLI_NATIVE", "0")
    assert " CONVCLI_NATIVE=0 is set; " in cli.version_line()
    monkeypatch.delenv("CONVCLI_NATIVE")
    monkeypatch.setattr(native, "ABSENT", {"direct": "", "minimal": "cannot open shared object file"})
    assert "cannot open shared object file" == native.lacking()
    monkeypatch.setattr(native, "ABSENT", {"direct": ""})
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    assert "these were not built: direct" == native.lacking()
    (tmp_path / "unbuilt.txt").write_text("no C compiler was there at installation (cc)\n")
    monkeypatch.setattr(native, "AVAILABLE", False)
    assert "direct kernels: NumPy, since no C compiler was there at installation (cc); " in cli.version_line()
