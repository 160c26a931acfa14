"""3,000 files damaged where their structure is go through whole commands; 20,000 by `python tests/damages.py`."""

import os
import subprocess
import sys

import numpy as np
import pytest

import damages
from convcli.formats import FORMATS
from damaging import DAMAGES
from damaging_files import SUFFIXES, sound_files

CASES, SHARES = 2000, 2
PATIENCE = 300  # seconds for a share; it takes a twentieth of that


@pytest.mark.parametrize("share", range(SHARES))
def test_a_damaged_file_is_refused_in_a_line_or_read_as_its_peers_read_it(share):
    path = os.pathsep.join(sys.path)  # a process of its own: a crash is seen, and its memory is bounded
    done = subprocess.run(
        [sys.executable, damages.__file__, "--cases", str(CASES // SHARES), "--seed", str(1000 + share)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (0, f"{CASES // SHARES} tried\n") == (done.returncode, done.stdout), done.stderr[-2000:]


def test_every_format_is_damaged_in_ways_of_its_own_and_judged_by_a_peer():
    assert SUFFIXES.keys() == DAMAGES.keys() == damages.PEERS.keys()
    named = {"pgm": "pnm", "ppm": "pnm", "pbm": "pnm", "pam": "pnm", "nifti-gz": "nifti"}
    recognised = {named.get(name, name) for name, entry in FORMATS.items() if entry.magic != rb"(?!)"}
    assert recognised - {"analyze"} == DAMAGES.keys()  # which lies in two files
    judged = {sound_files()[name][0] for name in damages.judged_by_peers()}
    assert judged == DAMAGES.keys() or not damages.NIBABEL


def test_the_same_number_makes_the_same_file_and_seldom_the_sound_one():
    made = [damages.case(number, 1) for number in range(200)]
    assert [content for _, _, content, _, _ in made] == [damages.case(number, 1)[2] for number in range(200)]
    assert np.mean([content == sound_files()[name][1] for name, _, content, _, _ in made]) < 0.02


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_way_of_damage_changes_some_file_of_its_kind(kind):
    rng = np.random.default_rng(0)
    files = [content for each, content in sound_files().values() if each == kind]
    for way in DAMAGES[kind]:
        assert any(way(content, rng) != content for content in files for _ in range(20))


def test_what_a_reader_may_not_do_is_told(tmp_path, monkeypatch):
    def fails(_):
        raise RuntimeError("surprise")

    monkeypatch.setattr(damages, "run", fails)
    assert "RuntimeError: surprise" == damages.problem(1, 1, tmp_path)
