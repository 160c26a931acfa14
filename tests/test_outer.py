"""Folders for outputs are made where they are not there, and go again where nothing came into them."""

from pathlib import Path

import numpy as np
import pytest

from command import InProcess


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """The command line in a folder with two images and a damaged one."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b.npy"):
        np.save(name, np.ones((4, 5), np.uint8))
    Path("bad.npy").write_bytes(b"\x93NUMPY")
    return InProcess(capfd)


def made():
    """Every folder below, and every file that is no input."""
    return sorted(str(path) for path in Path().rglob("*") if path.parent != Path() or path.is_dir())


@pytest.mark.parametrize("names", [("a.npy",), ("a.npy", "b.npy")])
def test_a_folder_for_outputs_is_made(run, names):
    assert 0 == run("conv2d", *names, "-k", "box:3", "-q", "-o", "out/")[0]
    assert ["out", *(f"out/{name}" for name in names)] == made()
    assert 0 == run("conv2d", *names, "-k", "box:3", "-q", "-f", "-o", "out/")[0]
    assert 0 == run("conv2d", *names, "-k", "box:3", "-q", "-o", "more/{stem}-{kernel}.npy")[0]


def test_what_it_is_in_must_be_there_unless_parents_are_made_too(run):
    code, errors = run("conv2d", "a.npy", "-k", "box:3", "-o", "deep/er/")
    assert (
        1,
        ["convcli: 'deep/er': there is no folder 'deep' to make it in; make it first, or use --parents [not-found]"],
    ) == (code, errors)
    assert [] == made()
    assert 0 == run("conv2d", "a.npy", "-k", "box:3", "-q", "--parents", "-o", "deep/er/")[0]
    assert ["deep", "deep/er", "deep/er/a.npy"] == made()


def test_parents_of_single_names_and_of_fields_are_made(run):
    assert 1 == run("conv2d", "a.npy", "-k", "box:3", "-q", "-o", "x/y/o.npy")[0]
    assert 0 == run("conv2d", "a.npy", "-k", "box:3", "-q", "--parents", "-o", "x/y/o.npy")[0]
    assert 0 == run("conv2d", "a.npy", "b.npy", "-k", "box:3", "-q", "--parents", "-o", "z/{stem}/o.npy")[0]
    assert {"x/y/o.npy", "z/a/o.npy", "z/b/o.npy"} <= {*made()}


@pytest.mark.parametrize("words", ["bad.npy -k box:3", "a.npy -k box:3 --dry-run", "a.npy -k box:3 --explain"])
def test_nothing_is_left_where_nothing_was_written(run, words):
    run("conv2d", *words.split(), "-q", "--parents", "-o", "some/where/")
    assert [] == made()


def test_a_file_is_no_folder(run):
    code, errors = run("conv2d", "a.npy", "-k", "box:3", "-o", "b.npy/")
    assert (1, True) == (code, "'b.npy': is not a folder" in errors[0])
