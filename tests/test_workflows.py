"""The rules of workflow engines on the page of pipelines, run by these engines where they are installed."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from readme import ROOT, prepare

PAGE = ROOT / "samples" / "pipelines.md"


@pytest.mark.parametrize(
    ("engine", "file", "words", "made"),
    [
        ("snakemake", "Snakefile", ("--cores", "1"), "sharp/{name}.jpg"),
        ("nextflow", "main.nf", ("run", "main.nf"), "work/*/*/sharp-{name}.jpg"),
    ],
)
def test_its_rule_makes_every_output(engine, file, words, made, tmp_path):
    beside = shutil.which(engine, path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")  # noqa: PTH120
    if beside is None:
        pytest.skip(f"{engine} is not installed")
    (rule,) = re.findall(rf"```\w+\n(?:#|//) {re.escape(file)}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / file).write_text(rule)
    prepare(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("one", "two"):
        shutil.copy(ROOT / "samples" / "photo.jpg", tmp_path / "photos" / f"{name}.jpg")

    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([beside, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for name in ("one", "two"):
        assert len(list(tmp_path.glob(made.format(name=name)))) == 1
