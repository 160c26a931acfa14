"""3,000 damaged files, the same every time: each is read, or refused in one line, soon and in little memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mutations

PATIENCE = 120  # seconds for all files of a reader; they take a tenth of that


@pytest.mark.parametrize("reader", mutations.READERS)
def test_a_damaged_file_is_read_or_refused(reader):
    path = os.pathsep.join(sys.path)  # a process of its own: a crash is seen, and its memory is bounded
    done = subprocess.run(
        [sys.executable, mutations.__file__, reader],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "", "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    expected = f"{mutations.READERS[reader].share} read\n"
    assert (0, expected, "") == (done.returncode, done.stdout, done.stderr)


def test_there_are_3000_files():
    assert 3000 == sum(reader.share for reader in mutations.READERS.values())


def test_damage_is_the_same_every_time_and_seldom_none():
    sound = mutations.contents("kernels")
    files = [mutations.damaged("kernels", number) for number in range(100)]
    assert files == [mutations.damaged("kernels", number) for number in range(100)]
    assert np.mean([content == sound[name] for name, content in files]) < 0.1


def test_every_format_is_damaged():
    names = " ".join(mutations.contents("pictures"))
    assert [] == [
        name
        for name, entry in mutations.FORMATS.items()
        if entry.dtypes and not entry.folder and f" {name}" not in names
    ]


def test_what_a_reader_may_not_do_is_told(tmp_path, monkeypatch):
    def fails(_):
        raise RuntimeError("surprise")

    monkeypatch.setitem(mutations.READERS, "bad", mutations.Reader(dict, fails, 1))
    assert "RuntimeError: surprise" == mutations.problem("bad", tmp_path)
