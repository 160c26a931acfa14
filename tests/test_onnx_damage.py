"""Damaged ONNX files: a few hundred here, ten thousand by `python tests/onnx_mutations.py`."""

import subprocess
import sys

import pytest

from onnx_files import real, write_weighted
from onnx_mutations import tried

HEAVY = ("numpy", "google", "onnx", "rich")
MEMORY = 60 * 2**20  # bytes; the file has four times as many


@pytest.mark.parametrize("share", range(4))
def test_a_damaged_model_is_answered_or_refused_in_one_line(tmp_path, share: int) -> None:
    assert [] == list(tried(range(100_000 + 100 * share, 100_000 + 100 * (share + 1)), tmp_path / "model.onnx"))


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x08\x08", b"\x08\x08\x3a\x05ab", b"conv3-64", real("alexnet")[:-1]])
def test_a_file_that_is_no_model_is_one_line(tmp_path, capsys, data: bytes) -> None:
    from convcli.cli import run

    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert 1 == run(["flops", str(path)])
    assert 1 == capsys.readouterr().err.count("\n")


ASKED = """
import sys
from convcli.cli import run
code = run(["flops", sys.argv[1]])
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(*peak, *sys.modules, file=sys.stderr)
sys.exit(code)
"""


def test_weights_of_240_mb_are_not_read(tmp_path) -> None:
    path = tmp_path / "resnet152.onnx"
    assert write_weighted(path, real("resnet152")) > 240_000_000
    done = subprocess.run([sys.executable, "-c", ASKED, str(path)], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    peak, *modules = done.stderr.split()
    assert int(peak) * 1024 < MEMORY
    assert not {name.split(".")[0] for name in modules} & set(HEAVY)
    assert "11,513,626,624" in done.stdout
